//! Links, and which of them have a default route.
//!
//! Source: rtnetlink(7); `include/uapi/linux/rtnetlink.h`, `struct rtmsg`, `struct rtnexthop`.

use std::collections::BTreeSet;

use pm_netlink::rtnetlink::*;
use pm_netlink::{Malformed, NlmF, RouteMessage, RouteReply};

use crate::installed::Interface;

/// The length of `struct rtnexthop`.
const NEXT_HOP: usize = 8;

/// Asks for all routes of a family.
pub(crate) fn all_routes(family: u8) -> RouteMessage {
    let mut header = [0; 12];
    header[0] = family;
    RouteMessage::new(RTM_GETROUTE, NlmF::empty(), &header, |_| {})
}

/// Asks for all links.
pub(crate) fn all_links() -> RouteMessage {
    RouteMessage::new(RTM_GETLINK, NlmF::empty(), &[0; 16], |_| {})
}

/// Asks for a link by its name.
pub(crate) fn link(name: &str) -> RouteMessage {
    RouteMessage::new(RTM_GETLINK, NlmF::empty(), &[0; 16], |a| {
        a.string(IFLA_IFNAME, name);
    })
}

/// Reads a link; `None` for other messages and the loopback interface.
pub(crate) fn interface(reply: &RouteReply<'_>) -> Result<Option<Interface>, Malformed> {
    if reply.kind != RTM_NEWLINK || reply.u32_at(8)? & IFF_LOOPBACK != 0 {
        return Ok(None);
    }
    for attribute in reply.attributes() {
        let attribute = attribute?;
        if attribute.kind == IFLA_IFNAME {
            let (index, name) = (reply.u32_at(4)?, attribute.str()?.to_owned());
            return Ok(Some(Interface { index, name }));
        }
    }
    Err(Malformed("a link without its name"))
}

/// Adds the interfaces that a route leads to, if it is a default route, of whichever table: a host
/// with two providers has one for each, and rules that choose.
pub(crate) fn add_default_route(
    all: &mut BTreeSet<u32>,
    reply: &RouteReply<'_>,
) -> Result<(), Malformed> {
    let &[_, prefix, _, _, _, _, _, kind, ..] = reply.header else {
        return Err(Malformed("a route header is too short"));
    };
    if reply.kind != RTM_NEWROUTE || prefix != 0 || kind != RTN_UNICAST {
        return Ok(());
    }
    for attribute in reply.attributes() {
        let attribute = attribute?;
        match attribute.kind {
            RTA_OIF => {
                all.insert(attribute.ne32()?);
            }
            RTA_MULTIPATH => add_next_hops(all, attribute.payload)?,
            _ => {}
        }
    }
    Ok(())
}

fn add_next_hops(found: &mut BTreeSet<u32>, mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let Some((&[l0, l1, _, _, i0, i1, i2, i3], _)) = rest.split_first_chunk::<NEXT_HOP>()
        else {
            return Err(Malformed("a next hop is cut off"));
        };
        found.insert(u32::from_ne_bytes([i0, i1, i2, i3]));
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        if length < NEXT_HOP || length > rest.len() {
            return Err(Malformed("a next hop has an impossible length"));
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_netlink::route_replies;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_input_panics(
            header in any::<[u8; 8]>(), hops in proptest::collection::vec(any::<u8>(), 0..40)
        ) {
            let mut all = BTreeSet::new();
            let _ = add_next_hops(&mut all, &hops);
            let mut full = [0; 12];
            full[..8].copy_from_slice(&header);
            let message = RouteMessage::new(RTM_NEWROUTE, NlmF::empty(), &full, |a| {
                a.bytes(RTA_MULTIPATH, &hops);
            });
            for reply in route_replies(message.as_bytes()) {
                let _ = add_default_route(&mut all, &reply.unwrap());
            }
        }
    }
}
