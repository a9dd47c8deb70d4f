//! What a host looks like to somebody who compares it before and after: files, users, rules, queueing disciplines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::namespace::{Namespace, run};

/// Where somebody who installs and uninstalls could leave something.
const DIRECTORIES: [&str; 8] = [
    "etc",
    "opt",
    "root",
    "run/port_monitor",
    "usr/local",
    "var/lib/port_monitor",
    "var/log/port_monitor",
    "var/spool",
];

/// What the host's own tools for users keep of the time before, copies and a lock; and what it notes of its clock at
/// shutdown.
const OF_THE_HOST: [&str; 7] = [
    "etc/adjtime",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/.pwd.lock",
    "etc/subuid-",
];

/// A host at one moment. Two are equal if nothing is left behind, and nothing lost.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Portrait {
    /// By path: kind, mode, owner, and content or target.
    files: BTreeMap<String, String>,
    ruleset: String,
    qdiscs: String,
}

impl Portrait {
    /// Takes one of the files below `root` and the network of `namespace`.
    ///
    /// # Errors
    ///
    /// When something cannot be read.
    pub(crate) fn take(root: &Path, namespace: &Namespace) -> Result<Self> {
        let mut files = BTreeMap::new();
        for directory in DIRECTORIES {
            let path = root.join(directory);
            if path.exists() {
                add(&path, directory, &mut files)?;
            }
        }
        files.retain(|path, _| !OF_THE_HOST.contains(&path.as_str()));
        Ok(Self {
            files,
            ruleset: namespace.nft(&["list", "ruleset"])?,
            qdiscs: without_handles(
                &run(namespace.command("tc").args(["qdisc", "show"]), None)?.success()?,
            ),
        })
    }

    /// Checks that nothing differs from `before`.
    ///
    /// # Errors
    ///
    /// With all that does.
    pub(crate) fn equals(&self, before: &Self) -> Result<()> {
        let paths: BTreeSet<_> = self.files.keys().chain(before.files.keys()).collect();
        let differing = paths
            .into_iter()
            .filter(|path| self.files.get(*path) != before.files.get(*path));
        let lines: Vec<String> = differing
            .map(|path| {
                let (old, new) = (before.files.get(path), self.files.get(path));
                format!("{path}: {old:?}, then {new:?}")
            })
            .collect();
        ensure!(lines.is_empty(), "files differ:\n{}", lines.join("\n"));
        ensure!(
            self.ruleset == before.ruleset,
            "the ruleset differs, before:\n{}after:\n{}",
            before.ruleset,
            self.ruleset
        );
        ensure!(
            self.qdiscs == before.qdiscs,
            "queueing disciplines differ, before:\n{}after:\n{}",
            before.qdiscs,
            self.qdiscs
        );
        Ok(())
    }

    /// Returns the paths that are here and not in `before`.
    pub(crate) fn added_since(&self, before: &Self) -> Vec<&str> {
        let added = self.files.keys();
        added
            .filter(|path| !before.files.contains_key(*path))
            .map(String::as_str)
            .collect()
    }
}

fn add(place: &Path, path: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    let found = fs::symlink_metadata(place).with_context(|| format!("cannot look at {path}"))?;
    let kind = found.file_type();
    let content = if kind.is_symlink() {
        fs::read_link(place)?.display().to_string()
    } else if kind.is_file() {
        content(place, found.len())?
    } else {
        String::new()
    };
    let line = format!(
        "{:o} {}:{} {content}",
        found.mode(),
        found.uid(),
        found.gid()
    );
    files.insert(path.to_owned(), line);
    if kind.is_dir() {
        for entry in fs::read_dir(place)? {
            let entry = entry?;
            let name = entry.file_name();
            add(
                &entry.path(),
                &format!("{path}/{}", name.to_string_lossy()),
                files,
            )?;
        }
    }
    Ok(())
}

/// Returns a short file's text, to be shown where it differs, and the size of a long one: nobody edits programs.
fn content(place: &Path, size: u64) -> Result<String> {
    const SHORT: u64 = 20_000;
    if size > SHORT {
        return Ok(format!("{size} bytes"));
    }
    let bytes = fs::read(place).with_context(|| format!("cannot read {}", place.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The kernel numbers what it makes anew: `qdisc pfifo 8001: dev eth0 root …`.
fn without_handles(qdiscs: &str) -> String {
    let line = |line: &str| {
        let words = line.split(' ');
        let words: Vec<&str> = words.filter(|word| !word.ends_with(':')).collect();
        words.join(" ") + "\n"
    };
    qdiscs.lines().map(line).collect()
}
