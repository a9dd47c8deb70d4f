//! Errors for people: what failed, why, and what to do.

mod chinese;
mod hints;

use std::error::Error;

use pm_core::language::Language;
use pm_engine::EngineError;
use pm_store::StoreError;
use pm_store::outbox_db::OutboxError;

use crate::language::{self, tr};
use crate::output::tell;
use crate::output::words::caution;

/// Whether it is only that nobody reads stdout any more.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints an error to stderr, and what to do where that is known.
pub(crate) fn print(error: &anyhow::Error) {
    tell!("{}", text(error));
}

/// Returns a warning of what traffic control refused, while the rest was done.
pub(crate) fn problem(error: &EngineError) -> String {
    let causes = with_causes(error);
    let remedy = hints::engine(error).map_or(String::new(), |hint| hint + &tr!("; ", "；"));
    caution(
        &tr!(
            "limits are not all in force: {causes}",
            "限速没有全部生效：{causes}"
        ),
        &tr!(
            "{remedy}counting and quotas go on, and the next tick tries again",
            "{remedy}计数和配额照常，下一次 tick 会再试"
        ),
    )
}

/// Returns a warning of why nobody is told what happened.
pub(crate) fn untold(error: &EngineError) -> String {
    let causes = with_causes(error);
    if let EngineError::OutboxLost(_) = error {
        return caution(
            &tr!(
                "the outbox was damaged and is made anew: {causes}",
                "发件箱损坏，已重建：{causes}"
            ),
            &tr!(
                "messages that waited in it are lost, which is told; the damaged file is kept \
                 beside it for a day; counting and quotas go on",
                "其中等待发送的消息已丢失，这件事会发出通知；损坏的文件在旁边保留一天；计数和配额照常"
            ),
        );
    }
    if let EngineError::PushTooLong { .. } = error {
        return caution(
            &tr!("the state is not pushed: {causes}", "没有推送：{causes}"),
            &tr!(
                "without notes it is shorter: `pm push set --notes no`; all the rest goes on",
                "不带备注会短一些：`pm push set --notes no`；其余照常"
            ),
        );
    }
    if let EngineError::Outbox(OutboxError::Damaged { .. }) = error {
        return caution(
            &tr!("the outbox is damaged: {causes}", "发件箱损坏：{causes}"),
            &tr!(
                "the next tick makes it anew, and tells that what waited in it is lost",
                "下一次 tick 会重建它，并通知其中等待发送的消息已丢失"
            ),
        );
    }
    caution(
        &tr!(
            "what happened is not told now: {causes}",
            "暂时无法发送通知：{causes}"
        ),
        &tr!(
            "it waits, and the next tick tries again; counting and quotas go on",
            "通知会保留，下一次 tick 再试；计数和配额照常"
        ),
    )
}

/// Returns a warning of what could not be tidied up.
pub(crate) fn leftover(error: &EngineError) -> String {
    caution(
        &with_causes(error),
        &tr!(
            "what was asked for is in force; another program's rule may hold on to what is no \
             longer used, see `nft list ruleset`; the next tick tries again",
            "要求的改动已经生效；不再使用的东西可能还被别的程序的规则引用，见 `nft list ruleset`；\
             下一次 tick 会再试"
        ),
    )
}

/// Returns a warning of a backup that could not be made.
pub(crate) fn no_backup(error: &EngineError) -> String {
    caution(
        &with_causes(error),
        &tr!(
            "no backup was made, everything else was done; the next tick tries again",
            "没有做成备份，其余照常；下一次 tick 会再试"
        ),
    )
}

/// Returns a warning of an interrupted update that could not be tidied up after, where that is no reason to stop.
pub(crate) fn unrecovered(error: &(dyn Error + 'static)) -> String {
    let causes = with_causes(error);
    caution(
        &tr!(
            "an interrupted update cannot be undone: {causes}",
            "中断的更新无法撤销：{causes}"
        ),
        &tr!(
            "mend that; pm goes on as well as it can, and each tick tries again, as does `sudo pm list`",
            "请排除上述问题；pm 会尽量继续，每次 tick 都会再试，`sudo pm list` 也会"
        ),
    )
}

/// Returns an error, and what to do where that is known.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let mut text = without_hint(error.as_ref());
    if let Some(hint) = hints::of(error) {
        text.push_str(&tr!("\nhint: {hint}", "\n提示：{hint}"));
    }
    text
}

/// Returns what an error says of itself.
pub(crate) fn sentence(error: &(dyn Error + 'static)) -> String {
    match language::current() {
        Language::English => error.to_string(),
        Language::Chinese => chinese::of(error).unwrap_or_else(|| error.to_string()),
    }
}

/// Returns an error for people, without what to do.
pub(crate) fn without_hint(error: &(dyn Error + 'static)) -> String {
    let causes = with_causes(error);
    tr!("error: {causes}", "错误：{causes}")
}

/// Returns an error and what caused it, to go on with what to do.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    with_causes(error.as_ref())
}

/// Returns an error and what caused it.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = sentence(error);
    let mut source = error.source();
    while let Some(error) = source {
        source = error.source();
        let cause = sentence(error);
        // Some say their cause themselves, for those who print nothing but their own words.
        if !text.contains(&cause) {
            text.push_str(&tr!(": ", "："));
            text.push_str(&cause);
        }
    }
    text
}

pub(crate) fn stale_config(error: &StoreError) -> String {
    caution(
        &sentence(error),
        &tr!(
            "until then pm goes on with the last good configuration; `pm config restore` (in the menu: \
             Undo) puts it back",
            "在此之前，pm 沿用上一份可用的配置；`pm config restore`（菜单里的“撤销改动”）把它放回来"
        ),
    )
}

#[cfg(test)]
mod tests;
