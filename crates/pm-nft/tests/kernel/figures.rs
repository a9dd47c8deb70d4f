//! What it costs with 5,000 services.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use pm_core::backend::Netfilter;

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

/// Prints figures rather than judging them: machines differ.
#[test]
fn five_thousand_services() {
    in_namespace(|nftables| {
        let wanted = many(5_000);
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = changes(&installed, &wanted);
        timed("apply 5,000 rooms", || nftables.apply(&changes, generation)).unwrap();
        println!("peak {}", peak_memory());
        let reading = timed("read 15,000 objects", || nftables.read()).unwrap();
        let table = reading.table.unwrap();
        assert_eq!((table.counters.len(), table.quotas.len()), (10_000, 5_000));
        let (_, installed) = timed("inspect 5,000 services", || nftables.inspect()).unwrap();
        assert_eq!(installed, expected(&wanted));
        let mut one = wanted.clone();
        one.insert(ports("1000"), None);
        timed(
            "block one of them, with two inspections and a clean-up",
            || {
                converge(nftables, &one);
            },
        );
        timed("settle", || nftables.settle());
    });
}
