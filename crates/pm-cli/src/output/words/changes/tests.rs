//! What is said about requests, with services and groups that stand as in the samples.

use super::*;
use crate::cli::{Cli, Command, Group as GroupCommand};
use crate::language::in_chinese;
use crate::output::samples;
use clap::Parser;
use pm_core::config::{Config, Tariff};
use pm_core::report::BlockedBy;
use pm_core::request::Context;
use pm_engine::Replaced;

const CONFIG: &str = r#"{
    "schema": 1,
    "groups": {
        "nobody": {},
        "vip": {"mode": "max", "factor": "1.5", "quota": "1TB"},
        "租户 甲 的 全部 服务": {"quota": "10GiB"}
    },
    "services": {
        "80": {"note": "unlimited"},
        "20000": {"quota": "100GB"},
        "25565": {
            "group": "vip", "limit": "100Mbps", "limit_in": "1.5Gbps",
            "dynqos": "80Mbps/5/5Mbps/60"
        },
        "30000-30100": {"quota": "5GB"},
        "40000-40100": {"group": "vip", "limit_in": "800Kbps", "routed": true},
        "50000": {"group": "租户 甲 的 全部 服务"},
        "60000": {"mode": "out", "quota": "2TB", "expires": "2026-11-21"},
        "65535": {"blocked": true}
    }
}"#;

fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

fn size(text: &str) -> QuotaSize {
    let size: pm_core::units::Size = text.parse().unwrap();
    size.try_into().unwrap()
}

fn request(line: &str) -> Request {
    // Words that belong together are joined by a tilde here.
    let words = line.split(' ').map(|word| word.replace('~', " "));
    match Cli::parse_from(words).command.unwrap() {
        Command::Change(change) => change.request().0,
        Command::Group(GroupCommand::Change(change)) => change.request().0,
        Command::Config(crate::cli::Config::Set { key, value, .. }) => {
            crate::commands::config::request(&key, &value).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// What there is to show after a request.
struct After<'a> {
    reports: &'a mut Vec<Report>,
    groups: &'a mut Vec<GroupReport>,
}

/// Returns what is said about putting a version back.
fn restored(version: &str) -> String {
    let before = Config::parse(CONFIG).unwrap();
    let request = Request::Restore {
        version: Some(12),
        config: Box::new(Config::parse(version).unwrap()),
    };
    let after = request.apply(&before, &Context::default()).unwrap();
    let executed = Executed {
        reports_before: samples::reports(),
        reports_after: vec![],
        groups_before: samples::groups(),
        groups_after: vec![],
        warnings: vec![],
        replaced: Replaced::default(),
        torn_down: false,
        stale_config: None,
        leftover: vec![],
        problems: vec![],
        events: vec![],
        before,
        after,
    };
    format!("$ {request}\n{}\n", changes(&request, &executed).join("\n"))
}

#[test]
fn a_version_that_comes_back_is_told_in_full() {
    let versions = [
        r#"{"schema": 1, "services": {}}"#,
        r#"{"schema": 1, "language": "zh", "groups": {"vip": {"quota": "2TB"}}, "services": {
            "80": {"note": "again"}, "81": {"limit": "5Mbps"}, "20000": {"group": "vip"}
        }}"#,
        CONFIG,
    ];
    let said = pm_core::language::Language::ALL.map(|language| {
        crate::language::speak(language);
        versions.map(restored).join("\n") + &super::super::way_back()
    });
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn who_comes_back_with_a_bill_is_told_it() {
    let version = r#"{"schema": 1, "groups": {"vip": {"quota": "1TB"}}, "services": {
        "80": {"quota": "10GiB"}, "81": {}, "20000": {"group": "vip"}, "443": {"quota": "1GB"}
    }}"#;
    let request = Request::Restore {
        version: Some(7),
        config: Box::new(Config::parse(version).unwrap()),
    };
    let before = Config::default();
    let back = |report: Report, billed: u64| Report {
        usage: Usage::default(),
        adjust: i64::try_from(billed).unwrap(),
        billed,
        ..report
    };
    let said = |never_used: bool| {
        let mut after = request.apply(&before, &Context::default()).unwrap();
        if !never_used {
            after.services.remove(&ports("81"));
        }
        let mut reports_after = vec![
            back(samples::metered("80", "10GiB", 0, 0), 3 << 30),
            Report {
                is_spent: true,
                blocked_by: Some(BlockedBy::Quota),
                ..back(samples::metered("443", "1GB", 0, 0), 1_000_000_000)
            },
            Report {
                group: Some("vip".parse().unwrap()),
                ..samples::report("20000")
            },
        ];
        if never_used {
            reports_after.insert(1, samples::report("81"));
        }
        let executed = Executed {
            reports_before: vec![],
            reports_after,
            groups_before: vec![],
            groups_after: vec![GroupReport {
                usage: Usage::default(),
                adjust: 912_000_000_000,
                ..samples::group("vip", "1TB", 912_000_000_000, 0)
            }],
            warnings: vec![],
            replaced: Replaced::default(),
            torn_down: false,
            stale_config: None,
            leftover: vec![],
            problems: vec![],
            events: vec![],
            before: before.clone(),
            after,
        };
        changes(&request, &executed).join("\n")
    };
    let said = pm_core::language::Language::ALL.map(|language| {
        crate::language::speak(language);
        [false, true].map(said).join("\n\n")
    });
    insta::assert_snapshot!(said.join("\n\n"));
}

