//! The takeover itself.
//!
//! 1. Everything of the tool's is copied, and noted ([`Step::Begun`]).
//! 2. Its lines leave the crontabs; its locks are taken, so that a run that is on its way comes to its end first.
//! 3. Its ports are held in front of its rules, until no packet is on its way that these could count.
//! 4. Its counters and files are read for the last time, and noted ([`Step::Read`]). Until here everything goes back.
//! 5. Its rules go, pm's come, with all that was used; the ports are let go ([`Step::Adopted`]).
//! 6. What it left lying about goes ([`Step::Done`]).
//!
//! Dying between any two instructions loses nothing and counts nothing twice: up to 4 the tool's own counters go on, and
//! from then on either they do, or what holds the ports counts what it lets pass, or pm does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pm_core::calendar::Timestamp;
use pm_core::config::Config;
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_engine::{Engine, clock};
use pm_legacy::{Context, Files, Imported, Origin, Overuse, Tool, read};
use pm_nft::Nftables;
use pm_setup::{Root, old_tools};
use pm_store::locks::{Lock, LockKind};
use pm_store::{Paths, config_file};
use pm_tc::TrafficControl;

use crate::adopt::{self, Adopted};
use crate::cron;
use crate::error::{Action, TakeoverError, io};
use crate::estate::{Estate, Lines, has_users};
use crate::journal::{Answers, Before, Entry, Journal, Step};
use crate::live::Live;
use crate::locks::Locks;
use crate::past;
use crate::signals::Signals;

/// pm on this host.
pub type Pm = Engine<Nftables, TrafficControl>;

/// For how long the kernel holds ports at most: far longer than a takeover takes, and not for ever should it die.
pub(crate) const HOLD: Duration = Duration::from_secs(20);
/// How long a run of the tool's may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A host that is taken over, or given back.
pub struct Takeover<'a> {
    pub(crate) root: &'a Root,
    pub(crate) paths: &'a Paths,
    pub(crate) nftables: Nftables,
    pub(crate) control: TrafficControl,
    pub(crate) this_program: PathBuf,
}

/// What was seen of a tool; nothing was changed for it.
#[derive(Debug)]
pub struct Seen {
    /// What is its.
    pub estate: Estate,
    /// What it has in the kernel.
    pub live: Live,
    /// What of it is taken over.
    pub imported: Imported,
}

/// How a takeover ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was taken over, with the last figures.
    pub imported: Imported,
    /// What pm said to it.
    pub adopted: Adopted,
    /// Where the copy of what the tool had is.
    pub backup: PathBuf,
    /// What could not be taken away.
    pub left: Vec<TakeoverError>,
}

/// What is being done, to be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Copying the tool's files.
    Copying,
    /// Waiting until the tool is at rest.
    Waiting,
    /// Changing over.
    Switching,
    /// Taking away what is left.
    Clearing,
}

impl<'a> Takeover<'a> {
    /// Opens the way to the kernel; changes nothing. `this_program` is never the tool's.
    ///
    /// # Errors
    ///
    /// As the kernel says.
    pub fn new(
        root: &'a Root,
        paths: &'a Paths,
        this_program: &Path,
    ) -> Result<Self, TakeoverError> {
        Ok(Self {
            root,
            paths,
            nftables: Nftables::open()?,
            control: TrafficControl::open()?,
            this_program: this_program.to_owned(),
        })
    }

    /// Looks at a tool whose configuration is in `directory`, or where it usually is.
    ///
    /// # Errors
    ///
    /// `NotThere`, `TakenOver`, `Unreadable`, or as the system and the kernel say.
    pub fn look(
        &mut self,
        tool: Tool,
        directory: Option<&Path>,
        answers: &Answers,
    ) -> Result<Seen, TakeoverError> {
        let estate = match Estate::find(self.root, tool, directory, &self.this_program) {
            Err(TakeoverError::NotThere { .. }) if directory.is_none() && self.has(tool)? => {
                return Err(TakeoverError::TakenOver { tool });
            }
            found => found?,
        };
        let live = Live::read(tool, &mut self.nftables, &mut self.control)?;
        let files = estate.read(self.root)?;
        let imported = self.understood(tool, &files, &live, answers, clock::now())?;
        Ok(Seen {
            estate,
            live,
            imported,
        })
    }

    /// Whether it was taken over, and not given back.
    fn has(&self, tool: Tool) -> Result<bool, TakeoverError> {
        Ok(Journal::load(self.paths, tool)?.is_some_and(|journal| journal.step == Step::Done))
    }

    /// Refuses what pm would refuse of what was seen.
    ///
    /// # Errors
    ///
    /// `Occupied`. `Overlap`. `Engine`: a quota on the operator's own way in, for example.
    pub fn check(&self, seen: &Seen, answers: &Answers) -> Result<(), TakeoverError> {
        self.require_place(seen.estate.tool, &seen.estate.directory)?;
        let present = self.config(seen.estate.tool)?;
        refuse_overlap(&present, &seen.imported)?;
        adopt::check(&present, &seen.imported, answers)
    }

