//! A release at its source: believed first, then read.

use crate::error::UpdateError;
use crate::fetch::Source;
use crate::manifest::{self, Manifest};
use crate::signature::{self, Keys, SignatureError};

/// Downloads the manifest and its signature, and returns what it says.
///
/// # Errors
///
/// `Fetch`; `Untrusted` before a word of it is read; `Manifest`.
pub fn newest(source: &Source, keys: &Keys) -> Result<Manifest, UpdateError> {
    let text = source.small(manifest::FILE_NAME, manifest::MAX_BYTES)?;
    let signature = source.small(manifest::SIGNATURE_NAME, signature::MAX_BYTES)?;
    read(&text, &signature, keys).map_err(|error| match error {
        Unread::Untrusted(why) => UpdateError::Untrusted {
            from: source.to_string(),
            why,
        },
        Unread::Manifest(why) => why.into(),
    })
}

/// Why a manifest is of no use.
enum Unread {
    Untrusted(SignatureError),
    Manifest(manifest::ManifestError),
}

fn read(text: &[u8], signature: &[u8], keys: &Keys) -> Result<Manifest, Unread> {
    let untrusted = |_| Unread::Untrusted(SignatureError::Malformed);
    let signature = str::from_utf8(signature).map_err(untrusted)?;
    keys.verify(text, signature).map_err(Unread::Untrusted)?;
    let text = str::from_utf8(text);
    let text = text.map_err(|_| Unread::Manifest(manifest::ManifestError::NotARelease))?;
    Manifest::parse(text).map_err(Unread::Manifest)
}
