//! That the messages in the documentation are those that pm sends.
//!
//! `PM_UPDATE_DOCS=1 cargo test -p pm-notify --test docs` writes them there.

#![allow(clippy::panic, clippy::unwrap_used)]

use pm_core::calendar::{Timestamp, Zone, iso_date};
use pm_core::config::{Config, EventKind, QuotaSize};
use pm_core::language::Language;
use pm_core::ledger::Usage;
use pm_core::notice::{Deed, Destination, Ended, Gone, Notice, What, Whom};
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::units::Size;
use pm_notify::Message;
use pm_notify::compose::{Voice, summary};
use time::Date;

const BEGIN: &str = "<!-- messages: written by a test -->\n";
const END: &str = "<!-- end of messages -->\n";

/// 2026-11-22, 08:15 in Shanghai.
const NOW: Timestamp = Timestamp::from_unix(1_795_306_500);

fn whom(holder: &str, note: &str) -> Whom {
    Whom {
        holder: holder.parse().unwrap(),
        note: note.parse().unwrap(),
    }
}

fn quota(text: &str) -> QuotaSize {
    text.parse::<Size>().unwrap().try_into().unwrap()
}

fn date(text: &str) -> Option<Date> {
    Some(iso_date::parse(text).unwrap())
}

fn ago(minutes: i64) -> Option<Timestamp> {
    Some(Timestamp::from_unix(NOW.unix() - minutes * 60))
}

/// What happens to several at once, and what the operator does, where that is said otherwise.
fn others(kind: EventKind, voice: Voice<'_>, note: &str) -> Option<Message> {
    let notice = |what: What| {
        assert_eq!(what.kind(), kind);
        Notice { time: NOW, what }
    };
    let several = || [("20000", note), ("30000-30100", "")].map(|(who, note)| whom(who, note));
    let done = |deed| {
        let whom = several().into();
        voice.notice(&notice(What::Done { deed, whom }))
    };
    let all: Vec<_> = match kind {
        EventKind::Blocked => return Some(done(Deed::Blocked)),
        EventKind::Unblocked => return Some(done(Deed::Unblocked)),
        EventKind::Reset => ended(note).map(notice).into(),
        EventKind::Expiring => {
            let [alice, range] = several();
            let near = |whom, day, days| What::Expiring {
                whom,
                last_day: date(day),
                days,
            };
            let near = [near(alice, "2026-11-25", 3), near(range, "2026-11-23", 1)];
            near.map(notice).into()
        }
        _ => return None,
    };
    let (first, rest) = all.split_first()?;
    Some(voice.notices(first, &rest.iter().collect::<Vec<_>>()))
}

/// A month that begins for several at once.
fn ended(note: &str) -> [What; 3] {
    [
        ("20000", note, "100GB", true),
        ("30000-30100", "", "500GiB", false),
        ("group vip", "", "1TB", false),
    ]
    .map(|(holder, note, size, reopened)| {
        let whom = whom(holder, note);
        let quota = quota(size);
        What::Reset(Ended {
            whom,
            by_operator: false,
            incoming: quota.bytes() / 20,
            outgoing: quota.bytes() / 4 * 3,
            reopened,
            quota: Some(quota),
            next_reset: date("2026-12-22"),
        })
    })
}

/// Three of each kind.
fn notices(kind: EventKind, note: &str) -> [What; 3] {
    let alice = || whom("20000", note);
    let vip = || whom("group vip", "");
    let range = || whom("30000-30100", "");
    match kind {
        EventKind::Quota => {
            [(alice(), 50), (vip(), 80), (range(), 95)].map(|(whom, percent)| What::Quota {
                whom,
                percent,
                billed: u64::from(percent) * 1_000_000_000 + 300_000_000,
                quota: quota("100GB"),
                next_reset: date("2026-12-01"),
            })
        }
        EventKind::Blocked => [
            (alice(), "100GB", date("2026-12-01")),
            (vip(), "1TB", date("2026-12-15")),
            (range(), "500GiB", None),
        ]
        .map(|(whom, size, next_reset)| What::Blocked {
            whom,
            billed: quota(size).bytes(),
            quota: Some(quota(size)),
            next_reset,
        }),
        EventKind::Unblocked => [alice(), vip(), range()].map(|whom| What::Unblocked { whom }),
        EventKind::Reset => [
            (alice(), "100GB", date("2026-12-22")),
            (vip(), "1TB", date("2027-02-22")),
            (range(), "500GiB", None),
        ]
        .map(|(whom, size, next_reset)| {
            What::Reset(Ended {
                by_operator: next_reset.is_none(),
                whom,
                incoming: quota(size).bytes() / 20,
                outgoing: quota(size).bytes() / 4 * 3,
                quota: Some(quota(size)),
                next_reset,
                reopened: false,
            })
        }),
        EventKind::Punished => [
            (alice(), "100M/5/5M/60"),
            (range(), "1G/10/50M/30"),
            (whom("443", ""), "20M/1/1M/1440"),
        ]
        .map(|(whom, rule)| What::Punished {
            whom,
            rule: rule.parse().unwrap(),
        }),
        EventKind::Restored => {
            [alice(), range(), whom("443", "")].map(|whom| What::Restored { whom })
        }
        EventKind::Expiring => [
            (alice(), "2026-11-25", 3),
            (range(), "2026-11-23", 1),
            (whom("443", ""), "2026-11-22", 0),
        ]
        .map(|(whom, day, days)| What::Expiring {
            whom,
            last_day: date(day),
            days,
        }),
        EventKind::Expired => [alice(), range(), whom("443", "")].map(|whom| What::Expired {
            whom,
            last_day: date("2026-11-21"),
        }),
        EventKind::Healed => [
            What::Healed {
                gone: Gone::Rules,
                services: vec!["20000".parse().unwrap(), "30000-30100".parse().unwrap()],
                since: ago(1),
            },
            What::Healed {
                gone: Gone::Limits {
                    interface: "eth0".into(),
                },
                services: Vec::new(),
                since: ago(1),
            },
            What::Healed {
                gone: Gone::Counters,
                services: (0..20)
                    .map(|it| (20_000 + it).to_string().parse().unwrap())
                    .collect(),
                since: ago(5),
            },
        ],
        EventKind::Restarted => [ago(2), ago(14 * 60), None].map(|since| What::Restarted { since }),
        EventKind::Delivery => [
            What::Delivery {
                to: Destination::Channel("ops".parse().unwrap()),
                why: "[credentials] 401 Unauthorized".into(),
                lost: 0,
            },
            What::Delivery {
                to: Destination::Channel("群-1".parse().unwrap()),
                why: "[server 502] HTTP 502, a web page".into(),
                lost: 12,
            },
            What::DeliveredAgain {
                to: Destination::Channel("ops".parse().unwrap()),
                since: Timestamp::from_unix(NOW.unix() - 3 * 3_600),
            },
        ],
    }
}

