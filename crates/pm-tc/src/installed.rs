//! What was found on an interface.

use std::collections::{BTreeMap, BTreeSet};

use pm_netlink::rtnetlink::*;
use pm_netlink::{Malformed, RouteReply};

use crate::class::ClassShape;
use crate::filter::{self, PREFERENCE};
use crate::host::HostQdisc;
use crate::qdisc::{Found, Qdisc};
use crate::{CLASS_MAJOR, DEFAULT_MINOR, class_id};

/// A network interface.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interface {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
}

/// What an interface's root is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installed {
    /// Where.
    pub interface: Interface,
    /// The root qdisc.
    pub root: Root,
}

/// A root qdisc that pm may work with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Root {
    /// The host's own; record it before taking its place.
    Host(HostQdisc),
    /// pm's HTB.
    Ours(Tree),
}

/// What stands under pm's HTB.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    /// Whether root and default class are as pm makes them and no class stands under another.
    /// A tree that is not is built anew.
    pub sound: bool,
    /// Classes by minor number, the default class among them.
    pub classes: BTreeMap<u16, InstalledClass>,
    /// pm's filters by mark.
    pub filters: BTreeMap<u32, InstalledFilter>,
    /// Whether something else than `fw` filters stands at pm's preference.
    pub odd_filters: bool,
}

/// A class under pm's HTB.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstalledClass {
    /// What it is set to.
    pub shape: ClassShape,
    /// Its leaf; `None` for the plain FIFO that the kernel gives each class.
    pub leaf: Option<Qdisc>,
}

/// A `fw` filter under pm's HTB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InstalledFilter {
    /// The bits of the mark that it compares.
    pub mask: u32,
    /// The class that it sends packets to.
    pub minor: u16,
}

/// The qdiscs of one interface, out of a dump of all.
#[derive(Debug, Default)]
pub(crate) struct Qdiscs {
    pub(crate) all: Vec<Found>,
}

/// What reading the root led to.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Judged {
    Host(HostQdisc),
    /// Whether its options are pm's.
    Ours(bool),
    Foreign(String),
}

impl Qdiscs {
    pub(crate) fn add(&mut self, reply: &RouteReply<'_>, interface: u32) -> Result<(), Malformed> {
        let found = Found::parse(reply, RTM_NEWQDISC)?;
        self.all
            .extend(found.filter(|found| found.place.interface == interface));
        Ok(())
    }

    pub(crate) fn judge(&self) -> Result<Judged, Malformed> {
        let root = self
            .all
            .iter()
            .find(|found| found.place.parent == TC_H_ROOT);
        if let Some(root) = root.filter(|root| root.place.handle == class_id(0)) {
            return Ok(match root.qdisc.kind.as_str() {
                "htb" => Judged::Ours(crate::qdisc::is_our_root(&root.qdisc.options)?),
                other => Judged::Foreign(other.to_owned()),
            });
        }
        Ok(HostQdisc::record(root, &self.all).map_or_else(Judged::Foreign, Judged::Host))
    }

    /// Returns the qdiscs that classes of pm's tree have as leaves, by the class's minor number.
    pub(crate) fn leaves(self) -> BTreeMap<u16, Qdisc> {
        self.all
            .into_iter()
            .filter_map(|found| Some((minor(found.place.parent)?, found.qdisc)))
            .collect()
    }
}

/// The classes of one interface.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    shapes: BTreeMap<u16, ClassShape>,
    nested: bool,
}

impl Classes {
    pub(crate) fn add(&mut self, reply: &RouteReply<'_>) -> Result<(), Malformed> {
        let Some(found) = Found::parse(reply, RTM_NEWTCLASS)? else {
            return Ok(());
        };
        // The qdiscs under pm's may have classes of their own.
        if found.qdisc.kind != "htb" {
            return Ok(());
        }
        if let Some(minor) = minor(found.place.handle) {
            // The kernel shows a class right under the root with either as its parent.
            self.nested |= ![TC_H_ROOT, class_id(0)].contains(&found.place.parent);
            let shape = ClassShape::parse(&found.qdisc.options)?;
            self.shapes.insert(minor, shape);
        }
        Ok(())
    }

