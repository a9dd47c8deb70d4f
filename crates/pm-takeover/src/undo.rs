//! Giving a host back to the tool that it was taken over from.
//!
//! pm's rules for what was imported go, after their last reading; the tool's files come back with what was counted since,
//! then its programs and its lines in the crontabs. Its table it makes itself, when its menu is opened or its own service
//! restores it: until then nothing is counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pm_core::config::GroupName;
use pm_core::port::PortList;
use pm_core::request::{Request, Selection};
use pm_engine::Options;
use pm_legacy::Tool;
use pm_nft::other::Hook;
use pm_store::locks::{Lock, LockKind};

use crate::backup;
use crate::error::{Action, TakeoverError, io};
use crate::estate::PM_SH_ASIDE;
use crate::give_back;
use crate::import::{Pm, Takeover};
use crate::journal::{Journal, Step};

/// For how long the kernel holds ports at most while they are given back.
const HOLD: Duration = Duration::from_secs(20);
/// How long to wait for another pm.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Where pm.sh installs itself.
const PM_SH: &str = "/usr/local/bin/pm";
/// pm's own table.
const TABLE: &str = "port_monitor";

/// What was given back.
#[derive(Debug)]
pub struct Returned {
    /// To which tool.
    pub tool: Tool,
    /// Where pm's own configuration and usage are now, where they had to make way for the tool's.
    pub aside: Option<PathBuf>,
    /// How many services pm has no more.
    pub services: usize,
    /// Where the tool's program was, if pm has been installed over it: there is no copy then.
    pub overwritten: Option<PathBuf>,
}

