//! Qdiscs: how they are named, made and read.
//!
//! Source: `include/uapi/linux/rtnetlink.h`, `struct tcmsg`; `include/uapi/linux/pkt_sched.h`,
//! `struct tc_fifo_qopt`, `struct tc_htb_glob`.

use pm_netlink::rtnetlink::*;
use pm_netlink::{Attributes, Malformed, NlmF, RouteMessage, RouteReply};

use crate::{DEFAULT_MINOR, class_id};

/// pm's HTB. The kernel would take the device's queue length for the direct queue, which is 0 on
/// some: then what arrives before the default class exists would be dropped.
const DIRECT_QUEUE: u32 = 1000;
/// HTB derives quanta from it; pm states each.
const RATE_TO_QUANTUM: u32 = 10;

/// A qdisc without its place: its kind, and its options as the kernel takes and shows them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Qdisc {
    /// The kernel's name of the kind, such as `fq_codel`.
    pub kind: String,
    /// What `TCA_OPTIONS` holds; empty for the kind's defaults.
    pub options: Vec<u8>,
}

impl Qdisc {
    /// Returns a qdisc with its kind's default options.
    pub fn plain(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            options: Vec::new(),
        }
    }

    /// Returns a FIFO that holds `limit` bytes.
    pub fn bfifo(limit: u32) -> Self {
        Self {
            kind: "bfifo".to_owned(),
            options: limit.to_ne_bytes().to_vec(),
        }
    }

    /// Returns a FIFO that holds `limit` packets.
    pub(crate) fn pfifo(limit: u32) -> Self {
        Self {
            kind: "pfifo".to_owned(),
            options: limit.to_ne_bytes().to_vec(),
        }
    }

    /// Says whether this, found as a class's leaf, serves as well as `wanted`. Of `fq_codel` only
    /// the kind counts: pm asks for its defaults, which the kernel shows written out.
    pub(crate) fn serves_as(&self, wanted: &Qdisc) -> bool {
        self.kind == wanted.kind && (wanted.options.is_empty() || self.options == wanted.options)
    }

    pub(crate) fn emit(&self, a: &mut Attributes<'_>) {
        a.string(TCA_KIND, &self.kind);
        if !self.options.is_empty() {
            a.bytes(TCA_OPTIONS, &self.options);
        }
    }
}

/// `struct tcmsg`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) interface: u32,
    pub(crate) handle: u32,
    pub(crate) parent: u32,
    pub(crate) info: u32,
}

impl Place {
    pub(crate) fn message(
        self,
        kind: u16,
        flags: NlmF,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) -> RouteMessage {
        let mut header = [0; 20];
        let fields = [self.interface, self.handle, self.parent, self.info];
        for (field, value) in header[4..].chunks_exact_mut(4).zip(fields) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        RouteMessage::new(kind, flags, &header, fill)
    }

    pub(crate) fn parse(reply: &RouteReply<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            interface: reply.u32_at(4)?,
            handle: reply.u32_at(8)?,
            parent: reply.u32_at(12)?,
            info: reply.u32_at(16)?,
        })
    }
}

/// A qdisc, class or filter of a dump, its options unread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) qdisc: Qdisc,
}

impl Found {
    /// Reads what a dump of `kind` (`RTM_NEW*`) shows; `None` for other messages.
    pub(crate) fn parse(reply: &RouteReply<'_>, kind: u16) -> Result<Option<Self>, Malformed> {
        if reply.kind != kind {
            return Ok(None);
        }
        let mut found = Self {
            place: Place::parse(reply)?,
            qdisc: Qdisc::plain(""),
        };
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                TCA_KIND => found.qdisc.kind = attribute.str()?.to_owned(),
                TCA_OPTIONS => found.qdisc.options = attribute.payload.to_vec(),
                _ => {}
            }
        }
        Ok(Some(found))
    }
}

/// Appends kind and options of pm's root.
pub(crate) fn emit_root(a: &mut Attributes<'_>) {
    a.string(TCA_KIND, "htb");
    a.nest_unflagged(TCA_OPTIONS, |options| {
        let mut glob = [0; 20];
        let fields = [TC_HTB_PROTOVER, RATE_TO_QUANTUM, u32::from(DEFAULT_MINOR)];
        for (field, value) in glob.chunks_exact_mut(4).zip(fields) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        options.bytes(TCA_HTB_INIT, &glob);
        options.ne32(TCA_HTB_DIRECT_QLEN, DIRECT_QUEUE);
    });
}

/// Says whether an HTB's options send unclassified packets to pm's default class.
pub(crate) fn is_our_root(options: &[u8]) -> Result<bool, Malformed> {
    for attribute in pm_netlink::attributes(options) {
        let attribute = attribute?;
        if attribute.kind == TCA_HTB_INIT {
            let default = attribute.payload.get(8..12);
            return Ok(default == Some(&u32::from(DEFAULT_MINOR).to_ne_bytes()[..]));
        }
    }
    Ok(false)
}

/// The place of the root of `interface`.
pub(crate) fn root(interface: u32, handle: u32) -> Place {
    Place {
        interface,
        handle,
        parent: TC_H_ROOT,
        info: 0,
    }
}

/// The place of the leaf of a class of ours.
pub(crate) fn leaf(interface: u32, minor: u16) -> Place {
    Place {
        interface,
        parent: class_id(minor),
        ..Place::default()
    }
}
