//! The rules of pm, a per-port traffic manager, without any I/O.
//!
//! Clock, files and kernel are arguments here: see [`backend`] for what the kernel must offer.

pub mod backend;
pub mod port;
pub mod ruleset;
#[cfg(any(test, feature = "strategies"))]
pub mod strategies;
