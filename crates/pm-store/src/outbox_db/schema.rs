//! The outbox's tables, which are exactly these.

use rusqlite::Connection;

/// Marks the file as pm's outbox: `pmob`.
const APPLICATION_ID: i64 = 0x706d_6f62;

/// One that is of another schema is put aside: what waits in it would be lost, so a release that
/// changes this brings its own way over.
const SCHEMA: i64 = 1;

/// What is made, as SQLite keeps it: it notes the words after `CREATE TABLE` as they were written.
///
/// Of a channel, `name` and `settings` are the tick's, the rest is the delivering side's. Of a
/// message, `state`, `attempts`, `done` and `answer` are the delivering side's: 0 waits, 1 is
/// delivered, 2 was given up. A channel has `tried_for` so many seconds in vain, up to when it
/// `failed` last. What is long comes last: it is not read where it is not wanted.
/// Instants are seconds since 1970.
const OBJECTS: [(&str, &str); 4] = [
    (
        "channel",
        "CREATE TABLE channel (name TEXT PRIMARY KEY, settings TEXT NOT NULL, \
         attempts INTEGER NOT NULL, next_try INTEGER NOT NULL, failing_since INTEGER, \
         failed INTEGER, tried_for INTEGER NOT NULL DEFAULT 0, error TEXT, moved_to TEXT, lost INTEGER NOT NULL, delivered INTEGER) STRICT, WITHOUT ROWID",
    ),
    (
        "message",
        "CREATE TABLE message (id INTEGER PRIMARY KEY, event INTEGER NOT NULL, \
         time INTEGER NOT NULL, channel TEXT NOT NULL, part INTEGER NOT NULL, \
         report INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL, done INTEGER, \
         answer TEXT, body TEXT NOT NULL, UNIQUE (event, time, channel, part)) STRICT",
    ),
    (
        "push",
        "CREATE TABLE push (id INTEGER PRIMARY KEY CHECK (id = 1), settings TEXT NOT NULL, \
         body TEXT NOT NULL, made INTEGER NOT NULL, sent INTEGER, attempts INTEGER NOT NULL, \
         next_try INTEGER NOT NULL, failing_since INTEGER, error TEXT) STRICT",
    ),
    (
        "waiting",
        "CREATE INDEX waiting ON message (channel, id) WHERE state = 0",
    ),
];

pub(super) fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(objects == 0)
}

pub(super) fn make(connection: &Connection) -> rusqlite::Result<()> {
    for (_, sql) in OBJECTS {
        connection.execute(sql, [])?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", SCHEMA)
}

/// Returns what about the file is not as [`make`] leaves it.
pub(super) fn fault(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if (pragma("application_id")?, pragma("user_version")?) != (APPLICATION_ID, SCHEMA) {
        return Ok(Some("it is another program's, or another version's"));
    }
    // Indexes that SQLite makes itself have no text.
    let mut select = connection.prepare(
        "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name LIMIT 10",
    )?;
    let found = select.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let found: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
    let found = found.iter().map(|(name, sql)| (&**name, &**sql));
    Ok(match found.eq(OBJECTS) {
        true => None,
        false => Some("its tables are not pm's"),
    })
}
