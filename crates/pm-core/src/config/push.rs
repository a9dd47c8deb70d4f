//! The state that is pushed to a receiver each minute.

use serde::{Deserialize, Serialize};

use super::notify::{ServerName, WebUrl};
use crate::secret::Secret;

/// Where the state of all services is pushed, signed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Whether it is pushed.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// The receiver's address.
    pub url: WebUrl,
    /// The node's key, by which the receiver tells hosts apart.
    pub node: ServerName,
    /// What the receiver calls the host; `None`: `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<ServerName>,
    /// What the push is signed with.
    pub secret: Secret,
    /// Whether the services' notes go with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub notes: bool,
}

impl Push {
    /// Returns what the receiver calls the host.
    pub fn node_id(&self) -> &ServerName {
        self.node_id.as_ref().unwrap_or(&self.node)
    }
}

fn yes() -> bool {
    true
}

/// `serde` passes a reference.
fn is_yes(value: &bool) -> bool {
    *value
}
