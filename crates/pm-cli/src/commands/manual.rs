//! What shells and `man` are told of the command line, made from the command line itself.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use pm_core::language::Language;
use pm_setup::footprint::Manual;

use crate::cli::Cli;
use crate::language::{tr, within};

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
    for (path, page) in all_pages()? {
        let path = dir.join(path);
        let parent = path.parent().unwrap_or(dir);
        fs::create_dir_all(parent).with_context(|| {
            tr!(
                en: "cannot make {}", parent.display();
                zh: "无法建立 {}", parent.display()
            )
        })?;
        fs::write(&path, page).with_context(|| {
            tr!(
                en: "cannot write {}", path.display();
                zh: "无法写入 {}", path.display()
            )
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what setup writes: all pages, and the completions of the shells that a server has.
pub(crate) fn manual() -> Result<Manual> {
    let script = |shell| {
        let made_for = match shell {
            pm_setup::host::Shell::Bash => Shell::Bash,
            pm_setup::host::Shell::Zsh => Shell::Zsh,
            pm_setup::host::Shell::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        let mut command = Cli::described(Cli::command());
        clap_complete::generate(made_for, &mut command, "pm", &mut script);
        Ok((shell, String::from_utf8(script)?))
    };
    let shells = pm_setup::host::Shell::ALL.into_iter();
    Ok(Manual {
        pages: all_pages()?,
        completions: shells.map(script).collect::<Result<_>>()?,
    })
}

/// Returns the pages in all languages, by where they are in a directory of manuals.
fn all_pages() -> Result<Vec<(PathBuf, String)>> {
    let mut pages = Vec::new();
    for language in Language::ALL {
        let dir = match language {
            Language::English => "man1",
            Language::Chinese => "zh_CN/man1",
        };
        for (name, page) in within(language, all)? {
            let path = Path::new(dir).join(format!("{name}.1"));
            pages.push((path, String::from_utf8(page)?));
        }
    }
    Ok(pages)
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
    use crate::language::speak;
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
