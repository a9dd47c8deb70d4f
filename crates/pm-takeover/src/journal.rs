//! How far a takeover has come: written before each step after which there is no way but on.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pm_core::port::PortRange;
use pm_legacy::{Accounting, Overuse, Tool};
use pm_store::Paths;
use serde::{Deserialize, Serialize};

use crate::backup::{self, Backup};
use crate::error::{Action, TakeoverError, io};
use crate::estate::Lines;
use crate::live::Live;

/// The file in a takeover's directory.
const FILE: &str = "journal.json";

/// A takeover, under way or done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Journal {
    /// Of this format.
    schema: u32,
    /// From which tool, by its name.
    tool: String,
    /// Where its configuration was.
    pub directory: PathBuf,
    /// How far it has come.
    pub step: Step,
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// The operator's answers.
    pub answers: Answers,
    /// What was taken out of crontabs.
    pub cron: Vec<Lines>,
    /// What the kernel held: at [`Step::Read`], the last of it.
    pub live: Live,
    /// What is imported, by first and last port.
    pub services: Vec<(u16, u16)>,
    /// The groups that are imported.
    pub groups: Vec<String>,
    /// When the last figures were read, in seconds since 1970.
    pub read: i64,
    /// What passed uncounted while a takeover was interrupted: bytes in and out by first and last port.
    #[serde(with = "pairs")]
    pub passed: BTreeMap<(u16, u16), (u64, u64)>,
    /// Whether there was a configuration of pm's before.
    pub had_config: bool,
}

/// What the operator said, by name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Answers {
    /// How the tool accounts, where that cannot be told.
    pub accounting: Option<String>,
    /// What becomes of those over their quota: `block` or `forgive`.
    pub overuse: Option<String>,
    /// Even what could lock the operator out.
    pub force: bool,
}

/// How far.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Everything of the tool's is copied. The tool still counts, and giving up leaves everything as it was.
    Begun,
    /// The last figures are read and noted. From here on it is completed.
    Read,
    /// pm has the services, counts and is saved. What the tool leaves lying about is still to be taken away.
    Adopted,
    /// Nothing is left of the tool.
    Done,
    /// It is being given back.
    Undoing,
}

impl Answers {
    /// Returns how the tool accounts, if that was said.
    pub fn accounting(&self) -> Option<Accounting> {
        self.accounting.as_deref().and_then(Accounting::named)
    }

    /// Returns what becomes of those over their quota, if that was said.
    pub fn overuse(&self) -> Option<Overuse> {
        match self.overuse.as_deref() {
            Some("block") => Some(Overuse::Block),
            Some("forgive") => Some(Overuse::Forgive),
            _ => None,
        }
    }
}

impl Journal {
    /// Begins one.
    pub fn new(tool: Tool, directory: &Path, began: i64) -> Self {
        Self {
            schema: 1,
            tool: tool.to_string(),
            directory: directory.to_owned(),
            step: Step::Begun,
            began,
            answers: Answers::default(),
            cron: Vec::new(),
            live: Live::default(),
            services: Vec::new(),
            groups: Vec::new(),
            read: began,
            passed: BTreeMap::new(),
            had_config: false,
        }
    }

    /// Returns where all of a takeover from `tool` is kept.
    pub fn directory(paths: &Paths, tool: Tool) -> PathBuf {
        paths.state_dir.join("takeover").join(tool.to_string())
    }

    /// Returns the copy of what `tool` had.
    pub fn backup(paths: &Paths, tool: Tool) -> Backup {
        Backup::at(&Self::directory(paths, tool).join("backup"))
    }

    /// Returns the tool.
    pub fn tool(&self) -> Option<Tool> {
        Tool::ALL
            .into_iter()
            .find(|tool| tool.to_string() == self.tool)
    }

    /// Returns the services that are imported.
    pub fn ports(&self) -> impl Iterator<Item = PortRange> {
        let ranges = self.services.iter();
        ranges.filter_map(|&(first, last)| PortRange::new(first, last).ok())
    }

    /// Reads one; `None`: nothing was taken over from `tool`.
    ///
    /// # Errors
    ///
    /// `Damaged`, or as the system says.
    pub fn load(paths: &Paths, tool: Tool) -> Result<Option<Self>, TakeoverError> {
        let path = Self::directory(paths, tool).join(FILE);
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(journal) => Ok(Some(journal)),
                Err(source) => Err(TakeoverError::Damaged { path, source }),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(Action::Read, &path)(error)),
        }
    }

    /// Returns all there are, the latest first.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn all(paths: &Paths) -> Result<Vec<(Tool, Self)>, TakeoverError> {
        let mut all = Vec::new();
        for tool in Tool::ALL {
            all.extend(Self::load(paths, tool)?.map(|journal| (tool, journal)));
        }
        all.sort_by_key(|(_, journal)| std::cmp::Reverse(journal.began));
        Ok(all)
    }

    /// Writes it, whole or not at all, and on the disk.
    ///
    /// # Errors
    ///
    /// As the system says; the one before stands then.
    pub fn save(&self, paths: &Paths, tool: Tool) -> Result<(), TakeoverError> {
        let directory = Self::directory(paths, tool);
        backup::make_private(&directory)?;
        let path = directory.join(FILE);
        let text = serde_json::to_vec_pretty(self);
        let text = text.map_err(|error| io(Action::Write, &path)(error.into()))?;
        backup::write(&path, &text, 0o600)
    }

    /// Forgets one that came to nothing, or puts one that was given back aside under `name`.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn put_aside(paths: &Paths, tool: Tool, name: &str) -> Result<(), TakeoverError> {
        let directory = Self::directory(paths, tool);
        let aside = directory.with_file_name(name);
        match fs::rename(&directory, &aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(io(Action::Write, &aside)(error))
            }
            _ => Ok(()),
        }
    }
}

/// JSON's objects have only names for keys.
mod pairs {
    use super::*;
    use serde::{Deserializer, Serializer};

    type Passed = BTreeMap<(u16, u16), (u64, u64)>;

    pub(super) fn serialize<S: Serializer>(all: &Passed, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Passed, D::Error> {
        let all: Vec<((u16, u16), (u64, u64))> = Deserialize::deserialize(from)?;
        Ok(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again_and_the_latest_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::new(None, Some(directory.path().into()), None);
        assert!(Journal::all(&paths).unwrap().is_empty());
        let mut old = Journal::new(Tool::PmSh, Path::new("/etc/port_monitor"), 1);
        old.passed.insert((1, 2), (3, u64::MAX));
        old.save(&paths, Tool::PmSh).unwrap();
        let new = Journal::new(Tool::Dog, Path::new("/d"), 2);
        new.save(&paths, Tool::Dog).unwrap();
        let expected = [(Tool::Dog, new), (Tool::PmSh, old)];
        assert_eq!(Journal::all(&paths).unwrap(), expected);
        Journal::put_aside(&paths, Tool::Dog, "gone").unwrap();
        Journal::put_aside(&paths, Tool::Dog, "gone").unwrap();
        assert_eq!(Journal::load(&paths, Tool::Dog).unwrap(), None);
    }
}
