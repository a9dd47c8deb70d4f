//! All I/O: [`TrafficControl`] reads and changes the kernel.

use std::collections::BTreeSet;
use std::fs;

use nix::sched::{CloneFlags, unshare};
use pm_netlink::rtnetlink::*;
use pm_netlink::{Errno, Error as Netlink, NlmF, RouteMessage, RouteSocket};

use crate::error::Error;
use crate::host::HostQdisc;
use crate::installed::{Classes, Filters, Installed, Interface, Judged, Qdiscs, Root};
use crate::message::message;
use crate::plan::{Kernel, Request};
use crate::qdisc::{Place, Qdisc, root};
use crate::rate::Psched;
use crate::route::{add_default_route, all_links, all_routes, interface, link};
use crate::{DEFAULT_MINOR, class_id};

// `include/net/flow.h`, LOOPBACK_IFINDEX: every network namespace has one.
const LOOPBACK: u32 = 1;
// What the kernel gives to a device that does not say.
const FALLBACK_PACKETS: u32 = 1000;

/// The traffic control of the network namespace that [`TrafficControl::open`] was called in.
pub struct TrafficControl {
    pub(crate) socket: RouteSocket,
}

impl TrafficControl {
    /// Opens the way to the kernel. Changes nothing, and needs no privilege yet.
    ///
    /// # Errors
    ///
    /// `Read` when there is no rtnetlink socket to be had.
    pub fn open() -> Result<Self, Error> {
        let socket =
            RouteSocket::open().map_err(|error| reading("open a netlink socket", error))?;
        Ok(Self { socket })
    }

    /// Finds out what the kernel offers, loading modules where it can. Changes no interface: it
    /// asks for qdiscs with options that are refused after the kind was found.
    ///
    /// # Errors
    ///
    /// `Unsupported` without HTB, `Permission`, `Clock`, `Read`.
    pub fn kernel(&mut self) -> Result<Kernel, Error> {
        // HTB refuses to be without its first attribute, fq_codel to have no queue.
        let htb = self.has_kind("htb", TCA_HTB_DIRECT_QLEN)?;
        let fq_codel = self.has_kind("fq_codel", TCA_FQ_CODEL_FLOWS)?;
        if let Some(refusal) = htb {
            return Err(Error::Unsupported(refusal));
        }
        let psched =
            fs::read_to_string("/proc/net/psched").map_err(|error| Error::Clock(Some(error)))?;
        // In a container the setting is not shown: the built-in kind stands in.
        let default_qdisc =
            fs::read_to_string("/proc/sys/net/core/default_qdisc").unwrap_or_default();
        Ok(Kernel {
            psched: Psched::parse(&psched).ok_or(Error::Clock(None))?,
            fq_codel: fq_codel.is_none(),
            default_qdisc: default_qdisc.trim().to_owned(),
        })
    }

    /// Returns the kernel's refusal where there is no such kind of qdisc; with `refused` as its
    /// only option, and 0, one that there is must not be made.
    fn has_kind(&mut self, kind: &str, refused: u16) -> Result<Option<Netlink>, Error> {
        // Should the loopback interface have a qdisc, REPLACE looks for the kind nevertheless;
        // what is refused replaces nothing.
        let flags = NlmF::CREATE | NlmF::REPLACE;
        let request = root(LOOPBACK, 0).message(RTM_NEWQDISC, flags, |a| {
            a.string(TCA_KIND, kind);
            a.nest_unflagged(TCA_OPTIONS, |options| options.ne32(refused, 0));
        });
        match self.socket.request(&[request]) {
            Err(error) if is_errno(&error, Errno::ENOENT) => Ok(Some(error)),
            Ok(_) | Err(Netlink::Rejected(_)) => Ok(None),
            Err(error) => Err(reading(&format!("look for qdisc {kind}"), error)),
        }
    }

