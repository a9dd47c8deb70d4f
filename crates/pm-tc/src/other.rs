//! The HTB that an older tool made the root of an interface.
//!
//! The tools that pm's users come from all call theirs `1:`, and keep no note of what it replaced: what they leave is told
//! apart from an operator's own by its default class and its tree, and what comes in its place is the kernel's default.

use std::collections::{BTreeMap, BTreeSet};

use pm_netlink::rtnetlink::*;
use pm_netlink::{Errno, Error as Netlink, Malformed, NlmF, RouteReply};
use serde::{Deserialize, Serialize};

use crate::backend::{TrafficControl, dump, is_errno, reading};
use crate::class::ClassShape;
use crate::error::Error;
use crate::installed::Interface;
use crate::qdisc::{Found, root};
use crate::route::{all_links, interface};

/// The handle that those tools give their root.
pub const HANDLE: u32 = 0x1_0000;

/// An HTB with the handle `1:` at the root of an interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OtherRoot {
    /// The kernel's number of the interface.
    pub index: u32,
    /// The interface.
    pub interface: String,
    /// Where packets without a class go: a minor number.
    pub default: u32,
    /// The classes by their minor numbers.
    pub classes: BTreeMap<u16, OtherClass>,
}

/// A class of such a root.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OtherClass {
    /// The minor number of the class above it; 0: the root.
    pub parent: u16,
    /// What it may always send, in bytes a second.
    pub rate: u64,
    /// What it may send with what others leave over, in bytes a second.
    pub ceil: u64,
}

impl TrafficControl {
    /// Returns the HTB roots with the handle `1:`, of all interfaces. Whose they are is not for this to say.
    ///
    /// # Errors
    ///
    /// `Read`, `Raced`.
    pub fn other_roots(&mut self) -> Result<Vec<OtherRoot>, Error> {
        let failed = |error| reading("read the qdiscs of all interfaces", error);
        let found: BTreeMap<u32, u32> = self
            .socket
            .dump(&dump(RTM_GETQDISC, 0, 0), add_root)
            .map_err(failed)?;
        let links: BTreeSet<Interface> = self
            .socket
            .dump(&all_links(), |all: &mut BTreeSet<Interface>, reply| {
                all.extend(interface(reply)?);
                Ok(())
            })
            .map_err(failed)?;
        let mut roots = Vec::new();
        for link in links {
            let Some(&default) = found.get(&link.index) else {
                continue;
            };
            let classes = self
                .socket
                .dump(&dump(RTM_GETTCLASS, link.index, 0), add_class)
                .map_err(failed)?;
            roots.push(OtherRoot {
                index: link.index,
                interface: link.name,
                default,
                classes,
            });
        }
        Ok(roots)
    }

    /// Deletes such a root with all that is under it: the kernel's default comes in its place. That it is gone, or
    /// another one by now, is no error, and the other one stays.
    ///
    /// # Errors
    ///
    /// `Refused`, `Permission`, `Read`.
    pub fn delete_other(&mut self, other: &OtherRoot) -> Result<(), Error> {
        if !self.other_roots()?.contains(other) {
            return Ok(());
        }
        let request = root(other.index, HANDLE).message(RTM_DELQDISC, NlmF::empty(), |_| {});
        match self.socket.request(&[request]) {
            Ok(_) => Ok(()),
            Err(error) if is_errno(&error, Errno::ENOENT) => Ok(()),
            Err(error @ Netlink::PermissionDenied) => Err(Error::Permission(error)),
            Err(source) => Err(Error::Refused {
                interface: other.interface.clone(),
                request: "delete qdisc htb 1:".to_owned(),
                source,
            }),
        }
    }
}

/// Takes in a root's default class, by interface.
fn add_root(all: &mut BTreeMap<u32, u32>, reply: &RouteReply<'_>) -> Result<(), Malformed> {
    let Some(found) = Found::parse(reply, RTM_NEWQDISC)? else {
        return Ok(());
    };
    let is_one = found.place.parent == TC_H_ROOT
        && found.place.handle == HANDLE
        && found.qdisc.kind == "htb";
    if !is_one {
        return Ok(());
    }
    for attribute in pm_netlink::attributes(&found.qdisc.options) {
        let attribute = attribute?;
        if attribute.kind == TCA_HTB_INIT
            && let Some(&[a, b, c, d]) = attribute.payload.get(8..12)
        {
            all.insert(found.place.interface, u32::from_ne_bytes([a, b, c, d]));
        }
    }
    Ok(())
}

fn add_class(all: &mut BTreeMap<u16, OtherClass>, reply: &RouteReply<'_>) -> Result<(), Malformed> {
    let Some(found) = Found::parse(reply, RTM_NEWTCLASS)? else {
        return Ok(());
    };
    if found.qdisc.kind != "htb" || found.place.handle & TC_H_MAJ_MASK != HANDLE {
        return Ok(());
    }
    // The kernel shows a class right under the root with either as its parent.
    let parent = match found.place.parent {
        TC_H_ROOT => 0,
        other => minor(other),
    };
    let shape = ClassShape::parse(&found.qdisc.options)?;
    let class = OtherClass {
        parent,
        rate: shape.rate,
        ceil: shape.ceil,
    };
    all.insert(minor(found.place.handle), class);
    Ok(())
}

fn minor(id: u32) -> u16 {
    let [low, high, _, _] = id.to_le_bytes();
    u16::from_le_bytes([low, high])
}
