//! How the way to a mail server is secured.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{MailServer, NotifyError, as_text};

/// How the way to a mail server is secured.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Security {
    /// TLS from the first byte on, usually at port 465.
    #[default]
    Tls,
    /// TLS after a greeting, usually at port 587.
    StartTls,
    /// Not at all: to this host only.
    None,
}

impl Security {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Tls, Self::StartTls, Self::None];

    /// Whether it is the default.
    pub fn is_tls(&self) -> bool {
        *self == Self::Tls
    }

    /// Checks that the way to `server` may be secured so.
    ///
    /// # Errors
    ///
    /// `PlainMail` where others on the way would read what is sent.
    pub fn check(self, server: &MailServer) -> Result<(), NotifyError> {
        if self == Self::None && !server.is_this_host() {
            return Err(NotifyError::PlainMail(server.to_string()));
        }
        Ok(())
    }

    /// Returns the usual port of a server that is reached so.
    pub fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
            Self::None => "none",
        })
    }
}

impl FromStr for Security {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        match text {
            "tls" => Ok(Self::Tls),
            "starttls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            _ => Err(NotifyError::Security(text.escape_debug().to_string())),
        }
    }
}

as_text!(Security);
