//! Requests as rtnetlink messages, one each.

use pm_netlink::rtnetlink::*;
use pm_netlink::{NlmF, RouteMessage};

use crate::filter;
use crate::plan::Request;
use crate::qdisc::{Place, Qdisc, emit_root, leaf, root};
use crate::{CLASS_MAJOR, class_id};

/// Returns the message that carries out `request` on `interface`.
///
/// Source: `net/sched/sch_api.c`, `tc_modify_qdisc`, for what the flags mean; tc(8).
pub(crate) fn message(request: &Request, interface: u32) -> RouteMessage {
    match request {
        Request::RestoreRoot(host) => put(root(interface, host.handle), &host.kind, &host.options),
        Request::RestoreQueue { parent, child } => {
            let place = Place {
                interface,
                handle: child.handle,
                parent: parent | u32::from(child.queue),
                info: 0,
            };
            put(place, &child.kind, &child.options)
        }
        &Request::CreateRoot { replace } => {
            // The kernel's default root does not count as one that exists.
            let exists = if replace { NlmF::REPLACE } else { NlmF::EXCL };
            root(interface, class_id(0)).message(RTM_NEWQDISC, NlmF::CREATE | exists, emit_root)
        }
        Request::DeleteRoot => {
            root(interface, class_id(0)).message(RTM_DELQDISC, NlmF::empty(), |_| {})
        }
        Request::SetClass { minor, shape } => {
            class(interface, *minor).message(RTM_NEWTCLASS, NlmF::CREATE, |a| shape.emit(a))
        }
        Request::DeleteClass { minor } => Place {
            parent: 0,
            ..class(interface, *minor)
        }
        .message(RTM_DELTCLASS, NlmF::empty(), |_| {}),
        Request::SetLeaf { minor, leaf: qdisc } => {
            put(leaf(interface, *minor), &qdisc.kind, &qdisc.options)
        }
        &Request::SetFilter { mark, mask, minor } => {
            filter::place(interface, mark).message(RTM_NEWTFILTER, NlmF::CREATE, |a| {
                filter::emit(a, minor, mask);
            })
        }
        &Request::DeleteFilter { mark } => {
            filter::place(interface, mark).message(RTM_DELTFILTER, NlmF::empty(), |a| {
                a.string(TCA_KIND, "fw");
            })
        }
        Request::DeleteFilters => {
            filter::all(interface).message(RTM_DELTFILTER, NlmF::empty(), |_| {})
        }
    }
}

fn class(interface: u32, minor: u16) -> Place {
    Place {
        interface,
        handle: class_id(minor),
        parent: u32::from(CLASS_MAJOR) << 16,
        info: 0,
    }
}

fn put(place: Place, kind: &str, options: &[u8]) -> RouteMessage {
    let qdisc = Qdisc {
        kind: kind.to_owned(),
        options: options.to_vec(),
    };
    let flags = NlmF::CREATE | NlmF::REPLACE;
    place.message(RTM_NEWQDISC, flags, |a| qdisc.emit(a))
}
