//! What is read: a tool's files and its table in the kernel.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pm_core::calendar::{Timestamp, Zone};

use crate::accounting::Accounting;

/// The most bytes of one file that are looked at.
pub const MAX_FILE_BYTES: usize = 16 << 20;

/// A tool that pm's users come from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Tool {
    /// pm.sh, by its configuration's versions 0 to 3.
    PmSh,
    /// port-traffic-dog, and its fork.
    Dog,
    /// traffic-dog.
    TrafficDog,
}

/// A tool's files, by their paths in its directory: `config.json`, `state/10086.txt`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Files {
    texts: BTreeMap<String, Vec<u8>>,
    /// The tool's own program, where it was found: of [`Tool::Dog`] it may say which bytes its
    /// counters hold. It is looked at, never run.
    pub script: Option<Vec<u8>>,
}

/// What the kernel holds of a tool's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Kernel {
    /// Its table, named by [`Tool::table`]; `None`: there is none.
    pub table: Option<Table>,
}

/// A tool's table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Table {
    /// Its counters, by name.
    pub counters: BTreeMap<String, Counter>,
    /// Its quotas, by name.
    pub quotas: BTreeMap<String, Quota>,
    /// The ports that its set of blocked ports holds.
    pub blocked: BTreeSet<u16>,
}

/// A counter as it was last read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counter {
    /// What it shows.
    pub bytes: u64,
    /// How many rules for TCP name it, by the chain that they are in. A packet that passes two of
    /// them is counted twice.
    pub tcp_rules: BTreeMap<String, u32>,
}

/// A named quota as it was last read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quota {
    /// What it has counted, in bytes.
    pub used: u64,
    /// What it lets pass, in bytes.
    pub limit: u64,
}

/// What matters beside what is read.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time.
    pub now: Timestamp,
    /// The host's time zone.
    pub zone: &'a Zone,
    /// The operator's answer to [`Trouble::AccountingUnknown`](crate::Trouble::AccountingUnknown).
    pub accounting: Option<Accounting>,
}

/// Why nothing can be taken over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such file.
    #[error("{0} is missing")]
    Missing(String),
    /// Cut off in the middle, or no JSON.
    #[error("{file}, line {line}, column {column}: {reason}")]
    Damaged {
        /// Its path.
        file: String,
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// Larger than any of these tools would make it.
    #[error("{file} has {bytes} bytes: the most that is read is {MAX_FILE_BYTES}")]
    TooLarge {
        /// Its path.
        file: String,
        /// How large it is.
        bytes: usize,
    },
    /// JSON, but not what the tool writes.
    #[error("{file} is not a configuration of {tool}: {reason}")]
    Foreign {
        /// Its path.
        file: String,
        /// The tool.
        tool: Tool,
        /// What is missing or different.
        reason: Foreign,
    },
    /// A version that came after those that are known here.
    #[error("{file} has version {found}, and this pm knows up to {known}: update pm")]
    Newer {
        /// Its path.
        file: String,
        /// Its version.
        found: u64,
        /// The last that is known.
        known: u64,
    },
}

/// Why a file is not what a tool writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Foreign {
    /// It is JSON, but no object.
    NoObject,
    /// It is pm's own.
    Own,
    /// It has no ports.
    NoPorts,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoObject => "it is no object",
            Self::Own => "it is pm's own",
            Self::NoPorts => "it has no ports",
        })
    }
}

impl Tool {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::PmSh, Self::Dog, Self::TrafficDog];

    /// Returns the directory that it keeps its files in.
    pub fn directory(self) -> &'static str {
        match self {
            Self::PmSh => "/etc/port_monitor",
            Self::Dog => "/etc/port-traffic-dog",
            Self::TrafficDog => "/etc/port-traffic-stat",
        }
    }

    /// Returns the name of its table, of family `inet`.
    pub fn table(self) -> &'static str {
        match self {
            Self::PmSh => "port_monitor",
            Self::Dog => "port_traffic_monitor",
            Self::TrafficDog => "port_traffic_stat",
        }
    }

    /// Whether a file of its directory matters here, by its path in that.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_legacy::Tool;
    ///
    /// assert!(Tool::PmSh.wants("state/10086.txt"));
    /// assert!(!Tool::Dog.wants("notifications/telegram.sh"));
    /// ```
    pub fn wants(self, path: &str) -> bool {
        match self {
            Self::PmSh => {
                let port = path.strip_prefix("state/");
                let port = port.and_then(|name| name.strip_suffix(".txt"));
                path == "config.json" || port.is_some_and(|port| !port.contains('/'))
            }
            Self::Dog => [
                "config.json",
                "traffic_data.json",
                "traffic_stats.json",
                "reset_history.log",
            ]
            .contains(&path),
            Self::TrafficDog => ["ports", "state", "limits", "used"].contains(&path),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PmSh => "pm.sh",
            Self::Dog => "port-traffic-dog",
            Self::TrafficDog => "traffic-dog",
        })
    }
}

impl Files {
    /// Adds a file.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.texts.insert(path.into(), content.into());
    }

    /// Returns a file's text; `None`: there is no such file.
    ///
    /// What is no UTF-8 in it is replaced, as those tools themselves show it.
    ///
    /// # Errors
    ///
    /// `TooLarge`.
    pub(crate) fn text(&self, path: &str) -> Result<Option<Cow<'_, str>>, Refusal> {
        let Some(bytes) = self.texts.get(path) else {
            return Ok(None);
        };
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Refusal::TooLarge {
                file: path.to_owned(),
                bytes: bytes.len(),
            });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Ok(Some(String::from_utf8_lossy(bytes)))
    }

    /// Returns the text of a file that must be there.
    ///
    /// # Errors
    ///
    /// `Missing` or `TooLarge`.
    pub(crate) fn required(&self, path: &str) -> Result<Cow<'_, str>, Refusal> {
        self.text(path)?
            .ok_or_else(|| Refusal::Missing(path.to_owned()))
    }
}

impl Kernel {
    /// Returns a counter; `None`: there is none of that name.
    pub(crate) fn counter(&self, name: &str) -> Option<&Counter> {
        self.table.as_ref()?.counters.get(name)
    }

    /// Returns a quota; `None`: there is none of that name.
    pub(crate) fn quota(&self, name: &str) -> Option<Quota> {
        self.table.as_ref()?.quotas.get(name).copied()
    }

    pub(crate) fn blocks(&self, port: u16) -> bool {
        let table = self.table.as_ref();
        table.is_some_and(|table| table.blocked.contains(&port))
    }
}
