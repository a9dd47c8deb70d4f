use pm_notify::Part;
use pm_store::outbox_db::{Fate, Sent};

use super::*;
use crate::language::in_chinese;
use crate::output::{json, push};

/// Secrets hold `planted`, which nothing that is shown may.
fn config() -> Config {
    let config = r#"{"schema": 1, "time_zone": "Asia/Shanghai", "notify": {
        "server_name": "hk-01", "thresholds": [80, 100], "channels": {
        "billing": {"via": {"email": {"server": "smtp.example.org", "user": "u", "password": "planted",
            "from": "pm@example.org", "to": ["a@example.org", "b@example.org"]}},
            "events": ["quota", "blocked"], "report": "at 08:00,20:00"},
        "hook": {"via": {"webhook": {"url": "https://hooks.slack.com/planted", "preset": "slack"}}, "enabled": false},
        "ops": {"via": {"telegram": {"token": "1:planted", "chat": "-100123", "thread": 7}}, "quiet": "23:00-07:00"},
        "运维": {"via": {"wecom": {"url": "https://qyapi.weixin.qq.com/send?key=planted"}}, "services": []}}},
        "push": {"url": "https://w.example/api/push", "node": "hk", "node_id": "香港", "secret": "planted"}}"#;
    Config::parse(config).unwrap()
}

fn time(minutes: i64) -> Timestamp {
    Timestamp::from_unix(1_795_330_800 + 60 * minutes)
}

fn standing() -> Standing {
    let well = ChannelStanding {
        delivered: Some(time(0)),
        ..ChannelStanding::default()
    };
    let failing = ChannelStanding {
        waiting: 12,
        oldest: Some(time(-100)),
        next_try: Some(time(15)),
        failing_since: Some(time(-90)),
        error: Some("550 5.1.1 no such\u{1b}[2J mailbox".to_owned()),
        lost: 3,
        delivered: None,
    };
    Standing {
        channels: [
            ("ops".parse().unwrap(), well),
            ("billing".parse().unwrap(), failing),
        ]
        .into(),
        push: None,
    }
}

fn zone() -> Zone {
    Zone::named("Asia/Shanghai").unwrap()
}

#[test]
fn channels_are_shown_with_what_waits_and_since_when_one_fails() {
    let shown = || {
        let none = Config::default();
        [
            channels(&config(), &standing(), &zone(), Some(100)),
            channels(&config(), &standing(), &zone(), Some(60)),
            channels(&none, &Standing::default(), &zone(), Some(80)),
            json::channels(&config(), &standing()).unwrap(),
        ]
        .join("\n\n")
    };
    let both = format!("{}\n\n{}", shown(), in_chinese(shown));
    assert!(
        !both.contains("planted") && !both.contains('\u{1b}'),
        "{both}"
    );
    insta::assert_snapshot!(both);
}

/// What a channel is told, how, and by what is to be seen without opening `config.json`; and why a
/// message waits that no server refused.
#[test]
fn what_differs_from_the_defaults_and_what_keeps_messages_is_shown() {
    let config = r#"{"schema": 1, "time_zone": "Asia/Shanghai", "notify": {"channels": {
        "mail": {"via": {"email": {"server": "smtp.example.org", "from": "pm@example.org", "to": ["a@example.org"],
            "digest": 60}}, "language": "zh"},
        "night": {"via": {"wecom": {"url": "https://qyapi.weixin.qq.com/send?key=planted"}}, "quiet": "15:00-07:00"},
        "ops": {"via": {"telegram": {"token": "1:planted", "chat": "-1001234567890", "thread": 7,
            "api_base": "https://tg.example.org/planted"}}, "language": "en", "server_name": "edge 1"},
        "plain": {"via": {"wecom": {"url": "https://qyapi.weixin.qq.com/send?key=planted"}}}}}}"#;
    let config = Config::parse(config).unwrap();
    let waits = |name: &str| {
        let waits = ChannelStanding {
            waiting: 2,
            oldest: Some(time(1)),
            ..ChannelStanding::default()
        };
        (name.parse().unwrap(), waits)
    };
    let standing = Standing {
        channels: ["mail", "night", "ops", "plain"].map(waits).into(),
        push: None,
    };
    let shown = || {
        let wide = channels(&config, &standing, &zone(), None);
        format!(
            "{wide}\n\n{}",
            channels(&config, &standing, &zone(), Some(80))
        )
    };
    let both = format!("{}\n\n{}", shown(), in_chinese(shown));
    assert!(!both.contains("planted"), "{both}");
    insta::assert_snapshot!(both);
}

/// The cut of one cable stops all channels.
#[test]
fn what_is_the_matter_with_several_is_said_once() {
    let fails = |name: &str, why, minutes, lost| {
        let failing = ChannelStanding {
            waiting: 3,
            failing_since: Some(time(-90)),
            next_try: Some(time(minutes)),
            error: Some(pm_notify::Failure::of(why).stored()),
            lost,
            ..ChannelStanding::default()
        };
        (name.parse().unwrap(), failing)
    };
    use pm_notify::Why::{Connect, Credentials};
    let standing = Standing {
        channels: [
            fails("billing", Connect, 15, 3),
            fails("hook", Credentials, 4, 1),
            fails("ops", Credentials, 7, 0),
            fails("运维", Connect, 9, 12),
        ]
        .into(),
        push: None,
    };
    let shown = || channels(&config(), &standing, &zone(), Some(80));
    insta::assert_snapshot!(format!("{}\n\n{}", shown(), in_chinese(shown)));
}

