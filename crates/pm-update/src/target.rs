//! For which machines a program is.

use std::fmt;
use std::str::FromStr;

/// A machine, by the name that Rust's compiler gives it: `x86_64-unknown-linux-musl`.
///
/// Any such name is one, so that a release may be for machines that this pm has never heard of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Target(String);

/// What was written names no machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a machine is named by up to 64 lower-case letters, digits, `_` and `-`")]
pub struct NotATarget;

const MAX_BYTES: usize = 64;

impl Target {
    /// Returns the machines whose programs run where this program does, the best first.
    ///
    /// A program for musl needs no library of the host, so it runs on every Linux of the same
    /// processor; one for glibc only where that is as new as where it was made.
    pub fn of_this_program() -> Vec<Self> {
        let libc = if cfg!(target_env = "musl") {
            "musl"
        } else {
            "gnu"
        };
        Self::of(std::env::consts::ARCH, libc)
    }

    fn of(processor: &str, libc: &str) -> Vec<Self> {
        let named = |libc: &str| Self(format!("{processor}-unknown-linux-{libc}"));
        let mut targets = vec![named("musl")];
        if libc != "musl" {
            targets.push(named(libc));
        }
        targets
    }

    /// Returns its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if text.is_empty() || text.len() > MAX_BYTES || !text.bytes().all(is_allowed) {
            return Err(NotATarget);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_is_preferred_and_the_only_one_where_there_is_no_glibc() {
        let names = |libc| {
            Target::of("aarch64", libc)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(names("musl"), ["aarch64-unknown-linux-musl"]);
        assert_eq!(
            names("gnu"),
            ["aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"]
        );
    }
}