    /// Returns what files and figures mean, with the operator's answers.
    pub(crate) fn understood(
        &mut self,
        tool: Tool,
        files: &Files,
        live: &Live,
        answers: &Answers,
        now: Timestamp,
    ) -> Result<Imported, TakeoverError> {
        let config = self.config(tool)?;
        self.understood_beside(&config, (tool, files, live), answers, now)
    }

    /// The same, beside a configuration of pm's that is or was.
    pub(crate) fn understood_beside(
        &mut self,
        config: &Config,
        (tool, files, live): (Tool, &Files, &Live),
        answers: &Answers,
        now: Timestamp,
    ) -> Result<Imported, TakeoverError> {
        let zone = clock::zone(config);
        let context = Context {
            now,
            zone: &zone,
            accounting: answers.accounting(),
        };
        let read = read(tool, files, &live.kernel(), &context);
        let mut imported = read.map_err(|source| TakeoverError::Unreadable { tool, source })?;
        if let Some(overuse) = answers.overuse() {
            imported.settle(overuse);
        }
        self.leave_out_impossible(&mut imported, config, &live.roots);
        Ok(imported)
    }

    /// Returns pm's configuration; that of a tool in its place is none.
    pub(crate) fn config(&self, tool: Tool) -> Result<Config, TakeoverError> {
        let path = self.paths.config_file();
        let text = fs::read(&path).unwrap_or_default();
        if tool == Tool::PmSh && !has_schema(&String::from_utf8_lossy(&text)) {
            return Ok(Config::default());
        }
        Ok(config_file::load(self.paths)?.config)
    }