    /// Makes sure that the kernel has the `fw` classifier, loading its module where it can.
    ///
    /// A filter needs a qdisc to stand under, and no interface of the host's is to get one for a
    /// question: it is asked in a network namespace that goes with its thread. Who may not make
    /// one, as in some containers, is told when the filter is needed.
    ///
    /// # Errors
    ///
    /// `NoFwClassifier`.
    pub fn require_fw(&mut self) -> Result<(), Error> {
        let answer = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).ok()?;
            let mut elsewhere = RouteSocket::open().ok()?;
            let root = message(&Request::CreateRoot { replace: true }, LOOPBACK);
            elsewhere.request(&[root]).ok()?;
            let (mark, mask, minor) = (1, u32::MAX, DEFAULT_MINOR);
            let filter = message(&Request::SetFilter { mark, mask, minor }, LOOPBACK);
            elsewhere.request(&[filter]).err()
        });
        match answer.join() {
            Ok(Some(error)) if is_errno(&error, Errno::ENOENT) => Err(Error::NoFwClassifier(error)),
            _ => Ok(()),
        }
    }

    /// Returns the interfaces that a default route of the main table leads to, IPv4 or IPv6.
    ///
    /// # Errors
    ///
    /// `Read`, `Raced`.
    pub fn default_route_interfaces(&mut self) -> Result<BTreeSet<Interface>, Error> {
        let mut indices = BTreeSet::new();
        for family in [AF_INET, AF_INET6] {
            let found: BTreeSet<u32> = self
                .socket
                .dump(&all_routes(family), add_default_route)
                .map_err(|error| reading("read the routes", error))?;
            indices.extend(found);
        }
        let links = self
            .socket
            .dump(&all_links(), |all: &mut BTreeSet<Interface>, reply| {
                all.extend(interface(reply)?);
                Ok(())
            })
            .map_err(|error| reading("read the interfaces", error))?;
        let led_to = |link: &Interface| indices.contains(&link.index);
        Ok(links.into_iter().filter(led_to).collect())
    }

    /// Reads what stands at the root of an interface.
    ///
    /// # Errors
    ///
    /// - `NoSuchInterface`.
    /// - `ForeignQdisc` when it is neither pm's nor of a kind that pm can put back.
    /// - `Read`, `Raced`.
    pub fn read(&mut self, name: &str) -> Result<Installed, Error> {
        let failed = |error| reading(&format!("read the qdiscs of interface {name}"), error);
        let interface = self.find(name)?;
        let index = interface.index;
        let request = dump(RTM_GETQDISC, index, 0);
        let qdiscs: Qdiscs = self
            .socket
            .dump(&request, |all: &mut Qdiscs, reply| all.add(reply, index))
            .map_err(failed)?;
        let foreign = |kind: String| Error::ForeignQdisc {
            interface: name.to_owned(),
            kind,
        };
        let root = match qdiscs.judge().map_err(|error| failed(error.into()))? {
            Judged::Foreign(kind) => return Err(foreign(kind)),
            Judged::Host(host) => {
                if let Some(kind) = self.filtered(index, &host).map_err(failed)? {
                    return Err(foreign(format!("{kind} with filters")));
                }
                Root::Host(host)
            }
            Judged::Ours(intact) => {
                let classes: Classes = self
                    .socket
                    .dump(&dump(RTM_GETTCLASS, index, 0), Classes::add)
                    .map_err(failed)?;
                let filters = self.filters(index, class_id(0)).map_err(failed)?;
                let mut tree = classes.tree(intact, qdiscs.leaves());
                tree.filters = filters.ours;
                tree.odd_filters = filters.odd;
                Root::Ours(tree)
            }
        };
        Ok(Installed { interface, root })
    }

    /// Carries out `requests` in order and returns what the kernel remarked.
    ///
    /// Where it does not take the default class's leaf, that class gets a plain FIFO instead, and
    /// the refusal is among the remarks.
    ///
    /// # Errors
    ///
    /// - `Refused` names the first request that was refused; those before it are in force, and
    ///   up to 100 after it may be, none of which root or default class depend on.
    /// - `Unsupported`, `NoFwClassifier`, `Permission`.
    pub fn apply(
        &mut self,
        interface: &Interface,
        requests: &[Request],
    ) -> Result<Vec<String>, Error> {
        let mut remarks = Vec::new();
        // What traffic depends on goes alone: nothing comes after it if it is refused.
        for run in requests.chunk_by(|one, next| !is_structural(one) && !is_structural(next)) {
            let sent = self.send(interface, run, &mut remarks);
            if let ([Request::SetLeaf { minor, leaf }], Err(Error::Refused { source, .. })) =
                (run, &sent)
                && *minor == DEFAULT_MINOR
            {
                remarks.push(format!("qdisc {} cannot be a leaf: {source}", leaf.kind));
                let plain = Request::SetLeaf {
                    minor: DEFAULT_MINOR,
                    leaf: Qdisc::pfifo(FALLBACK_PACKETS),
                };
                self.send(interface, &[plain], &mut remarks)?;
            } else {
                sent?;
            }
        }
        Ok(remarks)
    }

    fn send(
        &mut self,
        interface: &Interface,
        requests: &[Request],
        remarks: &mut Vec<String>,
    ) -> Result<(), Error> {
        let wire: Vec<_> = requests
            .iter()
            .map(|request| message(request, interface.index))
            .collect();
        match self.socket.request(&wire) {
            Ok(warnings) => {
                remarks.extend(warnings.into_iter().map(|warning| warning.text));
                Ok(())
            }
            Err(error) => {
                let index = match &error {
                    Netlink::Rejected(all) => all.iter().find_map(|one| one.index),
                    _ => None,
                };
                let request = index.and_then(|index| requests.get(index));
                Err(refusal(interface, request.or(requests.first()), error))
            }
        }
    }

    fn find(&mut self, name: &str) -> Result<Interface, Error> {
        let mut found = None;
        let answer = self.socket.get(&link(name), |reply| {
            found = interface(reply)?;
            Ok(())
        });
        match (answer, found) {
            (Ok(()), Some(interface)) => Ok(interface),
            // ERANGE, EINVAL: no interface can have such a name.
            (Ok(()) | Err(Netlink::NotFound | Netlink::Rejected(_)), _) => {
                Err(Error::NoSuchInterface(name.to_owned()))
            }
            (Err(error), _) => Err(reading(&format!("find interface {name}"), error)),
        }
    }

    /// Returns the kind of the first of the host's qdiscs that has filters.
    fn filtered(&mut self, index: u32, host: &HostQdisc) -> Result<Option<String>, Netlink> {
        // 0 asks for the root, whatever its handle.
        let root = (0, &host.kind);
        let chosen = host.children.iter().filter(|child| child.handle != 0);
        let queues = chosen.map(|child| (child.handle, &child.kind));
        for (handle, kind) in std::iter::once(root).chain(queues) {
            if !self.filters(index, handle)?.preferences.is_empty() {
                return Ok(Some(kind.clone()));
            }
        }
        Ok(None)
    }

    fn filters(&mut self, index: u32, parent: u32) -> Result<Filters, Netlink> {
        self.socket
            .dump(&dump(RTM_GETTFILTER, index, parent), Filters::add)
    }
}

