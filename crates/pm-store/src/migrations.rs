//! The schema of `state.db`, and how it came to be.
//!
//! Released migrations are never changed. A new one is added at the end, and all that are
//! missing run in one transaction.

use rusqlite::{Connection, Transaction};

/// Marks the file as pm's: `pmst`.
///
/// Source: <https://www.sqlite.org/fileformat.html#application_id>
pub(crate) const APPLICATION_ID: i64 = 0x706d_7374;

/// The schema this version reads and writes.
pub(crate) const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// What leads from each schema to the next.
const MIGRATIONS: [&str; 1] = [
    // `id` keeps both tables of settings at one row.
    //
    // 64-bit numbers without a sign are stored as the same 64 bits with one: see `rows`. Instants
    // are seconds since 1970, durations nanoseconds, dates `YYYY-MM-DD`.
    //
    // An event's number is never given twice: it is how a copy of it is known.
    // `ahead` says that `config.json` is to be as `text`, and may not be so yet.
    //
    // `day` is in the order of its key, so the rows that one tick adds to lie side by side.
    "
    CREATE TABLE tick (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        saves INTEGER NOT NULL,
        boot TEXT,
        netns TEXT,
        table_handle INTEGER,
        table_epoch TEXT,
        next_epoch TEXT NOT NULL,
        settled_at INTEGER,
        torn_down INTEGER NOT NULL,
        last_tick INTEGER,
        today TEXT,
        judged_at INTEGER,
        dnat INTEGER NOT NULL,
        has_nat INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE last_good_config (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        text TEXT NOT NULL,
        ahead INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE routed (
        first_port INTEGER NOT NULL,
        last_port INTEGER NOT NULL,
        PRIMARY KEY (first_port, last_port)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE ledger (
        first_port INTEGER NOT NULL,
        last_port INTEGER NOT NULL,
        total_in INTEGER NOT NULL,
        total_out INTEGER NOT NULL,
        used_in INTEGER NOT NULL,
        used_out INTEGER NOT NULL,
        adjust INTEGER NOT NULL,
        mode TEXT NOT NULL,
        factor_thousandths INTEGER NOT NULL,
        spent_mode TEXT,
        spent_allowance INTEGER,
        reset_policy TEXT NOT NULL,
        next_reset TEXT,
        began INTEGER,
        warned INTEGER NOT NULL,
        group_name TEXT,
        hog_sample INTEGER NOT NULL,
        hog_above INTEGER NOT NULL,
        hog_punished INTEGER,
        expired INTEGER NOT NULL,
        expiring TEXT,
        deleted INTEGER NOT NULL,
        PRIMARY KEY (first_port, last_port)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE room (
        first_port INTEGER NOT NULL,
        last_port INTEGER NOT NULL,
        variant TEXT NOT NULL,
        in_handle INTEGER,
        in_bytes INTEGER,
        out_handle INTEGER,
        out_bytes INTEGER,
        in_policed INTEGER,
        out_policed INTEGER,
        quota_holder TEXT,
        quota_variant TEXT,
        quota_mode TEXT,
        class_priority INTEGER,
        class_mark INTEGER,
        class_mask INTEGER,
        sound INTEGER NOT NULL,
        PRIMARY KEY (first_port, last_port, variant)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE group_account (
        name TEXT PRIMARY KEY,
        used_in INTEGER NOT NULL,
        used_out INTEGER NOT NULL,
        adjust INTEGER NOT NULL,
        mode TEXT NOT NULL,
        factor_thousandths INTEGER NOT NULL,
        spent_mode TEXT,
        spent_allowance INTEGER,
        reset_policy TEXT NOT NULL,
        next_reset TEXT,
        began INTEGER,
        warned INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE quota (
        name TEXT PRIMARY KEY,
        handle INTEGER,
        limit_bytes INTEGER,
        used_bytes INTEGER,
        counted INTEGER NOT NULL,
        sound INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE interface (
        name TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        idle_ticks INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE day (
        date TEXT NOT NULL,
        first_port INTEGER NOT NULL,
        last_port INTEGER NOT NULL,
        used_in INTEGER NOT NULL,
        used_out INTEGER NOT NULL,
        PRIMARY KEY (date, first_port, last_port)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE closed_period (
        id INTEGER PRIMARY KEY,
        holder TEXT NOT NULL,
        group_name TEXT,
        began INTEGER,
        ended INTEGER NOT NULL,
        why TEXT NOT NULL,
        used_in INTEGER NOT NULL,
        used_out INTEGER NOT NULL,
        mode TEXT NOT NULL,
        factor_thousandths INTEGER NOT NULL,
        adjust INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time INTEGER NOT NULL,
        what TEXT NOT NULL
    ) STRICT;

    CREATE TABLE report (
        channel TEXT PRIMARY KEY,
        due INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE trouble (
        channel TEXT PRIMARY KEY,
        since INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX closed_period_holder ON closed_period (holder);

    CREATE INDEX closed_period_group ON closed_period (group_name) WHERE group_name IS NOT NULL;
    ",
];

/// What a database is, by its own account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Identity {
    /// Nothing was ever put into it.
    Blank,
    /// pm's, of this schema.
    Pm(i64),
    /// Somebody else's.
    Foreign,
}

/// Returns what a database is.
pub(crate) fn identify(connection: &Connection) -> rusqlite::Result<Identity> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, schema) = (pragma("application_id")?, pragma("user_version")?);
    if application == APPLICATION_ID {
        return Ok(Identity::Pm(schema));
    }
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(if (application, schema, objects) == (0, 0, 0) {
        Identity::Blank
    } else {
        Identity::Foreign
    })
}

/// Brings a database of schema `from` up to date; 0 is a blank one.
pub(crate) fn migrate(transaction: &Transaction<'_>, from: i64) -> rusqlite::Result<()> {
    let from = usize::try_from(from).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(from) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA)
}