fn report(ports: &str, note: &str, size: Option<&str>, billed: u64) -> Report {
    let config = Config::parse(r#"{"schema":1,"services":{}}"#).unwrap();
    let contract = config.contract(&pm_core::config::Service::default());
    Report {
        ports: ports.parse().unwrap(),
        note: note.parse().unwrap(),
        group: None,
        tariff: contract.tariff,
        usage: Usage {
            incoming: billed / 10,
            outgoing: billed / 10 * 9,
        },
        adjust: 0,
        billed,
        quota: size.map(quota),
        blocked_by: None,
        is_spent: false,
        is_expired: false,
        reset: contract.reset_policy(),
        next_reset: None,
        limit: None,
        limit_in: None,
        dynqos: None,
        punished: None,
        expires: None,
        routed: false,
    }
}

fn summaries(voice: Voice<'_>, note: &str) -> [Message; 3] {
    let gb = 1_000_000_000;
    let alice = report("20000", note, Some("100GB"), 80_300_000_000);
    let mut spent = report("20001", "", Some("5GB"), 5 * gb);
    spent.blocked_by = Some(BlockedBy::Quota);
    let mut slow = report("30000-30100", "", None, 412 * gb);
    slow.punished = Some(std::time::Duration::from_secs(600));
    let mut off = report("443", "web", None, 7 * gb);
    off.blocked_by = Some(BlockedBy::Operator);
    let mut member = report("8080", "a", None, 300 * gb);
    member.group = Some("vip".parse().unwrap());
    let mut other = report("8081", "b", None, 120 * gb);
    other.group = Some("vip".parse().unwrap());
    let vip = GroupReport {
        name: "vip".parse().unwrap(),
        members: Vec::new(),
        tariff: member.tariff,
        usage: Usage::default(),
        adjust: 0,
        billed: 420 * gb,
        quota: Some(quota("1TB")),
        is_spent: false,
        reset: member.reset,
        next_reset: None,
    };
    [
        summary(voice, std::slice::from_ref(&alice), &[], NOW),
        summary(voice, &[off, alice.clone(), spent, slow], &[], NOW),
        summary(voice, &[member, other, alice], &[vip], NOW),
    ]
}

/// Returns the section, a block of messages for each kind.
fn section(language: Language, note: &str, report: &str) -> String {
    let zone = Zone::named("Asia/Shanghai").unwrap();
    let voice = Voice {
        language,
        server: "hk-01",
        zone: &zone,
    };
    let block = |name: &str, messages: Vec<Message>| {
        let texts: Vec<_> = messages.iter().map(Message::text).collect();
        format!("### {name}\n\n```text\n{}\n```\n\n", texts.join("\n\n"))
    };
    let kinds = EventKind::ALL.map(|kind| {
        let said = notices(kind, note).map(|what| {
            assert_eq!(what.kind(), kind);
            voice.notice(&Notice { time: NOW, what })
        });
        let said = said.into_iter().chain(others(kind, voice, note));
        block(kind.name(), said.collect())
    });
    format!(
        "\n{}{}",
        kinds.concat(),
        block(report, summaries(voice, note).into())
    )
}

fn assert_in(file: &str, expected: &str) {
    let path = format!("{}/../../docs/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("PM_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "{file}: run with PM_UPDATE_DOCS=1");
}

#[test]
fn the_messages_in_the_documentation_are_those_that_are_sent() {
    assert_in(
        "notifications.md",
        &section(Language::English, "alice", "report"),
    );
    assert_in(
        "notifications.zh-CN.md",
        &section(Language::Chinese, "老王", "汇总（report）"),
    );
}
