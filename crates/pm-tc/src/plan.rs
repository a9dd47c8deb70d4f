//! From what was found and what is wanted to the requests that lead there.
//!
//! - Nothing to do gives no request.
//! - A new root sends all packets on unqueued until its default class exists; the default class
//!   comes next, and goes only with the root.
//! - What leads into a class goes before it and comes after it: packets without a class are in
//!   the default one.
//! - A rate changes in place: no packet is dropped for it.
//! - The default class's leaf is set once. What an operator makes of it later stays.

use std::collections::BTreeMap;
use std::fmt;

use pm_core::units::BitRate;

use crate::class::ClassShape;
use crate::host::{HostChild, HostQdisc};
use crate::installed::{Installed, Root, Tree};
use crate::qdisc::Qdisc;
use crate::rate::{Psched, leaf};
use crate::{CLASS_MAJOR, Classifier, DEFAULT_MINOR};

/// What the running kernel offers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kernel {
    /// The packet scheduler's clock.
    pub psched: Psched,
    /// Whether there is `fq_codel`.
    pub fq_codel: bool,
    /// `net.core.default_qdisc`.
    pub default_qdisc: String,
}

/// What an interface shall do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shape {
    classes: BTreeMap<u16, BitRate>,
    classifier: Classifier,
}

/// Why there is no such shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShapeError {
    /// 0 is the root's and 0xffff the default class's.
    #[error("class {CLASS_MAJOR:x}:{0:x} is not among 1 to fffe")]
    Minor(u16),
    /// The classifier cannot tell so many classes apart.
    #[error("class {CLASS_MAJOR:x}:{minor:x} does not fit the mark's bits {mask:#010x}")]
    MarkTooNarrow {
        /// The class's minor number.
        minor: u16,
        /// The bits that are pm's.
        mask: u32,
    },
}

impl Shape {
    /// Returns the shape with these classes, by minor number.
    ///
    /// # Errors
    ///
    /// `Minor` for 0 and 0xffff, `MarkTooNarrow` where a mark cannot name a class.
    pub fn new(
        classes: BTreeMap<u16, BitRate>,
        classifier: Classifier,
    ) -> Result<Self, ShapeError> {
        for &minor in classes.keys() {
            if minor == 0 || minor == DEFAULT_MINOR {
                return Err(ShapeError::Minor(minor));
            }
            if let Classifier::Fwmark(field) = classifier
                && field.mark(minor).is_none()
            {
                let mask = field.mask();
                return Err(ShapeError::MarkTooNarrow { minor, mask });
            }
        }
        Ok(Self {
            classes,
            classifier,
        })
    }

    /// The filters that lead into the classes: the class's minor number by mark.
    fn filters(&self) -> BTreeMap<u32, u16> {
        let Classifier::Fwmark(field) = self.classifier else {
            return BTreeMap::new();
        };
        self.classes
            .keys()
            .filter_map(|&minor| Some((field.mark(minor)?, minor)))
            .collect()
    }
}

/// One step. Its `Display` says what it does, as in "set class 706d:1".
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Make pm's HTB the root.
    CreateRoot {
        /// Whether to take the place of a qdisc that somebody chose; without it the kernel
        /// refuses where somebody did.
        replace: bool,
    },
    /// Remove pm's HTB with all under it: the kernel's default comes back.
    DeleteRoot,
    /// Put the host's own qdisc in the place of pm's HTB; the kernel gives the queues of an `mq`
    /// their default.
    RestoreRoot(HostQdisc),
    /// Put back what somebody chose for one queue of an `mq`.
    RestoreQueue {
        /// The handle of the `mq`.
        parent: u32,
        /// The queue's own.
        child: HostChild,
    },
    /// Create a class, or change it in place.
    SetClass {
        /// Which.
        minor: u16,
        /// To what.
        shape: ClassShape,
    },
    /// Remove a class and what waits in it.
    DeleteClass {
        /// Which.
        minor: u16,
    },
    /// Give a class a leaf, or change the one it has where the kind is the same.
    SetLeaf {
        /// Whose.
        minor: u16,
        /// To what.
        leaf: Qdisc,
    },
    /// Create a filter.
    SetFilter {
        /// The mark, under `mask`.
        mark: u32,
        /// The bits that are compared.
        mask: u32,
        /// The class it leads into.
        minor: u16,
    },
    /// Remove a filter.
    DeleteFilter {
        /// The mark.
        mark: u32,
    },
    /// Remove everything at pm's preference.
    DeleteFilters,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = format_args!("{CLASS_MAJOR:x}:");
        match self {
            Self::CreateRoot { .. } => write!(f, "create qdisc htb {root}"),
            Self::DeleteRoot => write!(f, "delete qdisc htb {root}"),
            Self::RestoreRoot(host) => write!(f, "restore qdisc {}", host.kind),
            Self::RestoreQueue { child, .. } => {
                write!(f, "restore qdisc {} of queue {}", child.kind, child.queue)
            }
            Self::SetClass { minor, .. } => write!(f, "set class {root}{minor:x}"),
            Self::DeleteClass { minor } => write!(f, "delete class {root}{minor:x}"),
            Self::SetLeaf { minor, leaf } => {
                write!(f, "set leaf {} of class {root}{minor:x}", leaf.kind)
            }
            Self::SetFilter { mark, .. } => write!(f, "set filter for mark {mark:#x}"),
            Self::DeleteFilter { mark } => write!(f, "delete filter for mark {mark:#x}"),
            Self::DeleteFilters => write!(f, "delete filters"),
        }
    }
}

