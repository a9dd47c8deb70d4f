//! Who holds a quota: a group, or a service that is in none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::GroupName;
use crate::port::PortRange;

/// The holder of a quota.
///
/// # Examples
///
/// ```
/// use pm_core::holder::Holder;
///
/// let holder: Holder = "group vip".parse()?;
/// assert_eq!(holder, Holder::Group("vip".parse()?));
/// assert_eq!("30000-30100".parse::<Holder>()?.to_string(), "30000-30100");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Holder {
    /// A service that is in no group.
    Service(PortRange),
    /// A group.
    Group(GroupName),
}

/// A text that names no holder.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is neither a port, a range nor `group` and a name")]
pub struct NoHolder(pub String);

impl From<PortRange> for Holder {
    fn from(ports: PortRange) -> Self {
        Self::Service(ports)
    }
}

impl From<GroupName> for Holder {
    fn from(group: GroupName) -> Self {
        Self::Group(group)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(ports) => ports.fmt(f),
            Self::Group(group) => write!(f, "group {group}"),
        }
    }
}

impl FromStr for Holder {
    type Err = NoHolder;

    fn from_str(text: &str) -> Result<Self, NoHolder> {
        let holder = match text.strip_prefix("group ") {
            Some(name) => name.parse().ok().map(Self::Group),
            None => text.parse().ok().map(Self::Service),
        };
        holder.ok_or_else(|| NoHolder(text.to_owned()))
    }
}

impl TryFrom<String> for Holder {
    type Error = NoHolder;

    fn try_from(text: String) -> Result<Self, NoHolder> {
        text.parse()
    }
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        holder.to_string()
    }
}
