//! Everything a user reads.

pub(crate) mod diagnosis;
pub(crate) mod errors;
pub(crate) mod footprint;
pub(crate) mod grid;
pub(crate) mod history;
pub(crate) mod json;
pub(crate) mod moving;
pub(crate) mod notify;
pub(crate) mod page;
pub(crate) mod progress;
pub(crate) mod push;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod table;
pub(crate) mod takeover;
pub(crate) mod versions;
pub(crate) mod words;
pub(crate) mod wrap;

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use pm_store::log_file::LogFile;
use time::OffsetDateTime;

use crate::language::tr;

/// Writes a line to stdout, or returns from the function with the error. `println!` would panic
/// where the reader has left (`pm list | head -1`).
macro_rules! say {
    ($($text:tt)*) => { $crate::output::to_stdout(format_args!($($text)*))? };
}

/// Writes a line to stderr, where somebody reads it. `eprintln!` would panic where nobody does.
macro_rules! tell {
    ($($text:tt)*) => { $crate::output::to_stderr(format_args!($($text)*)) };
}

/// Writes a line to stdout in a command that acts: that nobody reads it must not stop the act. The error waits for
/// [`check_noted`].
macro_rules! note {
    ($($text:tt)*) => { $crate::output::note_to_stdout(format_args!($($text)*)) };
}

pub(crate) use {note, say, tell};

pub(crate) fn to_stdout(text: Arguments<'_>) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
        .with_context(|| tr!("cannot write to stdout", "无法写到标准输出"))
}

/// Why something that was to be noted could not be.
static UNWRITTEN: Mutex<Option<anyhow::Error>> = Mutex::new(None);

pub(crate) fn note_to_stdout(text: Arguments<'_>) {
    let mut unwritten = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if unwritten.is_none() {
        *unwritten = to_stdout(text).err();
    }
}

/// Returns the first error there was in writing notes, once the act is done.
pub(crate) fn check_noted() -> anyhow::Result<()> {
    let mut unwritten = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    unwritten.take().map_or(Ok(()), Err)
}

pub(crate) fn to_stderr(text: Arguments<'_>) {
    if TO_LOG_FILE.load(Ordering::Relaxed) {
        let logged = LogFile::default().append(OffsetDateTime::now_utc(), &text.to_string());
        if logged.is_ok() {
            return;
        }
    }
    // With stderr gone too there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether messages go to the log file.
static TO_LOG_FILE: AtomicBool = AtomicBool::new(false);

/// From now on, what is told goes to the log file: whoever runs pm has no other place for it.
pub(crate) fn tell_log_file() {
    TO_LOG_FILE.store(true, Ordering::Relaxed);
}
