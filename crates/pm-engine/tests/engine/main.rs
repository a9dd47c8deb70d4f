//! The engine on real files and a kernel in memory: what it promises whatever dies, fails or
//! meddles meanwhile.

#![allow(clippy::panic, clippy::unwrap_used)]

mod accounting;
mod backend;
mod events;
mod host;
mod kernel;
mod lost_state;
mod quota;
mod refusal;
mod requests;
mod used;
