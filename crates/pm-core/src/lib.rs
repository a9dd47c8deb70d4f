//! The rules of pm, a per-port traffic manager, without any I/O.
//!
//! Clock, files and kernel are arguments here: see [`backend`] for what the kernel must offer.

pub mod adoption;
pub mod archive;
pub mod backend;
pub mod calendar;
pub mod cause;
pub mod comeback;
pub mod config;
pub mod dynqos;
pub mod event;
pub mod history;
pub mod holder;
mod in_order;
pub mod language;
pub mod ledger;
pub mod news;
pub mod notice;
pub mod plan;
pub mod port;
pub mod report;
pub mod request;
pub mod rooms;
pub mod ruleset;
pub mod secret;
pub mod shaping;
#[cfg(any(test, feature = "strategies"))]
pub mod strategies;
pub mod text;
pub mod tick;
pub mod units;
