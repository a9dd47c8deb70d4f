//! Sending what waits in the outbox: `pm deliver`.
//!
//! - It knows the outbox and nothing else of pm's: no configuration, no usage, no kernel.
//! - A thread a channel: one that nobody answers delays no other.
//! - In order, one at a time. What fails is tried again after 10 s, 20 s, … 15 min, or when its
//!   server says; what nobody took for a day is given up, and a note says how many, also where
//!   nothing else waits.
//! - An attempt is noted before it is made, and what was delivered before the next is sent. Who dies
//!   between the server's answer and that note has that one message sent twice; who cannot note
//!   anything sends nothing.
//! - What a server is known to say of a message itself ends that one, and delays no other.
//! - A clock that jumps, or a host that was off, does no more than to have it tried earlier or later:
//!   a channel is given up on only after a day in which it was tried all the time.
//! - It ends by itself: what is left waits for the next tick.

mod channel;
mod push;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::prctl::set_no_new_privs;
use pm_core::calendar::Timestamp;
use pm_core::config::ChannelName;
use pm_store::outbox_db::{LONGEST_AHEAD, OutboxDb};

use crate::outbox::{answer, become_owner, is_woken};
use crate::{EngineError, clock};

/// For how long it stays for what is due a little later.
const PATIENCE: Duration = Duration::from_secs(50);

/// How long whoever has the lock may take to see that he was woken. He is slower only while he waits
/// for a busy outbox, and looks into it afterwards, called or not.
const HANDOVER: Duration = Duration::from_secs(1);

/// How often it looks whether there is more to do, or nothing any more.
const LOOK: Duration = Duration::from_millis(100);

/// How long it sleeps before it looks whether something else is to be done by now.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The first wait after a failure, in seconds.
const FIRST_WAIT: i64 = 10;

/// The longest wait, in seconds.
const LONGEST_WAIT: i64 = 15 * 60;

/// For how long it sends: whoever started it ends it after 15 min, in the middle of a message.
const MOST: Duration = Duration::from_secs(10 * 60);

/// Until when something goes on.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Until when it waits for what is due later.
    end: Instant,
    /// From when on nothing more is sent.
    last: Instant,
}

/// Delivers what is due in the outbox at `directory`, as the user whose that is. Where another
/// process is at it, that one does it.
///
/// # Errors
///
/// `NoOutbox`, `NotStarted`, `Outbox`; the next tick tries again.
pub fn deliver(directory: &Path) -> Result<(), EngineError> {
    let done = become_owner(directory)
        .and_then(|()| set_no_new_privs().map_err(|errno| EngineError::NotStarted(errno.into())))
        .and_then(|()| deliver_in_turn(directory));
    if done.is_err() && !answer(directory) && is_woken(directory) {
        // A unit that watches the call, which cannot be answered, starts this again at once.
        thread::sleep(PATIENCE);
    }
    done
}

fn deliver_in_turn(directory: &Path) -> Result<(), EngineError> {
    let began = Instant::now();
    let limits = Limits {
        end: began + PATIENCE,
        last: began + MOST,
    };
    while let Some(lock) = take(directory, HANDOVER)? {
        deliver_all(directory, limits)?;
        drop(lock);
        // Whoever was started just before that found it held, and may have gone.
        if Instant::now() > limits.end || !is_woken(directory) {
            break;
        }
    }
    Ok(())
}

/// Takes the lock of who delivers. `None`: another one has it, and knows that there is more to do,
/// or does not answer; who is woken is not to be woken for ever.
fn take(directory: &Path, patience: Duration) -> Result<Option<Flock<File>>, EngineError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join("deliver.lock"))
        .map_err(EngineError::NotStarted)?;
    let end = Instant::now() + patience;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err(_) if !is_woken(directory) => return Ok(None),
            // He looks for it often, unless he has just looked for the last time.
            Err((back, _)) if Instant::now() < end => file = back,
            Err(_) => {
                answer(directory);
                return Ok(None);
            }
        }
        thread::sleep(LOOK);
    }
}

/// Delivers what is due, and what comes meanwhile, until nothing is, within the limits.
fn deliver_all(directory: &Path, limits: Limits) -> Result<(), EngineError> {
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
                    Some(name) => channel::deliver(directory, &name, limits),
                    None => push::deliver(directory, limits),
                });
                running.insert(one, thread);
            }
            if running.is_empty() && (Instant::now() > limits.end || !is_woken(directory)) {
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
    let wait = doubled.min(LONGEST_WAIT).max(asked.min(LONGEST_AHEAD));
    Timestamp::from_unix(now.unix().saturating_add(wait))
}

/// Returns how long it is until `next_try`; `None`: it is time.
fn left(next_try: i64) -> Option<Duration> {
    let left = next_try.saturating_sub(clock::now().unix());
    // Nothing waits longer, unless the clock was ahead.
    let is_ahead = (1..=LONGEST_AHEAD).contains(&left);
    is_ahead.then(|| Duration::from_secs(left.unsigned_abs()))
}

impl Limits {
    /// Waits for what is due in so long, where that is before the end, but not longer than somebody
    /// may who has changed that; returns whether it did.
    fn wait(self, left: Duration) -> bool {
        let is_before = Instant::now() + left <= self.end;
        if is_before {
            thread::sleep(left.min(LONGEST_SLEEP));
        }
        is_before
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.last
    }
}

#[cfg(test)]
mod tests;