/// Returns what is said about a command line after which usage is as `change` makes it.
fn then(line: &str, change: impl FnOnce(After<'_>)) -> String {
    let request = request(line);
    let before = Config::parse(CONFIG).unwrap();
    let context = Context {
        today: Some(time::macros::date!(2026 - 11 - 22)),
        ..Context::default()
    };
    let after = request.apply(&before, &context).unwrap();
    let shown = |config: &Config| {
        let mut reports = samples::reports();
        reports.retain(|report| config.services.contains_key(&report.ports));
        let mut groups = samples::groups();
        groups.retain(|group| config.groups.contains_key(&group.name));
        (reports, groups)
    };
    let (reports_before, groups_before) = shown(&before);
    let (mut reports_after, mut groups_after) = shown(&after);
    change(After {
        reports: &mut reports_after,
        groups: &mut groups_after,
    });
    let executed = Executed {
        before,
        after,
        reports_before,
        reports_after,
        groups_before,
        groups_after,
        warnings: vec![],
        replaced: Replaced::default(),
        torn_down: false,
        stale_config: None,
        leftover: vec![],
        problems: vec![],
        events: vec![],
    };
    format!("$ {request}\n{}\n", changes(&request, &executed).join("\n"))
}

/// Returns what is said about command lines that change no usage.
fn same(lines: &[&str]) -> String {
    let said: Vec<_> = lines.iter().map(|line| then(line, |_| {})).collect();
    said.join("\n")
}

impl After<'_> {
    fn report(&mut self, port: &str) -> &mut Report {
        let ports = ports(port);
        let mut reports = self.reports.iter_mut();
        reports.find(|report| report.ports == ports).unwrap()
    }

    fn group(&mut self, name: &str) -> &mut GroupReport {
        let mut groups = self.groups.iter_mut();
        groups.find(|group| group.name.as_str() == name).unwrap()
    }

    /// Bills what was used, and 3 bytes more by now, by another tariff.
    fn rate(&mut self, port: &str, factor: &str) {
        let report = self.report(port);
        report.tariff.factor = factor.parse().unwrap();
        report.usage.outgoing += 3;
        let Usage { incoming, outgoing } = report.usage;
        report.billed = report.tariff.bill(incoming, outgoing);
    }

    fn spend(&mut self, port: &str, quota: &str) {
        let report = self.report(port);
        report.quota = Some(size(quota));
        (report.blocked_by, report.is_spent) = (Some(BlockedBy::Quota), true);
    }

    fn restart(&mut self, port: &str) {
        let report = self.report(port);
        report.usage = Usage::default();
        (report.billed, report.adjust) = (0, 0);
        (report.blocked_by, report.is_spent) = (None, false);
    }

    fn restart_group(&mut self, name: &str) {
        let group = self.group(name);
        group.usage = Usage::default();
        (group.billed, group.adjust, group.is_spent) = (0, 0, false);
    }
}

