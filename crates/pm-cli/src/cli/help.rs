//! Help in Chinese.
//!
//! clap's own words are English, and it counts and breaks lines by ASCII words. So the help of
//! each command is written here from what the command says of itself, and handed to clap whole.

use std::fmt::Write;

use clap::builder::styling::Style;
use clap::{Arg, ArgAction, Command};
use unicode_width::UnicodeWidthStr;

use crate::output::wrap::wrap;

/// How wide a column of options is at most, where the terminal is wide enough; longer ones have a
/// line of their own.
const WIDEST: usize = 28;

/// How wide it is where no option fits it.
const NARROWEST: usize = 6;

/// How wide a line is at most, as with clap.
const LINE: usize = 100;

/// Returns a command that says its help in Chinese, in lines of `width` columns, and those below
/// it.
pub(super) fn in_chinese(mut command: Command, width: usize) -> Command {
    command.build();
    written(own_words(command), width)
}

/// Returns a command that has been built, and those below it, with Chinese for what clap itself
/// says of them.
pub(super) fn own_words(command: Command) -> Command {
    command
        .mut_args(|argument| match argument.get_action() {
            ArgAction::Help => argument.help("显示帮助").long_help(None),
            ArgAction::Version => argument.help("显示版本"),
            _ => argument,
        })
        .mut_subcommands(|subcommand| match subcommand.get_name() {
            "help" => subcommand.about("显示本帮助，或某个命令的帮助"),
            _ => subcommand,
        })
        .mut_subcommands(own_words)
}

fn written(command: Command, width: usize) -> Command {
    let command = command.mut_subcommands(|subcommand| written(subcommand, width));
    let help = help(&command, width);
    command.override_help(help)
}

/// Returns the terminal's width, or the widest where there is none.
pub(super) fn width() -> usize {
    let terminal = || Some(comfy_table::Table::new().width()?.into());
    let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal()
        .or_else(variable)
        .map_or(LINE, |width: usize| width.min(LINE))
}

fn help(command: &Command, width: usize) -> String {
    let mut help = String::new();
    let about = command.get_long_about().or(command.get_about());
    if let Some(about) = about {
        lines(&mut help, &wrap(&about.to_string(), width));
        help.push('\n');
    }
    let header = command.get_styles().get_header();
    // Writing to a String cannot fail.
    let _ = writeln!(help, "{header}用法：{header:#}{}", usage(command));

    let literal = *command.get_styles().get_literal();
    let mut section = |title: &str, rows: Vec<(String, String)>| {
        if !rows.is_empty() {
            let _ = writeln!(help, "\n{header}{title}：{header:#}");
            table(&mut help, &rows, literal, width);
        }
    };
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    let commands = shown.map(|one| {
        let about = one.get_about().map(ToString::to_string);
        (one.get_name().to_owned(), about.unwrap_or_default())
    });
    section("命令", commands.collect());
    let positionals = command.get_positionals().filter(|one| !one.is_hide_set());
    section("参数", positionals.map(row).collect());
    let options = command.get_arguments().filter(|one| !one.is_positional());
    let mut ordered: Vec<&Arg> = options.filter(|one| !one.is_hide_set()).collect();
    // As clap shows them: what shows help last.
    ordered.sort_by_key(|one| shows(one));
    let mut headings: Vec<Option<&str>> = vec![None];
    for heading in ordered.iter().map(|one| one.get_help_heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        let of = ordered
            .iter()
            .filter(|one| one.get_help_heading() == heading);
        section(heading.unwrap_or("选项"), of.map(|one| row(one)).collect());
    }
    help
}

/// Whether it does nothing but show something.
fn shows(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Help | ArgAction::Version)
}

/// Returns how a command is used, in clap's words but for those of English.
fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    super::errors::usage(&usage)
}

/// Returns an argument as it is typed, and what it is.
fn row(argument: &Arg) -> (String, String) {
    let mut typed = match (argument.get_short(), argument.is_positional()) {
        (Some(short), _) => format!("-{short}, "),
        (None, true) => String::new(),
        (None, false) => "    ".to_owned(),
    };
    typed.push_str(&argument.to_string());
    let mut help = argument
        .get_help()
        .map_or(String::new(), ToString::to_string);
    let defaults = argument.get_default_values();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        let defaults: Vec<_> = defaults
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        help.push_str(&format!(" [默认：{}]", defaults.join(" ")));
    }
    if let Some(variable) = argument.get_env() {
        help.push_str(&format!(" [环境变量：{}]", variable.to_string_lossy()));
    }
    (typed, help)
}

fn table(help: &mut String, rows: &[(String, String)], literal: Style, width: usize) {
    let widest = WIDEST.min(width * 2 / 5);
    let fitting = rows
        .iter()
        .map(|(name, _)| name.width())
        .filter(|&name| name <= widest);
    let column = fitting.max().unwrap_or(NARROWEST);
    let indent = 2 + column + 2;
    for (name, about) in rows {
        let _ = write!(help, "  {literal}{name}{literal:#}");
        let missing = if name.width() > column {
            help.push('\n');
            indent
        } else {
            column - name.width() + 2
        };
        let about = wrap(about, width.saturating_sub(indent)).join(&format!("\n{:indent$}", ""));
        let _ = writeln!(help, "{:missing$}{about}", "");
    }
}

fn lines(help: &mut String, lines: &[String]) {
    for line in lines {
        help.push_str(line);
        help.push('\n');
    }
}
