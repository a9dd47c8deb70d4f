//! What can go wrong between us and the kernel.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// Why a request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process lacks `CAP_NET_ADMIN` in the user namespace that owns the network namespace.
    #[error("operation not permitted")]
    PermissionDenied,

    /// The kernel has no nf_tables, and could not load it.
    #[error("the kernel has no nf_tables")]
    SubsystemMissing,

    /// Another program committed a batch since the generation that ours was pinned to.
    #[error("the ruleset changed meanwhile")]
    GenerationChanged,

    /// The object asked for does not exist.
    #[error("no such object")]
    NotFound,

    /// The kernel refused the request; of a [`crate::Batch`], nothing has been applied.
    #[error("kernel refused the request: {}", First(.0))]
    Rejected(Vec<Rejection>),

    /// Every attempt at a dump was overtaken by a change.
    #[error("the ruleset kept changing while it was read")]
    DumpInterrupted,

    /// A batch is larger than [`crate::Socket::max_batch_bytes`], or one of its attributes than
    /// the 64 KiB that fit a length field. Nothing was sent.
    #[error("a request of {bytes} bytes does not fit")]
    TooLong {
        /// The size of what was to be sent.
        bytes: usize,
    },

    /// The reply does not follow the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),

    /// The kernel sent no reply, or replies were lost for want of buffer space: whether a batch
    /// was applied is unknown.
    #[error("the kernel's reply was lost")]
    ReplyLost,

    /// The socket itself failed.
    #[error("netlink socket: {0}")]
    Io(#[source] io::Error),
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// A reply that breaks the rules of netlink, or of the family that sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed reply: {0}")]
pub struct Malformed(pub &'static str);

/// One error of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// The position of the refused message in its batch, from zero; `None` for the batch as a
    /// whole.
    pub index: Option<usize>,
    /// The kernel's error number.
    pub errno: Errno,
    /// The kernel's own explanation, if it gave one.
    pub text: Option<String>,
    /// Where in the message the refused attribute starts, in bytes from the message's header.
    pub offset: Option<u32>,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errno.desc())?;
        if let Some(text) = &self.text {
            write!(f, " ({text})")?;
        }
        Ok(())
    }
}

/// What comes after the first refusal comes of it most of the time, and is for `Debug`.
struct First<'a>(&'a [Rejection]);

impl fmt::Display for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            None => f.write_str("unknown reason"),
            Some(first) => first.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_words_without_the_numbers_of_messages() {
        let one = |index, text: Option<&str>| Rejection {
            index: Some(index),
            errno: Errno::EBUSY,
            text: text.map(str::to_owned),
            offset: Some(20),
        };
        let all = vec![
            one(0, Some("Exclusivity flag on")),
            one(1, None),
            one(7, None),
        ];
        assert_eq!(
            Error::Rejected(all).to_string(),
            "kernel refused the request: Device or resource busy (Exclusivity flag on)"
        );
        let debug = format!("{:?}", Error::Rejected(vec![one(7, None)]));
        assert!(debug.contains("index: Some(7)"), "{debug}");
    }
}