impl Takeover<'_> {
    /// Gives back what was taken over last.
    ///
    /// # Errors
    ///
    /// `NothingToUndo`, `InTheWay`: nothing has changed. Any other: the same again goes on.
    pub fn undo(&mut self, pm: &mut Pm) -> Result<Returned, TakeoverError> {
        let _update = Lock::acquire(self.paths, LockKind::Update, Duration::ZERO)?;
        let mut all = Journal::all(self.paths)?.into_iter();
        let (tool, journal) = all.next().ok_or(TakeoverError::NothingToUndo)?;
        if journal.step == Step::Begun {
            self.give_up(tool, &journal)?;
            return Ok(Returned {
                tool,
                aside: None,
                services: 0,
                overwritten: None,
            });
        }
        self.go_on_undoing(pm, tool, journal)
    }

    pub(crate) fn go_on_undoing(
        &mut self,
        pm: &mut Pm,
        tool: Tool,
        mut journal: Journal,
    ) -> Result<Returned, TakeoverError> {
        let kept = Journal::backup(self.paths, tool);
        if journal.step != Step::Undoing {
            let own = self.paths.config_file();
            if let Some(path) = kept.in_the_way(self.root)?
                && self.root.join(&path) != own
            {
                return Err(TakeoverError::InTheWay { path });
            }
            self.hold_own(&journal)?;
            journal.passed = counted(pm, &journal)?;
            journal.step = Step::Undoing;
            journal.save(self.paths, tool)?;
        }
        let services = self.remove_services(pm, &journal)?;
        let aside = match tool {
            Tool::PmSh => Some(self.put_own_aside(&journal)?),
            Tool::Dog | Tool::TrafficDog => None,
        };
        kept.put_back(self.root)?;
        self.write_counted(tool, &journal)?;
        self.put_lines_back(&journal)?;
        self.nftables.release()?;
        let name = format!("{tool}-{}-undone", journal.began);
        Journal::put_aside(self.paths, tool, &name)?;
        Ok(Returned {
            tool,
            aside,
            services,
            overwritten: self.overwritten(tool),
        })
    }

    /// Returns the place of the tool's program, where this one is, and nobody has kept that.
    fn overwritten(&self, tool: Tool) -> Option<PathBuf> {
        let is_aside = || self.root.join(PM_SH_ASIDE).exists();
        let is_lost = tool == Tool::PmSh && self.this_program == Path::new(PM_SH) && !is_aside();
        is_lost.then(|| self.this_program.clone())
    }

    /// Holds the ports in front of pm's own rules, so that what is given back is all that passed.
    fn hold_own(&mut self, journal: &Journal) -> Result<(), TakeoverError> {
        let table = self.nftables.read_other(TABLE)?;
        let hooks: Vec<Hook> = table.into_iter().flat_map(|table| table.hooks).collect();
        let ports = journal.ports().collect();
        Ok(self.nftables.hold(&ports, &hooks, HOLD)?)
    }

    /// Lets pm forget what was imported. Returns how many services it had of that.
    fn remove_services(&mut self, pm: &mut Pm, journal: &Journal) -> Result<usize, TakeoverError> {
        let tool = journal.tool();
        if tool == Some(Tool::PmSh) {
            // Nothing of pm's can stay where its configuration cannot.
            let locks = Lock::write_then_tick(self.paths, LOCK_WAIT)?;
            return Ok(pm.leave(&locks, true)?.services);
        }
        let config = pm.view()?.config;
        let there = journal
            .ports()
            .filter(|ports| config.services.contains_key(ports));
        let there: Vec<_> = there.collect();
        let services = there.len();
        let options = Options::default();
        if let Ok(ports) = PortList::new(there) {
            let ports = Selection::Ports(ports);
            pm.execute(&Request::Delete { ports }, options)?;
        }
        for name in &journal.groups {
            let Ok(name) = name.parse::<GroupName>() else {
                continue;
            };
            let config = pm.view()?.config;
            // Who was put into it since keeps it.
            if config.groups.contains_key(&name) && config.members(&name).next().is_none() {
                pm.execute(&Request::DeleteGroup { name }, options)?;
            }
        }
        Ok(services)
    }

    /// Puts pm's configuration and usage aside, in whose place pm.sh's come.
    fn put_own_aside(&self, journal: &Journal) -> Result<PathBuf, TakeoverError> {
        let name = format!("pm-before-undo-{}", journal.began);
        let aside = self.paths.state_dir.join("takeover").join(name);
        backup::make_private(&aside)?;
        let config = self.paths.config_file();
        let is_ours = fs::read_to_string(&config).is_ok_and(|text| text.contains("\"schema\""));
        let state = self.paths.state_db();
        let with = |suffix: &str| PathBuf::from(format!("{}{suffix}", state.display()));
        let mut files = vec![with("-wal"), with("-shm"), state.clone()];
        if is_ours {
            files.push(config);
        }
        for path in files {
            move_to(&path, &aside)?;
        }
        let versions = self.paths.versions_dir();
        for entry in fs::read_dir(&versions).into_iter().flatten().flatten() {
            let place = aside.join("versions");
            backup::make_private(&place)?;
            move_to(&entry.path(), &place)?;
        }
        // Where somebody else has put something, it stays.
        let _ = fs::remove_dir(&versions);
        Ok(aside)
    }

    /// Writes what was counted into the tool's files, which are back by now.
    fn write_counted(&self, tool: Tool, journal: &Journal) -> Result<(), TakeoverError> {
        if journal.directory != Path::new(tool.directory()) {
            return Ok(());
        }
        let place = |name: &str| self.root.join(journal.directory.join(name));
        let text = |name: &str| fs::read_to_string(place(name)).ok();
        for (name, text) in give_back::changed(tool, &journal.passed, journal, &text) {
            backup::write(&place(&name), text.as_bytes(), 0o600)?;
        }
        Ok(())
    }
}

/// Returns what the imported services have used in their running periods.
fn counted(pm: &mut Pm, journal: &Journal) -> Result<give_back::Counted, TakeoverError> {
    let reports = pm.view()?.reports.into_iter();
    let used: BTreeMap<_, _> = reports
        .map(|report| {
            let usage = (report.usage.incoming, report.usage.outgoing);
            ((report.ports.first(), report.ports.last()), usage)
        })
        .collect();
    let services = journal.services.iter();
    let found = services.filter_map(|ports| Some((*ports, *used.get(ports)?)));
    Ok(found.collect())
}

/// Moves a file into a directory, which may be on another disk; that it is gone is no error.
fn move_to(path: &Path, directory: &Path) -> Result<(), TakeoverError> {
    let Some(name) = path.file_name() else {
        return Ok(());
    };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(Action::Read, path)(error)),
    };
    backup::write(&directory.join(name), &bytes, 0o600)?;
    fs::remove_file(path).map_err(io(Action::Remove, path))
}
