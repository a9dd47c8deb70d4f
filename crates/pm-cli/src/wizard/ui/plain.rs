//! Questions as lines, for terminals that can do no more: nothing moves, numbers are typed.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};

use dialoguer::theme::SimpleTheme;

use super::choice::Choice;
use super::look::Look;
use super::terminal::Guard;
use super::{Answer, Entry, Question, Stop, theme};
use crate::language::tr;
use crate::wizard::text::tidy;

/// Lines in, lines out.
pub(super) struct Plain {
    input: Box<dyn BufRead>,
    output: Box<dyn Write>,
    /// Of a terminal, not of a test.
    guard: Option<Guard>,
}

/// What Ctrl-C is where it is no signal.
const INTERRUPT: u8 = 0x03;

/// The longest line that is read: no answer is as long.
const MOST: usize = 64 << 10;

impl Plain {
    pub(super) fn new(
        input: Box<dyn BufRead>,
        output: Box<dyn Write>,
        guard: Option<Guard>,
    ) -> Self {
        Self {
            input,
            output,
            guard,
        }
    }

    pub(super) fn say(&mut self, text: &str) -> Answer<()> {
        writeln!(self.output, "{text}")?;
        self.output.flush()?;
        Ok(())
    }

    pub(super) fn ask<T>(
        &mut self,
        question: &Question,
        read: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Answer<T> {
        self.say(&question.title)?;
        if let Some(hint) = &question.hint {
            self.say(hint)?;
        }
        loop {
            let line = match question.is_hidden {
                true => self.hidden_line()?,
                false => self.line()?,
            };
            match read(&line) {
                Ok(value) => {
                    let shown = show(&value);
                    self.say(&format!("* {shown}"))?;
                    return Ok(value);
                }
                Err(why) => self.say(&why)?,
            }
        }
    }

    pub(super) fn choose(
        &mut self,
        title: &str,
        hint: &str,
        entries: &[Entry],
        enter: Option<&str>,
    ) -> Answer<Option<usize>> {
        self.say(title)?;
        for line in super::lines(entries, Look { rich: false }) {
            self.say(&theme::item(&SimpleTheme, &line, false))?;
        }
        self.say(hint)?;
        let choice = Choice::new(entries.iter().map(|entry| entry.number).collect(), 1);
        loop {
            let typed = tidy(&self.line()?);
            if typed.is_empty() {
                if let Some(enter) = enter {
                    self.say(&format!("* {enter}"))?;
                }
                return Ok(None);
            }
            match choice.find(&typed) {
                Some(index) => {
                    self.say(&format!("* {}", entries[index].text))?;
                    return Ok(Some(index));
                }
                None => self.say(&super::no_entry(&typed))?,
            }
        }
    }

    pub(super) fn several<T>(
        &mut self,
        title: &str,
        hint: &str,
        items: &[String],
        ticked: &BTreeSet<usize>,
        read: impl Fn(&BTreeSet<usize>, &str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Answer<T> {
        self.say(title)?;
        for item in items {
            self.say(&theme::item(&SimpleTheme, item, false))?;
        }
        self.say(hint)?;
        loop {
            match read(ticked, &self.line()?) {
                Ok(value) => {
                    let shown = show(&value);
                    self.say(&format!("* {shown}"))?;
                    return Ok(value);
                }
                Err(why) => self.say(&why)?,
            }
        }
    }

    /// Reads a line that the terminal does not show.
    fn hidden_line(&mut self) -> Answer<String> {
        if let Some(guard) = &self.guard {
            guard.echo(false)?;
        }
        let line = self.line();
        if let Some(guard) = &self.guard {
            guard.echo(true)?;
            // The line break was not shown either.
            self.say("")?;
        }
        line
    }

    /// Reads a line.
    fn line(&mut self) -> Answer<String> {
        write!(self.output, "> ")?;
        self.output.flush()?;
        let mut line: Vec<u8> = Vec::new();
        loop {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                self.say("")?;
                return Err(Stop::Menu);
            }
            let end = bytes
                .iter()
                .position(|byte| matches!(byte, b'\n' | &INTERRUPT));
            let taken = end.map_or(bytes.len(), |end| end + 1);
            let is_interrupted = bytes[taken - 1] == INTERRUPT;
            if line.len() < MOST {
                line.extend_from_slice(&bytes[..taken]);
            }
            self.input.consume(taken);
            if is_interrupted {
                let words = tr!("(left)", "（已取消）");
                self.say(&format!("\n{words}"))?;
                return Err(Stop::Menu);
            }
            if end.is_some() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }
}
