//! The act about a quota that several services share.

use anyhow::Result;

use super::Demo;
use super::acts::{MB, SUPER_PACKET, blocked_by, passed, tried, until};
use super::figures::grouped;
use crate::lab::Family;
use crate::traffic::{Flood, Pace, TcpFlood, Way};

const MEMBERS: [&str; 3] = ["7001", "7002", "7100-7109"];
const QUOTA: u64 = 300 * MB;

pub(super) fn shared(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Shared",
        "Three services of one family share 300 MB. All of them are flooded at once: up and down, UDP and TCP, IPv4 \
         and IPv6. One quota in the kernel stops them all.",
    );
    lab.watch_cut(&MEMBERS)?;
    screen.pm(lab, &["group", "add", "family", "--quota", "300MB"])?;
    screen.pm(lab, &["add", &MEMBERS.join(","), "--group", "family"])?;
    screen.live(lab, || {
        let floods = [
            Flood::start(lab, Family::V4, Way::In, 7001, 1400, Pace::Unchecked)?,
            Flood::start(lab, Family::V6, Way::Out, 7105, 1400, Pace::Unchecked)?,
        ];
        let tcp = TcpFlood::start(lab, Family::V6, Way::Out, 7002)?;
        until("all are cut off", || {
            let (mut all, mut through) = (0, 0);
            for port in MEMBERS {
                all += tried(lab, port)?;
                through += passed(lab, port)?;
            }
            Ok(all > through + 50 * MB)
        })?;
        drop(tcp);
        floods
            .into_iter()
            .try_for_each(|flood| flood.stop().map(drop))
    })?;
    let (mut through, mut shares) = (0, 0);
    for port in MEMBERS {
        let service = lab.service(port)?;
        through += passed(lab, port)?;
        shares += service.billed_bytes;
        figures.same(format!("{port}, blocked by"), "quota", blocked_by(&service));
    }
    let group = lab.group("family")?;
    screen.say(&format!("Together, {} bytes passed.", grouped(through)));
    figures
        .equal(
            "family, let through past the quota",
            0,
            through.saturating_sub(QUOTA),
        )
        .key();
    figures.below(
        "family, short of it: less than a packet",
        SUPER_PACKET,
        QUOTA.saturating_sub(through),
    );
    figures
        .equal("family, billed is what passed", through, group.billed_bytes)
        .key();
    figures.equal("family, the members' shares", through, shares);
    Ok(())
}
