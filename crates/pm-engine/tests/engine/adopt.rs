//! A configuration that comes with its past: wholly there or not at all, and what passes meanwhile
//! is counted once.

use std::collections::BTreeMap;
use std::fs;

use pm_core::adoption::{Adoption, Books, Extent, ServiceBooks};
use pm_core::calendar::{Period, Timestamp};
use pm_core::config::{Config, Tariff};
use pm_core::history::{ClosedPeriod, DayTotal, Why};
use pm_core::ledger::{Account, Usage};
use pm_core::port::PortRange;
use pm_core::request::{Refusal, Request};
use pm_core::ruleset::Direction;
use pm_engine::{EngineError, Seen as Shown};
use time::macros::date;

use crate::backend::{Fate, Script};
use crate::host::{End, Host, Pm};
use crate::kernel::Packet;
use crate::refusal::busy;
use crate::requests::{FORCE, group, ports, quota};

/// Services that are used all the time.
const USED: [&str; 4] = ["20002", "20006", "20020", "20021"];

fn usage(incoming: u64, outgoing: u64) -> Usage {
    Usage { incoming, outgoing }
}

fn account(used: Usage, adjust: i64) -> Account {
    Account {
        usage: used,
        adjust,
        ..Account::new(
            Tariff::default(),
            Period::begin("never".parse().unwrap(), date!(2026 - 11 - 01)),
            Some(Timestamp::from_unix(1_790_000_000)),
        )
    }
}

fn books(total: Usage, used: Usage, adjust: i64) -> ServiceBooks {
    ServiceBooks {
        total,
        account: account(used, adjust),
        expired: false,
        punished: None,
    }
}

fn closed(name: &str, used: Usage) -> ClosedPeriod {
    ClosedPeriod {
        holder: name.parse().unwrap(),
        group: None,
        began: None,
        ended: Timestamp::from_unix(1_790_000_000),
        why: Why::Calendar,
        usage: used,
        tariff: Tariff::default(),
        adjust: 0,
    }
}

/// Two newcomers, one in a group of its own, one that has spent its quota; and a past of somebody
/// who is no more.
fn newcomers(present: &Config) -> Adoption {
    let mut config = present.clone();
    let more = Config::parse(
        r#"{"schema": 1, "groups": {"moved": {"quota": "1GB", "reset": "never"}},
            "services": {"20020": {"group": "moved", "note": "it's new"},
                         "20021": {"quota": "2147483648B", "reset": "never", "limit": "6Mbps"},
                         "20022": {"quota": "1000B", "reset": "never"}}}"#,
    )
    .unwrap();
    config.groups.extend(more.groups);
    config.services.extend(more.services);
    let day = |date, name, usage| DayTotal {
        date,
        ports: ports(name),
        usage,
    };
    Adoption {
        command: "pm import --from elsewhere".to_owned(),
        config,
        books: Books {
            services: [
                ("20020", books(usage(700, 500), usage(300, 200), 0)),
                ("20021", books(usage(9_000, 800), usage(400, 0), -100)),
                ("20022", books(usage(900, 800), usage(900, 800), 0)),
            ]
            .map(|(name, books)| (ports(name), books))
            .into(),
            groups: [(group("moved"), account(usage(300, 200), 55))].into(),
            closed: vec![
                closed("20020", usage(400, 300)),
                closed("19999", usage(1, 2)),
            ],
            days: vec![
                day(date!(2026 - 10 - 30), "20020", usage(400, 300)),
                day(date!(2026 - 10 - 31), "20020", usage(300, 200)),
                day(date!(2026 - 10 - 31), "19999", usage(1, 2)),
            ],
        },
        extent: Extent::Newcomers,
    }
}

/// The newcomers and some of those who are there, with another past; the others go.
fn another(present: &Config) -> Adoption {
    let mut adoption = newcomers(present);
    let services = &mut adoption.config.services;
    services.retain(|ports, _| ports.first() != 20003 && ports.first() != 20008);
    adoption.config.groups.remove(&group("dry"));
    let kept = [
        ("20000", books(usage(50, 60), usage(50, 60), 0)),
        ("20002", books(usage(5_000, 60), usage(50, 60), 7)),
        ("20006", books(usage(1, 2), usage(1, 2), 0)),
    ];
    let kept = kept.map(|(name, books)| (ports(name), books));
    adoption.books.services.extend(kept);
    let vip = account(usage(59_000, 2), 0);
    adoption.books.groups.insert(group("vip"), vip);
    adoption.extent = Extent::Everything;
    adoption
}

