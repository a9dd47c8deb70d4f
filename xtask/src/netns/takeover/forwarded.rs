//! What a dog counts of what is forwarded: ports that the host publishes for a guest.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cron::Cron;
use super::old::{PORTS, RATE, used};
use super::setups::DOG;
use crate::lab::{Family, Lab};
use crate::netns::forward::{Cable, Guest};
use crate::netns::settling::{House, Kind, PM};
use crate::netns::tests;
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::{self, Bytes, Place};

tests!["takeover forwarded":
    what_a_dog_counts_of_published_ports_goes_on_to_the_byte,
];

/// The guest's own ports are published under their own numbers: a dog looks at a packet after its address was
/// translated.
const NAT: &str = "table ip docker {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local udp dport { 20000, 30000-30100 } dnat to 10.88.0.2
	}
}
";

fn what_a_dog_counts_of_published_ports_goes_on_to_the_byte(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    let guest = Guest::new(lab, Cable::Bridge)?;
    lab.vps.nft_load(NAT)?;
    lab.watch(&PORTS)?;
    truth::watch_server(&guest.namespace, &PORTS)?;
    DOG.install(lab, &house)?;
    let open = |port| {
        let inside = SocketAddr::new(Guest::address(Family::V4), port);
        let target = SocketAddr::new(Family::V4.vps(), port);
        let udp = Udp::between(lab, Family::V4, (&guest.namespace, inside), target)?;
        // The way back is known from then on.
        udp.send(Way::In, 1, 500)?;
        anyhow::Ok(udp)
    };
    let pace = Pace::Steady(RATE);
    let floods = [
        Flood::over(open(20000)?, Family::V4, Way::In, 500, pace)?,
        Flood::over(open(30050)?, Family::V4, Way::Out, 800, pace)?,
    ];
    let go_on = || floods.iter().try_for_each(|flood| flood.wait_for(500));
    let cron = Cron::start(&house, &DOG)?;
    go_on()?;
    house.ok(&DOG.import())?;
    go_on()?;
    drop(cron);
    house.ok(&[PM, "monitor"])?;
    go_on()?;
    for flood in floods {
        flood.stop()?;
    }
    let closed = DOG.closed(&house)?;
    for (at, port) in PORTS.iter().enumerate() {
        let started = Instant::now();
        loop {
            let arrived = truth::read(&guest.namespace, Place::Passed)?;
            let arrived = arrived.get(*port).context("not watched")?.inbound;
            let answered = lab.truth(Place::Client, port)?.outbound;
            let (incoming, outgoing) = DOG.before[at];
            let expected = Bytes {
                inbound: arrived + incoming,
                outbound: answered + outgoing,
            };
            let closed = if at == 0 { closed } else { 0 };
            let billed = used(&house, port)?;
            if billed.sum() + closed == expected.sum() && (at == 0 || billed == expected) {
                ensure!(arrived + answered > 500_000, "nothing has passed {port}");
                break;
            }
            ensure!(
                started.elapsed() < Duration::from_secs(2),
                "port {port}: pm says {billed:?}, {closed} closed, it was {expected:?}"
            );
        }
    }
    DOG.is_gone(lab, &house)
}
