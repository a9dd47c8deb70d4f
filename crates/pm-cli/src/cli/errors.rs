//! What is wrong with a command line.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error};
use pm_core::language::Language;

use super::Cli;
use crate::language;
use crate::output::errors::sentence;
use crate::output::tell;

/// Ends the process with what is wrong, or with the help that was asked for.
pub(super) fn exit(error: &Error) -> ! {
    if error.use_stderr() && language::current() == Language::Chinese {
        tell!("{}", chinese(error));
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// Ends the process with what is wrong with words of the command that `path` leads to, which fit
/// each for itself.
pub(super) fn refuse(path: &[&str], kind: ErrorKind, message: &str) -> ! {
    let mut command = below(Cli::command(), path);
    match language::current() {
        Language::English => command.error(kind, message).exit(),
        Language::Chinese => {
            let usage = usage(&command.render_usage().to_string());
            tell!("错误：{message}\n\n用法：{usage}\n\n{MORE}");
            std::process::exit(Error::new(kind).exit_code())
        }
    }
}

/// Returns the command that `path` leads to, which knows how it is used.
fn below(mut command: Command, path: &[&str]) -> Command {
    command.build();
    for name in path {
        if let Some(below) = command.find_subcommand(name).cloned() {
            command = below;
        }
    }
    command
}

const MORE: &str = "详见 '--help'。";

/// Returns an error in Chinese; of a kind that no command line of pm's can cause, in clap's words.
fn chinese(error: &Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return error.to_string().trim_end().to_owned();
    }
    let Some(what) = what(error) else {
        let text = error.to_string();
        let text = text.trim_end();
        return format!("错误：{}", text.strip_prefix("error: ").unwrap_or(text));
    };
    let mut text = format!("错误：{what}");
    let tips = tips(error);
    if !tips.is_empty() {
        text.push('\n');
    }
    for tip in tips {
        text.push_str(&format!("\n  提示：{tip}"));
    }
    if let Some(ContextValue::StyledStr(styled)) = error.get(ContextKind::Usage) {
        text.push_str(&format!("\n\n用法：{}", usage(&styled.to_string())));
    }
    format!("{text}\n\n{MORE}")
}

/// Returns a usage of clap's without its English.
pub(super) fn usage(usage: &str) -> String {
    let usage = usage.trim();
    usage
        .strip_prefix("Usage: ")
        .unwrap_or(usage)
        .replace("[OPTIONS]", "[选项]")
        .replace("[COMMAND]", "[命令]")
        .replace("<COMMAND>", "<命令>")
}

fn what(error: &Error) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(value)) => Some(value.as_str()),
        _ => None,
    };
    let list = |kind| match error.get(kind) {
        Some(ContextValue::Strings(values)) => Some(values.as_slice()),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg);
    let value = context(ContextKind::InvalidValue);
    Some(match error.kind() {
        ErrorKind::ArgumentConflict => {
            let argument = argument?;
            match error.get(ContextKind::PriorArg) {
                Some(ContextValue::String(other)) if other == argument => {
                    format!("'{argument}' 只能写一次")
                }
                Some(ContextValue::String(other)) => {
                    format!("'{argument}' 不能与 '{other}' 同时使用")
                }
                Some(ContextValue::Strings(others)) => {
                    let others = others.join("\n  ");
                    format!("'{argument}' 不能与以下参数同时使用：\n  {others}")
                }
                _ => format!("'{argument}' 不能与写了的其他参数同时使用"),
            }
        }
        ErrorKind::InvalidValue => {
            let (argument, value) = (argument?, value?);
            let mut text = if value.is_empty() {
                format!("'{argument}' 需要一个值，但没有写")
            } else {
                format!("'{argument}' 的值 '{value}' 无效")
            };
            if let Some([_, ..]) = list(ContextKind::ValidValue) {
                let values = list(ContextKind::ValidValue)?.join("、");
                text.push_str(&format!("\n  [可用的值：{values}]"));
            }
            text
        }
        ErrorKind::ValueValidation => {
            let (argument, value) = (argument?, value?);
            let why = error
                .source()
                .map_or(String::new(), |source| format!("：{}", sentence(source)));
            format!("'{argument}' 的值 '{value}' 无效{why}")
        }
        ErrorKind::InvalidSubcommand => {
            let command = context(ContextKind::InvalidSubcommand)?;
            format!("没有命令 '{command}'")
        }
        ErrorKind::MissingSubcommand => {
            let command = context(ContextKind::InvalidSubcommand)?;
            let mut text = format!("'{command}' 后面要写命令");
            if let Some(commands) = list(ContextKind::ValidSubcommand) {
                text.push_str(&format!("\n  [命令：{}]", commands.join("、")));
            }
            text
        }
        ErrorKind::MissingRequiredArgument => {
            let arguments = list(ContextKind::InvalidArg)?.join("\n  ");
            format!("缺少必需的参数：\n  {arguments}")
        }
        ErrorKind::UnknownArgument => format!("没有参数 '{}'", argument?),
        ErrorKind::NoEquals => format!("'{}' 的值前面要有等号", argument?),
        ErrorKind::TooManyValues => format!("'{}' 多了值 '{}'", argument?, value?),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("'{}' 的值个数不对", argument?)
        }
        ErrorKind::InvalidUtf8 => "命令行里有不是 UTF-8 的文字".to_owned(),
        _ => return None,
    })
}

/// Returns what may have been meant.
fn tips(error: &Error) -> Vec<String> {
    let mut tips = Vec::new();
    for (kind, what) in [
        (ContextKind::SuggestedSubcommand, "命令"),
        (ContextKind::SuggestedArg, "参数"),
        (ContextKind::SuggestedValue, "值"),
    ] {
        let similar = match error.get(kind) {
            Some(ContextValue::String(one)) => vec![one.clone()],
            Some(ContextValue::Strings(several)) => several.clone(),
            _ => continue,
        };
        let similar: Vec<_> = similar.iter().map(|one| format!("'{one}'")).collect();
        if !similar.is_empty() {
            tips.push(format!("有相近的{what}：{}", similar.join("、")));
        }
    }
    if let Some(ContextValue::StyledStrs(others)) = error.get(ContextKind::Suggested) {
        tips.extend(others.iter().map(|other| tip(&other.to_string())));
    }
    tips
}

/// Returns a suggestion that clap has only as a sentence.
fn tip(sentence: &str) -> String {
    let quoted: Vec<&str> = sentence.split('\'').skip(1).step_by(2).collect();
    match quoted[..] {
        [value, how] if sentence.starts_with("to pass ") => {
            format!("要把 '{value}' 当作值，请写 '{how}'")
        }
        [command, _] if sentence.starts_with("subcommand ") => {
            format!("有命令 '{command}'；要用它，请去掉前面的 '--'")
        }
        [command] if sentence.ends_with(" exists") => format!("有 '{command}'"),
        _ => sentence.to_owned(),
    }
}

/// Returns what a wrong command line is answered with.
#[cfg(test)]
pub(super) fn text(error: &Error) -> String {
    match language::current() {
        Language::English => error.to_string(),
        Language::Chinese => chinese(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_command_is_the_one_whose_usage_is_shown() {
        let usage = |path: &[&str]| below(Cli::command(), path).render_usage().to_string();
        assert!(usage(&[]).starts_with("Usage: pm [OPTIONS]"));
        assert!(usage(&["notify", "set"]).starts_with("Usage: pm notify set [OPTIONS]"));
    }
}