fn of_settings() -> String {
    same(&[
        "pm add 9000,9001-9010",
        "pm add 9000 --quota 1.5GiB --mode out --reset 31",
        "pm add 9000 --quota 5GB --reset never",
        "pm add 9000 --quota 5GB --mode max --factor 2 --limit 50M --limit-in 800K \
         --dynqos 40M/1/1M/60 --expires 2027-01-31 --routed yes",
        "pm set 80 --quota 5GB --mode out --reset 15 --note=",
        "pm set 20000 --quota none",
        "pm set 20000 --reset 1",
        "pm set 20000 --factor 0.5",
        "pm set 25565 --limit none --limit-in 5M",
        "pm set 25565 --limit-in none --dynqos none",
        "pm set 40000-40100 --routed no",
        "pm set 60000 --expires 2027-01-31",
        "pm set 80 --expires 2027-01-31",
        "pm set 20000 --note=x",
        "pm set 20000 --quota 100GB",
        "pm del 80,20000",
        "pm block 80",
        "pm unblock 65535",
        "pm config set time_zone Asia/Shanghai",
        "pm config set classifier fwmark",
        "pm config set classifier fwmark/0x0ffff000",
    ])
}

#[test]
fn a_change_of_settings_is_said_line_by_line() {
    insta::assert_snapshot!(of_settings());
}

#[test]
fn a_change_of_settings_is_said_line_by_line_zh() {
    insta::assert_snapshot!(in_chinese(of_settings));
}

fn of_policies() -> String {
    same(&[
        "pm set 80 --reset every~1~day",
        "pm set 80 --reset every~30~days",
        "pm set 80 --reset every~30~days~from~2027-01-01",
        "pm set 80 --reset every~3~months~on~31",
        "pm set 80 --reset every~1~month~on~15~from~2020-02",
        "pm set 80 --reset yearly~06-18",
        "pm set 80 --reset yearly~02-29",
        "pm set 80 --reset once~2027-01-31",
        "pm set 80 --reset never",
    ])
}

#[test]
fn a_reset_policy_is_said_in_words() {
    insta::assert_snapshot!(of_policies());
}

#[test]
fn a_reset_policy_is_said_in_words_zh() {
    insta::assert_snapshot!(in_chinese(of_policies));
}

fn of_groups() -> String {
    same(&[
        "pm group add friends",
        "pm group add 租户~乙 --quota 1TB --mode max --factor 2 --reset 15",
        "pm group set vip --quota 2TB --mode both --factor 1 --reset never",
        "pm group set vip --reset 1",
        "pm group add vip --quota 1TB --or-set",
        "pm group del nobody",
        "pm add 9000 --group vip --limit 5M",
    ])
}

