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
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_engine::{Engine, clock};
use pm_legacy::{Context, Files, Imported, Kernel, Overuse, Tool, read};
use pm_nft::Nftables;
use pm_setup::{Root, old_tools};
use pm_store::locks::{Lock, LockKind};
use pm_store::{Paths, config_file};
use pm_tc::TrafficControl;

use crate::adopt::{self, Adopted};
use crate::cron;
use crate::error::{Action, TakeoverError, io};
use crate::estate::{Estate, Lines, has_users, read_files};
use crate::journal::{Answers, Journal, Step};
use crate::live::Live;
use crate::locks::{self, Locks};

/// pm on this host.
pub type Pm = Engine<Nftables, TrafficControl>;

/// For how long the kernel holds ports at most: far longer than a takeover takes, and not for ever should it die.
const HOLD: Duration = Duration::from_secs(20);
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
    /// `NotThere`, `Unreadable`, or as the system and the kernel say.
    pub fn look(
        &mut self,
        tool: Tool,
        directory: Option<&Path>,
        answers: &Answers,
    ) -> Result<Seen, TakeoverError> {
        let estate = Estate::find(self.root, tool, directory, &self.this_program)?;
        let live = Live::read(tool, &mut self.nftables, &mut self.control)?;
        let files = estate.read(self.root)?;
        let imported = self.understood(tool, &files, &live.kernel(), answers, clock::now())?;
        Ok(Seen {
            estate,
            live,
            imported,
        })
    }

    /// Refuses what pm would refuse of what was seen.
    ///
    /// # Errors
    ///
    /// `Engine`: ports that pm has already, or a quota on the operator's own way in.
    pub fn check(&self, seen: &Seen, answers: &Answers) -> Result<(), TakeoverError> {
        adopt::check(&self.config(seen.estate.tool)?, &seen.imported, answers)
    }

    /// Returns what files and figures mean, with the operator's answers.
    fn understood(
        &self,
        tool: Tool,
        files: &Files,
        kernel: &Kernel,
        answers: &Answers,
        now: Timestamp,
    ) -> Result<Imported, TakeoverError> {
        let zone = clock::zone(&self.config(tool)?);
        let context = Context {
            now,
            zone: &zone,
            accounting: answers.accounting(),
        };
        let read = read(tool, files, kernel, &context);
        let mut imported = read.map_err(|source| TakeoverError::Unreadable { tool, source })?;
        if let Some(overuse) = answers.overuse() {
            imported.settle(overuse);
        }
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
    /// `AtWork`, `Changed`, anything before [`Step::Read`]: everything is as it was. Later: what passes is counted all
    /// the same, and [`complete`](Self::complete) goes on.
    pub fn carry_out(
        &mut self,
        engine: &mut Pm,
        seen: &Seen,
        answers: &Answers,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<Outcome, TakeoverError> {
        let tool = seen.estate.tool;
        let _update = Lock::acquire(self.paths, LockKind::Update, Duration::ZERO)?;
        progress(Stage::Copying);
        self.clear_the_desk(tool)?;
        self.check(seen, answers)?;
        let mut journal = self.begin(seen, answers)?;
        match self.read_last(seen, &mut journal, progress) {
            Ok((imported, locks)) => self.finish(engine, imported, journal, Some(locks), progress),
            Err(error) => {
                self.give_up(tool, &journal)?;
                Err(error)
            }
        }
    }

    /// Returns the takeover that was interrupted, if one was.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn interrupted(paths: &Paths) -> Result<Option<(Tool, Journal)>, TakeoverError> {
        let all = Journal::all(paths)?;
        Ok(all
            .into_iter()
            .find(|(_, journal)| journal.step != Step::Done))
    }

    /// Completes a takeover that was interrupted, or takes back one that had not come far. `None`: it was taken back.
    ///
    /// # Errors
    ///
    /// As [`carry_out`](Self::carry_out) says; the same again goes on.
    pub fn complete(
        &mut self,
        engine: &mut Pm,
        tool: Tool,
        mut journal: Journal,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<Option<Outcome>, TakeoverError> {
        let _update = Lock::acquire(self.paths, LockKind::Update, Duration::ZERO)?;
        match journal.step {
            Step::Begun => {
                self.give_up(tool, &journal)?;
                return Ok(None);
            }
            Step::Undoing => {
                self.go_on_undoing(engine, tool, journal)?;
                return Ok(None);
            }
            Step::Read => self.read_again(tool, &mut journal)?,
            Step::Adopted | Step::Done => {}
        }
        let backup = Journal::backup(self.paths, tool);
        let place = |path: &Path| backup.kept(path);
        let files = match journal.directory == Path::new(tool.directory()) {
            true => read_files(self.root, tool, &journal.directory, &place)?,
            false => read_files(self.root, tool, &journal.directory, &|path| {
                self.root.join(path)
            })?,
        };
        let read = Timestamp::from_unix(journal.read);
        let kernel = journal.live.kernel();
        let mut imported = self.understood(tool, &files, &kernel, &journal.answers, read)?;
        add_passed(&mut imported, &journal);
        self.finish(engine, imported, journal, None, progress)
            .map(Some)
    }

    /// Makes room for a takeover: one that was given up is forgotten, an older one that came to its end put aside.
    fn clear_the_desk(&mut self, tool: Tool) -> Result<(), TakeoverError> {
        match Journal::load(self.paths, tool)? {
            Some(journal) if journal.step == Step::Begun => self.give_up(tool, &journal),
            Some(journal) => {
                let name = format!("{tool}-{}", journal.began);
                Journal::put_aside(self.paths, tool, &name)
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
        journal.answers = answers.clone();
        journal.cron.clone_from(&seen.estate.cron);
        journal.live.clone_from(&seen.live);
        journal.had_config = self.paths.config_file().exists() && tool != Tool::PmSh;
        note_services(&mut journal, &seen.imported);
        journal.save(self.paths, tool)?;
        Ok(journal)
    }

    /// Brings the tool to rest, holds its ports, and reads and notes everything for the last time.
    fn read_last(
        &mut self,
        seen: &Seen,
        journal: &mut Journal,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<(Imported, Locks), TakeoverError> {
        let tool = seen.estate.tool;
        progress(Stage::Waiting);
        self.take_lines(tool, journal)?;
        let locks = Locks::acquire(self.root, tool, &seen.estate.directory, PATIENCE)?;
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
        let answers = &journal.answers;
        let mut imported = self.understood(tool, &files, &live.kernel(), answers, now)?;
        // Who came to his quota since he was seen is cut off, as by pm itself.
        imported.settle(Overuse::Block);
        if is_same(&live) != is_same(&seen.live) || !imported.services.keys().eq(&ports) {
            return Err(TakeoverError::Changed { tool });
        }
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
        Journal::put_aside(self.paths, tool, &name)?;
        let aside = Journal::directory(self.paths, tool).with_file_name(name);
        fs::remove_dir_all(&aside).map_err(io(Action::Remove, &aside))
    }

    /// Holds the ports again after an interruption, and notes what passed meanwhile.
    fn read_again(&mut self, tool: Tool, journal: &mut Journal) -> Result<(), TakeoverError> {
        let table = self.nftables.read_other(tool.table())?;
        let handle = |table: &pm_nft::other::OtherTable| table.handle;
        let noted = journal.live.table.as_ref().map(handle);
        let still_counts = noted.is_some() && table.as_ref().map(handle) == noted;
        if self.nftables.passed()?.is_none() {
            // It was never held, the host was restarted, or pm had counted already.
            return Ok(());
        }
        self.nftables.hold_again(HOLD)?;
        if still_counts {
            // What was let pass is in the tool's own counters, too.
            let live = Live::read(tool, &mut self.nftables, &mut self.control)?;
            journal.live.table = live.table;
            journal.read = clock::now().unix();
        } else if let Some(passed) = self.nftables.passed()? {
            let key = |ports: PortRange| (ports.first(), ports.last());
            journal.passed = passed
                .into_iter()
                .map(|(ports, bytes)| (key(ports), bytes))
                .collect();
        }
        journal.save(self.paths, tool)
    }

    /// Does all that is left to do from [`Step::Read`] on.
    fn finish(
        &mut self,
        engine: &mut Pm,
        imported: Imported,
        mut journal: Journal,
        held: Option<Locks>,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<Outcome, TakeoverError> {
        let tool = imported.tool;
        let backup = Journal::backup(self.paths, tool);
        let mut adopted = Adopted::default();
        if journal.step == Step::Read {
            // They are in the way of pm's own limits, and of pm.sh's table and file there can be only one.
            for root in &journal.live.roots {
                self.control.delete_other(root)?;
            }
            if tool == Tool::PmSh {
                self.delete_table(&journal)?;
                self.remove_configuration(&journal)?;
            }
            let present = self.config(tool)?;
            adopted = adopt::adopt(engine, &present, &imported, &journal.answers)?;
            self.delete_table(&journal)?;
            self.nftables.release()?;
            journal.step = Step::Adopted;
            journal.save(self.paths, tool)?;
        }
        progress(Stage::Clearing);
        // They are in the tool's directory.
        drop(held);
        let mut left = Vec::new();
        if journal.step == Step::Adopted {
            left = self.clear(tool, &journal);
            if left.is_empty() {
                journal.step = Step::Done;
                journal.save(self.paths, tool)?;
            }
        }
        Ok(Outcome {
            imported,
            adopted,
            backup: backup.kept(Path::new("/")),
            left,
        })
    }

    fn delete_table(&mut self, journal: &Journal) -> Result<(), TakeoverError> {
        if let Some(table) = &journal.live.table {
            self.nftables.delete_other(table)?;
        }
        Ok(())
    }

    /// Removes pm.sh's configuration, in whose place pm's comes; there is a copy.
    fn remove_configuration(&self, journal: &Journal) -> Result<(), TakeoverError> {
        let path = journal.directory.join("config.json");
        let text = self.root.text(&path);
        let is_in_the_way = self.root.join(&path) == self.paths.config_file();
        if is_in_the_way && self.root.has_file(&path) && !has_schema(&text) {
            fs::remove_file(self.root.join(&path)).map_err(io(Action::Remove, &path))?;
        }
        Ok(())
    }

    /// Takes away what the tool left lying about; what cannot be taken away keeps nothing else.
    fn clear(&self, tool: Tool, journal: &Journal) -> Vec<TakeoverError> {
        let mut errors = Vec::new();
        let backup = Journal::backup(self.paths, tool);
        let keeps_ours = |path: &Path| {
            self.root.join(path) == self.paths.config_file() && has_schema(&self.root.text(path))
        };
        errors.extend(backup.remove_originals(self.root, &keeps_ours).err());
        // Of a takeover that died, too.
        locks::clear_stale(self.root, tool, &journal.directory);
        if journal.directory == Path::new(tool.directory()) && tool != Tool::PmSh {
            // Where somebody else has put something, it stays.
            let _ = fs::remove_dir(self.root.join(&journal.directory));
        }
        for path in Estate::leftovers(tool) {
            if let Err(error) = fs::remove_file(self.root.join(&path))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                errors.push(io(Action::Remove, &path)(error));
            }
        }
        errors
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

/// Whether a configuration is pm's own.
fn has_schema(text: &str) -> bool {
    text.contains("\"schema\"") && !old_tools::is_pm_shs(text)
}

fn note_services(journal: &mut Journal, imported: &Imported) {
    let services = imported.services.keys();
    journal.services = services
        .map(|ports| (ports.first(), ports.last()))
        .collect();
    journal.groups = imported.groups.keys().map(ToString::to_string).collect();
}

/// Adds what passed while a takeover was interrupted.
fn add_passed(imported: &mut Imported, journal: &Journal) {
    for (&(first, last), &(incoming, outgoing)) in &journal.passed {
        let Ok(ports) = PortRange::new(first, last) else {
            continue;
        };
        let Some(found) = imported.services.get_mut(&ports) else {
            continue;
        };
        let more = |usage: &mut Usage| {
            usage.incoming = usage.incoming.saturating_add(incoming);
            usage.outgoing = usage.outgoing.saturating_add(outgoing);
        };
        more(&mut found.books.usage);
        if let Some(group) = &found.service.group
            && let Some(group) = imported.groups.get_mut(group)
        {
            more(&mut group.books.usage);
        }
    }
}
