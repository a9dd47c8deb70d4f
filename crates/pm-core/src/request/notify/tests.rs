use proptest::prelude::*;

use super::*;
use crate::config::{EventKind, SecretUrl, Telegram, Via, WeCom};
use crate::request::{Context, Request};
use crate::strategies::{PLANTED, channel, config, notify_change, push_change};

fn change(change: NotifyChange, config: &Config) -> Result<Config, Refusal> {
    Request::Notify(Box::new(change)).apply(config, &Context::default())
}

fn telegram() -> Channel {
    Channel::new(Via::Telegram(Telegram {
        token: "123456:AA-planted".parse().unwrap(),
        chat: "-100123".parse().unwrap(),
        thread: None,
        api_base: None,
    }))
}

fn name(text: &str) -> ChannelName {
    text.parse().unwrap()
}

fn add(text: &str, channel: Channel) -> NotifyChange {
    NotifyChange::Add {
        name: name(text),
        channel,
    }
}

fn set(text: &str, settings: ChannelSettings) -> NotifyChange {
    NotifyChange::Set {
        name: name(text),
        settings,
    }
}

fn refused(refusal: NotifyRefusal) -> Result<Config, Refusal> {
    Err(refusal.into())
}

#[test]
fn a_channel_is_added_changed_and_deleted() {
    let config = change(add("ops", telegram()), &Config::default()).unwrap();
    assert_eq!(config.revision, 1);
    assert_eq!(
        change(add("ops", telegram()), &config),
        refused(NotifyRefusal::ChannelExists(name("ops")))
    );
    let settings = ChannelSettings {
        enabled: Some(false),
        events: Some(Some([EventKind::Blocked].into())),
        ..ChannelSettings::default()
    };
    let config = change(set("ops", settings), &config).unwrap();
    let ops = &config.notify.channels[&name("ops")];
    assert!(!ops.enabled && !ops.wants(EventKind::Quota));
    assert_eq!(ops.via, telegram().via);
    assert_eq!(
        change(set("ops", ChannelSettings::default()), &config),
        refused(NOTHING)
    );
    let gone = change(NotifyChange::Delete { name: name("ops") }, &config).unwrap();
    assert!(gone.notify.is_default());
    assert_eq!(
        change(NotifyChange::Delete { name: name("ops") }, &gone),
        refused(NotifyRefusal::NoSuchChannel(name("ops")))
    );
}

#[test]
fn what_a_channel_cannot_have_is_refused() {
    let config = change(add("ops", telegram()), &Config::default()).unwrap();
    let settings = ChannelSettings {
        url: Some("https://a/planted".parse().unwrap()),
        ..ChannelSettings::default()
    };
    assert_eq!(
        change(set("ops", settings), &config),
        refused(NotifyRefusal::NotOfKind {
            name: name("ops"),
            kind: "telegram",
            field: "url"
        })
    );
    for (services, refusal) in [
        ("80", Refusal::Unknown("80".parse().unwrap())),
        ("group vip", Refusal::NoSuchGroup("vip".parse().unwrap())),
    ] {
        let mut channel = telegram();
        channel.services = Some([services.parse().unwrap()].into());
        assert_eq!(change(add("b", channel), &config), Err(refusal));
    }
    let nothing = NotifyChange::General {
        server_name: None,
        thresholds: None,
    };
    assert_eq!(change(nothing, &config), refused(NOTHING));
}

#[test]
fn a_mail_channel_keeps_its_login_whole() {
    let text = r#"{"schema":1,"notify":{"channels":{"m":{"via":{"email":{"server":"smtp.example.org",
        "user":"u","password":"p","from":"a@example.org","to":["b@example.org"]}}}}}}"#;
    let config = Config::parse(text).unwrap();
    let without = ChannelSettings {
        user: Some(None),
        ..ChannelSettings::default()
    };
    let config = change(set("m", without), &config).unwrap();
    let Via::Email(email) = &config.notify.channels[&name("m")].via else {
        panic!("it is mail");
    };
    assert_eq!((&email.user, &email.password), (&None, &None));
    let half = ChannelSettings {
        user: Some(Some("u".into())),
        ..ChannelSettings::default()
    };
    assert_eq!(
        change(set("m", half), &config),
        refused(NotifyRefusal::Setting(NotifyError::Login))
    );
}

