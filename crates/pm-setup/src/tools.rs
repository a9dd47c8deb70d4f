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
        let said = said
            .iter()
            .find_map(|text| text.lines().rfind(|line| !line.trim().is_empty()));
        Err(failed(said.map_or_else(
            || output.status.to_string(),
            |line| line.trim().to_owned(),
        )))
    }
}
