//! What every table's writer needs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, Params};

/// Returns every key of either map, in order, with its value in each: one walk through both.
pub(super) fn pairs<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (Some((before, _)), Some((after, _))) => before.cmp(after),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let before = match order {
            Ordering::Greater => None,
            _ => old.next(),
        };
        let after = match order {
            Ordering::Less => None,
            _ => new.next(),
        };
        let (key, _) = after.or(before)?;
        Some((
            key,
            before.map(|(_, value)| value),
            after.map(|(_, value)| value),
        ))
    })
}

/// A statement that is prepared when it is first needed: most ticks need few.
pub(super) struct Statement<'c> {
    connection: &'c Connection,
    sql: &'static str,
    prepared: Option<CachedStatement<'c>>,
}

impl<'c> Statement<'c> {
    pub(super) fn new(connection: &'c Connection, sql: &'static str) -> Self {
        Self {
            connection,
            sql,
            prepared: None,
        }
    }

    /// Returns the number of rows that were written.
    pub(super) fn execute(&mut self, params: impl Params) -> rusqlite::Result<usize> {
        self.prepared()?.execute(params)
    }

    pub(super) fn prepared(&mut self) -> rusqlite::Result<&mut CachedStatement<'c>> {
        Ok(match &mut self.prepared {
            Some(prepared) => prepared,
            none => none.insert(self.connection.prepare_cached(self.sql)?),
        })
    }
}