/// A new tariff counts for the whole period, except that it leaves what the operator said.
#[test]
fn a_bill_that_changes_is_said_and_one_that_stays_is_not() {
    let said = [
        then("pm set 20000 --factor 2", |mut after| {
            after.rate("20000", "2")
        }),
        // It was corrected before: the figure is the same, and what it is made of is not.
        then("pm set 20000 --factor 2", |mut after| {
            let billed = after.report("20000").billed;
            after.rate("20000", "2");
            let report = after.report("20000");
            report.adjust = i64::try_from(billed).unwrap() - i64::try_from(report.billed).unwrap();
            report.billed = billed;
        }),
        // Only what passed in the meantime is new.
        then("pm set 20000 --limit 5M", |mut after| {
            after.rate("20000", "1")
        }),
        then("pm set 20000 --used 12.3GB", |mut after| {
            let report = after.report("20000");
            report.adjust = 12_300_000_000 - i64::try_from(report.billed).unwrap();
            report.billed = 12_300_000_000;
        }),
        then("pm group set vip --mode both", |mut after| {
            let group = after.group("vip");
            group.tariff = Tariff::default();
            group.adjust = 0;
            group.billed = group.usage.incoming + group.usage.outgoing;
        }),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_change_of_groups_is_said_line_by_line() {
    insta::assert_snapshot!(of_groups());
}

#[test]
fn a_change_of_groups_is_said_line_by_line_zh() {
    insta::assert_snapshot!(in_chinese(of_groups));
}

fn of_usage() -> String {
    let tenant = "租户 甲 的 全部 服务";
    let said = [
        then("pm reset 30000-30100", |mut after| {
            after.restart("30000-30100")
        }),
        then("pm set 20000 --used 100GB", |mut after| {
            let report = after.report("20000");
            report.billed = 100_000_000_000;
            report.adjust = 87_654_320_099;
            (report.blocked_by, report.is_spent) = (Some(BlockedBy::Quota), true);
        }),
        then("pm set 60000 --expires never", |mut after| {
            after.report("60000").blocked_by = None;
        }),
        then("pm unblock 65535", |mut after| {
            after.report("65535").blocked_by = Some(BlockedBy::Expiry);
        }),
        then("pm reset 65535", |_| {}),
        then("pm group reset nobody", |_| {}),
        then("pm set 80 --expires 2026-11-20", |mut after| {
            after.report("80").blocked_by = Some(BlockedBy::Expiry);
        }),
        then("pm set 20000 --group vip", |mut after| {
            after.restart("20000");
            after.report("20000").group = Some("vip".parse().unwrap());
        }),
        then(
            "pm set 80 --group 租户~甲~的~全部~服务",
            |mut after| {
                after.restart("80");
                let report = after.report("80");
                report.group = Some(tenant.parse().unwrap());
                (report.blocked_by, report.is_spent) = (Some(BlockedBy::Quota), true);
            },
        ),
        then("pm set 50000 --group none", |mut after| {
            after.restart("50000");
            after.report("50000").group = None;
        }),
        then("pm set 50000 --group none --quota 5GB", |mut after| {
            after.restart("50000");
            after.report("50000").group = None;
        }),
        then(
            "pm group reset 租户~甲~的~全部~服务",
            |mut after| {
                after.restart_group(tenant);
                after.restart("50000");
            },
        ),
        then("pm group set vip --used 1TB", |mut after| {
            let group = after.group("vip");
            (group.billed, group.adjust, group.is_spent) =
                (1_000_000_000_000, 100_000_000_123, true);
            for port in ["25565", "40000-40100"] {
                let report = after.report(port);
                (report.blocked_by, report.is_spent) = (Some(BlockedBy::Quota), true);
            }
        }),
        then("pm group set vip --quota 500GB", |mut after| {
            after.group("vip").quota = Some(size("500GB"));
            after.group("vip").is_spent = true;
            for port in ["25565", "40000-40100"] {
                let report = after.report(port);
                (report.blocked_by, report.is_spent) = (Some(BlockedBy::Quota), true);
            }
        }),
        then("pm set 80 --quota 1KB", |mut after| {
            after.spend("80", "1KB")
        }),
        then("pm set 20000 --quota 5GB", |mut after| {
            after.spend("20000", "5GB")
        }),
        then("pm set 20000 --factor 1000", |mut after| {
            after.spend("20000", "100GB")
        }),
        then("pm add 9000 --group 租户~甲~的~全部~服务", |after| {
            after.reports.push(Report {
                group: Some(tenant.parse().unwrap()),
                blocked_by: Some(BlockedBy::Quota),
                ..samples::report("9000")
            });
        }),
        then("pm add 9000 --expires 2026-11-20", |after| {
            after.reports.push(Report {
                blocked_by: Some(BlockedBy::Expiry),
                ..samples::report("9000")
            });
        }),
    ];
    said.join("\n")
}

#[test]
fn what_becomes_of_usage_is_said_too() {
    insta::assert_snapshot!(of_usage());
}

#[test]
fn what_becomes_of_usage_is_said_too_zh() {
    insta::assert_snapshot!(in_chinese(of_usage));
}

/// Whoever imports an archive is told whom it no longer tells, and what of the past goes.
#[test]
fn settings_of_the_host_and_the_history_are_said_without_secrets() {
    let before = Config::parse(CONFIG).unwrap();
    let told = CONFIG.replacen(
        "\"schema\": 1,",
        r#""schema": 1, "backup": "every 1d keep 7",
        "notify": {"server_name": "hk-1", "channels": {"ops": {"via": {"wecom":
            {"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k3y"}}}}},
        "push": {"url": "https://example.net/push", "node": "n1", "secret": "p4ss"},"#,
        1,
    );
    let told = Config::parse(&told).unwrap();
    let replaced = Replaced {
        periods: pm_engine::Change { gone: 1, new: 0 },
        days: pm_engine::Change { gone: 3, new: 4 },
    };
    for language in pm_core::language::Language::ALL {
        crate::language::speak(language);
        let (set_up, taken) = (between(&before, &told), between(&told, &before));
        let said = [set_up, taken].concat().join("\n");
        assert_eq!(said.lines().count(), 8, "{said}");
        assert!(!said.contains("k3y") && !said.contains("p4ss"), "{said}");
        assert_eq!(super::replaced::history(replaced).len(), 2);
        assert!(between(&told, &told).is_empty());
    }
    assert!(super::replaced::history(Replaced::default()).is_empty());
}
