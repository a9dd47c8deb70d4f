//! How the story is told: sentences, commands, and the table of `pm list`.
//!
//! On a terminal the table is redrawn in place while traffic runs, and each act leaves time to read it. In a pipe
//! nothing moves and nothing waits.

use std::io::{IsTerminal, Write};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::lab::Lab;
use crate::namespace::{Output, run};

/// How wide a line may be.
const WIDTH: usize = 80;

/// How often the live table is redrawn.
const REDRAW: Duration = Duration::from_millis(200);

/// How long a reader gets before an act goes on.
const READING: Duration = Duration::from_secs(3);

/// Standard output, as a stage.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: bool,
    colours: bool,
    acts: usize,
}

/// A colour or weight of text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style {
    Bold,
    Dim,
    Good,
    Bad,
}

impl Screen {
    /// Finds out what standard output is.
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self {
            terminal,
            colours: terminal && std::env::var_os("NO_COLOR").is_none(),
            acts: 0,
        }
    }

    /// Begins an act: a numbered heading, and what happens in it.
    pub(super) fn act(&mut self, title: &str, text: &str) {
        self.acts += 1;
        let heading = format!("{}. {title}", self.acts);
        println!("\n{}", self.styled(Style::Bold, &heading));
        self.say(text);
        if self.terminal {
            thread::sleep(READING);
        }
    }

    /// Prints a paragraph.
    pub(super) fn say(&self, text: &str) {
        for line in wrapped(text, WIDTH - 3)
            .iter()
            .filter(|line| !line.is_empty())
        {
            println!("   {line}");
        }
    }

    /// Runs pm in the VPS, which must succeed, and shows the command and what it printed.
    ///
    /// # Errors
    ///
    /// When it fails, or leaves a ruleset that does not print and load again.
    pub(super) fn pm(&self, lab: &Lab, args: &[&str]) -> Result<()> {
        self.command(&format!("pm {}", args.join(" ")));
        let output = lab.pm(args)?;
        let said = output.stderr.clone();
        self.output(&output.success()?);
        self.output(&said);
        Ok(())
    }

    /// Runs pm in the VPS, which must refuse, and shows its reason.
    ///
    /// # Errors
    ///
    /// When it does not refuse.
    pub(super) fn refused(&self, lab: &Lab, args: &[&str]) -> Result<()> {
        self.command(&format!("pm {}", args.join(" ")));
        self.output(&lab.refused(args, &[])?);
        Ok(())
    }

    /// Shows a command that somebody types in the VPS.
    pub(super) fn command(&self, line: &str) {
        println!("   {}", self.styled(Style::Bold, &format!("$ {line}")));
    }

    /// Does `work` while the table of `pm list` is kept up to date, and shows the table as it is afterwards.
    ///
    /// # Errors
    ///
    /// When `work` or pm fails.
    pub(super) fn live<T: Send>(
        &self,
        lab: &Lab,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        println!();
        thread::scope(|scope| {
            let worker = scope.spawn(work);
            let mut drawn = 0;
            while self.terminal && !worker.is_finished() {
                drawn = draw(lab, drawn)?;
                thread::sleep(REDRAW);
            }
            let result = worker
                .join()
                .map_err(|_| anyhow!("a thread of the demonstration panicked"))??;
            draw(lab, drawn)?;
            println!();
            Ok(result)
        })
    }

    /// Returns text in a style, where the terminal has styles.
    pub(super) fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Bad => "1;31",
        };
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn output(&self, text: &str) {
        for line in text.lines().flat_map(|line| wrapped(line, WIDTH - 5)) {
            println!("     {}", self.styled(Style::Dim, &line));
        }
    }
}

/// Draws the table over its last `drawn` lines and returns how many it has now.
fn draw(lab: &Lab, drawn: usize) -> Result<usize> {
    let Output {
        code,
        stdout,
        stderr,
    } = run(&mut lab.pm_command(&["list"]), None)?;
    ensure!(code == Some(0), "`pm list` fails: {stderr}");
    let table = without_column(&stdout, "RESET");
    // Without wrapping at the margin a line stays one line on a narrow terminal, so that going up finds it.
    let text = if drawn > 0 {
        format!("\x1b[{drawn}F\x1b[J\x1b[?7l{table}\x1b[?7h")
    } else {
        table.clone()
    };
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(table.lines().count())
}

/// Leaves a column out, because the whole table is wider than [`WIDTH`].
fn without_column(table: &str, name: &str) -> String {
    let heading = table.lines().next().unwrap_or_default();
    let start = heading.find(name).unwrap_or(heading.len());
    let after = &heading[start..];
    let length = after
        .find(' ')
        .and_then(|blank| Some(blank + after[blank..].find(|c| c != ' ')?))
        .unwrap_or(after.len());
    table
        .lines()
        .map(|line| {
            let kept: String = line
                .chars()
                .enumerate()
                .filter(|(index, _)| !(start..start + length).contains(index))
                .map(|(_, character)| character)
                .collect();
            format!("{}\n", kept.trim_end())
        })
        .collect()
}

/// Breaks text at spaces into lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut length = 0;
        if let Some(line) = lines.last_mut() {
            length = line.chars().count();
            if length == 0 || length + 1 + word.chars().count() <= width {
                if length > 0 {
                    line.push(' ');
                }
                line.push_str(word);
                continue;
            }
        }
        if length > 0 {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_left_out_with_the_space_behind_it() {
        let table = " PORT  RESET  STATE\n 443   never  ok\n";
        let narrow = without_column(table, "RESET");
        assert_eq!(narrow, " PORT  STATE\n 443   ok\n");
        assert_eq!(without_column(&narrow, "RESET"), narrow);
    }

    #[test]
    fn text_is_wrapped_at_spaces_and_loses_no_word() {
        let text = "a client sends  what a VPS\nreceives";
        let lines = wrapped(text, 12);
        assert_eq!(lines, ["a client", "sends what a", "VPS receives"]);
        assert_eq!(wrapped("longer-than-the-line", 5), ["longer-than-the-line"]);
    }
}
