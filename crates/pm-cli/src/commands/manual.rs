//! What shells and `man` are told of the command line, made from the command line itself.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use pm_core::language::Language;

use crate::cli::Cli;
use crate::language::{current, speak, tr};

/// Prints what lets a shell complete pm's commands.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut Cli::described(Cli::command()),
        "pm",
        &mut script,
    );
    let written = io::stdout().lock().write_all(&script);
    written.context(tr!("cannot write to stdout", "无法写到标准输出"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for pm and one for each of its commands, in each language.
pub(crate) fn pages(dir: &Path) -> Result<ExitCode> {
    let spoken = current();
    for language in Language::ALL {
        speak(language);
        let dir = match language {
            Language::English => dir.join("man1"),
            Language::Chinese => dir.join("zh_CN/man1"),
        };
        fs::create_dir_all(&dir).with_context(|| {
            tr!(
                en: "cannot make {}", dir.display();
                zh: "无法建立 {}", dir.display()
            )
        })?;
        for (name, page) in all()? {
            let path = dir.join(format!("{name}.1"));
            fs::write(&path, page).with_context(|| {
                tr!(
                    en: "cannot write {}", path.display();
                    zh: "无法写入 {}", path.display()
                )
            })?;
        }
    }
    speak(spoken);
    Ok(ExitCode::SUCCESS)
}

/// Returns every page by its name: `pm`, `pm-add`, `pm-config-restore`.
fn all() -> Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    // Nobody looks for `pm-help-config-get`.
    let command = Cli::command().disable_help_subcommand(true);
    add(&Cli::described(command), "pm", &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut page = Vec::new();
    let named = command.clone().display_name(name.to_owned());
    let source = concat!("pm ", env!("CARGO_PKG_VERSION"));
    Man::new(named).source(source).render(&mut page)?;
    pages.push((
        name.to_owned(),
        headed(&String::from_utf8(page)?).into_bytes(),
    ));
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    for one in shown {
        add(one, &format!("{name}-{}", one.get_name()), pages)?;
    }
    Ok(())
}

/// Returns a page with the headings that are usual in the language.
fn headed(page: &str) -> String {
    let headed = page.lines().map(|line| match line {
        ".SH NAME" => tr!(".SH NAME", ".SH 名称"),
        ".SH SYNOPSIS" => tr!(".SH SYNOPSIS", ".SH 概要"),
        ".SH DESCRIPTION" => tr!(".SH DESCRIPTION", ".SH 描述"),
        ".SH OPTIONS" => tr!(".SH OPTIONS", ".SH 选项"),
        ".SH SUBCOMMANDS" => tr!(".SH SUBCOMMANDS", ".SH 子命令"),
        ".SH VERSION" => tr!(".SH VERSION", ".SH 版本"),
        line => line.to_owned(),
    });
    headed.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_command_has_a_page_that_names_its_options() {
        for language in Language::ALL {
            speak(language);
            let pages = all().unwrap();
            let names: Vec<&str> = pages.iter().map(|(name, _)| &**name).collect();
            for name in [
                "pm",
                "pm-add",
                "pm-undo",
                "pm-config-restore",
                "pm-group-set",
            ] {
                assert!(names.contains(&name), "{names:?}");
            }
            assert!(
                !names
                    .iter()
                    .any(|name| name.contains("help") || *name == "pm-man")
            );
            let page = |name: &str| {
                let (_, page) = pages.iter().find(|page| page.0 == name).unwrap();
                String::from_utf8(page.clone()).unwrap()
            };
            assert!(page("pm-add").contains("quota"), "{}", page("pm-add"));
            let undo = page("pm-undo");
            let undo = undo.replace(env!("CARGO_PKG_VERSION"), "VERSION");
            insta::assert_snapshot!(format!("pm-undo-{language}"), undo);
        }
    }

    #[test]
    fn every_shell_is_told_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(
                *shell,
                &mut Cli::described(Cli::command()),
                "pm",
                &mut script,
            );
            let script = String::from_utf8(script).unwrap();
            for word in ["undo", "restore", "--dynqos", "completions"] {
                assert!(
                    script.contains(word.trim_start_matches('-')),
                    "{shell}: {word}"
                );
            }
        }
    }
}
