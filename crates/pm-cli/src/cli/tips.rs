//! What may have been meant by words that fit nowhere, where clap cannot know it.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use pm_core::config::Preset;

use crate::language::tr;

/// Returns an error with what may have been meant, in the place of what clap takes for it.
pub(super) fn with_tip(mut error: Error) -> Error {
    if let Some(tip) = tip(&error) {
        error.remove(ContextKind::SuggestedSubcommand);
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        // The usage goes from clap's suggestion.
        if error.remove(ContextKind::SuggestedArg).is_some() {
            error.remove(ContextKind::Usage);
        }
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

fn tip(error: &Error) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => return None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand if usage.contains("pm notify add ") => {
            let preset: Preset = word(ContextKind::InvalidSubcommand)?.parse().ok()?;
            Some(tr!(
                "it is a web hook: `pm notify add webhook --preset {preset}`",
                "它属于 webhook：`pm notify add webhook --preset {preset}`"
            ))
        }
        ErrorKind::UnknownArgument if usage.contains("pm notify set ") => {
            let is_name = word(ContextKind::InvalidArg)? == "--name";
            is_name.then(|| {
                tr!(
                    "the channel's name stands alone (`pm notify set NAME ...`), and stays as it \
                     is: for another one, delete the channel and add it anew",
                    "渠道名直接写（`pm notify set 名称 ...`），并且不能修改：要换名称，请删除后重新添加"
                )
            })
        }
        ErrorKind::UnknownArgument if usage.contains("pm notify del ") => {
            let is_flag = word(ContextKind::InvalidArg)?.starts_with('-');
            (!is_flag).then(|| {
                tr!(
                    "one channel at a time: a command for each",
                    "一次只能删除一个渠道：每个各用一条命令"
                )
            })
        }
        _ => None,
    }
}
