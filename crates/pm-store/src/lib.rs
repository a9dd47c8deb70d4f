//! What pm keeps on disk: the configuration, the run-time state and the locks.
//!
//! - [`config_file`]: what the operator wants, replaced whole and with its last versions kept.
//! - [`state_db`]: what happened, saved in one transaction a tick.
//! - [`history`]: what was used by day and by period, saved in the same transaction.
//! - [`news`]: what is to be told, saved in the same transaction, until it is copied to the outbox.
//! - [`outbox_db`]: what waits to be sent.
//! - [`locks`]: who may change what.
//! - [`log_file`]: what ticks say, on a host without a journal.
//! - [`archive_file`]: files that the operator names.
//! - [`rollback`]: a copy of it all, for as long as a new pm is tried.
//!
//! Nothing here knows the kernel, the clock or what the numbers mean.

pub mod action;
pub mod archive_file;
pub mod backups;
pub mod config_file;
pub mod error;
mod files;
pub mod history;
pub mod locks;
pub mod log_file;
mod migrations;
pub mod news;
pub mod outbox_db;
pub mod paths;
pub mod rollback;
mod rows;
pub mod state_db;

pub use error::StoreError;
pub use files::{gone_is_fine, without_path};
pub use paths::Paths;
