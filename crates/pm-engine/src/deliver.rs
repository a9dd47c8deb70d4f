//! Sending what waits in the outbox: `pm deliver`.
//!
//! - It knows the outbox and nothing else of pm's: no configuration, no usage, no kernel.
//! - A thread a channel: one that nobody answers delays no other.
//! - In order, one at a time. What fails is tried again after 10 s, 20 s, … 15 min, or when its
//!   server says; what nobody took for a day is given up, and a message says how many.
//! - What was delivered is noted before the next is sent. Who dies between the server's answer and
//!   that note has that one message sent twice.
//! - A clock that jumps does no more than to try earlier or later.

mod channel;
mod push;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use pm_core::calendar::Timestamp;
use pm_core::config::ChannelName;
use pm_store::outbox_db::OutboxDb;

use crate::outbox::{answer, become_owner, is_woken};
use crate::{EngineError, clock};

/// For how long it stays for what is due a little later.
const PATIENCE: Duration = Duration::from_secs(50);

/// How often it looks whether there is more to do, or nothing any more.
const LOOK: Duration = Duration::from_millis(100);

/// The first wait after a failure, in seconds.
const FIRST_WAIT: i64 = 10;

/// The longest wait, in seconds.
const LONGEST_WAIT: i64 = 15 * 60;

/// The longest wait that a server may ask for, in seconds.
const LONGEST_ASKED: i64 = 60 * 60;

/// Delivers what is due in the outbox at `directory`, as the user whose that is. Returns at once
/// where another process is at it.
///
/// # Errors
///
/// `NoOutbox`, `Outbox`.
pub fn deliver(directory: &Path) -> Result<(), EngineError> {
    become_owner(directory)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join("deliver.lock"))
        .map_err(EngineError::NotStarted)?;
    let end = Instant::now() + PATIENCE;
    let mut lock = lock;
    loop {
        let Ok(held) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else {
            return Ok(());
        };
        deliver_until(directory, end)?;
        let Ok(released) = held.unlock() else {
            return Ok(());
        };
        lock = released;
        // Whoever was started just before that found it held, and went.
        if Instant::now() > end || !is_woken(directory) {
            return Ok(());
        }
    }
}

/// Delivers what is due, and what comes meanwhile, until nothing is, or `end`.
fn deliver_until(directory: &Path, end: Instant) -> Result<(), EngineError> {
    thread::scope(|scope| {
        let mut running: BTreeMap<Option<ChannelName>, ScopedJoinHandle<'_, _>> = BTreeMap::new();
        // Who is to be looked at once more: one at work may have looked before the message came.
        let mut owed = BTreeSet::new();
        let mut is_first = true;
        let mut done = Ok(());
        loop {
            if answer(directory) || is_first {
                is_first = false;
                let channels = OutboxDb::open_patiently(directory)?.channels()?;
                owed.extend(channels.into_iter().map(Some).chain([None]));
            }
            for (_, one) in running.extract_if(.., |_, one| one.is_finished()) {
                // A thread that panics has noted what it delivered.
                done = done.and(one.join().unwrap_or(Ok(())));
            }
            let free = owed.extract_if(.., |one| !running.contains_key(one));
            for one in free.collect::<Vec<_>>() {
                let name = one.clone();
                let thread = scope.spawn(move || match name {
                    Some(name) => channel::deliver(directory, &name, end),
                    None => push::deliver(directory, end),
                });
                running.insert(one, thread);
            }
            if running.is_empty() && (Instant::now() > end || !is_woken(directory)) {
                return done;
            }
            thread::sleep(LOOK);
        }
    })
}

/// Returns when it is tried again after so many failures in a row.
fn next_try(now: Timestamp, attempts: u32, asked: Option<Duration>) -> Timestamp {
    let doubled = FIRST_WAIT << attempts.min(16);
    let asked = asked.map_or(0, |asked| {
        i64::try_from(asked.as_secs()).unwrap_or(i64::MAX)
    });
    let wait = doubled.min(LONGEST_WAIT).max(asked.min(LONGEST_ASKED));
    Timestamp::from_unix(now.unix().saturating_add(wait))
}

/// Waits until `next_try`, where that is before `end`. Returns whether it is time.
fn wait_until(next_try: i64, end: Instant) -> bool {
    let wait = next_try.saturating_sub(clock::now().unix());
    // Nothing waits longer, unless the clock was ahead.
    if wait <= 0 || wait > LONGEST_ASKED {
        return true;
    }
    let wait = Duration::from_secs(wait.unsigned_abs());
    if Instant::now() + wait > end {
        return false;
    }
    thread::sleep(wait);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour_and_servers_may_ask_for_more() {
        let now = Timestamp::from_unix(1_000_000);
        let wait = |attempts, asked| next_try(now, attempts, asked).unix() - now.unix();
        let none: Vec<_> = (0..9).map(|attempts| wait(attempts, None)).collect();
        assert_eq!(none, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(wait(u32::MAX, None), 900);
        assert_eq!(wait(0, Some(Duration::from_secs(33))), 33);
        assert_eq!(wait(5, Some(Duration::from_secs(33))), 320);
        assert_eq!(wait(0, Some(Duration::MAX)), 3_600);
    }
}