fn adopt(adoption: &Adoption) -> Request {
    Request::Adopt(Box::new(adoption.clone()))
}

fn with_traffic(fate: Fate) -> Script {
    let packets = USED.map(|name| Packet {
        ports: ports(name),
        direction: Direction::Out,
        bytes: 10,
    });
    Script {
        fate,
        packets: packets.into(),
        ..Script::default()
    }
}

/// All that pm knows, but for when.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Known {
    services: BTreeMap<PortRange, (Usage, Account, Option<String>)>,
    groups: BTreeMap<String, Account>,
    closed: Vec<ClosedPeriod>,
    days: BTreeMap<PortRange, Usage>,
}

impl Known {
    fn on(host: &Host) -> Self {
        let state = host.saved().unwrap();
        let mut days: BTreeMap<PortRange, Usage> = BTreeMap::new();
        for day in host.days() {
            let sum = days.entry(day.ports).or_default();
            *sum = sum.plus(day.usage);
        }
        let services = state.ledgers.into_iter().map(|(ports, ledger)| {
            let group = ledger.group.map(|name| name.to_string());
            (ports, (ledger.total, ledger.account, group))
        });
        let groups = state.groups.into_iter();
        Self {
            services: services.collect(),
            groups: groups.map(|(name, one)| (name.to_string(), one)).collect(),
            closed: host.closed(),
            days,
        }
    }

    fn total(&self, name: &str) -> Usage {
        self.services[&ports(name)].0
    }

    fn account(&self, name: &str) -> Account {
        self.services[&ports(name)].1
    }
}

/// What passed each service that is used.
fn passed(host: &Host) -> [Usage; 4] {
    USED.map(|name| host.passed(name))
}

/// Asserts that all is as before, but for what passed.
fn assert_old(host: &Host, old: &Known, was_passed: [Usage; 4], when: &str) {
    let now = Known::on(host);
    let mut wanted = old.clone();
    for (name, (was, is)) in USED.iter().zip(was_passed.iter().zip(passed(host))) {
        let grown = is.since(*was);
        let Some((total, account, group)) = wanted.services.get_mut(&ports(name)) else {
            continue;
        };
        *total = total.plus(grown);
        account.usage = account.usage.plus(grown);
        if let Some(group) = group.as_ref().and_then(|name| wanted.groups.get_mut(name)) {
            group.usage = group.usage.plus(grown);
        }
        let day = wanted.days.entry(ports(name)).or_default();
        *day = day.plus(grown);
    }
    assert_eq!(now.services, wanted.services, "{when}");
    assert_eq!(now.groups, wanted.groups, "{when}");
    // Who was never there was counted all the same, while his rooms were.
    let is_visitor = |ports: u16| (20_020..=20_022).contains(&ports);
    let mut days = now.days.clone();
    days.retain(|ports, _| !is_visitor(ports.first()));
    assert_eq!(days, wanted.days, "{when}");
    for period in &now.closed[wanted.closed.len()..] {
        let passed = USED.iter().zip(passed(host));
        let mut passed = passed.filter(|(name, _)| period.holder.to_string() == **name);
        let (_, passed) = passed
            .next()
            .unwrap_or_else(|| panic!("{when}: {period:?}"));
        assert_eq!(
            period.usage.since(passed),
            Usage::default(),
            "{when}: {period:?}"
        );
    }
    assert_eq!(now.closed[..wanted.closed.len()], wanted.closed, "{when}");
}

