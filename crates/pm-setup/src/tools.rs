//! The host's own programs: called by name, or noted in tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::SetupError;
use crate::host::program;
use crate::root::Root;

/// What calls the host's programs.
pub trait Tools {
    /// Returns where a program is.
    fn find(&self, name: &str) -> Option<PathBuf>;

    /// Runs a program to its end.
    ///
    /// # Errors
    ///
    /// With what it said, unless it succeeds.
    fn run(&mut self, name: &str, args: &[&str]) -> Result<(), SetupError>;
}

/// The programs of this host.
#[derive(Debug)]
pub struct HostTools;

impl Tools for HostTools {
    fn find(&self, name: &str) -> Option<PathBuf> {
        program(&Root::of_host(), name)
    }

    fn run(&mut self, name: &str, args: &[&str]) -> Result<(), SetupError> {
        let failed = |why: String| SetupError::Command {
            command: format!("{name} {}", args.join(" ")),
            why,
        };
        let path = self.find(name).unwrap_or_else(|| name.into());
        let output = Command::new(path)
            .args(args)
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said =
            [output.stderr, output.stdout].map(|text| String::from_utf8_lossy(&text).into_owned());
        let why = said.iter().find_map(|text| reason(text));
        Err(failed(why.unwrap_or_else(|| output.status.to_string())))
    }
}

/// How pm begins what failed, and what to do about it, in its languages.
const FAILED: [&str; 2] = ["error: ", "错误："];
const TO_DO: [&str; 2] = ["hint: ", "提示："];

/// Returns the line of what a program said that tells why it failed: pm says what to do below that, others end with it.
fn reason(said: &str) -> Option<String> {
    let is_to_do = |line: &str| TO_DO.iter().any(|start| line.starts_with(start));
    let mut lines = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_to_do(line));
    let line = lines.next_back()?;
    let why = FAILED.iter().find_map(|start| line.strip_prefix(start));
    Some(why.unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_neither_a_hint_nor_nothing() {
        for (said, why) in [
            (
                "error: no such table\nhint: make one\n",
                Some("no such table"),
            ),
            (
                "Starting…\nUnit x not found.\n\n",
                Some("Unit x not found."),
            ),
            ("错误：没有这张表\n提示：先建一张\n", Some("没有这张表")),
            ("hint: make one\n", None),
            ("", None),
        ] {
            assert_eq!(reason(said).as_deref(), why, "{said:?}");
        }
    }
}
