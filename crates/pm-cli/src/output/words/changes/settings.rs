//! What changes in settings that are the host's, not a service's.

use pm_core::config::{Config, ZoneName};
use pm_core::language::Language;

use crate::language::tr;

/// Returns what differs, a line each.
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
    lines
}
