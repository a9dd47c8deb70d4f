//! Backups: when the last one was made.

use pm_core::config::Backup;

use super::{Trouble, trouble};
use crate::language::tr;

/// Returns how it stands with the archives that the tick makes; `age` is in seconds.
pub(super) fn of(schedule: Option<Backup>, age: Option<i64>, overdue: bool) -> (String, Trouble) {
    let Some(schedule) = schedule else {
        return (tr!("off", "关闭"), None);
    };
    let what = match age.map(ago) {
        Some(ago) => tr!(
            "{schedule}, the last one {ago} ago",
            "{schedule}，上一份在 {ago}前"
        ),
        None => tr!("{schedule}, none made yet", "{schedule}，还没有做过"),
    };
    let trouble = overdue.then(|| {
        trouble(
            why_it_matters(),
            tr!(
                "the tick makes one when it is time, and says in `pm log` why it could not; \
                 `pm export FILE` makes one now",
                "到时候 tick 会做一份，做不成的原因见 `pm log`；`pm export 文件` 立即做一份"
            ),
        )
    });
    (what, trouble)
}

/// Returns what is lost without them.
pub(super) fn why_it_matters() -> String {
    tr!(
        "what was counted since the last one would be lost with this disk",
        "这块磁盘一旦损坏，上一份备份之后计的流量就没有了"
    )
}

/// Returns a time in seconds in the unit that says enough.
pub(super) fn ago(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (minutes, hours) {
        (0..=119, _) => tr!("{minutes} min", "{minutes} 分钟"),
        (_, 0..=47) => tr!("{hours} h", "{hours} 小时"),
        _ => {
            let days = hours / 24;
            tr!("{days} d", "{days} 天")
        }
    }
}
