//! What is said of earlier days and periods.

use super::*;
use crate::language::in_chinese;
use crate::output::json;
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Mode, Tariff};
use pm_core::history::{ClosedPeriod, DayTotal, RunningPeriod, Why};
use pm_core::ledger::Usage;
use pm_engine::{History, Whose};
use time::macros::date;

/// 2026-09-30, 16:00 in UTC: midnight in Shanghai.
const OCTOBER: i64 = 1_790_784_000;
const DAY: i64 = 86_400;
const TENANT: &str = "租户 甲 的 全部 服务";

fn holder(text: &str) -> Holder {
    text.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

fn gigabytes(incoming: u64, outgoing: u64) -> Usage {
    Usage {
        incoming: incoming * 1_000_000_000,
        outgoing: outgoing * 1_000_000_000,
    }
}

fn closed(text: &str, began: Option<i64>, ended: i64, why: Why, usage: Usage) -> ClosedPeriod {
    ClosedPeriod {
        holder: holder(text),
        group: None,
        began: began.map(at),
        ended: at(ended),
        why,
        usage,
        tariff: Tariff::default(),
        adjust: 0,
    }
}

fn of_tenant(period: ClosedPeriod) -> ClosedPeriod {
    ClosedPeriod {
        group: Some(TENANT.parse().unwrap()),
        ..period
    }
}

fn running(text: &str, began: i64, usage: Usage) -> RunningPeriod {
    RunningPeriod {
        holder: holder(text),
        group: None,
        began: Some(at(began)),
        usage,
        tariff: Tariff::default(),
        adjust: 0,
    }
}

fn history() -> History {
    let config = r#"{"schema": 1, "groups": {"租户 甲 的 全部 服务": {"quota": "10GiB"}}, "services": {
        "20000": {"quota": "100GB"},
        "30000-30100": {"group": "租户 甲 的 全部 服务"}
    }}"#;
    let november = OCTOBER + 31 * DAY;
    let tenant = "group 租户 甲 的 全部 服务";
    History {
        zone: pm_core::calendar::Zone::utc(),
        config: Config::parse(config).unwrap(),
        days: vec![
            DayTotal {
                date: date!(2026 - 11 - 02),
                ports: "20000".parse().unwrap(),
                usage: gigabytes(1, 2),
            },
            DayTotal {
                date: date!(2026 - 11 - 01),
                ports: "30000-30100".parse().unwrap(),
                usage: Usage {
                    incoming: 1 << 30,
                    outgoing: 3 << 29,
                },
            },
            DayTotal {
                date: date!(2026 - 11 - 01),
                ports: "20000".parse().unwrap(),
                usage: Usage {
                    incoming: 999,
                    outgoing: 1,
                },
            },
        ],
        closed: vec![
            ClosedPeriod {
                tariff: Tariff {
                    mode: Mode::Max,
                    factor: "1.5".parse().unwrap(),
                },
                adjust: -1_000_000_000,
                ..closed("20000", None, OCTOBER, Why::Calendar, gigabytes(7, 40))
            },
            closed(
                tenant,
                Some(OCTOBER),
                november,
                Why::Calendar,
                gigabytes(5, 6),
            ),
            // Before there was the group.
            closed(
                "30000-30100",
                None,
                OCTOBER + DAY,
                Why::Regrouped,
                gigabytes(7, 7),
            ),
            of_tenant(closed(
                "30000-30100",
                Some(OCTOBER + DAY),
                november,
                Why::Calendar,
                gigabytes(5, 4),
            )),
            closed(
                "20000",
                Some(OCTOBER),
                november,
                Why::Calendar,
                gigabytes(50, 49),
            ),
            closed(
                "20000",
                Some(november),
                november + DAY,
                Why::Operator,
                gigabytes(1, 1),
            ),
            of_tenant(closed(
                "9000",
                Some(OCTOBER),
                november,
                Why::Regrouped,
                gigabytes(0, 2),
            )),
            closed(
                "9000",
                Some(november),
                november + 1,
                Why::Deleted,
                gigabytes(0, 1),
            ),
        ],
        running: vec![
            RunningPeriod {
                tariff: Tariff {
                    mode: Mode::Out,
                    factor: "0.5".parse().unwrap(),
                },
                adjust: 250_000_000,
                ..running("20000", november + DAY, gigabytes(1, 3))
            },
            RunningPeriod {
                group: Some(TENANT.parse().unwrap()),
                ..running("30000-30100", november, gigabytes(1, 1))
            },
            running(tenant, november, gigabytes(1, 1)),
        ],
    }
}

fn services(names: &[&str]) -> Whose {
    Whose::Services(names.iter().map(|name| name.parse().unwrap()).collect())
}

fn shanghai() -> Zone {
    Zone::named("Asia/Shanghai").unwrap()
}

fn periods_of(whose: &Whose) -> String {
    periods_in(whose, 80)
}

fn periods_in(whose: &Whose, width: u16) -> String {
    let history = history();
    let rows = periods::rows(&history, whose);
    periods::table(&rows, &history.config, &shanghai(), Some(width))
}

#[test]
fn periods_are_those_of_each_service_and_group_in_order() {
    insta::assert_snapshot!(periods_of(&Whose::All));
}

