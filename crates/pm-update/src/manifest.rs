//! What a release consists of: the signed file `pm-release.txt`.
//!
//! ```text
//! pm-release 1
//! version 0.2.0
//! minimum 0.1.0
//! program x86_64-unknown-linux-musl 6291456 ba78…15ad pm-0.2.0-x86_64-unknown-linux-musl
//! ```
//!
//! - Lines of words, so that `install.sh` reads the very file that was signed with `read`, on a
//!   host that has no JSON parser.
//! - A line that begins with an unknown word is passed over: later releases may say more. A
//!   first line with another number is another format, and refused.
//! - `minimum` is the oldest pm that may go straight to this release.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use semver::Version;

use crate::digest::Digest;
use crate::target::Target;

/// The name of the manifest beside the programs.
pub const FILE_NAME: &str = "pm-release.txt";

/// The name of its signature.
pub const SIGNATURE_NAME: &str = "pm-release.txt.minisig";

/// The most bytes that a manifest has.
pub const MAX_BYTES: usize = 64 << 10;

/// The most bytes that a program has: ten times what one has now.
pub const MAX_PROGRAM_BYTES: u64 = 64 << 20;

/// The format that this pm reads and writes.
const FORMAT: &str = "1";

/// A release.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// Which one.
    pub version: Version,
    /// The oldest pm that may go straight to it.
    pub minimum: Version,
    /// Its programs, by the machine that each is for.
    pub programs: BTreeMap<Target, Artefact>,
}

/// A file of a release.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Artefact {
    /// Its bytes; 1 to [`MAX_PROGRAM_BYTES`].
    pub size: u64,
    /// Their hash.
    pub sha256: Digest,
    /// Its name, without any directory.
    pub name: FileName,
}

/// A plain file name: letters, digits, `.`, `_`, `-` and `+`, and no dot in front.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileName(String);

/// Why a text is no manifest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ManifestError {
    /// It does not begin as one.
    #[error("it is no release of pm: the first line is not `pm-release {FORMAT}`")]
    NotARelease,
    /// It is of another format.
    #[error("it is in format {found}, and this pm reads format {FORMAT}")]
    OtherFormat {
        /// What it says.
        found: String,
    },
    /// A line is not as it must be.
    #[error("line {line} is wrong: {fault}")]
    Line {
        /// Which, 1-based.
        line: usize,
        /// What about it.
        fault: Fault,
    },
    /// Something must be said and is not.
    #[error("it does not say its {0}")]
    Missing(Field),
}

/// What is wrong about a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It has too few words, or too many.
    Words,
    /// It says something a second time.
    Repeated,
    /// A version is none.
    Version,
    /// A machine's name is none.
    Target,
    /// A size is none, or out of range.
    Size,
    /// A hash is none.
    Digest,
    /// A file's name is none.
    Name,
}

/// What every manifest says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// The version of the release.
    Version,
    /// The oldest pm that may go straight to it.
    Minimum,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// With what is wrong and in which line.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        // Not `lines`, which would let a `\r` pass.
        let mut lines = text.split('\n');
        match lines
            .next()
            .and_then(|first| first.strip_prefix("pm-release "))
        {
            Some(FORMAT) => {}
            Some(found) => {
                return Err(ManifestError::OtherFormat {
                    found: found.chars().filter(|c| !c.is_control()).take(20).collect(),
                });
            }
            None => return Err(ManifestError::NotARelease),
        }
        let (mut version, mut minimum, mut programs) = (None, None, BTreeMap::new());
        for (index, line) in lines.enumerate() {
            let faulty = |fault| ManifestError::Line {
                line: index + 2,
                fault,
            };
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["version", word] => say_once(&mut version, word).map_err(faulty)?,
                ["minimum", word] => say_once(&mut minimum, word).map_err(faulty)?,
                ["program", target, size, sha256, name] => {
                    let target = target.parse().map_err(|_| faulty(Fault::Target))?;
                    let artefact = Artefact::parse(size, sha256, name).map_err(faulty)?;
                    if programs.insert(target, artefact).is_some() {
                        return Err(faulty(Fault::Repeated));
                    }
                }
                ["version" | "minimum" | "program", ..] => return Err(faulty(Fault::Words)),
                _ => {}
            }
        }
        Ok(Self {
            version: version.ok_or(ManifestError::Missing(Field::Version))?,
            minimum: minimum.ok_or(ManifestError::Missing(Field::Minimum))?,
            programs,
        })
    }
}

fn say_once(version: &mut Option<Version>, word: &str) -> Result<(), Fault> {
    let read = Version::parse(word).map_err(|_| Fault::Version)?;
    match version.replace(read) {
        None => Ok(()),
        Some(_) => Err(Fault::Repeated),
    }
}

/// As it is signed and published.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pm-release {FORMAT}")?;
        writeln!(f, "version {}", self.version)?;
        writeln!(f, "minimum {}", self.minimum)?;
        for (target, artefact) in &self.programs {
            let Artefact { size, sha256, name } = artefact;
            writeln!(f, "program {target} {size} {sha256} {name}")?;
        }
        Ok(())
    }
}

impl Artefact {
    fn parse(size: &str, sha256: &str, name: &str) -> Result<Self, Fault> {
        let is_number = size.bytes().all(|byte| byte.is_ascii_digit());
        let size = size.parse().ok().filter(|_| is_number);
        Ok(Self {
            size: size
                .filter(|size| (1..=MAX_PROGRAM_BYTES).contains(size))
                .ok_or(Fault::Size)?,
            sha256: sha256.parse().map_err(|_| Fault::Digest)?,
            name: name.parse()?,
        })
    }
}

impl FileName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
        let is_plain = (1..=128).contains(&text.len())
            && text.bytes().all(is_allowed)
            && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        is_plain.then(|| Self(text.to_owned())).ok_or(Fault::Name)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Words => "it has too few words, or too many",
            Self::Repeated => "it says again what was said before",
            Self::Version => "the version is none",
            Self::Target => "the name of the machine is none",
            Self::Size => "the size is no number from 1 to 67108864",
            Self::Digest => "the SHA-256 hash is none",
            Self::Name => "the name of the file is none",
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Version => "version",
            Self::Minimum => "minimum",
        })
    }
}

#[cfg(test)]
mod tests;
