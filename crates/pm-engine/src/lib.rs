//! Composes the parts of pm: the tick, the execution of requests, restore and doctor.
//!
//! Every operation is a few rounds of the same: read the kernel, account for what was read, save,
//! plan, apply. [`session`] holds that loop, [`shaping`] what comes after it; the others differ in what they do before and after.

mod archive;
pub mod clock;
mod deliver;
pub mod doctor;
mod errand;
mod error;
mod execute;
mod history;
pub mod host;
mod lifecycle;
pub mod listeners;
mod outbox;
mod past;
mod replaced;
mod session;
mod shaping;
pub mod ssh;
mod tick;
mod view;
mod voice;

pub use archive::is_empty;
pub use clock::zone as zone_of;
pub use deliver::deliver;
pub use errand::{do_errand, find_chats};
pub use error::EngineError;
pub use execute::{Executed, Options, Seen};
pub use history::{By, History, Whose};
pub use lifecycle::Moved;
pub use past::{Past, PastVersion};
pub use replaced::{Change, Replaced};
pub use tick::Ticked;
pub use view::View;
pub use voice::{recent, standing, try_channel, zone};

use pm_core::backend::{Netfilter, Shaper};
use pm_store::locks::Lock;
use pm_store::paths::Paths;

/// pm on one host.
///
/// Every method takes the locks it needs, and leaves configuration and usage as they were where
/// it fails before its first save.
#[derive(Debug)]
pub struct Engine<N, S> {
    paths: Paths,
    netfilter: N,
    shaper: S,
    /// The tick lock, where it is held already.
    tick: Option<Lock>,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Returns pm with its files at `paths`, its rules in `netfilter` and its classes in `shaper`.
    pub fn new(paths: Paths, netfilter: N, shaper: S) -> Self {
        Self {
            paths,
            netfilter,
            shaper,
            tick: None,
        }
    }

    /// Lets the next tick go without taking the tick lock: `lock` is that one.
    pub fn holding(mut self, lock: Lock) -> Self {
        self.tick = Some(lock);
        self
    }

    /// Returns where its files are.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }
}
