//! Giving a host back to the tool that it was taken over from.
//!
//! pm's rules for what was imported go, after their last reading; the tool's files come back with what was counted since,
//! then its programs and its lines in the crontabs. Its table it makes itself, when its menu is opened or its own service
//! restores it: until then nothing is counted.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pm_core::adoption::{Adoption, Books, Extent};
use pm_core::calendar::Timestamp;
use pm_core::config::{Config, GroupName};
use pm_core::ledger::Usage;
use pm_core::port::PortList;
use pm_core::request::{Request, Selection};
use pm_engine::{Options, Seen};
use pm_legacy::{Imported, Tool};
use pm_nft::other::Hook;
use pm_store::locks::{Lock, LockKind};

use crate::adopt;
use crate::backup;
use crate::error::{Action, TakeoverError, io};
use crate::estate::PM_SH_ASIDE;
use crate::give_back::{self, Figures};
use crate::import::{Pm, Takeover};
use crate::journal::{Before, Figure, Journal, Step, free_name};
use crate::past;

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
    /// Where its program is.
    pub program: Program,
}

/// Where a tool's program is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Program {
    /// Where it was.
    There,
    /// pm is in its place, and it is under this name.
    Aside(PathBuf),
    /// pm has been installed over it, here: there is no copy.
    Overwritten(PathBuf),
    /// Not on this host: only its files were read.
    Elsewhere,
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
                program: Program::There,
            });
        }
        self.go_on_undoing(pm, tool, journal)
    }

    /// Goes on from where it was; what fails holds nothing.
    pub(crate) fn go_on_undoing(
        &mut self,
        pm: &mut Pm,
        tool: Tool,
        mut journal: Journal,
    ) -> Result<Returned, TakeoverError> {
        let undone = self.give_back(pm, tool, &mut journal);
        if undone.is_err() {
            let let_go = match journal.step {
                // What passes is still to be counted.
                Step::Read => self.nftables.let_pass(),
                _ => self.nftables.release(),
            };
            if let Err(error) = let_go {
                tracing::debug!("{error}");
            }
        }
        undone
    }

    fn give_back(
        &mut self,
        pm: &mut Pm,
        tool: Tool,
        journal: &mut Journal,
    ) -> Result<Returned, TakeoverError> {
        let kept = Journal::backup(self.paths, tool);
        if journal.step != Step::Undoing {
            let own = self.paths.config_file();
            if let Some(path) = kept.in_the_way(self.root)?
                && self.root.join(&path) != own
            {
                return Err(TakeoverError::InTheWay { path });
            }
            journal.figures = self.hold_and_count(pm, tool, journal)?;
            journal.step = Step::Undoing;
            journal.save(self.paths, tool)?;
        }
        // Made anew by the tool it begins at nothing, as its files will say.
        self.delete_table(journal)?;
        let takes_place = self.takes_pms_place(tool, journal);
        let services = match journal.removed {
            Some(services) => services,
            None => {
                let services = self.remove_services(pm, tool, journal, takes_place)?;
                journal.removed = Some(services);
                journal.save(self.paths, tool)?;
                services
            }
        };
        let aside = takes_place.then(|| self.aside(journal));
        if let (Some(aside), false) = (&aside, journal.is_aside) {
            self.put_own_aside(aside)?;
            journal.is_aside = true;
            journal.save(self.paths, tool)?;
        }
        kept.put_back(self.root)?;
        self.write_counted(tool, journal)?;
        self.put_lines_back(journal)?;
        self.nftables.release()?;
        let name = format!("{tool}-{}-undone", journal.began);
        Journal::put_aside(self.paths, tool, &name)?;
        Ok(Returned {
            tool,
            aside,
            services,
            program: self.program(tool, journal),
        })
    }

    /// Holds the ports, and returns what the tool's entries have used until then.
    fn hold_and_count(
        &mut self,
        pm: &mut Pm,
        tool: Tool,
        journal: &mut Journal,
    ) -> Result<Figures, TakeoverError> {
        if journal.step == Step::Read {
            let known = self.recall(tool, journal)?;
            if !adopt::has_it(pm, &known) {
                // Nobody but the copy and what holds the ports knows what was used.
                self.read_again(tool, journal)?;
                return Ok(figures_read(&self.recall(tool, journal)?));
            }
        }
        // What cannot be read is known before anybody is held.
        counted(pm, journal)?;
        self.hold_own(journal)?;
        counted(pm, journal)
    }

    /// Whether the tool's configuration comes where pm's is.
    pub(crate) fn takes_pms_place(&self, tool: Tool, journal: &Journal) -> bool {
        let directory = self.root.join(&journal.directory);
        let is_pms = self.paths.config_file().parent() == Some(directory.as_path());
        tool == Tool::PmSh && is_pms
    }

    /// Returns where pm's own files make way to.
    fn aside(&self, journal: &Journal) -> PathBuf {
        let name = format!("pm-before-undo-{}-{}", journal.began, journal.number);
        self.paths.state_dir.join("takeover").join(name)
    }

    /// Returns where the tool's program is.
    fn program(&self, tool: Tool, journal: &Journal) -> Program {
        if journal.directory != Path::new(tool.directory()) {
            Program::Elsewhere
        } else if tool != Tool::PmSh || self.this_program != Path::new(PM_SH) {
            Program::There
        } else if self.root.join(PM_SH_ASIDE).exists() {
            Program::Aside(PM_SH_ASIDE.into())
        } else {
            Program::Overwritten(self.this_program.clone())
        }
    }

    /// Holds the ports in front of pm's own rules, so that what is given back is all that passed.
    fn hold_own(&mut self, journal: &Journal) -> Result<(), TakeoverError> {
        let table = self.nftables.read_other(TABLE)?;
        let hooks: Vec<Hook> = table.into_iter().flat_map(|table| table.hooks).collect();
        let ports = journal.ports().collect();
        Ok(self.nftables.hold(&ports, &hooks, HOLD)?)
    }

    /// Lets pm forget what was imported. Returns how many services it had of that.
    fn remove_services(
        &mut self,
        pm: &mut Pm,
        tool: Tool,
        journal: &Journal,
        takes_place: bool,
    ) -> Result<usize, TakeoverError> {
        if self.pm_shs_own().is_some() {
            // It died before pm had anything.
            return Ok(0);
        }
        if takes_place {
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
        self.remove_settings(pm, tool, journal)?;
        past::put_back(self.paths, tool, journal, &pm.view()?.config)?;
        Ok(services)
    }

    /// Takes away channels, push, thresholds and zone that came with the tool, where they are as they came.
    fn remove_settings(
        &mut self,
        pm: &mut Pm,
        tool: Tool,
        journal: &Journal,
    ) -> Result<(), TakeoverError> {
        let present = pm.view()?.config;
        let mut beside = present.clone();
        if !journal.before.time_zone {
            // In its own zone, the tool would not have brought it.
            beside.time_zone = None;
        }
        let came = self.recall_beside(&beside, tool, journal)?;
        let config = without_what_came(&present, &came, &journal.before);
        if config == present {
            return Ok(());
        }
        let adoption = Adoption {
            command: "pm import --undo".to_owned(),
            config,
            books: Books::default(),
            extent: Extent::Newcomers,
        };
        let request = Request::Adopt(Box::new(adoption));
        let seen = Seen {
            config: &present,
            state: None,
        };
        pm.execute_on(seen, &request, Options::default())?;
        Ok(())
    }

    /// Puts pm's configuration and usage aside, in whose place pm.sh's come.
    fn put_own_aside(&self, aside: &Path) -> Result<(), TakeoverError> {
        backup::make_private(aside)?;
        let config = self.paths.config_file();
        let is_ours = fs::read_to_string(&config).is_ok_and(|text| text.contains("\"schema\""));
        let state = self.paths.state_db();
        let with = |suffix: &str| PathBuf::from(format!("{}{suffix}", state.display()));
        let mut files = vec![with("-wal"), with("-shm"), state.clone()];
        if is_ours {
            files.push(config);
        }
        for path in files {
            move_to(&path, aside)?;
        }
        let versions = self.paths.versions_dir();
        for entry in fs::read_dir(&versions).into_iter().flatten().flatten() {
            let place = aside.join("versions");
            backup::make_private(&place)?;
            move_to(&entry.path(), &place)?;
        }
        // Where somebody else has put something, it stays.
        let _ = fs::remove_dir(&versions);
        Ok(())
    }

    /// Writes what was counted into the tool's files, which are back by now.
    fn write_counted(&self, tool: Tool, journal: &Journal) -> Result<(), TakeoverError> {
        if journal.directory != Path::new(tool.directory()) {
            return Ok(());
        }
        let place = |name: &str| self.root.join(journal.directory.join(name));
        let text = |name: &str| fs::read_to_string(place(name)).ok();
        for (name, text) in give_back::changed(tool, journal, &text) {
            let place = place(&name);
            let kept = fs::metadata(&place).ok();
            let mode = kept.as_ref().map_or(0o600, |kept| kept.mode() & 0o7777);
            backup::write(&place, text.as_bytes(), mode)?;
            if let Some(kept) = kept {
                chown(&place, Some(kept.uid()), Some(kept.gid()))
                    .map_err(io(Action::Write, &place))?;
            }
        }
        Ok(())
    }
}

