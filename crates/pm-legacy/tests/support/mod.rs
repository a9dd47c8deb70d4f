//! Reads what an old tool has left from the directories in `fixtures/`.
#![allow(
    clippy::disallowed_methods,
    reason = "the crate reads no files, and its tests read what lies in some"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails its test"
)]
#![allow(dead_code, reason = "each test program uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};

use pm_core::calendar::{Timestamp, Zone};
use pm_legacy::{
    Accounting, Context, Counter, Files, Imported, Kernel, Quota, Refusal, Subject, Table, Tool,
    Trouble, read,
};
use serde_json::Value;

/// What an old tool has left.
pub(crate) struct Host {
    pub(crate) tool: Tool,
    pub(crate) files: Files,
    pub(crate) kernel: Kernel,
    pub(crate) now: Timestamp,
    pub(crate) zone: Zone,
    pub(crate) accounting: Option<Accounting>,
}

impl Host {
    /// Returns the host of a fixture, at a time in a zone.
    pub(crate) fn new(tool: Tool, name: &str, now: i64, zone: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut host = Self::empty(tool, now, zone);
        host.add(&root.join(name), "");
        host
    }

    /// Returns a host on which nothing was left.
    pub(crate) fn empty(tool: Tool, now: i64, zone: &str) -> Self {
        Self {
            tool,
            files: Files::default(),
            kernel: Kernel::default(),
            now: Timestamp::from_unix(now),
            zone: Zone::named(zone).unwrap(),
            accounting: None,
        }
    }

    fn add(&mut self, directory: &Path, under: &str) {
        for entry in fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                self.add(&path, &format!("{name}/"));
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            match name.as_str() {
                "kernel.json" => self.kernel = kernel(&bytes),
                "script.sh" => self.files.script = Some(bytes),
                name => self.files.insert(format!("{under}{name}"), bytes),
            }
        }
    }

    pub(crate) fn read(&self) -> Result<Imported, Refusal> {
        let context = Context {
            now: self.now,
            zone: &self.zone,
            accounting: self.accounting,
        };
        read(self.tool, &self.files, &self.kernel, &context)
    }
}

/// Returns the troubles with one service, group or entry, as it is written; `""`: with everything.
pub(crate) fn troubles(imported: &Imported, about: &str) -> Vec<Trouble> {
    let is_meant = |subject: &Subject| match subject {
        Subject::Everything => about.is_empty(),
        Subject::Group(name) => about == format!("group {name}"),
        Subject::Service(ports) => about == ports.to_string(),
        Subject::Entry(key) => about == format!("entry {key}"),
    };
    let meant = imported
        .doubts
        .iter()
        .filter(|doubt| is_meant(&doubt.about));
    meant.map(|doubt| doubt.trouble.clone()).collect()
}

/// `bytes`, how many rules for TCP name it in `input` and `output`; a quota is what it has counted
/// and its limit.
fn kernel(bytes: &[u8]) -> Kernel {
    let value: Value = serde_json::from_slice(bytes).unwrap();
    let object = |name: &str| value[name].as_object().cloned().unwrap_or_default();
    let mut table = Table::default();
    for (name, counter) in object("counters") {
        let chains = ["input", "output"].map(|chain| (chain, counter[chain].as_u64()));
        let rules = chains.into_iter().filter_map(|(chain, rules)| {
            let rules = u32::try_from(rules?).unwrap();
            (rules > 0).then(|| (chain.to_owned(), rules))
        });
        let counter = Counter {
            bytes: counter["bytes"].as_u64().unwrap(),
            tcp_rules: rules.collect(),
        };
        table.counters.insert(name, counter);
    }
    for (name, quota) in object("quotas") {
        let figure = |index: usize| quota[index].as_u64().unwrap();
        let (used, limit) = (figure(0), figure(1));
        table.quotas.insert(name, Quota { used, limit });
    }
    let blocked = value["blocked"].as_array().cloned().unwrap_or_default();
    let ports = blocked.iter().map(|port| port.as_u64().unwrap() as u16);
    table.blocked = ports.collect();
    Kernel { table: Some(table) }
}
