//! How much the outbox holds: so many messages, and so many bytes.
//!
//! What is done with goes first; then the oldest of the longest queue, until it is no longer than
//! the others. Whose messages are dropped is told how many they were.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use rusqlite::{Row, Transaction, params};

use super::{MOST_DONE, MOST_WAITING};

/// The most that tables and indexes take, in bytes: far less than what is opened, so that no file
/// of pm's own is ever taken for a damaged one.
const MOST_USED: u64 = 32 << 20;

/// A message that waits.
struct Queued {
    id: i64,
    bytes: u64,
}

/// Drops what is too much.
pub(super) fn keep_within(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    drop_done(transaction, MOST_DONE)?;
    let is_too_much = used(transaction)? > MOST_USED;
    if is_too_much {
        drop_done(transaction, 0)?;
    }
    let count: u32 =
        transaction.query_row("SELECT count(*) FROM message WHERE state = 0", [], |row| {
            row.get(0)
        })?;
    let excess = used(transaction)?.saturating_sub(MOST_USED);
    if count <= MOST_WAITING && excess == 0 {
        return Ok(());
    }
    let mut give_up = transaction.prepare("DELETE FROM message WHERE id = ?1")?;
    let mut note = transaction.prepare("UPDATE channel SET lost = lost + ?2 WHERE name = ?1")?;
    let dropped = surplus(
        queues(transaction)?,
        count.saturating_sub(MOST_WAITING),
        excess,
    );
    for (channel, ids) in dropped {
        for id in &ids {
            give_up.execute([id])?;
        }
        note.execute(params![
            channel,
            i64::try_from(ids.len()).unwrap_or(i64::MAX)
        ])?;
    }
    Ok(())
}

fn drop_done(transaction: &Transaction<'_>, most: u32) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached(
        "DELETE FROM message WHERE state != 0 AND id NOT IN
             (SELECT id FROM message WHERE state != 0 ORDER BY id DESC LIMIT ?1)",
    )?;
    delete.execute([most]).map(drop)
}

/// Returns how many bytes of the file hold something.
fn used(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let pragma = |name| transaction.pragma_query_value(None, name, |row| unsigned(row, 0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(pages.saturating_mul(pragma("page_size")?))
}

fn queues(transaction: &Transaction<'_>) -> rusqlite::Result<BTreeMap<String, VecDeque<Queued>>> {
    let mut select = transaction.prepare(
        "SELECT channel, id, octet_length(body) FROM message WHERE state = 0 ORDER BY id",
    )?;
    let mut rows = select.query([])?;
    let mut queues: BTreeMap<String, VecDeque<Queued>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, bytes) = (row.get(1)?, unsigned(row, 2)?);
        queues
            .entry(row.get(0)?)
            .or_default()
            .push_back(Queued { id, bytes });
    }
    Ok(queues)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// Returns what is dropped of each queue, so that there are at least `count` messages and `bytes`
/// less.
fn surplus(
    mut queues: BTreeMap<String, VecDeque<Queued>>,
    count: u32,
    bytes: u64,
) -> BTreeMap<String, Vec<i64>> {
    let (mut count, mut bytes) = (u64::from(count), bytes);
    let mut longest: BinaryHeap<(u64, String)> = queues
        .iter()
        .map(|(name, queue)| (size(queue), name.clone()))
        .collect();
    let mut dropped: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    while count > 0 || bytes > 0 {
        let Some((size, name)) = longest.pop() else {
            break;
        };
        let Some(first) = queues.get_mut(&name).and_then(VecDeque::pop_front) else {
            continue;
        };
        count = count.saturating_sub(1);
        bytes = bytes.saturating_sub(first.bytes);
        longest.push((size.saturating_sub(weight(&first)), name.clone()));
        dropped.entry(name).or_default().push(first.id);
    }
    dropped
}

fn size(queue: &VecDeque<Queued>) -> u64 {
    queue.iter().map(weight).sum()
}

/// Returns what a message weighs, in bytes: what surrounds a short one takes room, too.
fn weight(message: &Queued) -> u64 {
    message.bytes + 200
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The oldest go, no more of them than it takes, and no queue is cut that is shorter than
        /// one that is not.
        #[test]
        fn of_the_longest_queues_the_oldest_go(
            lengths in prop::collection::vec(0usize..60, 1..8),
            count in 0u32..200,
        ) {
            let mut id = 0;
            let queues = lengths.iter().enumerate().map(|(name, &length)| {
                let queue = (0..length).map(|_| {
                    id += 1;
                    Queued { id, bytes: 100 }
                });
                (name.to_string(), queue.collect::<VecDeque<_>>())
            });
            let queues: BTreeMap<_, _> = queues.collect();
            let first: BTreeMap<_, _> = queues
                .iter()
                .filter_map(|(name, queue)| Some((name.clone(), queue.front()?.id)))
                .collect();
            let all: usize = lengths.iter().sum();
            let dropped = surplus(queues, count, 0);
            let sum: usize = dropped.values().map(Vec::len).sum();
            prop_assert_eq!(sum, all.min(count as usize));
            let left = |name: usize| {
                lengths[name] - dropped.get(&name.to_string()).map_or(0, Vec::len)
            };
            let longest = (0..lengths.len()).map(left).max().unwrap();
            for (name, ids) in &dropped {
                let oldest: Vec<_> = (first[name]..).take(ids.len()).collect();
                prop_assert_eq!(ids, &oldest);
                prop_assert!(left(name.parse().unwrap()) + 1 >= longest);
            }
        }
    }
}
