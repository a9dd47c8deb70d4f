//! Captured bytes: what the real `tc` sends, and what a kernel shows.
//!
//! `tests/golden/*.hex` are annotated attribute by attribute; each names its kernel and commands.

use std::collections::BTreeMap;

use pm_netlink::rtnetlink::*;
use pm_netlink::{NlmF, RouteMessage, RouteReply, attributes, route_replies};

use crate::class::ClassShape;
use crate::host::HostQdisc;
use crate::installed::{Classes, Filters, InstalledFilter, Judged, Qdiscs};
use crate::message::message;
use crate::plan::Request;
use crate::qdisc::Qdisc;
use crate::rate::Psched;

/// Reads hexadecimal bytes, with comments from `#` to the end of the line.
fn bytes(annotated: &str) -> Vec<u8> {
    annotated
        .lines()
        .flat_map(|line| {
            line.split('#')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace()
        })
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// The message that follows the line `# command`, without the request for an acknowledgement,
/// which is added when a message is sent.
fn sent(command: &str) -> Vec<u8> {
    let file = include_str!("../tests/golden/sent.hex");
    let heading = format!("\n# {command}\n");
    let (_, rest) = file
        .split_once(&heading)
        .unwrap_or_else(|| panic!("{command}"));
    let mut all = bytes(rest.split("\n\n").next().unwrap());
    all[6] &= !4;
    all
}

/// What `request` sends to interface 2.
fn ours(request: Request) -> Vec<u8> {
    message(&request, 2).as_bytes().to_vec()
}

fn shape(rate: &str) -> ClassShape {
    let clock = Psched::parse("000003e8 00000040 000f4240 3b9aca00").unwrap();
    ClassShape::of(rate.parse().unwrap(), clock)
}

#[test]
fn roots_and_leaves_are_made_as_tc_makes_them() {
    assert_eq!(
        ours(Request::CreateRoot { replace: false }),
        sent("tc qdisc add dev ifb0 root handle 706d: htb default ffff direct_qlen 1000")
    );
    assert_eq!(
        ours(Request::DeleteRoot),
        sent("tc qdisc del dev ifb0 root handle 706d:")
    );
    let leaf = Qdisc::bfifo(1_250_000);
    assert_eq!(
        ours(Request::SetLeaf { minor: 1, leaf }),
        sent("tc qdisc replace dev ifb0 parent 706d:1 bfifo limit 1250000")
    );
    let host = HostQdisc {
        kind: "bfifo".to_owned(),
        handle: 0x8001_0000,
        options: 77_777_u32.to_ne_bytes().to_vec(),
        children: Vec::new(),
    };
    assert_eq!(
        ours(Request::RestoreRoot(host)),
        sent("tc qdisc replace dev ifb0 root handle 8001: bfifo limit 77777")
    );
}

#[test]
fn classes_are_made_as_tc_makes_them() {
    let class = |minor, rate: &str| {
        ours(Request::SetClass {
            minor,
            shape: shape(rate),
        })
    };
    let command = |minor, rate, burst, quantum| {
        format!(
            "tc class replace dev ifb0 parent 706d: classid 706d:{minor} htb rate {rate} burst {burst} cburst {burst} quantum {quantum}"
        )
    };
    assert_eq!(
        class(3, "40Gbps"),
        sent(&command(3, "40gbit", 10_000_000, 60_000))
    );
    // Where 32 bits are enough for the rate, tc does not send 64.
    for (minor, rate, theirs) in [
        (1, "100Mbps", command(1, "100mbit", 25_000, 60_000)),
        (2, "1Mbps", command(2, "1mbit", 16_384, 1514)),
    ] {
        assert_eq!(without_rate64(&class(minor, rate)), sent(&theirs));
    }
    assert_eq!(
        ours(Request::DeleteClass { minor: 1 }),
        sent("tc class del dev ifb0 classid 706d:1")
    );
}

#[test]
fn filters_are_made_as_tc_makes_them() {
    let set = Request::SetFilter {
        mark: 0x1_0000,
        mask: 0xffff_0000,
        minor: 1,
    };
    let place = "dev ifb0 parent 706d: protocol all pref 28781 handle 0x10000/0xffff0000 fw";
    let created = ours(set);
    assert_eq!(
        created,
        sent(&format!("tc filter replace {place} classid 706d:1"))
    );
    assert_eq!(
        ours(Request::DeleteFilter { mark: 0x1_0000 }),
        sent(&format!("tc filter del {place}"))
    );
    assert_eq!(
        ours(Request::DeleteFilters),
        sent("tc filter del dev ifb0 parent 706d: pref 28781")
    );
    let mut found = Filters::default();
    let reply = route_replies(&created).next().unwrap().unwrap();
    found.add(&reply).unwrap();
    let filter = InstalledFilter {
        mask: 0xffff_0000,
        minor: 1,
    };
    assert_eq!(found.ours, BTreeMap::from([(0x1_0000, filter)]));
    assert!(!found.odd);
}

#[test]
fn the_dumps_of_a_kernel_are_what_was_installed() {
    let dump = bytes(include_str!("../tests/golden/dumps.hex"));
    let (mut qdiscs, mut classes) = (Qdiscs::default(), Classes::default());
    for reply in route_replies(&dump) {
        let reply = reply.unwrap();
        qdiscs.add(&reply, 2).unwrap();
        classes.add(&reply).unwrap();
    }
    assert_eq!(qdiscs.judge(), Ok(Judged::Ours(true)));
    let tree = classes.tree(true, qdiscs.leaves());
    assert!(tree.sound && !tree.has_default());
    let found = |minor| &tree.classes[&minor];
    assert_eq!(found(1).shape, shape("100Mbps"));
    assert_eq!(found(1).leaf, Some(Qdisc::bfifo(1_250_000)));
    assert_eq!((found(3).shape, &found(3).leaf), (shape("40Gbps"), &None));
}

/// Returns a class's message without the attributes that hold its rates in 64 bits.
fn without_rate64(message: &[u8]) -> Vec<u8> {
    let reply: RouteReply<'_> = route_replies(message).next().unwrap().unwrap();
    let cut = RouteMessage::new(reply.kind, NlmF::CREATE, reply.header, |a| {
        for attribute in reply.attributes().map(Result::unwrap) {
            if attribute.kind != TCA_OPTIONS {
                a.bytes(attribute.kind, attribute.payload);
                continue;
            }
            a.nest_unflagged(TCA_OPTIONS, |a| {
                let wide = [TCA_HTB_RATE64, TCA_HTB_CEIL64];
                for one in attributes(attribute.payload).map(Result::unwrap) {
                    if !wide.contains(&one.kind) {
                        a.bytes(one.kind, one.payload);
                    }
                }
            });
        }
    });
    cut.as_bytes().to_vec()
}
