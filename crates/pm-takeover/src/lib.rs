//! Taking a host over from the tools that pm's users come from, under traffic, and giving it back.
//!
//! - [`estate`] finds what of a tool's is on the host, [`live`] what it has in the kernel; both change nothing.
//! - [`import`] takes over: its module says in what order, and why nothing is lost or counted twice. [`undo`] gives back.
//!   Its end, and what becomes of one that died or failed, is in `complete`; what is tried before anything goes, in
//!   `rehearsal`.
//! - [`journal`] and [`backup`] are what a takeover that died is completed, or taken back, from.
//! - What a tool's files mean is `pm-legacy`'s to say, what pm makes of it `pm-engine`'s.
//!
//! Nothing that a tool wrote is ever executed, and no process of its is ended: its locks are waited for.

mod adopt;
pub mod backup;
mod complete;
pub mod cron;
mod error;
pub mod estate;
mod give_back;
pub mod import;
pub mod journal;
pub mod live;
pub mod locks;
mod ordered;
mod past;
mod rehearsal;
pub mod signals;
pub mod undo;

pub use adopt::Adopted;
pub use error::{Action, TakeoverError, list as ports};
pub use estate::Estate;
pub use import::{Outcome, Pm, Seen, Stage, Takeover};
pub use journal::{Answers, Journal, Step};
pub use live::Live;
pub use signals::Signals;
pub use undo::{Program, Returned};