fn message(minutes: i64, fate: Fate, attempts: u64, title: &str) -> Sent {
    let part = Part {
        title: title.to_owned(),
        text: String::new(),
        format: pm_notify::part::Format::Plain,
        server: "hk-01".to_owned(),
        event: "blocked".to_owned(),
        time: String::new(),
    };
    Sent {
        time: time(minutes),
        channel: "ops".parse().unwrap(),
        fate,
        attempts,
        done: matches!(fate, Fate::Delivered).then(|| time(minutes + 1)),
        answer: (attempts > 0).then(|| "nobody\u{7} answers".to_owned()),
        body: serde_json::to_string(&part).unwrap(),
    }
}

#[test]
fn what_became_of_a_message_is_shown_and_cannot_steer_the_terminal() {
    let messages = [
        message(0, Fate::Delivered, 1, "[hk-01] 20000: blocked"),
        message(
            1,
            Fate::GivenUp,
            99,
            "[hk-01] 20001 (\u{1b}[31mred\u{202e})",
        ),
        message(2, Fate::Waiting, 3, "[hk-01] 20002: open again"),
        message(3, Fate::Waiting, 0, "[hk-01] 20003: open again"),
        Sent {
            channel: "mail".parse().unwrap(),
            ..message(3, Fate::Waiting, 0, "[hk-01] 20003: open again")
        },
        Sent {
            done: Some(time(600)),
            ..message(4, Fate::Delivered, 2, "[other] 20004: blocked")
        },
        Sent {
            body: "no json".to_owned(),
            ..message(4, Fate::Waiting, 0, "")
        },
    ];
    let config = r#"{"schema": 1, "notify": {"channels": {"mail": {"via": {"email": {"server": "smtp.example.org",
        "from": "pm@example.org", "to": ["a@example.org"], "digest": 60}}}}}}"#;
    let config = Config::parse(config).unwrap();
    let shown = || {
        [
            sent(&messages, &config, &zone(), Some(100)),
            sent(&messages[..4], &config, &zone(), Some(80)),
            sent(&[], &config, &zone(), None),
            json::sent(&messages).unwrap(),
        ]
        .join("\n\n")
    };
    let both = format!("{}\n\n{}", shown(), in_chinese(shown));
    let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!both.contains(steers), "{both}");
    insta::assert_snapshot!(both);
}

/// Who delivers keeps the kind of a failure; programs get it in English.
#[test]
fn why_something_fails_is_said_in_the_language_of_whoever_looks() {
    let kept = pm_notify::Failure {
        why: pm_notify::Why::Credentials,
        answer: "401".to_owned(),
    };
    let kept = Some(kept.stored());
    let mut standing = standing();
    for channel in standing.channels.values_mut() {
        channel.error = kept.clone();
    }
    let push_standing = pm_store::outbox_db::PushStanding {
        error: kept.clone(),
        ..Default::default()
    };
    let messages = [Sent {
        answer: kept,
        ..message(0, Fate::Waiting, 1, "[hk-01] 20000: blocked")
    }];
    let shown = || {
        vec![
            channels(&config(), &standing, &zone(), None),
            sent(&messages, &config(), &zone(), None),
            push::status(config().push.as_ref(), Some(&push_standing), &zone()),
        ]
    };
    let documents = || {
        vec![
            json::channels(&config(), &standing).unwrap(),
            json::sent(&messages).unwrap(),
            json::push(&config(), Some(&push_standing)).unwrap(),
        ]
    };
    let english = "the token, key or password is wrong: set it anew (401)";
    for text in [shown(), documents(), in_chinese(documents)].concat() {
        assert!(text.contains(english), "{text}");
    }
    for text in in_chinese(shown) {
        assert!(
            text.contains("令牌、密钥或密码不对：请重新设置（401）"),
            "{text}"
        );
    }
}

#[test]
fn chats_outcomes_and_the_push_are_said_in_both_languages() {
    let chat = |id: &str, thread, kind: &str, title: &str| Chat {
        id: id.parse().unwrap(),
        thread,
        title: title.to_owned(),
        kind: kind.to_owned(),
    };
    let found = [
        chat("-100123", Some(7), "supergroup", "运维 & ops"),
        chat("42", None, "private", "Alice"),
    ];
    let name = "ops".parse().unwrap();
    let failure = || pm_notify::Failure {
        why: pm_notify::Why::Credentials,
        answer: "401 Unauthorized".to_owned(),
    };
    let outcomes = [
        Outcome::Delivered {
            answer: "message 5".to_owned(),
        },
        Outcome::Delivered {
            answer: String::new(),
        },
        Outcome::Refused { failure: failure() },
        Outcome::Moved {
            chat: "-100999".parse().unwrap(),
        },
    ];
    let config = config();
    let configured = config.push.as_ref();
    let failing = pm_store::outbox_db::PushStanding {
        sent: Some(time(0)),
        failing_since: Some(time(1)),
        error: Some("nobody answers there".to_owned()),
        ..Default::default()
    };
    let shown = || {
        let mut shown = vec![
            chats(&found, Some(80)),
            chats(&[], None),
            json::chats(&found).unwrap(),
            push::status(None, None, &zone()),
            push::status(configured, None, &zone()),
            push::status(configured, Some(&failing), &zone()),
            json::push(&config, Some(&failing)).unwrap(),
        ];
        shown.extend(outcomes.iter().map(|outcome| tried(&name, outcome)));
        let pushed = |outcome| push::pushed(config.push.as_ref().unwrap(), outcome);
        shown.extend(outcomes.iter().map(pushed));
        shown.join("\n\n")
    };
    let both = format!("{}\n\n{}", shown(), in_chinese(shown));
    assert!(!both.contains("planted"), "{both}");
    insta::assert_snapshot!(both);
}
