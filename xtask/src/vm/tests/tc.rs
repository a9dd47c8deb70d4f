//! pm-tc on the VPS's interface, and `tc` to judge it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use pm_tc::{Classifier, HostQdisc, Kernel, Root, Shape, TrafficControl, class_id, plan, withdraw};

use crate::lab::Lab;
use crate::namespace::run;

/// Shapes one interface, as the engine does: reads, plans, applies, and remembers what stood there.
pub(super) struct Shaper {
    control: TrafficControl,
    kernel: Kernel,
    interface: &'static str,
    host: Option<HostQdisc>,
}

impl Shaper {
    /// Finds out what the kernel offers; nothing changes on the interface.
    pub(super) fn new(interface: &'static str) -> Result<Self> {
        let mut control = TrafficControl::open()?;
        let kernel = control.kernel()?;
        Ok(Self {
            control,
            kernel,
            interface,
            host: None,
        })
    }

    /// Gives the interface its shape; nothing must be left to do then, and the kernel must have nothing to remark.
    pub(super) fn apply(&mut self, shape: &Shape) -> Result<()> {
        let installed = self.control.read(self.interface)?;
        if let Root::Host(host) = &installed.root {
            self.host = Some(host.clone());
        }
        let requests = plan(&installed, shape, self.host.as_ref(), &self.kernel);
        let remarks = self.control.apply(&installed.interface, &requests)?;
        ensure!(remarks.is_empty(), "the kernel remarked {remarks:?}");
        let installed = self.control.read(self.interface)?;
        let rest = plan(&installed, shape, self.host.as_ref(), &self.kernel);
        ensure!(
            rest.is_empty(),
            "a second time there is left to do: {rest:?}"
        );
        Ok(())
    }

    /// Gives the root back from a record that was saved and loaded again.
    pub(super) fn withdraw(&mut self) -> Result<()> {
        let saved = serde_json::to_string(&self.host)?;
        let host: Option<HostQdisc> = serde_json::from_str(&saved)?;
        let installed = self.control.read(self.interface)?;
        let requests = withdraw(&installed, host.as_ref());
        let remarks = self.control.apply(&installed.interface, &requests)?;
        ensure!(remarks.is_empty(), "the kernel remarked {remarks:?}");
        let installed = self.control.read(self.interface)?;
        let rest = withdraw(&installed, host.as_ref());
        ensure!(
            rest.is_empty(),
            "a second time there is left to do: {rest:?}"
        );
        Ok(())
    }
}

/// Returns the shape with these classes, by minor number.
pub(super) fn shape(classes: &[(u16, &str)], classifier: Classifier) -> Result<Shape> {
    let classes = classes
        .iter()
        .map(|(minor, rate)| Ok((*minor, rate.parse()?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    Ok(Shape::new(classes, classifier)?)
}

/// Runs `tc` in the VPS and returns what it printed.
pub(super) fn tc(lab: &Lab, line: &str) -> Result<String> {
    run(lab.vps.command("tc").args(line.split(' ')), None)?
        .success()
        .with_context(|| format!("tc {line}"))
}

/// Returns all qdiscs of an interface as `tc` shows them.
pub(super) fn qdiscs(lab: &Lab, interface: &str) -> Result<String> {
    tc(lab, &format!("qdisc show dev {interface}"))
}

/// Gives the VPS's card an `mq` whose queues have qdiscs of several kinds, and returns what `tc` shows of it.
pub(super) fn operators_mq(lab: &Lab) -> Result<String> {
    for line in [
        "root handle 1: mq",
        "parent 1:1 pfifo limit 77",
        "parent 1:3 handle 30: fq_codel limit 555 target 7ms",
        "parent 1:4 handle 40: fq maxrate 77mbit",
    ] {
        tc(lab, &format!("qdisc replace dev eth0 {line}"))?;
    }
    qdiscs(lab, "eth0")
}

/// Returns what `tc` shows of a class of pm's, without statistics.
pub(super) fn class(lab: &Lab, interface: &str, minor: u16) -> Result<String> {
    let id = class_id(minor);
    let (major, minor) = (id >> 16, id & 0xffff);
    tc(
        lab,
        &format!("class show dev {interface} classid {major:x}:{minor:x}"),
    )
}

/// Returns what `tc` shows of the leaf of a class of pm's, from its kind on; empty where there is none.
pub(super) fn leaf(lab: &Lab, interface: &str, minor: u16) -> Result<String> {
    let id = class_id(minor);
    let place = format!(" parent {:x}:{:x} ", id >> 16, id & 0xffff);
    let all = qdiscs(lab, interface)?;
    let line = all.lines().find(|line| line.contains(&place));
    Ok(line.unwrap_or_default().to_owned())
}

/// Returns the bytes and packets that `tc` says a class of pm's has sent, with their Ethernet headers.
pub(super) fn sent(lab: &Lab, interface: &str, minor: u16) -> Result<(u64, u64)> {
    let id = class_id(minor);
    let line = format!(
        "-s class show dev {interface} classid {:x}:{:x}",
        id >> 16,
        id & 0xffff
    );
    let shown = tc(lab, &line)?;
    // As in " Sent 12000 bytes 12 pkt (dropped 0, overlimits 0 requeues 0)".
    let words: Vec<_> = shown
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("Sent "))
        .with_context(|| format!("`tc {line}` printed {shown:?}"))?
        .split(' ')
        .collect();
    match words[..] {
        [bytes, "bytes", packets, "pkt", ..] => Ok((bytes.parse()?, packets.parse()?)),
        _ => anyhow::bail!("`tc {line}` printed {shown:?}"),
    }
}
