//! What is asked before anything is taken over, and who can be asked.

use std::io::{self, IsTerminal, Write};

use anyhow::{Result, bail};
use pm_legacy::{Doubt, Trouble};
use pm_takeover::{Answers, Seen};

use crate::cli::Overuse;
use crate::language::tr;
use crate::output::{takeover, tell};
use crate::wizard::yes_or_no;

/// Returns what has to be known yet.
pub(super) fn question(seen: &Seen) -> Option<Doubt> {
    seen.imported.questions().next().cloned()
}

/// Asks what has to be known.
pub(super) fn ask(question: &Doubt, answers: &mut Answers) -> Result<()> {
    match &question.trouble {
        Trouble::Overused { .. } => {
            require_terminal("--overuse block|forgive")?;
            let question = takeover::ask_overuse();
            let said = if asked(&question, true)? {
                Overuse::Block
            } else {
                Overuse::Forgive
            };
            answers.overuse = Some(said.name().to_owned());
        }
        Trouble::AccountingUnknown(known) => {
            let names: Vec<&str> = known.iter().map(|one| one.name()).collect();
            let names = names.join("|");
            require_terminal(&format!("--accounting {names}"))?;
            loop {
                let said = line(&takeover::ask_accounting(&names))?;
                if let Some(found) = known.iter().find(|one| one.name() == said.trim()) {
                    answers.accounting = Some(found.name().to_owned());
                    break;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn require_terminal(flag: &str) -> Result<()> {
    if !is_terminal() {
        bail!(tr!(
            "there is no terminal to ask on: say {flag}",
            "没有终端可以询问：请加上 {flag}"
        ));
    }
    Ok(())
}

pub(super) fn confirmed() -> Result<bool> {
    require_terminal("--yes")?;
    Ok(asked(
        &tr!("Go on? y/N; Enter: no", "继续吗？y/N；直接回车：否"),
        false,
    )?)
}

pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks until it is answered; who ends the input says no.
pub(super) fn asked(question: &str, default: bool) -> io::Result<bool> {
    loop {
        let Some(answer) = answer(question)? else {
            return Ok(false);
        };
        match yes_or_no(&answer, default) {
            Ok(yes) => return Ok(yes),
            Err(why) => tell!("{why}"),
        }
    }
}

fn line(question: &str) -> Result<String> {
    match answer(question)? {
        Some(line) => Ok(line),
        None => bail!(tr!("nothing was answered", "没有回答")),
    }
}

fn answer(question: &str) -> io::Result<Option<String>> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} ")?;
    stderr.flush()?;
    drop(stderr);
    let mut line = String::new();
    Ok((io::stdin().read_line(&mut line)? > 0).then_some(line))
}
