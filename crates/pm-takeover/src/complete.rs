//! From [`Step::Read`] on: to the end of a takeover, or on from where one died or failed.
//!
//! What fails lets everything pass, and what passes is counted all the same: by the tool's own table while that stands,
//! else by the table that holds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pm_core::calendar::Timestamp;
use pm_core::config::Config;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_engine::clock;
use pm_legacy::{Imported, Tool};
use pm_store::Paths;
use pm_store::locks::{Lock, LockKind};
use pm_store::state_db::StateDb;

use crate::adopt::Adopted;
use crate::error::{Action, TakeoverError, io};
use crate::estate::{Estate, read_files};
use crate::import::{HOLD, Outcome, Pm, Stage, Takeover, has_schema};
use crate::journal::{Journal, Step};
use crate::live::Live;
use crate::locks::{self, Locks};

impl Takeover<'_> {
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
    /// Anything: nothing is held, what passes is counted, and the same again goes on.
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
            Step::Read | Step::Adopted | Step::Done => {}
        }
        let mut imported = self.recall(tool, &journal)?;
        if journal.step == Step::Read {
            // A database that somebody died in is mended by who opens it to write, and by no one who only reads.
            drop(StateDb::open(self.paths)?);
            // Nobody is cut off for what would fail.
            self.rehearse(engine, &imported, &journal.answers)?;
            if let Err(error) = self.read_again(tool, &mut journal) {
                self.note_failure(tool, &mut journal);
                return Err(error);
            }
            imported = self.recall(tool, &journal)?;
        }
        self.finish(engine, imported, journal, None, progress)
            .map(Some)
    }

    /// Returns what was taken over, by the copy and the last figures of a takeover that died.
    pub(crate) fn recall(
        &mut self,
        tool: Tool,
        journal: &Journal,
    ) -> Result<Imported, TakeoverError> {
        let config = self.config(tool)?;
        self.recall_beside(&config, tool, journal)
    }

    /// The same, beside a configuration of pm's that is or was.
    pub(crate) fn recall_beside(
        &mut self,
        config: &Config,
        tool: Tool,
        journal: &Journal,
    ) -> Result<Imported, TakeoverError> {
        let backup = Journal::backup(self.paths, tool);
        let place = |path: &Path| backup.kept(path);
        let files = match journal.directory == Path::new(tool.directory()) {
            true => read_files(self.root, tool, &journal.directory, &place)?,
            false => read_files(self.root, tool, &journal.directory, &|path| {
                self.root.join(path)
            })?,
        };
        let read = Timestamp::from_unix(journal.read);
        let its = (tool, &files, &journal.live);
        let mut imported = self.understood_beside(config, its, &journal.answers, read)?;
        add_passed(&mut imported, journal);
        Ok(imported)
    }

    /// Holds the ports again after an interruption, and notes what passed meanwhile.
    pub(crate) fn read_again(
        &mut self,
        tool: Tool,
        journal: &mut Journal,
    ) -> Result<(), TakeoverError> {
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

    /// Does all that is left to do from [`Step::Read`] on. What fails lets everything pass.
    pub(crate) fn finish(
        &mut self,
        engine: &mut Pm,
        mut imported: Imported,
        mut journal: Journal,
        held: Option<Locks>,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<Outcome, TakeoverError> {
        let tool = imported.tool;
        let backup = Journal::backup(self.paths, tool);
        let mut adopted = Adopted::default();
        if journal.step == Step::Read {
            match self.change_hands(engine, &mut imported, &journal) {
                Ok(done) => adopted = done,
                Err(error) => {
                    self.note_failure(tool, &mut journal);
                    return Err(error);
                }
            }
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

    /// Takes the tool's rules out and puts pm's in.
    fn change_hands(
        &mut self,
        engine: &mut Pm,
        imported: &mut Imported,
        journal: &Journal,
    ) -> Result<Adopted, TakeoverError> {
        // They are in the way of pm's own limits, and of pm.sh's table and file there can be only one.
        for root in &journal.live.roots {
            self.control.delete_other(root)?;
        }
        if imported.tool == Tool::PmSh {
            self.delete_table(journal)?;
            self.remove_configuration(journal)?;
        }
        let adopted = self.adopt(engine, imported, &journal.answers)?;
        self.delete_table(journal)?;
        self.nftables.release()?;
        Ok(adopted)
    }

    /// Lets everything pass, and notes when it failed: whoever tries by himself waits for a while then.
    fn note_failure(&mut self, tool: Tool, journal: &mut Journal) {
        journal.failed = Some(clock::now().unix());
        // Why it failed matters more than that this did; the kernel lets go by itself.
        if let Err(error) = self.nftables.let_pass() {
            tracing::debug!("{error}");
        }
        if let Err(error) = journal.save(self.paths, tool) {
            tracing::debug!("{error}");
        }
    }

    /// Deletes the tool's table, and no other: numbers of tables begin anew when the host is restarted.
    pub(crate) fn delete_table(&mut self, journal: &Journal) -> Result<(), TakeoverError> {
        let Some(table) = &journal.live.table else {
            return Ok(());
        };
        let found = self.nftables.read_other(&table.name)?;
        let is_it = |found: &pm_nft::other::OtherTable| {
            found.handle == table.handle && found.counters.keys().eq(table.counters.keys())
        };
        if found.as_ref().is_some_and(is_it) {
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
