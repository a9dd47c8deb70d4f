//! What it costs with 5,000 services.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use pm_core::backend::Netfilter;
use pm_core::config::Mode;
use pm_core::ruleset::Class;

use crate::support::*;

/// The thread's CPU time, in user space and in the kernel.
fn cpu() -> [Duration; 2] {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    [usage.user_time(), usage.system_time()].map(|time| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap())
    })
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (start, before) = (Instant::now(), cpu());
    let value = run();
    let (elapsed, after) = (start.elapsed(), cpu());
    let [user, system] = [after[0] - before[0], after[1] - before[1]];
    println!("{what}: {elapsed:.1?}, CPU {user:.1?} user, {system:.1?} system");
    value
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default()
        .to_owned()
}

/// Prints what a run takes of the CPU, the mean of five: the machine has other things to do.
fn repeated<T>(what: &str, mut run: impl FnMut() -> T) -> T {
    const RUNS: u32 = 5;
    let before = cpu();
    for _ in 1..RUNS {
        run();
    }
    let value = run();
    let after = cpu();
    let [user, system] = [after[0] - before[0], after[1] - before[1]];
    println!(
        "{what}: CPU {:.1?}, {:.1?} of it in the kernel",
        (user + system) / RUNS,
        system / RUNS
    );
    value
}

/// Prints figures rather than judging them: machines differ.
#[test]
fn five_thousand_services() {
    in_namespace(|nftables| {
        let wanted = many(5_000);
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = wanted.changes(&installed);
        timed("apply 5,000 rooms", || nftables.apply(&changes, generation)).unwrap();
        println!("peak {}", peak_memory());
        let reading = repeated("read 15,000 objects", || nftables.read()).unwrap();
        let table = reading.table.unwrap();
        assert_eq!((table.counters.len(), table.quotas.len()), (10_000, 5_000));
        let (_, installed) = repeated("inspect 5,000 services", || nftables.inspect()).unwrap();
        assert_eq!(installed, wanted.expected());
        let mut one = wanted.clone();
        one.set("1000", None);
        timed(
            "block one of them, with two inspections and a clean-up",
            || {
                converge(nftables, &one);
            },
        );
        timed("settle", || nftables.settle());
    });
}

/// All that a service can have, half of them in groups of a hundred.
#[test]
fn ten_thousand_services_with_everything() {
    in_namespace(|nftables| {
        let names: Vec<&'static str> = (0..50_u8).map(|n| &*format!("group {n}").leak()).collect();
        let mut wanted = Wanted::default();
        for (n, range) in (0..10_000_u16).zip(many(10_000).services.into_keys()) {
            let service = match n % 2 {
                0 => Service::group(names[usize::from(n / 200)]),
                _ => Service::quota(Mode::Max, 1 << 40),
            };
            let class = Class::Priority(0x706d_0000 | u32::from(range.first()));
            let service = service.policed(Some(1 << 20), Some(1 << 20)).class(class);
            wanted.services.insert(range, Some(service));
            if n % 10 == 0 {
                wanted.forwarding.routed.insert(range);
            }
        }
        wanted.groups = names
            .into_iter()
            .map(|name| (name, (Mode::Both, 1 << 50)))
            .collect();
        wanted.forwarding.dnat = true;
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = wanted.changes(&installed);
        timed("apply 10,000 rooms with everything", || {
            nftables.apply(&changes, generation)
        })
        .unwrap();
        println!("peak {}", peak_memory());
        repeated("read 50,050 objects", || nftables.read()).unwrap();
        let (generation, installed) =
            repeated("inspect 10,000 services", || nftables.inspect()).unwrap();
        assert_eq!(installed, wanted.expected());
        for service in wanted.services.values_mut().flatten().take(100) {
            service.policing.incoming = Some(7);
        }
        let changes = wanted.changes(&installed);
        assert_eq!(changes.refit.len(), 100);
        timed("refit 100 of them", || nftables.apply(&changes, generation)).unwrap();
    });
}
