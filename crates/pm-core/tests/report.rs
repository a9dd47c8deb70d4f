//! What the operator is shown: settings and state of each service, and of the group it is in.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::time::Duration;

use pm_core::config::{Config, Mode};
use pm_core::history::running;
use pm_core::port::PortRange;
use pm_core::report::{BlockedBy, Report, group_reports, reports};
use pm_core::ruleset::Direction;
use pm_core::strategies::config;
use proptest::prelude::*;
use support::{Kernel, Pm, Quiet, group, ports};
use time::macros::date;

fn started(services: &str) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    pm.config = Config::parse(&format!(r#"{{"schema":1,{services}}}"#)).unwrap();
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    (kernel, pm)
}

fn report(pm: &Pm, port: &str) -> Report {
    let all = reports(&pm.config, &pm.saved);
    all.into_iter()
        .find(|one| one.ports == ports(port))
        .unwrap()
}

#[test]
fn a_member_shows_its_share_and_what_its_group_decides() {
    let (mut kernel, mut pm) = started(
        r#""groups":{"vip":{"quota":"1KB","mode":"max","factor":"2","reset":"20"}},
        "services":{"80":{"group":"vip","note":"a"},"81":{"group":"vip"},"82":{"quota":"1KB"}}"#,
    );
    // 15 January 2027.
    kernel.packet(ports("80"), Direction::In, 300);
    kernel.packet(ports("80"), Direction::Out, 100);
    kernel.packet(ports("81"), Direction::Out, 250);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    let member = report(&pm, "80");
    assert_eq!((member.usage.incoming, member.usage.outgoing), (300, 100));
    assert_eq!(
        (member.billed, member.quota, member.group),
        (600, None, Some(group("vip")))
    );
    assert_eq!(member.tariff.mode, Mode::Max);
    assert_eq!(member.next_reset, Some(date!(2027 - 01 - 20)));
    assert_eq!(report(&pm, "82").next_reset, Some(date!(2027 - 02 - 01)));
    let vip = &group_reports(&pm.config, &pm.saved)[0];
    assert_eq!(vip.members, [ports("80"), ports("81")]);
    assert_eq!((vip.usage.incoming, vip.usage.outgoing), (300, 350));
    assert_eq!((vip.billed, vip.is_spent), (700, false));
    assert_eq!(vip.quota.unwrap().bytes(), 1_000);
    assert_eq!(vip.next_reset, member.next_reset);
    let periods = running(&pm.config, &pm.saved);
    let lines: Vec<_> = periods
        .iter()
        .map(|one| {
            let (mode, factor) = (one.tariff.mode, one.tariff.factor);
            format!("{} {} {mode} {factor}", one.holder, one.billed())
        })
        .collect();
    let expected = [
        "80 600 max 2",
        "81 500 max 2",
        "82 0 both 1",
        "group vip 700 max 2",
    ];
    assert_eq!(lines, expected);

    kernel.packet(ports("81"), Direction::Out, 150);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    let blocked = |pm: &Pm| ["80", "81", "82"].map(|port| report(pm, port).blocked_by);
    let by_quota = Some(BlockedBy::Quota);
    assert_eq!(blocked(&pm), [by_quota, by_quota, None]);
    assert!(report(&pm, "80").is_spent && group_reports(&pm.config, &pm.saved)[0].is_spent);
}

/// Who is cut off by several is shown the one that he cannot wait for.
#[test]
fn the_operator_comes_before_the_last_day_and_that_before_the_quota() {
    let (mut kernel, mut pm) = started(
        r#""services":{"80":{"quota":"1KB","expires":"2027-01-15","dynqos":"8K/1/8K/60"}}"#,
    );
    let blocked_by = |pm: &mut Pm, kernel: &mut Kernel| {
        pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
        report(pm, "80").blocked_by
    };
    kernel.packet(ports("80"), Direction::In, 1_000);
    assert_eq!(blocked_by(&mut pm, &mut kernel), Some(BlockedBy::Quota));
    pm.time += 86_400;
    assert_eq!(blocked_by(&mut pm, &mut kernel), Some(BlockedBy::Expiry));
    pm.config.services.get_mut(&ports("80")).unwrap().blocked = true;
    assert_eq!(blocked_by(&mut pm, &mut kernel), Some(BlockedBy::Operator));
    let report = report(&pm, "80");
    assert!(report.is_spent && report.is_expired, "all the same");
    assert_eq!(report.punished, None);
}

#[test]
fn a_punishment_shows_what_is_left_of_it() {
    let (mut kernel, mut pm) = started(r#""services":{"80":{"dynqos":"8K/1/8K/60"}}"#);
    kernel.since_boot += Duration::from_secs(60);
    kernel.packet(ports("80"), Direction::In, 1 << 20);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(report(&pm, "80").punished, Some(Duration::from_secs(3_600)));
    kernel.since_boot += Duration::from_secs(600);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(report(&pm, "80").punished, Some(Duration::from_secs(3_000)));
}

proptest! {
    /// Nobody is missing, whatever is configured.
    #[test]
    fn everybody_is_reported(config in config()) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.config = config;
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        let services = reports(&pm.config, &pm.saved);
        let services: Vec<PortRange> = services.iter().map(|one| one.ports).collect();
        prop_assert!(services.iter().eq(pm.config.services.keys()));
        let groups = group_reports(&pm.config, &pm.saved);
        prop_assert!(groups.iter().map(|one| &one.name).eq(pm.config.groups.keys()));
        let members: usize = groups.iter().map(|one| one.members.len()).sum();
        let grouped = pm.config.services.values().filter(|one| one.group.is_some());
        prop_assert_eq!(members, grouped.count());
        prop_assert_eq!(running(&pm.config, &pm.saved).len(), services.len() + groups.len());
    }
}
