//! Ctrl-C, the end of a terminal and a request to end, held back while a host is half taken over.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::TakeoverError;

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Signals that end nothing for now: whoever holds them asks, and puts back what he has begun. Threads that are begun
/// meanwhile hold them, too.
#[derive(Debug)]
pub struct Signals {
    arrived: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Holds them back, until it is dropped.
    ///
    /// # Errors
    ///
    /// `Signals`; they end this process as before then.
    pub fn hold() -> Result<Self, TakeoverError> {
        let failed = |error: nix::Error| TakeoverError::Signals(error.into());
        let all: SigSet = SIGNALS.into_iter().collect();
        let before = SigSet::thread_get_mask().map_err(failed)?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let arrived = SignalFd::with_flags(&all, flags).map_err(failed)?;
        all.thread_block().map_err(failed)?;
        Ok(Self { arrived, before })
    }

    /// Says whether to go on.
    ///
    /// # Errors
    ///
    /// `Interrupted`: one has arrived.
    pub fn check(&self) -> Result<(), TakeoverError> {
        match self.arrived.read_signal() {
            Ok(Some(_)) => Err(TakeoverError::Interrupted),
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // What came too late to stop anything ends nothing now, when it is done.
        while self.check().is_err() {}
        let _ = self.before.thread_set_mask();
    }
}