/// Asserts that all is as adopted, with what passed since.
fn assert_new(host: &Host, adoption: &Adoption, old: &Known, was_passed: [Usage; 4], when: &str) {
    let now = Known::on(host);
    for (ports, books) in &adoption.books.services {
        let (total, account, _) = now.services[ports];
        let grown = total.since(books.total);
        assert_eq!(books.total.plus(grown), total, "{when}: {ports}");
        assert_eq!(
            books.account.usage.plus(grown),
            account.usage,
            "{when}: {ports}"
        );
        assert_eq!(books.account.adjust, account.adjust, "{when}: {ports}");
        assert_eq!(books.account.began, account.began, "{when}: {ports}");
        // The days add up to it.
        assert_eq!(now.days[ports], total, "{when}: {ports}");
        let most = USED.iter().zip(was_passed.iter().zip(passed(host)));
        let mut most = most.filter(|(name, _)| name.parse() == Ok(*ports));
        let most = most.next().map(|(_, (was, is))| is.since(*was));
        assert_eq!(
            grown.since(most.unwrap_or_default()),
            Usage::default(),
            "{when}: {ports}"
        );
    }
    for (name, books) in &adoption.books.groups {
        let account = now.groups[name.as_str()];
        let members = adoption.config.members(name);
        let grown = members.fold(Usage::default(), |sum, ports| {
            let had = adoption.books.services.get(&ports);
            let had = had.map(|books| books.account.usage).unwrap_or_default();
            sum.plus(now.services[&ports].1.usage.since(had))
        });
        let is_moved = name.as_str() == "moved";
        if is_moved || adoption.extent == Extent::Everything {
            assert_eq!(books.usage.plus(grown), account.usage, "{when}: {name}");
        }
    }
    let theirs = &adoption.books.closed;
    let had = match adoption.extent {
        Extent::Everything => 0,
        Extent::Newcomers => old.closed.len(),
    };
    let mut after = now.closed.clone();
    for period in theirs {
        let at = after.iter().position(|one| one == period);
        after.remove(at.unwrap_or_else(|| panic!("{when}: {period:?}")));
    }
    assert_eq!(after[..had], old.closed[..had], "{when}");
    // Those who go may have been used while they went.
    for period in &after[had..] {
        assert_eq!(period.why, Why::Deleted, "{when}");
    }
    if adoption.extent == Extent::Newcomers {
        for name in ["20002", "20006"] {
            assert_eq!(now.total(name), now.days[&ports(name)], "{when}");
            let at = USED.iter().position(|one| *one == name).unwrap();
            let grown = passed(host)[at].since(was_passed[at]);
            assert_eq!(now.total(name), old.total(name).plus(grown), "{when}");
        }
    } else {
        assert_eq!(now.account("20001").usage, Usage::default(), "{when}");
        assert!(!now.services.contains_key(&ports("20003")), "{when}");
    }
    // What has spent its quota elsewhere has spent it here.
    assert!(!host.send("20022", Direction::Out, 1), "{when}");
    assert!(host.send("20021", Direction::Out, 1), "{when}");
}

fn adoptions(config: &Config) -> [Adoption; 2] {
    [newcomers(config), another(config)]
}

#[test]
fn what_is_adopted_is_there_and_what_passes_meanwhile_is_counted_once() {
    let busy = busy();
    for adoption in adoptions(&busy.config()) {
        let mut host = busy.copy();
        let (old, was_passed) = (Known::on(&host), passed(&host));
        let end = host.run_request(&adopt(&adoption), with_traffic(Fate::Live));
        let done = end.done();
        assert!(done.leftover.is_empty() && done.problems.is_empty());
        host.tick();
        let when = format!("{:?}", adoption.extent);
        assert_new(&host, &adoption, &old, was_passed, &when);
        assert!(host.config().asks_the_same(&adoption.config));
        assert_eq!(host.config().revision, done.before.revision + 1);
        // All that its one room has counted is on top of a newcomer's books.
        let now = Known::on(&host);
        let counters = host.kernel(|kernel| kernel.read_counters().table.unwrap().counters);
        let counted = counters
            .into_iter()
            .filter_map(|((room, direction), counter)| {
                let is_sent = room.ports == ports("20020") && direction == Direction::Out;
                is_sent.then_some(counter.bytes)
            });
        let counted: Vec<u64> = counted.collect();
        assert!(counted.len() == 1 && counted[0] > 0, "{counted:?}");
        assert_eq!(now.total("20020"), usage(700, 500 + counted[0]), "{when}");
        // Another tick adds nothing.
        host.tick();
        let again = Known::on(&host);
        assert_eq!(
            again.days.get(&ports("20020")),
            now.days.get(&ports("20020"))
        );
    }
}

#[test]
fn whatever_dies_or_fails_leaves_all_as_before_or_all_as_adopted() {
    let busy = busy();
    for adoption in adoptions(&busy.config()) {
        for fate in [Fate::Die, Fate::Fail, Fate::Refuse] {
            let (mut olds, mut news) = (0, 0);
            for moment in 0.. {
                let mut host = busy.copy();
                let when = format!("{:?}, {:?}", adoption.extent, fate(moment));
                let (old, was_passed) = (Known::on(&host), passed(&host));
                let config = host.config();
                let end = host.run_request(&adopt(&adoption), with_traffic(fate(moment)));
                let is_met = host.calls().met;
                let failed = matches!(end, End::Failed(_));
                host.tick();
                // What is left over of rooms goes at the next.
                host.tick();
                if host.config() == config {
                    olds += 1;
                    assert_old(&host, &old, was_passed, &when);
                } else {
                    news += 1;
                    assert!(!failed, "{when}: it said that it was taken back");
                    assert!(host.config().asks_the_same(&adoption.config), "{when}");
                    assert_new(&host, &adoption, &old, was_passed, &when);
                }
                if !is_met {
                    break;
                }
            }
            assert!(olds > 0 && news > 0, "{olds} before, {news} after");
        }
    }
}