    pub(crate) fn tree(self, ours: bool, mut leaves: BTreeMap<u16, Qdisc>) -> Tree {
        let classes = self.shapes.into_iter().map(|(minor, shape)| {
            let leaf = leaves.remove(&minor);
            (minor, InstalledClass { shape, leaf })
        });
        Tree {
            sound: ours && !self.nested,
            classes: classes.collect(),
            ..Tree::default()
        }
    }
}

/// The filters of one qdisc.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    pub(crate) preferences: BTreeSet<u32>,
    pub(crate) ours: BTreeMap<u32, InstalledFilter>,
    pub(crate) odd: bool,
}

impl Filters {
    pub(crate) fn add(&mut self, reply: &RouteReply<'_>) -> Result<(), Malformed> {
        let Some(found) = Found::parse(reply, RTM_NEWTFILTER)? else {
            return Ok(());
        };
        let preference = found.place.info >> 16;
        self.preferences.insert(preference);
        if preference != u32::from(PREFERENCE) {
            return Ok(());
        }
        if found.qdisc.kind != "fw" || found.place.info != filter::place(0, 0).info {
            self.odd = true;
        } else if found.place.handle != 0 {
            // Each preference comes with an entry of its own, without a handle.
            let filter = filter::parse(&found.qdisc.options)?;
            self.ours.insert(found.place.handle, filter);
        }
        Ok(())
    }
}

/// Returns the minor number of a class id in pm's tree.
fn minor(id: u32) -> Option<u16> {
    let ours = id & TC_H_MAJ_MASK == u32::from(CLASS_MAJOR) << 16;
    u16::try_from(id & TC_H_MIN_MASK)
        .ok()
        .filter(|&minor| ours && minor != 0)
}

impl Tree {
    /// Says whether the default class is there: without it unclassified packets pass unqueued,
    /// which is a moment's business only.
    pub fn has_default(&self) -> bool {
        self.classes.contains_key(&DEFAULT_MINOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qdisc::Place;
    use pm_netlink::{NlmF, route_replies};
    use proptest::prelude::*;

    proptest! {
        /// Whatever a kernel, or another kind of qdisc, puts there.
        #[test]
        fn no_reply_panics(
            kind in prop_oneof![Just(RTM_NEWQDISC), Just(RTM_NEWTCLASS), Just(RTM_NEWTFILTER)],
            name in prop_oneof![Just("htb"), Just("fw"), Just("mq"), Just("u32"), Just("")],
            handle in prop_oneof![Just(class_id(0)), Just(class_id(1)), any::<u32>()],
            parent in prop_oneof![Just(TC_H_ROOT), Just(class_id(1)), any::<u32>()],
            info in prop_oneof![Just(filter::place(0, 0).info), any::<u32>()],
            options in proptest::collection::vec(any::<u8>(), 0..60),
            inner in 0..8_u16,
        ) {
            let place = Place { interface: 2, handle, parent, info };
            let message = place.message(kind, NlmF::empty(), |a| {
                a.string(TCA_KIND, name);
                a.nest_unflagged(TCA_OPTIONS, |a| a.bytes(inner, &options));
                a.bytes(TCA_OPTIONS, &options);
            });
            let (mut qdiscs, mut classes, mut filters) =
                (Qdiscs::default(), Classes::default(), Filters::default());
            for reply in route_replies(message.as_bytes()).map(Result::unwrap) {
                let _ = qdiscs.add(&reply, 2);
                let _ = classes.add(&reply);
                let _ = filters.add(&reply);
            }
            let _ = qdiscs.judge();
            let _ = classes.tree(true, qdiscs.leaves());
        }
    }
}
