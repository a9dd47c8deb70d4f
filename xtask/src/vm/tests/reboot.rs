//! What was counted survives a reboot, what was spent stays spent, and a root is not taken for one of before.

use std::fs;

use anyhow::{Result, ensure};

use super::super::image::System;
use super::Test;
use super::tc::{class, operators_mq, qdiscs};
use crate::lab::{Family, Lab};
use crate::traffic::{Udp, Way};
use crate::truth::{Bytes, Place};

/// The tests of this theme.
pub(super) const TESTS: &[Test] = &[Test {
    theme: "reboot",
    name: "usage_quota_and_limits_survive",
    system: System::Systemd,
    steps: &[count_and_cut, come_back],
}];

const PAYLOAD: usize = 972;
/// What the first boot counts for 20001.
const COUNTED: Bytes = Bytes {
    inbound: 100_000,
    outbound: 50_000,
};

fn count_and_cut(lab: &mut Lab) -> Result<String> {
    lab.use_pms_own_directories();
    lab.ok(&["add", "20000", "--quota", "300KB"])?;
    operators_mq(lab)?;
    lab.ok(&["add", "20001", "--limit", "5M"])?;
    let udp = Udp::open(lab, Family::V4, 20001)?;
    udp.send(Way::In, 100, PAYLOAD)?;
    udp.send(Way::Out, 50, PAYLOAD)?;
    Udp::open(lab, Family::V4, 20000)?.push(Way::In, 400, PAYLOAD)?;
    lab.ok(&["monitor"])?;
    let counted = lab.service("20001")?.bytes();
    ensure!(counted == COUNTED, "{counted:?} counted");
    boot_id()
}

fn come_back(lab: &mut Lab) -> Result<String> {
    lab.use_pms_own_directories();
    ensure!(
        lab.table()?.is_empty(),
        "the table is there: {}",
        lab.table()?
    );
    // The card is new too, and nobody chose anything for it.
    let root = qdiscs(lab, "eth0")?;
    lab.ok(&["restore"])?;
    let class = class(lab, "eth0", 20001)?;
    ensure!(class.contains("rate 5Mbit"), "the class is {class:?}");
    lab.watch_cut(&["20000"])?;
    let counted = lab.service("20001")?.bytes();
    ensure!(counted == COUNTED, "{counted:?} is left of {COUNTED:?}");
    Udp::open(lab, Family::V4, 20001)?.send(Way::In, 10, PAYLOAD)?;
    let spent = Udp::open(lab, Family::V4, 20000)?;
    spent.push(Way::In, 10, 1)?;
    spent.push(Way::Out, 10, 1)?;
    lab.ok(&["monitor"])?;
    let counted = lab.service("20001")?.bytes();
    ensure!(counted.inbound == COUNTED.inbound + 10_000, "{counted:?}");
    let (tried, passed) = (
        lab.truth(Place::Tried, "20000")?,
        lab.truth(Place::Passed, "20000")?,
    );
    ensure!(tried.sum() > 0 && passed.sum() == 0, "{passed:?} passed");
    let service = lab.service("20000")?;
    ensure!(
        service.blocked_by.as_deref() == Some("quota"),
        "{service:?}"
    );
    lab.ok(&["teardown"])?;
    let after = qdiscs(lab, "eth0")?;
    ensure!(after == root, "before:\n{root}after:\n{after}");
    boot_id()
}

fn boot_id() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(format!("in boot {}", id.trim()))
}