#[test]
fn a_file_that_cannot_follow_at_once_follows_at_the_next_tick() {
    let mut host = busy();
    let (before, adoption) = (host.config(), another(&host.config()));
    // In the place of the directory in which the version before is to be kept.
    let versions = host.paths.versions_dir();
    let aside = host.paths.config_dir.join("aside");
    fs::rename(&versions, &aside).unwrap();
    fs::write(&versions, "in the way").unwrap();
    let done = host.request(&adopt(&adoption));
    assert_eq!(done.leftover.len(), 1);
    assert_eq!(host.config(), before);
    // It is in force, and shown.
    let view = host.run(Script::default(), Pm::view).done();
    assert_eq!(view.config, done.after);
    assert!(!host.send("20022", Direction::Out, 1));
    host.tick();
    assert_eq!(host.config(), before);
    fs::remove_file(&versions).unwrap();
    fs::rename(&aside, &versions).unwrap();
    host.tick();
    assert_eq!(host.config(), done.after);
    // Only once: what the operator writes into the file later stays.
    let text = fs::read_to_string(host.paths.config_file()).unwrap();
    let text = text.replace("it's new", "by hand");
    fs::write(host.paths.config_file(), &text).unwrap();
    host.tick();
    assert_eq!(fs::read_to_string(host.paths.config_file()).unwrap(), text);
}

#[test]
fn the_same_again_changes_nothing_but_drops_what_passed_since() {
    let mut host = busy();
    let adoption = another(&host.config());
    host.request(&adopt(&adoption));
    let (first, text) = (
        Known::on(&host),
        fs::read(host.paths.config_file()).unwrap(),
    );
    host.request(&adopt(&adoption));
    assert_eq!(Known::on(&host), first);
    assert_eq!(fs::read(host.paths.config_file()).unwrap(), text);
    assert!(host.send("20021", Direction::Out, 77));
    host.tick();
    assert_ne!(Known::on(&host), first);
    host.request(&adopt(&adoption));
    assert_eq!(Known::on(&host), first);
}

#[test]
fn a_host_without_anything_adopts_it_all() {
    for fate in [Fate::Live, Fate::Die(1), Fate::Die(3), Fate::Die(6)] {
        let mut host = Host::new();
        let mut adoption = newcomers(&Config::default());
        adoption.extent = Extent::Everything;
        let end = host.run_request(&adopt(&adoption), with_traffic(fate));
        if let End::Died = end {
            host.tick();
            host.request(&adopt(&adoption));
        }
        host.tick();
        let now = Known::on(&host);
        assert_eq!(now.total("20022"), usage(900, 800));
        assert_eq!(now.days[&ports("20022")], usage(900, 800));
        assert_eq!(now.days[&ports("19999")], usage(1, 2));
        assert!(!host.send("20022", Direction::Out, 1));
    }
}

#[test]
fn books_of_who_has_some_already_are_refused() {
    let mut host = busy();
    let mut adoption = newcomers(&host.config());
    let own = books(usage(1, 1), usage(1, 1), 0);
    adoption.books.services.insert(ports("20000"), own);
    let end = host.run_request(&adopt(&adoption), Script::default());
    let expected = Refusal::HasPast(ports("20000").into());
    assert!(matches!(end.failed(), EngineError::Refused(why) if why == expected));
    adoption.books.services.remove(&ports("20000"));
    adoption.books.services.insert(ports("30000"), own);
    let end = host.run_request(&adopt(&adoption), Script::default());
    assert!(matches!(
        end.failed(),
        EngineError::Refused(Refusal::Unknown(_))
    ));
}

#[test]
fn a_configuration_that_changed_since_it_was_looked_at_is_not_replaced() {
    let mut host = busy();
    let (seen, adoption) = (host.config(), newcomers(&host.config()));
    host.request(&crate::requests::add("20030", quota(5)));
    let end = host.run(Script::default(), |engine| {
        let shown = Shown {
            config: &seen,
            state: None,
        };
        engine.execute_on(shown, &adopt(&adoption), FORCE)
    });
    assert!(matches!(end.failed(), EngineError::Changed));
}