#[test]
fn the_push_is_set_up_once_and_changed_in_parts() {
    let push = |change: PushChange, config: &Config| {
        Request::Push(Box::new(change)).apply(config, &Context::default())
    };
    let empty = Config::default();
    assert_eq!(
        push(PushChange::Enable(true), &empty),
        refused(NotifyRefusal::NoPush)
    );
    let mut settings = PushSettings {
        node: Some("hk-01".parse().unwrap()),
        secret: Some("planted".parse().unwrap()),
        ..PushSettings::default()
    };
    assert_eq!(
        push(PushChange::Set(settings.clone()), &empty),
        refused(NotifyRefusal::PushLacks(vec!["url"]))
    );
    let notes = PushSettings {
        notes: Some(true),
        ..PushSettings::default()
    };
    let lacks = push(PushChange::Set(notes), &empty).unwrap_err();
    let said = "the push needs url, node and secret the first time";
    assert_eq!(lacks.to_string(), said);
    let command = "push set";
    assert_eq!(
        push(PushChange::Set(PushSettings::default()), &empty),
        refused(NotifyRefusal::Nothing { command })
    );
    settings.url = Some("https://w.example/api/push".parse().unwrap());
    let config = push(PushChange::Set(settings), &empty).unwrap();
    let off = push(PushChange::Enable(false), &config).unwrap();
    assert!(!off.push.as_ref().unwrap().enabled);
    let notes = PushSettings {
        notes: Some(true),
        ..PushSettings::default()
    };
    let off = push(PushChange::Set(notes), &off).unwrap();
    let (before, after) = (config.push.unwrap(), off.push.unwrap());
    assert_eq!(changed_push_fields(&before, &after), ["enabled", "notes"]);
    assert_eq!(after.secret.expose(), "planted");
    assert_eq!(after.node_id().as_str(), "hk-01");
}

/// Fault 17 of the scripts pm replaces: secrets on the command line.
#[test]
fn the_command_line_has_files_in_the_place_of_secrets() {
    let mut ops = telegram();
    ops.quiet = Some("23:00-07:00".parse().unwrap());
    ops.report = Some("at 08:00,20:00".parse().unwrap());
    ops.services = Some(["80".parse().unwrap(), "group it's".parse().unwrap()].into());
    let robot = Channel::new(Via::WeCom(WeCom {
        url: "https://q/send?key=planted".parse::<SecretUrl>().unwrap(),
    }));
    for (change, line) in [
        (
            add("ops", ops),
            "pm notify add telegram --name ops --token-file - --chat=-100123 \
             --services '80,group it'\\''s' --quiet 23:00-07:00 --report 'at 08:00,20:00'",
        ),
        (
            add("群", robot),
            "pm notify add wecom --name 群 --url-file -",
        ),
        (
            set(
                "ops",
                ChannelSettings {
                    events: Some(Some([].into())),
                    services: Some(None),
                    ..ChannelSettings::default()
                },
            ),
            "pm notify set ops --events none --services all",
        ),
        (
            NotifyChange::General {
                server_name: Some(Some("hk 1".parse().unwrap())),
                thresholds: Some("80,100".parse().unwrap()),
            },
            "pm notify set --server-name='hk 1' --thresholds 80,100",
        ),
    ] {
        assert_eq!(change.to_string(), line);
    }
    let set = PushChange::Set(PushSettings {
        url: Some("https://w.example/api/push".parse().unwrap()),
        node: Some("hk-01".parse().unwrap()),
        secret: Some("planted".parse().unwrap()),
        ..PushSettings::default()
    });
    assert_eq!(
        set.to_string(),
        "pm push set --url https://w.example/api/push --node=hk-01 --secret-file -"
    );
}

proptest! {
    #[test]
    fn no_secret_is_in_a_command_line_or_a_debug_print(
        notify in notify_change(),
        push in push_change(),
    ) {
        let shown = format!("{notify} {notify:?} {push} {push:?}");
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
    }

    #[test]
    fn the_settings_of_a_channel_make_it(one in channel(), other in channel()) {
        let mut made = match (&one.via, &other.via) {
            (Via::Telegram(_), Via::Telegram(_)) | (Via::WeCom(_), Via::WeCom(_)) => other.clone(),
            _ => one.clone(),
        };
        made = Channel { via: made.via, ..Channel::new(one.via.clone()) };
        // What has its default in `one` is left out of its settings, so it is taken away first.
        if let (Via::Telegram(made), Via::Telegram(one)) = (&mut made.via, &one.via) {
            made.thread = made.thread.filter(|_| one.thread.is_some());
            made.api_base = made.api_base.take().filter(|_| one.api_base.is_some());
        }
        ChannelSettings::of(&one).apply(&name("x"), &mut made).unwrap();
        prop_assert_eq!(changed_fields(&made, &one), Vec::<&str>::new());
        prop_assert_eq!(made, one);
    }

    #[test]
    fn two_channels_are_the_same_or_say_where_not(one in channel(), other in channel()) {
        prop_assert_eq!(changed_fields(&one, &other).is_empty(), one == other);
    }

    #[test]
    fn a_change_concerns_nothing_else_and_is_counted(config in config(), change in notify_change(), push in push_change()) {
        for request in [Request::Notify(Box::new(change)), Request::Push(Box::new(push))] {
            let untouched = config.clone();
            let done = request.apply(&config, &Context::default());
            prop_assert_eq!(&config, &untouched);
            if let Ok(next) = done {
                prop_assert_eq!(Config::parse(&next.emit()).unwrap(), next.clone());
                let same = Config { revision: config.revision, ..next.clone() } == config;
                prop_assert_eq!(next.revision, config.revision.saturating_add(u64::from(!same)));
                let others = Config {
                    revision: next.revision,
                    notify: next.notify.clone(),
                    push: next.push.clone(),
                    ..config.clone()
                };
                prop_assert_eq!(next, others);
            }
        }
    }
}
