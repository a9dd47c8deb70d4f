//! Composes the parts of pm: the tick, the execution of requests, restore and doctor.
//!
//! Every operation is a few rounds of the same: read the kernel, account for what was read, save,
//! plan, apply. [`session`] holds that loop; the others differ in what they do before and after.

mod clock;
pub mod doctor;
mod error;
mod execute;
pub mod host;
mod lifecycle;
mod session;
pub mod ssh;
mod tick;
mod view;

pub use error::EngineError;
pub use execute::{Executed, Options};
pub use lifecycle::Moved;
pub use tick::Ticked;
pub use view::View;

use pm_core::backend::Netfilter;
use pm_store::paths::Paths;

/// pm on one host.
///
/// Every method takes the locks it needs, and leaves configuration and usage as they were where
/// it fails before its first save.
#[derive(Debug)]
pub struct Engine<N> {
    paths: Paths,
    netfilter: N,
}

impl<N: Netfilter> Engine<N> {
    /// Returns pm with its files at `paths` and its rules in `netfilter`.
    pub fn new(paths: Paths, netfilter: N) -> Self {
        Self { paths, netfilter }
    }

    /// Returns where its files are.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }
}
