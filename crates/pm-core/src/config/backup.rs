//! How often everything is written into an archive by itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest time between two backups, in hours: a year.
const MOST_HOURS: u32 = 366 * 24;

/// The most backups that are kept.
const MOST_KEPT: u32 = 1000;

/// How often a backup is made, and how many are kept.
///
/// # Examples
///
/// ```
/// use pm_core::config::Backup;
///
/// let backup: Backup = "every 1d keep 7".parse()?;
/// assert_eq!((backup.hours(), backup.keep()), (24, 7));
/// assert_eq!(backup.to_string(), "every 1d keep 7");
/// assert!("every 0h keep 7".parse::<Backup>().is_err());
/// # Ok::<(), pm_core::config::NoBackup>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Backup {
    hours: u32,
    keep: u32,
}

/// A text that does not say how often, or how many.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is no schedule of backups: write `every 1d keep 7` or `every 6h keep 20`, up to a year and 1000 backups"
)]
pub struct NoBackup(String);

impl Backup {
    /// Returns the hours from one to the next, at least 1.
    pub fn hours(self) -> u32 {
        self.hours
    }

    /// Returns how many are kept, at least 1.
    pub fn keep(self) -> u32 {
        self.keep
    }
}

impl FromStr for Backup {
    type Err = NoBackup;

    fn from_str(text: &str) -> Result<Self, NoBackup> {
        let wrong = || NoBackup(text.chars().take(80).flat_map(char::escape_debug).collect());
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["every", time, "keep", keep] = words[..] else {
            return Err(wrong());
        };
        let (number, hours) = match time.strip_suffix('d') {
            Some(days) => (days, 24),
            None => (time.strip_suffix('h').ok_or_else(wrong)?, 1),
        };
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let hours = number.checked_mul(hours).ok_or_else(wrong)?;
        let keep: u32 = keep.parse().map_err(|_| wrong())?;
        if !(1..=MOST_HOURS).contains(&hours) || !(1..=MOST_KEPT).contains(&keep) {
            return Err(wrong());
        }
        Ok(Self { hours, keep })
    }
}

impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hours % 24 {
            0 => write!(f, "every {}d keep {}", self.hours / 24, self.keep),
            _ => write!(f, "every {}h keep {}", self.hours, self.keep),
        }
    }
}

impl TryFrom<String> for Backup {
    type Error = NoBackup;

    fn try_from(text: String) -> Result<Self, NoBackup> {
        text.parse()
    }
}

impl From<Backup> for String {
    fn from(backup: Backup) -> Self {
        backup.to_string()
    }
}
