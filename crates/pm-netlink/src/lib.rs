//! Netlink transport for nf_tables and rtnetlink: sockets, batches, dumps and extended
//! acknowledgements.
//!
//! It knows nothing of what the messages are for. Types of the netlink core come from neli; the
//! transport is our own, because a batch is one send with many replies, and every reply has to be
//! taken off the socket before the next request.
//!
//! - [`Socket`] asks: [`Socket::apply`] a [`Batch`], [`Socket::dump`] or [`Socket::get`] a
//!   [`Request`].
//! - [`RouteSocket`] asks rtnetlink: [`RouteSocket::request`] some [`RouteMessage`]s, each on its
//!   own, and [`RouteSocket::dump`] or [`RouteSocket::get`] what there is.
//! - [`attributes`] reads what comes back without copying, and never panics on it.
//! - [`nf_tables`] and [`rtnetlink`] hold the constants.

mod ack;
mod attr;
mod batch;
mod dump;
mod error;
mod grace;
mod message;
pub mod nf_tables;
mod route;
pub mod rtnetlink;
mod socket;

pub use attr::{Attribute, AttributeIter, Attributes, attributes};
pub use batch::{Batch, Mark};
pub use dump::Request;
pub use error::{Error, Malformed, Rejection};
pub use grace::wait_for_grace_period;
pub use message::{Reply, replies};
pub use neli::consts::nl::NlmF;
pub use nix::errno::Errno;
pub use route::{RouteMessage, RouteReply, RouteSocket, Warning, route_replies};
pub use socket::Socket;
