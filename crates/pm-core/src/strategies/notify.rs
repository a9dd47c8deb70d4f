//! Random channels, and all that they are made of.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{group_name, language, port_range};
use crate::config::{
    Channel, ChannelName, DigestMinutes, Email, EventKind, Notify, Preset, Push, QuietHours,
    ReportMinutes, Schedule, Security, ServerName, Telegram, Template, Thresholds, TimeOfDay, Via,
    WeCom, Webhook,
};
use crate::holder::Holder;
use crate::request::{ChannelSettings, NotifyChange, PushChange, PushSettings};
use crate::secret::Secret;

/// What [`secret`] plants: no text that is shown may hold it.
pub const PLANTED: &str = "pLaNtEd";

/// Any secret, [`PLANTED`] in it.
pub fn secret() -> impl Strategy<Value = Secret> {
    "[ -~密钥🐙]{0,20}".prop_map(|more| read(&format!("{PLANTED}{more}!")))
}

/// Any name of a host: spaces, quotes, CJK, emoji.
pub fn server_name() -> impl Strategy<Value = ServerName> {
    prop_oneof![
        Just("hk-01".to_owned()),
        Just("香港 & <1>".to_owned()),
        "[!-~][ -~]{0,20}[!-~]",
    ]
    .prop_map(|name| read(&name))
}

/// Any name of a channel: a few that come up again, and others.
pub fn channel_name() -> impl Strategy<Value = ChannelName> {
    prop_oneof![
        3 => Just("ops".to_owned()),
        1 => Just("运维".to_owned()),
        2 => "[a-z0-9][a-z0-9._-]{4,12}",
    ]
    .prop_map(|name| read(&name))
}

/// Any thresholds, none too.
pub fn thresholds() -> impl Strategy<Value = Thresholds> {
    prop::collection::vec(1u16..=1_000, 0..6).prop_map(|percents| {
        Thresholds::try_from(percents).unwrap_or_else(|_| unreachable!("few, in bounds"))
    })
}

/// Any kinds of events, none too.
pub fn event_kinds() -> impl Strategy<Value = BTreeSet<EventKind>> {
    prop::sample::subsequence(EventKind::ALL.to_vec(), 0..=EventKind::ALL.len())
        .prop_map(|kinds| kinds.into_iter().collect())
}

/// Any holder of a quota.
pub fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![
        2 => port_range().prop_map(Holder::Service),
        1 => group_name().prop_map(Holder::Group),
    ]
}

fn time_of_day() -> impl Strategy<Value = TimeOfDay> {
    (0u16..1_440).prop_map(|minutes| {
        TimeOfDay::from_minutes(minutes).unwrap_or_else(|| unreachable!("within a day"))
    })
}

/// Any quiet hours, over midnight too.
pub fn quiet_hours() -> impl Strategy<Value = QuietHours> {
    (time_of_day(), time_of_day())
        .prop_filter_map("the same time", |(from, to)| QuietHours::new(from, to))
}

/// Any times of reports.
pub fn schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        (1u16..=1_440).prop_map(|minutes| {
            let minutes = ReportMinutes::new(minutes);
            Schedule::Every(minutes.unwrap_or_else(|| unreachable!("within a day")))
        }),
        prop::collection::btree_set(time_of_day(), 1..5).prop_map(Schedule::At),
    ]
}

/// Any way to reach people.
pub fn via() -> impl Strategy<Value = Via> {
    prop_oneof![
        telegram().prop_map(Via::Telegram),
        secret_path().prop_map(|path| Via::WeCom(WeCom {
            url: read(&format!("https://qyapi.example/send?key={path}")),
        })),
        email().prop_map(Via::Email),
        webhook().prop_map(Via::Webhook),
    ]
}

fn telegram() -> impl Strategy<Value = Telegram> {
    (
        (1u64.., secret_path()),
        prop_oneof![
            (1i64..).prop_map(|id| (-id).to_string()),
            Just("@pm_ops".to_owned())
        ],
        prop::option::of(1i64..),
        prop::option::of(Just("http://127.0.0.1:8081/tg")),
    )
        .prop_map(|((id, key), chat, thread, base)| Telegram {
            token: read(&format!("{id}:{key}")),
            chat: read(&chat),
            thread,
            api_base: base.map(read),
        })
}