#[test]
fn periods_of_one_service_are_summed_up() {
    insta::assert_snapshot!(periods_of(&services(&["20000"])));
}

/// A tenant must be able to check his bill: by which mode and factor, and what was corrected.
#[test]
fn what_made_in_and_out_what_was_billed_is_shown_where_it_is_special() {
    let special = periods_in(&Whose::All, 120);
    insta::assert_snapshot!(special);
    let plain = periods_in(&services(&["9000"]), 120);
    assert!(!plain.contains("MODE") && !plain.contains("CORRECTED"));
}

/// A service that was deleted, came back twice with its bill, and was corrected before.
#[test]
fn a_bill_that_goes_on_is_in_the_sum_once() {
    crate::language::speak(pm_core::language::Language::English);
    let deleted = |ended, usage, adjust| ClosedPeriod {
        adjust,
        ..closed("20000", Some(OCTOBER), ended, Why::Deleted, usage)
    };
    let came_and_went = History {
        closed: vec![
            deleted(OCTOBER + DAY, gigabytes(5, 0), 2_000_000_000),
            deleted(OCTOBER + 2 * DAY, gigabytes(0, 1), 7_000_000_000),
        ],
        running: vec![RunningPeriod {
            adjust: 8_000_000_000,
            ..running("20000", OCTOBER, gigabytes(1, 0))
        }],
        ..history()
    };
    let rows = periods::rows(&came_and_went, &Whose::All);
    let continued: Vec<bool> = rows.iter().map(|row| row.is_continued).collect();
    assert_eq!(continued, [true, true, false]);
    let shown = periods::table(&rows, &history().config, &Zone::utc(), Some(100));
    let total: Vec<&str> = shown.lines().last().unwrap().split_whitespace().collect();
    let expected = ["total", "6", "GB", "1", "GB", "+2", "GB", "9", "GB"];
    assert_eq!(total, expected, "{shown}");
    assert_eq!(shown.matches("deleted, undone").count(), 2, "{shown}");
}

#[test]
fn periods_fit_a_phone() {
    use unicode_width::UnicodeWidthStr;
    for language in pm_core::language::Language::ALL {
        crate::language::speak(language);
        for width in 40..80 {
            let shown = periods_in(&Whose::All, width);
            for line in shown.lines() {
                assert!(line.width() <= width.into(), "{width}: {line}");
            }
        }
    }
}

#[test]
fn a_groups_periods_are_its_own_and_the_shares_of_who_was_in_it() {
    insta::assert_snapshot!(periods_of(&Whose::Group(TENANT.parse().unwrap())));
}

#[test]
fn periods_are_shown_zh() {
    insta::assert_snapshot!(in_chinese(|| {
        [periods_of(&Whose::All), periods_of(&services(&["20000"]))].join("\n\n")
    }));
}

fn days() -> String {
    let history = history();
    let table = |whose: &Whose| {
        let rows = days::rows(&history, whose);
        days::table(&rows, &history.config, Some(80))
    };
    let of_one = table(&services(&["30000-30100"]));
    assert_eq!(table(&Whose::Group(TENANT.parse().unwrap())), of_one);
    [table(&Whose::All), of_one].join("\n\n")
}

#[test]
fn days_are_in_order_and_summed_up() {
    insta::assert_snapshot!(days());
}

#[test]
fn days_are_in_order_and_summed_up_zh() {
    insta::assert_snapshot!(in_chinese(days));
}

#[test]
fn a_sum_is_one_of_bytes_and_not_of_what_is_shown() {
    let day = |day: u8, incoming| DayTotal {
        date: date!(2026 - 11 - 01).replace_day(day).unwrap(),
        ports: "80".parse().unwrap(),
        usage: Usage {
            incoming,
            outgoing: 0,
        },
    };
    let rows = [day(1, 1_009_999_999), day(2, 1_009_999_999), day(3, 2)];
    let table = days::table(&rows, &Config::default(), Some(80));
    assert!(table.contains("1 GB"), "{table}");
    assert!(table.lines().last().unwrap().contains("2.02 GB"), "{table}");
}

fn nothing() -> String {
    let config = Config::default();
    let periods = periods::table(&[], &config, &shanghai(), Some(80));
    [periods, days::table(&[], &config, Some(80))].join("\n")
}

#[test]
fn nothing_is_said_to_be_nothing() {
    insta::assert_snapshot!(nothing());
}

#[test]
fn nothing_is_said_to_be_nothing_zh() {
    insta::assert_snapshot!(in_chinese(nothing));
}

#[test]
fn programs_read_bytes_and_instants() {
    let history = history();
    let periods = json::periods(&periods::rows(&history, &Whose::All)).unwrap();
    let days = json::days(&days::rows(&history, &Whose::All)).unwrap();
    insta::assert_snapshot!([periods, days].join("\n").replace("},{", "},\n{"));
    let spoken = in_chinese(|| json::periods(&periods::rows(&history, &Whose::All)).unwrap());
    assert_eq!(
        spoken,
        json::periods(&periods::rows(&history, &Whose::All)).unwrap()
    );
}
