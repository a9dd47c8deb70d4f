//! The host's own root qdisc: what may be taken away, and put back.

use pm_netlink::attributes;
use pm_netlink::rtnetlink::{TC_H_MAJ_MASK, TCA_CAKE_BASE_RATE64};
use serde::{Deserialize, Serialize};

use crate::hex;
use crate::qdisc::{Found, Qdisc};

/// Kinds that sort nobody's traffic nor shape it unless told so, and can be put back from what the
/// kernel shows of them.
const HARMLESS: [&str; 9] = [
    "noqueue",
    "mq",
    "pfifo_fast",
    "pfifo",
    "bfifo",
    "fq",
    "fq_codel",
    "cake",
    "sfq",
];
/// Kinds that the kernel does not take as a class's leaf.
const NO_LEAVES: [&str; 3] = ["", "noqueue", "mq"];
/// Always there: `net/sched/sch_generic.c`.
const BUILT_IN: &str = "pfifo_fast";

/// A root qdisc that was there before pm, to be recorded and put back.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct HostQdisc {
    /// The kernel's name of the kind; empty on an interface that was never up.
    pub kind: String,
    /// The handle, its minor half 0. Only the kernel's default has 0: it comes back by itself
    /// when the root is deleted.
    pub handle: u32,
    /// The options as the kernel showed them.
    #[serde(with = "hex")]
    pub options: Vec<u8>,
    /// The queues of an `mq`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<HostChild>,
}

/// One queue's qdisc under an `mq`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HostChild {
    /// Which queue, from 1.
    pub queue: u16,
    /// The kind.
    pub kind: String,
    /// The handle; 0 for the kernel's own choice.
    pub handle: u32,
    /// The options.
    #[serde(with = "hex")]
    pub options: Vec<u8>,
}

impl HostQdisc {
    /// Says whether the kernel put it there by itself, and will again.
    pub fn is_default(&self) -> bool {
        self.handle == 0
    }

    /// Returns the leaf that stands in for this qdisc under pm's default class.
    ///
    /// Where it cannot be a leaf: for `mq` what its first queue has, else `default_kind`, which
    /// is the host's `net.core.default_qdisc`.
    pub fn leaf(&self, default_kind: &str) -> Qdisc {
        let can = |kind: &str| !NO_LEAVES.contains(&kind);
        let own = (self.kind.as_str(), &self.options);
        let queues = self
            .children
            .iter()
            .map(|one| (one.kind.as_str(), &one.options));
        std::iter::once(own)
            .chain(queues)
            .find(|(kind, _)| can(kind))
            .map_or_else(
                || {
                    Qdisc::plain(if can(default_kind) {
                        default_kind
                    } else {
                        BUILT_IN
                    })
                },
                |(kind, options)| Qdisc {
                    kind: kind.to_owned(),
                    options: options.clone(),
                },
            )
    }

    /// Makes the record of `root`, one of the qdiscs of `all`; `None` is an interface without.
    ///
    /// # Errors
    ///
    /// The kind that is not known to be harmless.
    pub(crate) fn record(root: Option<&Found>, all: &[Found]) -> Result<Self, String> {
        let Some(root) = root else {
            return Ok(Self::default());
        };
        let harmless = |found: &Found| match &found.qdisc.kind {
            kind if !HARMLESS.contains(&kind.as_str()) => Err(kind.clone()),
            kind => match rate_of(&found.qdisc) {
                Some(rate) => Err(format!("{kind} with a {rate}")),
                None => Ok(()),
            },
        };
        harmless(root)?;
        let mut children = Vec::new();
        for found in all {
            let parent = found.place.parent;
            let queue = u16::try_from(parent & !TC_H_MAJ_MASK).unwrap_or(0);
            if root.qdisc.kind == "mq" && parent & TC_H_MAJ_MASK == root.place.handle && queue != 0
            {
                harmless(found)?;
                children.push(HostChild {
                    queue,
                    kind: found.qdisc.kind.clone(),
                    handle: found.place.handle,
                    options: found.qdisc.options.clone(),
                });
            }
        }
        children.sort_by_key(|child| child.queue);
        Ok(Self {
            kind: root.qdisc.kind.clone(),
            handle: root.place.handle,
            options: root.qdisc.options.clone(),
            children,
        })
    }
}

