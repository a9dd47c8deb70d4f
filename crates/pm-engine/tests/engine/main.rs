//! The engine on real files and a kernel in memory: what it promises whatever dies, fails or
//! meddles meanwhile.

#![allow(clippy::large_enum_variant, clippy::panic, clippy::unwrap_used)]

mod accounting;
mod adopt;
mod backend;
mod books;
mod doctor;
mod dry_run;
mod events;
mod forwarding;
mod groups;
mod history;
mod host;
mod kernel;
mod lost_state;
mod past;
mod punishment;
mod quota;
mod refusal;
mod requests;
mod scope;
mod shaping;
mod shut;
mod task;
mod tc;
mod used;
