//! A person at a terminal: keys in, and what is to be read out.

use std::io::{ErrorKind, Write};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;

use crate::lab::{Lab, PATIENCE};

/// A program in a terminal of its own.
#[derive(Debug)]
pub(crate) struct Terminal {
    session: OsSession,
    raw: Vec<u8>,
    /// What was printed so far, without what only moves the cursor or paints.
    text: String,
    /// How much of it was looked at.
    seen: usize,
}

/// Ctrl-C.
pub(crate) const INTERRUPT: &str = "\x03";
/// Ctrl-D.
pub(crate) const END: &str = "\x04";

impl Terminal {
    /// Runs `pm` with the given flags in a terminal, 80 columns wide, that can do everything.
    pub(crate) fn pm(lab: &Lab, args: &[&str]) -> Result<Self> {
        let mut command = lab.pm_command(args);
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        Self::open(command)
    }

    /// Runs a command in a terminal.
    pub(crate) fn open(command: Command) -> Result<Self> {
        let session = OsSession::spawn(command).context("cannot open a terminal")?;
        Ok(Self {
            session,
            raw: Vec::new(),
            text: String::new(),
            seen: 0,
        })
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) -> Result<()> {
        self.session.write_all(keys.as_bytes())?;
        self.session.flush()?;
        Ok(())
    }

    /// Waits until `words` are printed after what was seen last.
    ///
    /// # Errors
    ///
    /// With what was printed instead.
    pub(crate) fn see(&mut self, words: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(at) = self.text[self.seen..].find(words) {
                self.seen += at + words.len();
                return Ok(());
            }
            let goes_on = self.read()?;
            if started.elapsed() > PATIENCE || (!goes_on && !self.text[self.seen..].contains(words))
            {
                bail!("{words:?} does not come after:\n{}", self.tail());
            }
        }
    }

    /// Waits for `words`, then types `keys`.
    pub(crate) fn answer(&mut self, words: &str, keys: &str) -> Result<()> {
        self.see(words)?;
        self.keys(keys)
    }

    /// Waits until the program has ended by itself; returns its exit code.
    pub(crate) fn ends(&mut self) -> Result<i32> {
        let started = Instant::now();
        while self.read()? {
            ensure!(
                started.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.tail()
            );
        }
        loop {
            match self.session.get_process().status()? {
                WaitStatus::Exited(_, code) => return Ok(code),
                WaitStatus::Signaled(_, signal, _) => bail!("it was ended by {signal}"),
                _ => std::thread::yield_now(),
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.tail()
            );
        }
    }

    /// Makes the terminal larger or smaller.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) -> Result<()> {
        self.session
            .get_process_mut()
            .set_window_size(columns, rows)?;
        Ok(())
    }

    /// Returns everything that was printed so far, as it was printed.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns everything that can be read so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Reads what there is; returns whether more can come.
    fn read(&mut self) -> Result<bool> {
        let mut bytes = [0; 8192];
        let goes_on = match self.session.try_read(&mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                self.raw.extend_from_slice(&bytes[..length]);
                // A letter may be on its way still.
                let whole = match std::str::from_utf8(&self.raw) {
                    Ok(_) => self.raw.len(),
                    Err(error) => error.valid_up_to(),
                };
                self.text = readable(&String::from_utf8_lossy(&self.raw[..whole]));
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::yield_now();
                true
            }
            // The other end has gone.
            Err(error) if error.raw_os_error() == Some(5) => false,
            Err(error) => return Err(error).context("cannot read the terminal"),
        };
        Ok(goes_on)
    }

    fn tail(&self) -> &str {
        let from = self.text.len().saturating_sub(2500);
        let from = (from..self.text.len()).find(|at| self.text.is_char_boundary(*at));
        &self.text[from.unwrap_or(0)..]
    }
}

/// Returns a text without escape sequences. Source: ECMA-48, 5.4.
fn readable(text: &str) -> String {
    let mut readable = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                if chars.next() == Some('[') {
                    let _ = chars.find(|c| ('\x40'..='\x7e').contains(c));
                }
            }
            '\r' => {}
            c => readable.push(c),
        }
    }
    readable
}
