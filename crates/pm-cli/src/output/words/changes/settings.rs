//! What changes in settings that are the host's, not a service's.

use pm_core::config::{ChannelName, Config, Notify, ZoneName};
use pm_core::language::Language;

use crate::language::tr;

/// Returns what differs, a line each. Of channels and the push only that: what they contain may be
/// secret.
pub(super) fn between(before: &Config, after: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if before.time_zone != after.time_zone {
        lines.push(match after.time_zone.as_ref().map(ZoneName::as_str) {
            Some(zone) => tr!("time zone: {zone}", "时区：{zone}"),
            None => tr!("time zone: the system's", "时区：跟随系统"),
        });
    }
    if before.language != after.language {
        lines.push(match after.language {
            Some(Language::English) => tr!("language: English", "语言：English"),
            Some(Language::Chinese) => tr!("language: 中文", "语言：中文"),
            None => tr!("language: the terminal's", "语言：跟随终端"),
        });
    }
    if before.classifier != after.classifier {
        let classifier = after.classifier;
        lines.push(tr!("classifier: {classifier}", "分类方式：{classifier}"));
    }
    if before.backup != after.backup {
        lines.push(match after.backup {
            Some(backup) => tr!("backups: {backup}", "备份：{backup}"),
            None => tr!("backups: off", "备份：关闭"),
        });
    }
    lines.extend(notifications(&before.notify, &after.notify));
    if before.push != after.push {
        lines.push(match (&before.push, &after.push) {
            (None, _) => tr!("push: set up", "推送：已设置"),
            (_, None) => tr!("push: taken away", "推送：已去掉"),
            _ => tr!("push: other settings", "推送：设置已更改"),
        });
    }
    lines
}

fn notifications(before: &Notify, after: &Notify) -> Vec<String> {
    let (old, new) = (&before.channels, &after.channels);
    let mut names: Vec<&ChannelName> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut lines: Vec<String> = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| match (old.get(name), new.get(name)) {
            (None, _) => tr!("channel {name}: set up", "通知渠道 {name}：已设置"),
            (_, None) => tr!("channel {name}: taken away", "通知渠道 {name}：已去掉"),
            _ => tr!(
                "channel {name}: other settings",
                "通知渠道 {name}：设置已更改"
            ),
        })
        .collect();
    let rest = |notify: &Notify| Notify {
        channels: Default::default(),
        ..notify.clone()
    };
    if rest(before) != rest(after) {
        lines.push(tr!("notifications: other settings", "通知：设置已更改"));
    }
    lines
}
