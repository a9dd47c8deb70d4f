//! Counting and cutting off on the distribution's kernel.

use anyhow::{Result, ensure};

use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Udp, Way, tcp_exchange};
use crate::truth::{Bytes, Place};

tests!["quota":
    every_protocol_and_family_is_counted_to_the_byte,
    a_flow_is_cut_at_its_quota,
];

const PAYLOAD: usize = 972;

fn every_protocol_and_family_is_counted_to_the_byte(lab: &mut Lab) -> Result<String> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1GB"])?;
    for family in Family::ALL {
        let udp = Udp::open(lab, family, 20000)?;
        udp.send(Way::In, 50, PAYLOAD)?;
        udp.send(Way::Out, 30, 1)?;
        tcp_exchange(lab, family, 20000, 50_000, 200_000)?;
    }
    lab.exact(&["20000"])?;
    lab.ok(&["monitor"])?;
    lab.exact(&["20000"])?;
    let Bytes { inbound, outbound } = lab.service("20000")?.bytes();
    Ok(format!("{inbound} in, {outbound} out, as on the wire"))
}

fn a_flow_is_cut_at_its_quota(lab: &mut Lab) -> Result<String> {
    const QUOTA: u64 = 300_000;
    lab.watch(&["20000"])?;
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "300KB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 100, PAYLOAD)?;
    udp.send(Way::Out, 100, PAYLOAD)?;
    let exact = Bytes {
        inbound: 100_000,
        outbound: 100_000,
    };
    lab.exact(&["20000"])?;
    ensure!(lab.service("20000")?.bytes() == exact);
    udp.push(Way::Out, 400, PAYLOAD)?;
    udp.push(Way::In, 400, PAYLOAD)?;
    let (tried, passed) = (
        lab.truth(Place::Tried, "20000")?.sum(),
        lab.truth(Place::Passed, "20000")?.sum(),
    );
    let packet = Family::V4.udp_length(PAYLOAD);
    ensure!(
        passed <= QUOTA && passed + packet >= QUOTA && tried == 10 * 100_000,
        "{passed} of {tried} bytes passed a quota of {QUOTA}"
    );
    lab.ok(&["monitor"])?;
    let service = lab.service("20000")?;
    ensure!(
        service.billed_bytes == passed && service.blocked_by.as_deref() == Some("quota"),
        "{passed} bytes passed, and pm says {service:?}"
    );
    Ok(format!("{passed} of {tried} bytes passed, {QUOTA} allowed"))
}
