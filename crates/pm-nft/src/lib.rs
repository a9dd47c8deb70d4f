//! The nftables side of pm: what a ruleset is in netlink messages, and back.
//!
//! Everything but [`Nftables`] is pure:
//!
//! - changes to messages: a file per kernel object ([`Nftables`] knows only the batches);
//! - dumps to an [`Installed`](pm_core::ruleset::Installed): each message is taken in as it
//!   comes, and all are added up at the end.

mod backend;
mod changes;
mod class;
mod element;
mod expr;
mod fields;
mod flowtable;
mod forward;
mod found;
mod frame;
// Headers are in the machine's byte order, and the captures are from x86.
#[cfg(test)]
#[cfg(target_endian = "little")]
mod golden;
pub mod hold;
mod host;
mod inspection;
mod limit;
mod object;
pub mod other;
mod room;
mod script;
mod totals;

pub use backend::Nftables;