/// Returns a configuration without what came with a tool and has not been changed since.
fn without_what_came(present: &Config, came: &Imported, before: &Before) -> Config {
    let mut config = present.clone();
    let channels: Vec<_> = came.messages.notify.channels.values().collect();
    config.notify.channels.retain(|name, channel| {
        before.channels.contains(&name.to_string()) || !channels.contains(&&*channel)
    });
    if !before.push && config.push == came.messages.push {
        config.push = None;
    }
    if !before.thresholds && config.notify.thresholds == came.messages.notify.thresholds {
        config.notify.thresholds = Config::default().notify.thresholds;
    }
    // Whoever has services by now goes by it.
    if !before.time_zone && config.services.is_empty() && config.time_zone == came.time_zone {
        config.time_zone = None;
    }
    config
}

/// Returns what the tool's entries have used in their running periods, as pm has counted it.
fn counted(pm: &mut Pm, journal: &Journal) -> Result<Figures, TakeoverError> {
    let view = pm.view()?;
    let service = |ports: (u16, u16)| {
        let mut reports = view.reports.iter();
        let report = reports.find(|report| (report.ports.first(), report.ports.last()) == ports)?;
        let ledger = view.state.ledgers.get(&report.ports);
        let account = report
            .group
            .as_ref()
            .and_then(|group| view.state.groups.get(group));
        let account = account.or(ledger.map(|ledger| &ledger.account));
        Some(figure(
            report.usage,
            report.billed,
            account.and_then(|account| account.began),
        ))
    };
    let group = |name: &str| {
        let mut reports = view.groups.iter();
        let report = reports.find(|report| report.name.to_string() == name)?;
        let account = view.state.groups.get(&report.name);
        Some(figure(
            report.usage,
            report.billed,
            account.and_then(|account| account.began),
        ))
    };
    let found = journal.origins.iter().filter_map(|entry| {
        let found = match (&entry.ports, &entry.group) {
            (Some(ports), _) => service(*ports),
            (None, name) => group(name.as_deref()?),
        };
        Some((entry.key.clone(), found?))
    });
    Ok(found.collect())
}

/// Returns the same of what pm does not have yet.
fn figures_read(imported: &Imported) -> Figures {
    let origins = imported.origins.iter();
    let found = origins.filter_map(|origin| {
        let (contract, books) = imported.account(&origin.holder)?;
        let found = figure(books.usage, books.billed(contract), books.began);
        Some((origin.key.clone(), found))
    });
    found.collect()
}

fn figure(usage: Usage, billed: u64, began: Option<Timestamp>) -> Figure {
    Figure {
        incoming: usage.incoming,
        outgoing: usage.outgoing,
        billed,
        began: began.map(Timestamp::unix),
    }
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
    let place = directory.join(name);
    if !fs::read(&place).is_ok_and(|there| there == bytes) {
        // What was put aside before, by an undo that was interrupted, stays.
        backup::write(&free_name(&place), &bytes, 0o600)?;
    }
    fs::remove_file(path).map_err(io(Action::Remove, path))
}
