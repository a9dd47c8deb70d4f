//! What can be told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{NotifyError, as_text};

/// A kind of event.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum EventKind {
    /// A part of a quota is used.
    Quota,
    /// A quota is used up, and its holder cut off.
    Blocked,
    /// A holder who was cut off is open again.
    Unblocked,
    /// A period ended.
    Reset,
    /// A service hogged the line and is slowed down.
    Punished,
    /// A service that was slowed down is not any more.
    Restored,
    /// A service's last day is near.
    Expiring,
    /// A service's last day has passed.
    Expired,
    /// What another program removed or changed in the kernel was put right.
    Healed,
    /// The host was started anew, and what passed before was lost.
    Restarted,
    /// Messages could not be delivered.
    Delivery,
}

impl EventKind {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Quota,
        Self::Blocked,
        Self::Unblocked,
        Self::Reset,
        Self::Punished,
        Self::Restored,
        Self::Expiring,
        Self::Expired,
        Self::Healed,
        Self::Restarted,
        Self::Delivery,
    ];

    /// Returns its name in `config.json` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::Reset => "reset",
            Self::Punished => "punished",
            Self::Restored => "restored",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Healed => "healed",
            Self::Restarted => "restarted",
            Self::Delivery => "delivery",
        }
    }

    /// Returns all names, for saying which there are.
    pub fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EventKind {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.name() == text)
            .ok_or_else(|| NotifyError::EventKind(text.escape_debug().to_string()))
    }
}

as_text!(EventKind);