/// Whether a qdisc of a harmless kind is nevertheless told to shape all that is sent: under pm's
/// default class it would shape no service that has a class. The `maxrate` of fq is a flow's own,
/// and no limit of the line.
///
/// Source: `include/uapi/linux/pkt_sched.h`; `cake_dump` of `net/sched`, for what stands for no rate.
fn rate_of(qdisc: &Qdisc) -> Option<&'static str> {
    if qdisc.kind != "cake" {
        return None;
    }
    let mut all = attributes(&qdisc.options).filter_map(Result::ok);
    let rate = all.find(|found| found.kind == TCA_CAKE_BASE_RATE64)?;
    (rate.ne64().ok()? != 0).then_some("bandwidth")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qdisc::Place;

    fn found(kind: &str, handle: u32, parent: u32) -> Found {
        Found {
            place: Place {
                interface: 2,
                handle,
                parent,
                info: 0,
            },
            qdisc: Qdisc {
                kind: kind.to_owned(),
                options: vec![1, 2],
            },
        }
    }

    #[test]
    fn an_mq_is_recorded_with_its_queues() {
        let root = found("mq", 0x8001_0000, u32::MAX);
        let queues = [
            found("fq", 0, 0x8001_0002),
            found("sfq", 0x8002_0000, 0x8001_0001),
        ];
        let host = HostQdisc::record(Some(&root), &queues).unwrap();
        assert_eq!(host.children[0].kind, "sfq");
        assert_eq!(host.leaf("cake").kind, "sfq");
        let text = serde_json::to_string(&host).unwrap();
        assert!(text.contains(r#""options":"0102""#), "{text}");
        assert_eq!(serde_json::from_str::<HostQdisc>(&text).unwrap(), host);
        let shaped = [found("htb", 0x8002_0000, 0x8001_0001)];
        assert_eq!(
            HostQdisc::record(Some(&root), &shaped),
            Err("htb".to_owned())
        );
    }

    /// As x86 shows them: `struct nlattr` (length, kind) and payload.
    const CAKE_UNLIMITED: &[u8] = &[
        12, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, // base rate: none
        8, 0, 3, 0, 0, 0, 0, 0, // diffserv3
    ];
    const CAKE_20_MBIT: &[u8] = &[
        12, 0, 2, 0, 0xa0, 0x25, 0x26, 0, 0, 0, 0, 0, // 2,500,000 bytes a second
        8, 0, 3, 0, 0, 0, 0, 0,
    ];
    const FQ_20_MBIT: &[u8] = &[
        8, 0, 1, 0, 0x10, 0x27, 0, 0, //
        8, 0, 7, 0, 0xa0, 0x25, 0x26, 0, // 2,500,000 bytes a second
        8, 0, 5, 0, 1, 0, 0, 0,
    ];

    #[test]
    fn a_harmless_kind_that_shapes_is_not_harmless() {
        let with = |kind: &str, handle, parent, options: &[u8]| {
            let mut found = found(kind, handle, parent);
            found.qdisc.options = options.to_vec();
            found
        };
        let mq = found("mq", 0x8001_0000, u32::MAX);
        for (kind, options, refused) in [
            ("cake", CAKE_UNLIMITED, None),
            ("cake", CAKE_20_MBIT, Some("cake with a bandwidth")),
            ("fq", FQ_20_MBIT, None),
            // Numbers mean something else in each kind.
            ("fq", &CAKE_20_MBIT[..12], None),
        ] {
            let root = with(kind, 0x1_0000, u32::MAX, options);
            let queue = with(kind, 0x2_0000, 0x8001_0001, options);
            for judged in [
                HostQdisc::record(Some(&root), &[]),
                HostQdisc::record(Some(&mq), &[queue]),
            ] {
                assert_eq!(judged.err().as_deref(), refused, "{kind} {options:?}");
            }
        }
    }

    #[test]
    fn a_kind_that_cannot_be_a_leaf_is_replaced() {
        let leaf = |kind: &str, default: &str| {
            let root = found(kind, 0, u32::MAX);
            HostQdisc::record(Some(&root), &[])
                .unwrap()
                .leaf(default)
                .kind
        };
        assert_eq!(leaf("fq", "cake"), "fq");
        assert_eq!(leaf("noqueue", "cake"), "cake");
        assert_eq!(leaf("mq", "mq"), "pfifo_fast");
        assert_eq!(HostQdisc::default().leaf(""), Qdisc::plain("pfifo_fast"));
    }

    #[test]
    fn a_record_with_broken_options_is_refused() {
        for options in ["0", "0g", "é"] {
            let text = format!(r#"{{"kind":"fq","handle":0,"options":"{options}"}}"#);
            assert!(serde_json::from_str::<HostQdisc>(&text).is_err());
        }
    }
}