fn email() -> impl Strategy<Value = Email> {
    (
        prop::sample::select(vec!["smtp.example.org", "smtp.example.org:2525"]),
        prop::sample::select(vec![Security::Tls, Security::StartTls]),
        prop::option::of(("[!-~]{1,20}", secret())),
        prop::collection::vec("[a-z+]{1,10}@example\\.(org|com)", 1..4),
        prop::option::of(1u16..=1_440),
    )
        .prop_map(|(server, security, login, to, digest)| {
            let (user, password) = login.unzip();
            Email {
                server: read(server),
                security,
                user,
                password,
                from: read("pm@example.org"),
                to: to.iter().map(|to| read(to)).collect(),
                digest: digest.map(|minutes| {
                    DigestMinutes::try_from(minutes).unwrap_or_else(|_| unreachable!("in bounds"))
                }),
            }
        })
}

fn webhook() -> impl Strategy<Value = Webhook> {
    (
        secret_path(),
        prop::option::of(secret()),
        prop::sample::select(Preset::ALL.to_vec()),
        prop::option::of(Just(r#"{"a": ["{{title}} {{text}}", {"b": "{{time}}"}]}"#)),
    )
        .prop_map(|(path, secret, preset, body)| Webhook {
            url: read(&format!("https://hooks.example:8443/{path}")),
            secret: secret.filter(|_| preset.is_signed()),
            preset,
            body: body.filter(|_| preset.is_generic()).map(read::<Template>),
        })
}

fn secret_path() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{8,20}".prop_map(|path| format!("{PLANTED}{path}"))
}

/// Any channel.
pub fn channel() -> impl Strategy<Value = Channel> {
    let filters = (
        prop::option::of(event_kinds()),
        prop::option::of(prop::collection::btree_set(holder(), 0..3)),
        prop::option::of(quiet_hours()),
        prop::option::of(schedule()),
    );
    let looks = (
        any::<bool>(),
        prop::option::of(language()),
        prop::option::of(server_name()),
    );
    (via(), filters, looks).prop_map(
        |(via, (events, services, quiet, report), (enabled, language, server_name))| Channel {
            enabled,
            via,
            events,
            services,
            quiet,
            language,
            server_name,
            report,
        },
    )
}

/// Any channels and what goes with them, nothing too.
pub fn notify() -> impl Strategy<Value = Notify> {
    let channels = prop::collection::btree_map(channel_name(), channel(), 0..3);
    let some = (prop::option::of(server_name()), thresholds(), channels).prop_map(
        |(server_name, thresholds, channels)| Notify {
            server_name,
            thresholds,
            channels,
        },
    );
    prop_oneof![1 => Just(Notify::default()), 1 => some]
}

/// Any push.
pub fn push() -> impl Strategy<Value = Push> {
    (
        any::<[bool; 2]>(),
        prop::sample::select(vec![
            "https://w.example/api/push",
            "http://localhost:8787/api/push",
        ]),
        server_name(),
        prop::option::of(server_name()),
        secret(),
    )
        .prop_map(|([enabled, notes], url, node, node_id, secret)| Push {
            enabled,
            url: read(url),
            node,
            node_id,
            secret,
            notes,
        })
}

/// Any change of the channels.
pub fn notify_change() -> impl Strategy<Value = NotifyChange> {
    let general = (
        prop::option::of(prop::option::of(server_name())),
        prop::option::of(thresholds()),
    );
    prop_oneof![
        3 => (channel_name(), channel()).prop_map(|(name, channel)| NotifyChange::Add { name, channel }),
        3 => (channel_name(), channel(), any::<bool>()).prop_map(|(name, channel, all)| {
            let mut settings = ChannelSettings::of(&channel);
            settings.services = Some(None).filter(|_| all);
            NotifyChange::Set { name, settings }
        }),
        1 => channel_name().prop_map(|name| NotifyChange::Delete { name }),
        1 => general.prop_map(|(server_name, thresholds)| {
            NotifyChange::General { server_name, thresholds }
        }),
    ]
}

/// Any change of the push.
pub fn push_change() -> impl Strategy<Value = PushChange> {
    let settings = (push(), any::<[bool; 5]>()).prop_map(|(push, set)| PushSettings {
        url: Some(push.url).filter(|_| set[0]),
        node: Some(push.node).filter(|_| set[1]),
        node_id: Some(push.node_id).filter(|_| set[2]),
        secret: Some(push.secret).filter(|_| set[3]),
        notes: Some(push.notes).filter(|_| set[4]),
    });
    prop_oneof![
        4 => settings.prop_map(PushChange::Set),
        1 => any::<bool>().prop_map(PushChange::Enable),
    ]
}

fn read<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| unreachable!("it was made to be read: {text}"))
}
