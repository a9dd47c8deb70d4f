//! The traffic-control side of pm: what a shape is in rtnetlink messages, and back.
//!
//! A shaped interface has pm's HTB as its root, `706d:`, and under it one class per rate, each
//! with a leaf that keeps its queue short, and a default class at a rate that nothing reaches
//! for all other traffic, whose leaf is the host's own qdisc.
//!
//! - [`plan`] and [`withdraw`] turn what was found and what is wanted into ordered [`Request`]s.
//!   Pure. Traffic control has no transactions: after each of them traffic flows, and planning
//!   again from there leads to the same end.
//! - [`HostQdisc`] is what stood there before, to be recorded by the caller and put back.
//! - [`TrafficControl`] does all the I/O.
//!
//! No `tc` process runs; `tc` is the tests' judge.

mod backend;
mod class;
mod error;
mod filter;
// Headers are in the machine's byte order, and the captures are from x86.
#[cfg(test)]
#[cfg(target_endian = "little")]
mod golden;
mod hex;
mod host;
mod installed;
mod message;
pub mod other;
mod plan;
mod qdisc;
mod rate;
mod route;
mod shaper;

pub use backend::TrafficControl;
pub use class::ClassShape;
pub use error::Error;
pub use host::{HostChild, HostQdisc};
pub use installed::{Installed, InstalledClass, InstalledFilter, Interface, Root, Tree};
pub use plan::{Kernel, Request, Shape, ShapeError, plan, withdraw};
pub use pm_core::shaping::{CLASS_MAJOR, Classifier, DEFAULT_MINOR, MarkField};
pub use qdisc::Qdisc;
pub use rate::Psched;

/// Returns the class id of `minor` in pm's tree, as in a packet's priority.
///
/// Source: `include/uapi/linux/pkt_sched.h`, `TC_H_MAKE`.
///
/// # Examples
///
/// ```
/// assert_eq!(pm_tc::class_id(0x10), 0x706d_0010);
/// ```
pub const fn class_id(minor: u16) -> u32 {
    (CLASS_MAJOR as u32) << 16 | minor as u32
}
