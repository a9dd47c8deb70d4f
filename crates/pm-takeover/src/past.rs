//! What pm had in its history of services and groups of the same names before a takeover: kept beside the journal, and put
//! back by whoever gives the tool its own back. Else everything of it would stand there twice after the next takeover.
//! Where the tool's configuration takes the place of pm's, all of pm's history makes way instead.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use pm_core::adoption::Books;
use pm_core::archive::Archive;
use pm_core::config::{Config, GroupName};
use pm_core::holder::Holder;
use pm_engine::clock;
use pm_legacy::Tool;
use pm_store::paths::Paths;
use pm_store::state_db::StateDb;

use crate::backup;
use crate::error::{Action, TakeoverError, io};
use crate::journal::Journal;

/// The file, as an archive without configuration and usage.
const FILE: &str = "history.archive";

/// Keeps the history of the services and groups that `journal` names.
///
/// # Errors
///
/// As the database and the system say; nothing has changed.
pub(crate) fn keep(paths: &Paths, tool: Tool, journal: &Journal) -> Result<(), TakeoverError> {
    let mut books = Books::default();
    if let Some(db) = StateDb::open_read_only(paths)? {
        let ports: Vec<_> = journal.ports().collect();
        books.days = db.days(Some(&ports))?;
        books.closed = db.closed_periods(Some(&holders(journal, |_| true)))?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let archive = Archive::new(
        clock::now(),
        version,
        None,
        &Config::default(),
        false,
        books,
    );
    let path = path(paths, tool);
    let failed = |error: pm_core::archive::ArchiveError| {
        let error = std::io::Error::other(error);
        io(Action::Write, &path)(error)
    };
    backup::write(&path, &archive.encode().map_err(failed)?, 0o600)
}

/// Puts it back for those services and groups of `journal` that `config` does not have.
///
/// # Errors
///
/// As the database and the system say, and where the file is damaged; the history is as it was.
pub(crate) fn put_back(
    paths: &Paths,
    tool: Tool,
    journal: &Journal,
    config: &Config,
) -> Result<(), TakeoverError> {
    let path = path(paths, tool);
    let books = match fs::read(&path) {
        Ok(bytes) => Archive::decode(&bytes).map(|archive| archive.books),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Books::default()),
        Err(error) => return Err(io(Action::Read, &path)(error)),
    };
    let books = books.map_err(|error| io(Action::Read, &path)(std::io::Error::other(error)))?;
    let is_gone = |holder: &Holder| match holder {
        Holder::Service(ports) => !config.services.contains_key(ports),
        Holder::Group(name) => !config.groups.contains_key(name),
    };
    let gone = holders(journal, is_gone);
    let of_gone = |holder: &Holder| gone.contains(holder);
    let (mut days, mut closed) = (books.days, books.closed);
    days.retain(|day| of_gone(&Holder::Service(day.ports)));
    closed.retain(|period| of_gone(&period.holder));
    StateDb::open(paths)?.put_history_back(&gone, &days, &closed)?;
    Ok(())
}

fn path(paths: &Paths, tool: Tool) -> PathBuf {
    Journal::directory(paths, tool).join(FILE)
}

fn holders(journal: &Journal, is_meant: impl Fn(&Holder) -> bool) -> Vec<Holder> {
    let groups = journal.groups.iter();
    let groups = groups.filter_map(|name| name.parse::<GroupName>().ok());
    let services = journal.ports().map(Holder::Service);
    services
        .chain(groups.map(Holder::Group))
        .filter(is_meant)
        .collect()
}
