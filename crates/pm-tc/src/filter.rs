//! The fwmark classifier: one `fw` filter a class, with a mask.
//!
//! Without a filter of its own, `fw` would take the whole mark as a class id; that "old method"
//! leaves no bits of the mark to anybody else.
//!
//! Source: `net/sched/cls_fw.c`; `include/uapi/linux/pkt_cls.h`; tc-fw(8).

use pm_netlink::rtnetlink::*;
use pm_netlink::{Attributes, Malformed, attributes};

use crate::CLASS_MAJOR;
use crate::qdisc::Place;
use crate::{class_id, installed::InstalledFilter};

/// The preference of pm's filters, its own number again.
pub(crate) const PREFERENCE: u16 = CLASS_MAJOR;

/// The place of one of pm's filters.
pub(crate) fn place(interface: u32, mark: u32) -> Place {
    Place {
        handle: mark,
        info: all(interface).info | u32::from(ETH_P_ALL.to_be()),
        ..all(interface)
    }
}

/// The place of everything at pm's preference, of whatever kind and protocol.
pub(crate) fn all(interface: u32) -> Place {
    Place {
        interface,
        handle: 0,
        parent: class_id(0),
        info: u32::from(PREFERENCE) << 16,
    }
}

/// Appends kind and options of a filter.
pub(crate) fn emit(a: &mut Attributes<'_>, minor: u16, mask: u32) {
    a.string(TCA_KIND, "fw");
    a.nest_unflagged(TCA_OPTIONS, |options| {
        options.ne32(TCA_FW_MASK, mask);
        options.ne32(TCA_FW_CLASSID, class_id(minor));
    });
}

/// Reads the options of a `fw` filter. One that points out of pm's tree has minor 0.
pub(crate) fn parse(options: &[u8]) -> Result<InstalledFilter, Malformed> {
    let mut filter = InstalledFilter {
        mask: u32::MAX,
        minor: 0,
    };
    for attribute in attributes(options) {
        let attribute = attribute?;
        match attribute.kind {
            TCA_FW_CLASSID => {
                let [high, low] = [attribute.ne32()? >> 16, attribute.ne32()? & TC_H_MIN_MASK];
                let ours = high == u32::from(CLASS_MAJOR);
                filter.minor = u16::try_from(low).ok().filter(|_| ours).unwrap_or(0);
            }
            TCA_FW_MASK => filter.mask = attribute.ne32()?,
            _ => {}
        }
    }
    Ok(filter)
}