/// Returns the requests that give an interface its shape.
///
/// `host` is what was recorded when pm took the root; it counts where pm's HTB stands already.
/// Where the host's own qdisc stands, that one counts, and must be recorded before the requests
/// are applied.
pub fn plan(
    installed: &Installed,
    shape: &Shape,
    host: Option<&HostQdisc>,
    kernel: &Kernel,
) -> Vec<Request> {
    let mut requests = Vec::new();
    let none = Tree::default();
    let (tree, host) = match &installed.root {
        Root::Ours(tree) if tree.sound => (tree, host),
        Root::Ours(_) => {
            // Not by way of the kernel's default where somebody chose another: should it stop
            // there, that would be recorded as the host's own.
            let chosen = host.filter(|host| !host.is_default());
            requests.push(chosen.map_or(Request::DeleteRoot, |host| {
                Request::RestoreRoot(host.clone())
            }));
            let replace = chosen.is_some();
            requests.push(Request::CreateRoot { replace });
            (&none, host)
        }
        Root::Host(found) => {
            let replace = !found.is_default();
            requests.push(Request::CreateRoot { replace });
            (&none, Some(found))
        }
    };
    plan_default(tree, host, kernel, &mut requests);
    let odd = plan_removals(tree, shape, &mut requests);
    plan_classes(tree, shape, kernel, &mut requests);
    for (mark, minor) in shape.filters() {
        if let Classifier::Fwmark(field) = shape.classifier
            && (odd
                || tree
                    .filters
                    .get(&mark)
                    .is_none_or(|found| found.minor != minor))
        {
            let mask = field.mask();
            requests.push(Request::SetFilter { mark, mask, minor });
        }
    }
    requests
}

/// Returns the requests that give the root back to the host: none where it has it.
///
/// `host` is what was recorded; without a record the kernel's default comes back.
pub fn withdraw(installed: &Installed, host: Option<&HostQdisc>) -> Vec<Request> {
    let chosen = host.filter(|host| !host.is_default());
    let mut requests = Vec::new();
    // An `mq` that was put back may still miss some queues.
    let found: &[HostChild] = match (&installed.root, chosen) {
        (Root::Ours(_), None) => return vec![Request::DeleteRoot],
        (Root::Ours(_), Some(host)) => {
            requests.push(Request::RestoreRoot(host.clone()));
            &[]
        }
        (Root::Host(found), Some(host))
            if (&found.kind, found.handle) == (&host.kind, host.handle) =>
        {
            &found.children
        }
        (Root::Host(_), _) => return requests,
    };
    let has = |queue| {
        found
            .iter()
            .any(|one| one.queue == queue && one.handle != 0)
    };
    if let Some(host) = chosen {
        let missing = host
            .children
            .iter()
            .filter(|child| child.handle != 0 && !has(child.queue));
        requests.extend(missing.map(|child| Request::RestoreQueue {
            parent: host.handle,
            child: child.clone(),
        }));
    }
    requests
}

fn plan_default(
    tree: &Tree,
    host: Option<&HostQdisc>,
    kernel: &Kernel,
    requests: &mut Vec<Request>,
) {
    let minor = DEFAULT_MINOR;
    let shape = ClassShape::unlimited(kernel.psched);
    let found = tree.classes.get(&minor);
    if found.is_none_or(|found| found.shape != shape) {
        requests.push(Request::SetClass { minor, shape });
    }
    if found.is_none_or(|found| found.leaf.is_none()) {
        let kind = &kernel.default_qdisc;
        let leaf = host.unwrap_or(&HostQdisc::default()).leaf(kind);
        requests.push(Request::SetLeaf { minor, leaf });
    }
}

/// Removes what leads into classes, then classes. Says whether all filters are gone.
fn plan_removals(tree: &Tree, shape: &Shape, requests: &mut Vec<Request>) -> bool {
    let wanted = shape.filters();
    let mask = match shape.classifier {
        Classifier::Fwmark(field) => Some(field.mask()),
        Classifier::Priority => None,
    };
    // All filters at one preference share a mask; the kernel refuses another.
    let odd = tree.odd_filters
        || tree
            .filters
            .values()
            .any(|found| mask.is_some_and(|mask| found.mask != mask));
    if odd {
        requests.push(Request::DeleteFilters);
    } else {
        // The kernel keeps a class while a filter leads there, so one to be re-pointed goes too.
        for (&mark, found) in &tree.filters {
            if wanted.get(&mark) != Some(&found.minor) {
                requests.push(Request::DeleteFilter { mark });
            }
        }
    }
    for &minor in tree.classes.keys() {
        if minor != DEFAULT_MINOR && !shape.classes.contains_key(&minor) {
            requests.push(Request::DeleteClass { minor });
        }
    }
    odd
}

fn plan_classes(tree: &Tree, shape: &Shape, kernel: &Kernel, requests: &mut Vec<Request>) {
    for (&minor, &rate) in &shape.classes {
        let found = tree.classes.get(&minor);
        let shape = ClassShape::of(rate, kernel.psched);
        if found.is_none_or(|found| found.shape != shape) {
            requests.push(Request::SetClass { minor, shape });
        }
        let leaf = leaf(rate, kernel.fq_codel);
        let serves = found
            .and_then(|found| found.leaf.as_ref())
            .is_some_and(|found| found.serves_as(&leaf));
        if !serves {
            requests.push(Request::SetLeaf { minor, leaf });
        }
    }
}

#[cfg(test)]
mod tests;
