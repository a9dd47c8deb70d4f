//! What pm's users come from: the files of pm.sh, port-traffic-dog and traffic-dog, and what they
//! mean to pm.
//!
//! Text and figures in, plain data out; the caller finds the files, reads the kernel and carries
//! out what [`Imported`] says.
//!
//! - Nothing that is read is ever executed. A state file is shell to the tool that wrote it; here
//!   only lines of the form `name=value` count, of known names and values that cannot be more.
//! - Nothing is guessed in silence: whatever is not taken over as it stood is a [`Doubt`].
//! - Sizes keep their old meaning: what those tools call GB is GiB.
//!
//! # Examples
//!
//! ```
//! use pm_core::calendar::{Timestamp, Zone};
//! use pm_legacy::{Context, Files, Kernel, Tool, read};
//!
//! let mut files = Files::default();
//! let config = r#"{"ports":{"20000":{"quota_gb":5,"stats":{"acc_in":1,"acc_out":2}}}}"#;
//! files.insert("config.json", config);
//! let (now, zone) = (Timestamp::from_unix(1_772_000_000), Zone::utc());
//! let context = Context { now, zone: &zone, accounting: None };
//! let imported = read(Tool::PmSh, &files, &Kernel::default(), &context)?;
//! let taken_over = &imported.services[&"20000".parse()?];
//! assert_eq!(taken_over.service.quota.map(|quota| quota.bytes()), Some(5 << 30));
//! assert_eq!(taken_over.books.usage.outgoing, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounting;
mod adoption;
mod dog;
pub mod doubt;
mod entries;
pub mod imported;
mod json;
mod messages;
mod pm_sh;
mod source;
mod takeover;
mod text;
mod traffic_dog;
mod values;
mod zone;

pub use accounting::Accounting;
pub use doubt::{Doubt, Setting, Subject, Trouble};
pub use imported::{Books, Imported, ImportedGroup, ImportedService, Overuse};
pub use messages::Messages;
pub use source::{
    Context, Counter, Files, Foreign, Kernel, MAX_FILE_BYTES, Quota, Refusal, Table, Tool,
};
pub use takeover::counted_since;

/// Returns what a tool's files and its table in the kernel mean to pm.
///
/// Reading again what a takeover left half done gives the same, as long as files and figures are
/// the same: there is no clock and no chance here.
///
/// # Errors
///
/// [`Refusal`] when the tool's configuration is missing, is no configuration of its, or is damaged;
/// anything less is a [`Doubt`].
pub fn read(
    tool: Tool,
    files: &Files,
    kernel: &Kernel,
    context: &Context<'_>,
) -> Result<Imported, Refusal> {
    match tool {
        Tool::PmSh => pm_sh::read(files, kernel, context),
        Tool::Dog => dog::read(files, kernel, context),
        Tool::TrafficDog => traffic_dog::read(files, kernel, context),
    }
}
