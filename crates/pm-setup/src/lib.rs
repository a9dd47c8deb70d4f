//! How pm settles on a host and leaves it again.
//!
//! - [`host`] looks at a host and [`init`] decides from what it saw how pm's minute comes round there: pure.
//! - [`footprint`] is the one list of what is pm's on a host: files, links, a line in a crontab, a user, directories.
//!   Setup makes true what it says, uninstall removes it, and the doctor compares. The texts come from [`systemd`],
//!   [`cron`], [`openrc`] and [`sysvinit`]: pure.
//! - [`seal`] tells pm's files from those of others, and from its own that somebody has edited since. What pm did not
//!   write, it neither changes nor removes.
//! - [`apply`] and [`remove`] do the work, below any root directory. Each step can be done again, and what was done
//!   already is no error. [`record`] holds what uninstall could not see: how the host was before.
//! - [`activate`] starts and stops what was written, with the host's own tools; also where an earlier run wrote it and
//!   was interrupted before that.
//! - [`data`] is what pm keeps, of which only what is known by its name goes.
//!
//! Nothing here knows services, rules or the kernel.

pub mod activate;
pub mod apply;
pub mod check;
pub mod cron;
pub mod data;
pub mod error;
pub mod footprint;
pub mod host;
pub mod init;
pub mod old_tools;
pub mod openrc;
mod outbox;
pub mod predecessor;
pub mod program;
pub mod record;
pub mod remove;
pub mod root;
pub mod seal;
mod shell;
pub mod systemd;
pub mod sysvinit;
pub mod tools;
pub mod user;

pub use error::SetupError;
pub use footprint::{Footprint, Piece};
pub use host::Host;
pub use init::{Init, Schedule};
pub use root::Root;
