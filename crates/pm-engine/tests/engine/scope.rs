//! A request reads what it concerns and nothing else: what it leaves is the same.

use pm_core::calendar::Timestamp;
use pm_core::request::Request;
use pm_core::ruleset::{Direction, Installed};

use crate::backend::Script;
use crate::host::{End, Host, Pm};
use crate::refusal::{busy, requests};
use crate::requests::{dynqos, ports, set};

/// The same host as it comes after a call of no matter which way: who counted what, and what
/// the kernel holds, but for the names that are drawn by lot.
fn seen(host: &mut Host) -> impl PartialEq + std::fmt::Debug + use<> {
    let view = host.run(Script::default(), Pm::view).done();
    let rules = Installed {
        epochs: Default::default(),
        ..host.kernel(|kernel| kernel.installed())
    };
    let quotas = host.kernel(|kernel| {
        let quotas = kernel.read_quotas().into_iter();
        quotas
            .map(|(id, quota)| (id, quota.limit, quota.used))
            .collect::<Vec<_>>()
    });
    let ledgers = host.saved().unwrap().ledgers.into_iter();
    let ledgers: Vec<_> = ledgers
        .map(|(ports, ledger)| (ports, ledger.total, ledger.hog, ledger.group))
        .collect();
    let tc = host.tc(|tc| format!("{tc:?}"));
    let seen = (view.reports, view.groups, host.config());
    (seen, rules, quotas, ledgers, host.days(), tc)
}

fn scoped(host: &Host) -> Vec<Request> {
    let config = host.config();
    let mut requests = requests();
    requests.push(set("20003", dynqos("10M/5/1M/5")));
    requests.retain(|request| request.scope(&config).is_some());
    requests
}

/// What others have used since the last tick is not read; some of them have used up all they had.
#[test]
fn what_is_not_read_changes_nothing() {
    let before = busy();
    for service in before.config().services.into_keys() {
        before.send(&service.to_string(), Direction::Out, 5_000);
    }
    for _ in 0..60 {
        before.send("20006", Direction::Out, 1_000);
        before.send("20001", Direction::Out, 1_000);
    }
    let requests = scoped(&before);
    assert!(requests.len() > 20);
    for request in requests {
        let (mut some, mut all) = (before.copy(), before.copy());
        // Somebody else's commit makes pm look at everything.
        all.kernel(|kernel| kernel.touch());
        let one = some.run_request(&request, Script::default());
        let other = all.run_request(&request, Script::default());
        assert_eq!(some.calls().reads, 0, "`{request}`");
        assert!(all.calls().reads > 0, "`{request}`");
        let (one, other) = match (one, other) {
            (End::Done(one), End::Done(other)) => (one, other),
            (one, other) => {
                let refusals = [one, other].map(|end| end.failed().to_string());
                assert_eq!(refusals[0], refusals[1], "`{request}`");
                continue;
            }
        };
        assert_eq!(one.after, other.after, "`{request}`");
        for ports in request.scope(&before.config()).unwrap().iter() {
            let report = |reports: &[pm_core::report::Report]| {
                reports.iter().find(|one| one.ports == ports).cloned()
            };
            assert_eq!(report(&one.reports_after), report(&other.reports_after));
        }
        some.tick();
        all.tick();
        assert_eq!(seen(&mut some), seen(&mut all), "`{request}`");
    }
}

/// Whoever reads some services only has not done what is due each minute.
#[test]
fn a_request_is_no_tick() {
    let mut host = busy();
    let earlier = Timestamp::from_unix(1_700_000_000);
    for request in scoped(&host) {
        let mut host = host.copy();
        host.edit(|state| state.last_tick = Some(earlier));
        drop(host.run_request(&request, Script::default()));
        assert_eq!(
            host.saved().unwrap().last_tick,
            Some(earlier),
            "`{request}`"
        );
    }
    host.edit(|state| state.last_tick = Some(earlier));
    host.tick();
    assert!(host.saved().unwrap().last_tick > Some(earlier));
}

/// Bytes that a request did not read would seem to be no bytes at all.
#[test]
fn nobody_is_judged_by_a_request_that_did_not_read_him() {
    let mut host = busy();
    host.request(&set("20003", dynqos("10M/2/1M/5")));
    host.tick();
    for _ in 0..2 {
        host.send("20003", Direction::Out, 200_000_000);
        host.pass_a_minute();
        host.request(&set("20001", crate::requests::quota(70_000)));
        assert_eq!(host.calls().reads, 0);
        assert_eq!(host.ledger("20003").hog.punished, None);
        host.tick();
    }
    assert!(host.ledger("20003").hog.punished.is_some());
    let room = host.kernel(|kernel| kernel.installed().rooms);
    let of = room.iter().find(|(room, _)| room.ports == ports("20003"));
    let policing = of.unwrap().1.intact.as_ref().unwrap().policing;
    assert_eq!(policing.incoming, Some(125_000));
}