pub(crate) fn dump(kind: u16, interface: u32, parent: u32) -> RouteMessage {
    let place = Place {
        interface,
        parent,
        ..Place::default()
    };
    place.message(kind, NlmF::empty(), |_| {})
}

fn is_structural(request: &Request) -> bool {
    match request {
        Request::CreateRoot { .. }
        | Request::DeleteRoot
        | Request::RestoreRoot(_)
        | Request::RestoreQueue { .. }
        | Request::DeleteFilters => true,
        Request::SetClass { minor, .. }
        | Request::SetLeaf { minor, .. }
        | Request::DeleteClass { minor } => *minor == DEFAULT_MINOR,
        Request::SetFilter { .. } | Request::DeleteFilter { .. } => false,
    }
}

pub(crate) fn is_errno(error: &Netlink, errno: Errno) -> bool {
    match error {
        Netlink::Rejected(all) => all.first().is_some_and(|one| one.errno == errno),
        _ => false,
    }
}

fn refusal(interface: &Interface, request: Option<&Request>, source: Netlink) -> Error {
    match (&source, request) {
        (Netlink::PermissionDenied, _) => Error::Permission(source),
        (_, Some(Request::CreateRoot { .. })) if is_errno(&source, Errno::ENOENT) => {
            Error::Unsupported(source)
        }
        (_, Some(Request::SetFilter { .. })) if is_errno(&source, Errno::ENOENT) => {
            Error::NoFwClassifier(source)
        }
        _ => Error::Refused {
            interface: interface.name.clone(),
            request: request.map(ToString::to_string).unwrap_or_default(),
            source,
        },
    }
}

pub(crate) fn reading(what: &str, source: Netlink) -> Error {
    match source {
        Netlink::PermissionDenied => Error::Permission(source),
        Netlink::DumpInterrupted => Error::Raced,
        _ => Error::Read {
            what: what.to_owned(),
            source,
        },
    }
}