    /// Takes over what was seen.
    ///
    /// # Errors
    ///
    /// `AtWork`, `Changed`, `Interrupted`, anything before [`Step::Read`]: everything is as it was. Later: what passes is
    /// counted all the same, and [`complete`](Self::complete) goes on.
    pub fn carry_out(
        &mut self,
        engine: &mut Pm,
        seen: &Seen,
        answers: &Answers,
        signals: &Signals,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<Outcome, TakeoverError> {
        let tool = seen.estate.tool;
        let _update = Lock::acquire(self.paths, LockKind::Update, Duration::ZERO)?;
        progress(Stage::Copying);
        self.clear_the_desk(tool)?;
        self.check(seen, answers)?;
        self.rehearse(engine, &seen.imported, answers)?;
        let mut journal = self.begin(seen, answers)?;
        match self.read_last(seen, &mut journal, signals, progress) {
            Ok((imported, locks)) => self.finish(engine, imported, journal, Some(locks), progress),
            Err(error) => {
                self.give_up(tool, &journal)?;
                Err(error)
            }
        }
    }

    /// Makes room for a takeover: one that was given up is forgotten, an older one that came to its end put aside.
    fn clear_the_desk(&mut self, tool: Tool) -> Result<(), TakeoverError> {
        match Journal::load(self.paths, tool)? {
            Some(journal) if journal.step == Step::Begun => self.give_up(tool, &journal),
            Some(journal) => {
                let name = format!("{tool}-{}", journal.began);
                Journal::put_aside(self.paths, tool, &name).map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Copies everything, and notes that it was.
    fn begin(&mut self, seen: &Seen, answers: &Answers) -> Result<Journal, TakeoverError> {
        let tool = seen.estate.tool;
        let backup = Journal::backup(self.paths, tool);
        backup.take(self.root, &seen.estate.files)?;
        backup.note("kernel.txt", &seen.live.text())?;
        for Lines { path, .. } in &seen.estate.cron {
            let text = fs::read(self.root.join(path)).map_err(io(Action::Read, path))?;
            let name = path.to_string_lossy().replace('/', "-");
            backup.note(&format!("crontab{name}"), &String::from_utf8_lossy(&text))?;
        }
        let mut journal = Journal::new(tool, &seen.estate.directory, clock::now().unix());
        journal.number = Journal::next_number(self.paths)?;
        journal.answers = answers.clone();
        journal.cron.clone_from(&seen.estate.cron);
        journal.live.clone_from(&seen.live);
        let present = self.config(tool)?;
        journal.before = Before {
            channels: present
                .notify
                .channels
                .keys()
                .map(ToString::to_string)
                .collect(),
            push: present.push.is_some(),
            time_zone: present.time_zone.is_some(),
            thresholds: !present.notify.thresholds.is_default(),
        };
        journal.had_config = self.paths.config_file().exists() && tool != Tool::PmSh;
        note_services(&mut journal, &seen.imported);
        if !self.takes_pms_place(tool, &journal) {
            past::keep(self.paths, tool, &journal)?;
        }
        journal.save(self.paths, tool)?;
        Ok(journal)
    }

    /// Brings the tool to rest, holds its ports, and reads and notes everything for the last time.
    fn read_last(
        &mut self,
        seen: &Seen,
        journal: &mut Journal,
        signals: &Signals,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<(Imported, Locks), TakeoverError> {
        let tool = seen.estate.tool;
        progress(Stage::Waiting);
        self.take_lines(tool, journal)?;
        let locks = Locks::acquire(self.root, tool, &seen.estate.directory, PATIENCE, &|| {
            signals.check()
        })?;
        // A run that was on its way may have written once more.
        let estate = Estate::find(
            self.root,
            tool,
            Some(&seen.estate.directory),
            &self.this_program,
        )?;
        Journal::backup(self.paths, tool).take(self.root, &estate.files)?;
        progress(Stage::Switching);
        let ports: BTreeSet<PortRange> = seen.imported.services.keys().copied().collect();
        if let Some(table) = &seen.live.table {
            self.nftables.hold(&ports, &table.hooks, HOLD)?;
        }
        let live = Live::read(tool, &mut self.nftables, &mut self.control)?;
        let is_same = |one: &Live| one.table.as_ref().map(|table| table.handle);
        let now = clock::now();
        let files = estate.read(self.root)?;
        let mut imported = self.understood(tool, &files, &live, &journal.answers, now)?;
        // Who came to his quota since he was seen is cut off, as by pm itself.
        imported.settle(Overuse::Block);
        if is_same(&live) != is_same(&seen.live) || !imported.services.keys().eq(&ports) {
            return Err(TakeoverError::Changed { tool });
        }
        signals.check()?;
        note_services(journal, &imported);
        journal.live = live;
        journal.read = now.unix();
        journal.step = Step::Read;
        journal.save(self.paths, tool)?;
        Ok((imported, locks))
    }

    /// Puts everything back as it was, of a takeover that has not come to [`Step::Read`].
    pub(crate) fn give_up(&mut self, tool: Tool, journal: &Journal) -> Result<(), TakeoverError> {
        self.nftables.release()?;
        self.put_lines_back(journal)?;
        let name = format!("{tool}-{}-given-up", journal.began);
        let aside = Journal::put_aside(self.paths, tool, &name)?;
        fs::remove_dir_all(&aside).map_err(io(Action::Remove, &aside))
    }

    /// Takes the tool's lines out of the crontabs.
    fn take_lines(&self, tool: Tool, journal: &Journal) -> Result<(), TakeoverError> {
        for Lines { path, .. } in &journal.cron {
            let text = fs::read(self.root.join(path)).map_err(io(Action::Read, path))?;
            let (left, _) = cron::without(tool, &text, has_users(path));
            pm_setup::apply::rewrite_crontab(self.root, path, &left)?;
        }
        Ok(())
    }

    /// Puts them back.
    pub(crate) fn put_lines_back(&self, journal: &Journal) -> Result<(), TakeoverError> {
        for Lines { path, lines } in &journal.cron {
            let text = match fs::read(self.root.join(path)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                other => other.map_err(io(Action::Read, path))?,
            };
            let whole = cron::with(&text, lines);
            if whole != text {
                pm_setup::apply::rewrite_crontab(self.root, path, &whole)?;
            }
        }
        Ok(())
    }
}

/// Refuses ports that pm has, or that overlap some: of another tool's, imported before, or the operator's own.
fn refuse_overlap(present: &Config, imported: &Imported) -> Result<(), TakeoverError> {
    let mut ports = Vec::new();
    for its in imported.services.keys() {
        let overlaps = |pms: &&PortRange| pms.first() <= its.last() && its.first() <= pms.last();
        let pms = present.services.keys().filter(overlaps);
        ports.extend(pms.map(|pms| (*pms, *its)));
    }
    match ports.is_empty() {
        true => Ok(()),
        false => Err(TakeoverError::Overlap {
            tool: imported.tool,
            ports,
        }),
    }
}

/// Whether a configuration is pm's own.
pub(crate) fn has_schema(text: &str) -> bool {
    text.contains("\"schema\"") && !old_tools::is_pm_shs(text)
}

fn note_services(journal: &mut Journal, imported: &Imported) {
    let services = imported.services.keys();
    journal.services = services
        .map(|ports| (ports.first(), ports.last()))
        .collect();
    let entry = |origin: &Origin| {
        let (ports, group) = match &origin.holder {
            Holder::Service(ports) => (Some((ports.first(), ports.last())), None),
            Holder::Group(name) => (None, Some(name.to_string())),
        };
        Entry {
            key: origin.key.clone(),
            ports,
            group,
            times: origin.times,
        }
    };
    journal.origins = imported.origins.iter().map(entry).collect();
    journal.groups = imported.groups.keys().map(ToString::to_string).collect();
}
