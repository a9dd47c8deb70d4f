//! An archive: configuration, usage, periods and history of one host in one file.
//!
//! - It is text: a line that says what it is, how long the rest is and what its SHA-256 is, and
//!   then one JSON document, so that it can be looked at (`tail -n +2 FILE | jq`). There is
//!   nothing to unpack, so no path in it, no link, and nothing that grows while it is read.
//! - It is checked whole before anybody uses any of it: length, hash, every value, and whether the
//!   configuration is one.
//! - A newer format is refused. In an older one, and in one that somebody wrote himself, sections
//!   may be missing: what is not known was not used.
//! - Secrets are in it only if they were asked for; see [`secrets`](self::held_back).

mod rows;
mod secrets;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::rows::Content;
use crate::adoption::Books;
use crate::calendar::Timestamp;
use crate::config::{Config, ConfigError};

pub use secrets::held_back;

/// The format this version reads and writes.
pub const FORMAT: u64 = 1;

/// The most bytes that an archive has.
pub const MAX_BYTES: usize = 256 << 20;

/// The most bytes that the first line has.
const MAX_HEAD: usize = 4096;

/// What an archive holds.
#[derive(Clone, Debug)]
pub struct Archive {
    /// When it was made, and up to when everything is counted.
    pub made: Timestamp,
    /// The version of the pm that made it.
    pub pm: String,
    /// The IANA name of the zone by whose dates it was counted; `None`: nobody knows.
    pub zone: Option<String>,
    /// What the operator wanted, perhaps without secrets.
    config: Value,
    /// What was used.
    pub books: Books,
}

/// Why a file is no archive that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is something else.
    #[error("it is not an archive of pm's")]
    NotOne,
    /// Made by a newer pm.
    #[error("it has format {0}, and this pm reads up to {FORMAT}: update pm")]
    Newer(u64),
    /// Too long to be looked at.
    #[error("it has more than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// Its end is missing.
    #[error("it is damaged: {found} of {wanted} bytes are there")]
    Truncated {
        /// How many bytes follow the first line.
        found: usize,
        /// How many must.
        wanted: u64,
    },
    /// Its bytes are not those that were written.
    #[error("it is damaged: its checksum does not fit")]
    Damaged,
    /// A value in it is none.
    #[error("line {line}: {reason}")]
    Invalid {
        /// 1-based, in the whole file.
        line: usize,
        /// What is wrong, in words.
        reason: String,
    },
    /// Usage of who is not in its configuration.
    #[error("it has the usage of {0}, which is not in its configuration")]
    Stranger(String),
    /// Its configuration.
    #[error("its configuration cannot be used: {0}")]
    Config(#[source] ConfigError),
}

/// The first line.
#[derive(Deserialize, Serialize)]
struct Head {
    pm_archive: u64,
    bytes: u64,
    sha256: String,
}

impl Archive {
    /// Returns an archive of `config` and what was used.
    pub fn new(
        made: Timestamp,
        pm: &str,
        zone: Option<String>,
        config: &Config,
        with_secrets: bool,
        books: Books,
    ) -> Self {
        let config = match with_secrets {
            true => serde_json::to_value(config).unwrap_or_default(),
            false => held_back(config),
        };
        Self {
            made,
            pm: pm.to_owned(),
            zone,
            config,
            books,
        }
    }

    /// Returns the file's content.
    ///
    /// # Errors
    ///
    /// `TooLarge`.
    pub fn encode(&self) -> Result<Vec<u8>, ArchiveError> {
        let content = Content::of(self);
        let mut body = serde_json::to_vec_pretty(&content).map_err(|error| invalid(&error))?;
        body.push(b'\n');
        let head = Head {
            pm_archive: FORMAT,
            bytes: body.len() as u64,
            sha256: hash(&body),
        };
        let mut bytes = serde_json::to_vec(&head).map_err(|error| invalid(&error))?;
        bytes.push(b'\n');
        bytes.append(&mut body);
        if bytes.len() > MAX_BYTES {
            return Err(ArchiveError::TooLarge);
        }
        Ok(bytes)
    }

    /// Returns what a file's content says.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`], but for what is wrong with the configuration.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArchiveError> {
        if bytes.len() > MAX_BYTES {
            return Err(ArchiveError::TooLarge);
        }
        let head = &bytes[..bytes.len().min(MAX_HEAD)];
        let end = head.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or(ArchiveError::NotOne)?;
        let head: Value =
            serde_json::from_slice(&bytes[..end]).map_err(|_| ArchiveError::NotOne)?;
        // A newer one may have another first line but for this.
        let format = head.get("pm_archive").and_then(Value::as_u64);
        match format {
            Some(format) if format > FORMAT => return Err(ArchiveError::Newer(format)),
            Some(format) if format > 0 => {}
            _ => return Err(ArchiveError::NotOne),
        }
        let head: Head = serde_json::from_value(head).map_err(|_| ArchiveError::NotOne)?;
        let body = &bytes[end + 1..];
        if (body.len() as u64) < head.bytes {
            return Err(ArchiveError::Truncated {
                found: body.len(),
                wanted: head.bytes,
            });
        }
        if body.len() as u64 != head.bytes || hash(body) != head.sha256 {
            return Err(ArchiveError::Damaged);
        }
        let content: Content = serde_json::from_slice(body).map_err(|error| invalid(&error))?;
        Ok(content.archive())
    }

    /// Returns the configuration for a host that has `present`, with the secrets that were held
    /// back and that it has itself for the same channel; and the names of channels, and `push`,
    /// that are left out, because it has none.
    ///
    /// The books are those of its services and groups then.
    ///
    /// # Errors
    ///
    /// `Config`, `Stranger`.
    pub fn config_for(&self, present: &Config) -> Result<(Config, Vec<String>), ArchiveError> {
        let (value, left_out) = secrets::filled_in(self.config.clone(), present);
        let text = serde_json::to_string_pretty(&value).map_err(|error| invalid(&error))?;
        let config = Config::parse(&text).map_err(ArchiveError::Config)?;
        let mut services = self.books.services.keys();
        if let Some(ports) = services.find(|ports| !config.services.contains_key(ports)) {
            return Err(ArchiveError::Stranger(ports.to_string()));
        }
        let mut groups = self.books.groups.keys();
        if let Some(name) = groups.find(|name| !config.groups.contains_key(*name)) {
            return Err(ArchiveError::Stranger(format!("group {name}")));
        }
        Ok((config, left_out))
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn invalid(error: &serde_json::Error) -> ArchiveError {
    let text = error.to_string();
    let reason = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(reason, _)| reason);
    ArchiveError::Invalid {
        // After the first line.
        line: error.line() + 1,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
