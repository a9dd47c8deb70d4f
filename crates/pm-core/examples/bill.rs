//! Embeds pm's rules: a recorded trace of counter readings in, a bill out.
//!
//! The trace is what a host's own exporter might have written: time, boot, and the bytes that
//! two counters of port 20000 showed. It crosses the end of a billing period and a reboot, at
//! which the counters begin at zero again. Run it with `cargo run -p pm-core --example bill`.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use pm_core::backend::{CounterReading, HostId, Reading, TableReading};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::State;
use pm_core::plan::{difference, plan};
use pm_core::port::PortRange;
use pm_core::ruleset::{Direction, Epoch, Installed, RoomId, Variant};
use pm_core::tick::{Now, step};

const CONFIG: &str =
    r#"{"schema":1,"services":{"20000":{"note":"alice","quota":"5GB","reset":"1"}}}"#;

/// Unix time, boot, bytes in, bytes out.
const TRACE: &str = "\
1793404800,a,0,0
1793440800,a,1200000000,300000000
1793487600,a,1500000000,900000000
1793491200,a,1500000000,1000000000
1793494800,b,0,0
1793498400,b,40000000,2000000
";

fn main() -> Result<(), Box<dyn Error>> {
    for line in bill(TRACE)? {
        println!("{line}");
    }
    Ok(())
}

/// Returns the lines of the bill: each period that the trace closes, and the one that runs on.
fn bill(trace: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut bill = Vec::new();
    let config = Config::parse(CONFIG)?;
    let zone = Zone::named("Europe/Berlin")?;
    let mut state = State::new(Epoch(0));
    let mut installed = Installed::default();
    let mut boot = "";
    for (line, text) in trace.lines().enumerate() {
        let fields: Vec<&str> = text.split(',').collect();
        let [time, now_boot, incoming, outgoing] = fields[..] else {
            return Err(format!("line {}: expected four fields", line + 1).into());
        };
        let now = Now {
            time: Timestamp::from_unix(time.parse()?),
            // Nobody is judged by his rate here.
            since_boot: Duration::ZERO,
            zone: &zone,
            not_before: Timestamp::from_unix(0),
            next_epoch: Epoch(line as u64 + 1),
        };
        if boot != now_boot {
            // A new boot knows no rules: what pm makes there counts from zero.
            boot = now_boot;
            let nothing = Reading {
                host: host(boot),
                generation: 1,
                has_legacy_nat: false,
                table: None,
                fresh: None,
            };
            bill.extend(account(
                &config,
                &mut state,
                &nothing,
                &Installed::default(),
                now,
            ));
            let wanted = plan(&config, &state, &nothing, &Installed::default());
            installed =
                Installed::default().after(&difference(&Installed::default(), &wanted, &state));
        }
        let table = table("20000".parse()?, incoming.parse()?, outgoing.parse()?);
        let reading = Reading {
            host: host(boot),
            generation: 2,
            has_legacy_nat: false,
            table: Some(table),
            fresh: None,
        };
        bill.extend(account(&config, &mut state, &reading, &installed, now));
    }
    for (ports, service) in &config.services {
        let billed = state.ledgers[ports].account.billed();
        bill.push(format!(
            "{ports} ({}): {billed} bytes so far in this period",
            service.note.as_str()
        ));
    }
    Ok(bill)
}

/// Does one tick's accounting and returns what it closes.
fn account(
    config: &Config,
    state: &mut State,
    reading: &Reading,
    installed: &Installed,
    now: Now,
) -> Vec<String> {
    let (next, events) = step(config, state, reading, installed, now);
    *state = next;
    let closed = events.into_iter().filter_map(|event| match event {
        Event::PeriodEnded { holder, usage } => Some(format!(
            "{holder}: billed {} bytes in, {} bytes out",
            usage.incoming, usage.outgoing
        )),
        _ => None,
    });
    closed.collect()
}

fn host(boot: &str) -> HostId {
    HostId {
        boot: boot.to_owned(),
        netns: "1".to_owned(),
    }
}

fn table(ports: PortRange, incoming: u64, outgoing: u64) -> TableReading {
    let room = RoomId {
        ports,
        variant: Variant::A,
    };
    let counters = BTreeMap::from([
        (
            (room, Direction::In),
            CounterReading {
                handle: 1,
                bytes: incoming,
            },
        ),
        (
            (room, Direction::Out),
            CounterReading {
                handle: 2,
                bytes: outgoing,
            },
        ),
    ]);
    TableReading {
        handle: 1,
        counters,
        quotas: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: midnight of 1 November in Berlin is 1793487600, so what the counters show then,
    /// 1.5 GB in and 0.9 GB out, belongs to October. November has the 0.1 GB out that came until
    /// the reboot, and the 40 MB in and 2 MB out of the counters that began at zero after it.
    #[test]
    fn the_bill_is_right_to_the_byte() {
        assert_eq!(
            bill(TRACE).unwrap(),
            [
                "20000: billed 1500000000 bytes in, 900000000 bytes out",
                "20000 (alice): 142000000 bytes so far in this period",
            ]
        );
    }

    #[test]
    fn a_trace_that_is_none_is_refused() {
        assert!(bill("1793404800,a,0").is_err());
        assert!(bill("yesterday,a,0,0").is_err());
    }
}
