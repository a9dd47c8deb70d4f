//! Classes by mark: one `fw` filter each, and the rest of the mark is others'.

use anyhow::{Context, Result, ensure};
use pm_tc::{Classifier, MarkField};

use super::shaping::check_rate;
use super::tc::{Shaper, sent, shape, tc};
use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Udp, Way};

tests!["fwmark":
    marked_packets_are_in_their_class_and_foreign_bits_stay,
    a_class_by_mark_sends_at_its_rate,
];

/// What others put around pm's bits, before pm and after.
const FOREIGN: u32 = 0x8000_0042;

fn field() -> Result<MarkField> {
    MarkField::new(0x0fff_0000).context("no such field")
}

/// Marks packets as pm's rules are to, with foreign bits set before and looked at after.
fn mark(lab: &Lab, classes: &[(u16, u16)]) -> Result<()> {
    let field = field()?;
    let mut sort = String::new();
    let mut kept = String::new();
    for (port, minor) in classes {
        let mark = field.mark(*minor).context("no mark for this class")?;
        sort += &format!(
            "udp sport {port} meta mark set meta mark & {:#x} | {mark:#x}\n",
            !field.mask()
        );
        kept += &format!("udp sport {port} meta mark {:#x} counter\n", FOREIGN | mark);
    }
    lab.vps.nft_load(&format!(
        "table inet sort {{\n\
         chain others {{ type filter hook output priority -10; meta mark set {FOREIGN:#x}; }}\n\
         chain pm {{ type filter hook output priority filter + 20;\n{sort}}}\n\
         chain seen {{ type filter hook postrouting priority 300;\n{kept}}}\n}}\n"
    ))
}

fn marked_packets_are_in_their_class_and_foreign_bits_stay(lab: &mut Lab) -> Result<String> {
    let classes = [(20000, 0x1), (20001, 0x10), (20002, 0xfff)];
    mark(lab, &classes)?;
    let mut shaper = Shaper::new("eth0")?;
    let rates = [(0x1, "5M"), (0x10, "5M"), (0xfff, "5M")];
    shaper.apply(&shape(&rates, Classifier::Fwmark(field()?))?)?;
    let filters = tc(lab, "filter show dev eth0 parent 706d:")?;
    for (index, (port, minor)) in classes.into_iter().enumerate() {
        let count = 20 + 10 * index as u64;
        Udp::open(lab, Family::V4, port)?.send(Way::Out, count, 86)?;
        let found = sent(lab, "eth0", minor)?;
        // 86 bytes, their headers, and Ethernet's.
        ensure!(
            found == (count * 128, count),
            "class {minor:x} has sent {found:?} instead of {count} packets of 128; filters:\n{filters}"
        );
        let seen = lab.vps.nft(&["list", "chain", "inet", "sort", "seen"])?;
        ensure!(
            seen.contains(&format!("counter packets {count} bytes")),
            "foreign bits are lost: {seen}"
        );
    }
    Udp::open(lab, Family::V4, 20003)?.send(Way::Out, 10, 86)?;
    let lines = filters
        .lines()
        .filter(|line| line.contains(" classid "))
        .count();
    ensure!(lines == 3, "{lines} filters: {filters}");
    Ok("all 90 packets by mark, mask 0x0fff0000".to_owned())
}

fn a_class_by_mark_sends_at_its_rate(lab: &mut Lab) -> Result<String> {
    mark(lab, &[(20000, 1), (20001, 2)])?;
    let mut shaper = Shaper::new("eth0")?;
    shaper.apply(&shape(
        &[(1, "5M"), (2, "1M")],
        Classifier::Fwmark(field()?),
    )?)?;
    let fast = check_rate(lab, 20000, 5e6)?;
    let slow = check_rate(lab, 20001, 1e6)?;
    Ok(format!("{fast:.3} of 5M, {slow:.3} of 1M"))
}
