//! How pm renews itself.
//!
//! Pure, and therefore tested without a network or a disk:
//!
//! - [`manifest`]: what a release consists of, as the signed file says it.
//! - [`signature`]: whether that file is from who may make releases.
//! - [`target`]: for which machines a program is.
//! - [`offer`]: whether a release is for this pm.
//! - [`proxy`]: which proxy the environment wants the download to go through.
//!
//! What touches the host:
//!
//! - [`fetch`]: the download, held to the size and the hash of the manifest; [`release`]: the manifest itself.
//! - [`trial`]: the new program at work, before it takes the old one's place.
//! - [`install`]: the order of it all, so that whoever dies in the middle leaves a pm that works.
//!
//! Nothing here knows the kernel, and nothing is believed before its signature was checked.

pub mod digest;
pub mod error;
pub mod fetch;
pub mod install;
pub mod manifest;
pub mod offer;
pub mod proxy;
pub mod release;
pub mod signature;
pub mod target;
pub mod trial;

pub use error::UpdateError;
pub use semver::Version;
