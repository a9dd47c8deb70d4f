//! Going back where the present configuration, or a version, cannot be used.

use std::fs;

use pm_core::history::Why;
use pm_core::holder::Holder;
use pm_core::ruleset::Direction;
use pm_engine::{EngineError, Past};
use pm_store::config_file;

use crate::backend::{Fate, Script};
use crate::host::{End, Host};
use crate::requests::{add, add_group, group, in_group, limit, ports, quota, set};

/// What an editor may leave of the file; nothing: it is gone.
const DAMAGED: [&str; 3] = ["", "{broken", "{\"schema\": 99}"];

fn damage(host: &Host, content: &str) {
    let file = host.paths.config_file();
    match content {
        "" => fs::remove_file(file).unwrap(),
        content => fs::write(file, content).unwrap(),
    }
}

fn past(host: &Host) -> Past {
    Past::load(&host.paths).unwrap()
}

#[test]
fn a_damaged_configuration_is_what_an_undo_takes_back() {
    for damaged in DAMAGED {
        let mut host = Host::with(&[("20000", quota(1_000))]);
        host.request(&add("20001", quota(2_000)));
        let good = host.config();
        damage(&host, damaged);
        let request = past(&host).undo().unwrap().unwrap();
        let done = host.request(&request);
        assert!(done.stale_config.is_some());
        assert!(host.config().asks_the_same(&good), "{damaged}");
        // Nothing is lost: what stood there is a version now.
        let kept = config_file::versions(&host.paths).unwrap();
        let kept = fs::read_to_string(&kept[0].path).unwrap();
        assert_eq!(kept == damaged, !damaged.is_empty());
        host.tick();
        assert!(host.send("20001", Direction::Out, 2_000));
        assert!(!host.send("20001", Direction::Out, 1));
    }
}

#[test]
fn from_a_damaged_configuration_one_can_go_further_back() {
    for damaged in DAMAGED {
        let mut host = Host::with(&[("20000", quota(1_000))]);
        let first = host.config();
        host.request(&set("20000", quota(5_000)));
        host.request(&set("20000", limit("5M")));
        damage(&host, damaged);
        let mut past = past(&host);
        assert!(past.stale_config.is_some());
        let same = |version: &&pm_engine::PastVersion| {
            let config = version.config.as_ref();
            config.is_ok_and(|config| config.asks_the_same(&first))
        };
        let number = past.restorable().find(same).unwrap().number;
        let request = past.take(number).unwrap().restore().unwrap();
        host.request(&request);
        assert!(host.config().asks_the_same(&first), "{damaged}");
    }
}

#[test]
fn a_damaged_configuration_stays_as_it_is_when_going_back_fails() {
    for damaged in DAMAGED {
        let mut host = Host::with(&[("20000", quota(1_000))]);
        host.request(&set("20000", quota(5_000)));
        damage(&host, damaged);
        let mut past = past(&host);
        let number = past.versions[0].number;
        let request = past.take(number).unwrap().restore().unwrap();
        let refused = Script {
            fate: Fate::Refuse(0),
            ..Script::default()
        };
        let end = host.run_request(&request, refused);
        assert!(matches!(end, End::Failed(EngineError::RolledBack { .. })));
        assert_eq!(config_file::content(&host.paths), damaged.as_bytes());
    }
}

#[test]
fn an_undo_skips_no_change() {
    let mut host = Host::with(&[("20000", quota(1_000))]);
    host.request(&set("20000", quota(2_000)));
    host.request(&set("20000", quota(3_000)));
    let latest = config_file::versions(&host.paths).unwrap().swap_remove(0);
    fs::write(&latest.path, "{broken").unwrap();
    assert!(past(&host).undo().is_err());
    assert_ne!(
        past(&host).restorable().next().unwrap().number,
        latest.number
    );
}

/// What a service used in a group is in the group's last period, and its own ends with that.
#[test]
fn who_goes_with_his_group_leaves_his_share_in_the_groups_period() {
    let mut host = Host::with(&[("20000", quota(1_000))]);
    let first = host.config();
    host.request(&add_group("vip", quota(9_000)));
    host.request(&add("20001", in_group("vip")));
    host.send("20001", Direction::Out, 500);
    host.tick();
    let mut past = past(&host);
    let same = |version: &&pm_engine::PastVersion| {
        let config = version.config.as_ref();
        config.is_ok_and(|config| config.asks_the_same(&first))
    };
    let number = past.restorable().find(same).unwrap().number;
    host.request(&past.take(number).unwrap().restore().unwrap());
    let closed = host.closed().into_iter();
    let ended: Vec<_> = closed
        .map(|period| {
            (
                period.holder,
                period.group,
                period.why,
                period.usage.outgoing,
            )
        })
        .collect();
    let (service, vip) = (Holder::Service(ports("20001")), group("vip"));
    assert_eq!(
        ended,
        [
            (service.clone(), Some(vip.clone()), Why::Regrouped, 500),
            (Holder::Group(vip), None, Why::Deleted, 500),
            (service, None, Why::Deleted, 0),
        ]
    );
}
