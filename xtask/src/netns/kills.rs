//! SIGKILL at any moment: pm's death loses nothing and counts nothing twice.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::lab::{Family, Lab};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::{Bytes, Place};

tests!["kills":
    ticks_killed_at_random_under_traffic_keep_every_byte,
    commands_killed_at_random_under_traffic_keep_every_byte,
    a_tick_killed_before_each_system_call_keeps_every_byte,
    commands_killed_before_each_system_call_keep_every_byte,
    kills_flushes_and_restarts_together_keep_every_byte,
];

/// System calls that change something that outlives the process, and those around them.
const CALLS: [&str; 11] = [
    "sendto",
    "sendmsg",
    "recvmsg",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat2",
    "unlink",
    "ftruncate",
];

/// Starts pm and kills it after `moment`, which is part of the test's random input, not a wait for anything.
/// Returns whether it was faster.
fn kill_after(lab: &Lab, args: &[&str], moment: Duration) -> Result<bool> {
    let mut child = lab
        .pm_command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let started = Instant::now();
    while started.elapsed() < moment {
        std::hint::spin_loop();
    }
    child.kill()?;
    let status = child.wait()?;
    lab.check_ruleset()
        .with_context(|| format!("after `pm {}` was killed", args.join(" ")))?;
    Ok(status.code().is_some())
}

/// Measures how long a command takes here, so that moments cover all of it.
fn usual_time(lab: &Lab, args: &[&str]) -> Result<Duration> {
    let started = Instant::now();
    let mut command = lab.pm_command(args);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(started.elapsed() * 5 / 4)
}

fn ticks_killed_at_random_under_traffic_keep_every_byte(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "20001", "30000-30100"])?;
    lab.ok(&["add", "20000,20001", "--quota", "500GB"])?;
    lab.ok(&["add", "30000-30100"])?;
    let mut rng = Rng::new(lab.seed());
    let longest = usual_time(lab, &["monitor"])?;
    let mut finished = 0;
    for round in 0..8 {
        let floods = [
            Flood::start(lab, Family::V4, Way::In, 20000, 500, Pace::Windowed)?,
            Flood::start(lab, Family::V6, Way::Out, 30050, 800, Pace::Windowed)?,
        ];
        for _ in 0..15 {
            finished += u32::from(kill_after(lab, &["monitor"], rng.moment(longest))?);
        }
        for flood in floods {
            flood.stop()?;
        }
        lab.exact(&["20000", "20001", "30000-30100"])
            .with_context(|| format!("round {round}, seed {}", lab.seed()))?;
    }
    ensure!(
        finished < 100,
        "{finished} of 120 ticks were over before the kill: the test does not test"
    );
    lab.ok(&["monitor"])?;
    lab.exact(&["20000", "20001", "30000-30100"])
}

fn commands_killed_at_random_under_traffic_keep_every_byte(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "30000-30100", "20009"])?;
    lab.ok(&["add", "20000,30000-30100", "--quota", "500GB"])?;
    let mut rng = Rng::new(lab.seed());
    let longest = usual_time(lab, &["add", "21000", "--quota", "1GB"])?;
    for round in 0..5 {
        let floods = [
            Flood::start(lab, Family::V4, Way::Out, 20000, 500, Pace::Windowed)?,
            Flood::start(lab, Family::V6, Way::In, 30050, 800, Pace::Windowed)?,
        ];
        for _ in 0..4 {
            for args in [
                &["add", "20009", "--quota", "1GB"][..],
                &["set", "20000", "--mode", "out"],
                &["set", "20000", "--mode", "both", "--quota", "400GB"],
                &["reset", "20009"],
                &["set", "30000-30100", "--quota", "none"],
                &["del", "20009"],
            ] {
                kill_after(lab, args, rng.moment(longest))?;
            }
        }
        for flood in floods {
            flood.stop()?;
        }
        lab.exact(&["20000", "30000-30100"])
            .with_context(|| format!("round {round}, seed {}", lab.seed()))?;
        // Whatever half of it stands, the command can be completed, and starts from nothing.
        lab.ok(&["add", "20009", "--or-set", "--quota", "1GB"])?;
        lab.ok(&["reset", "20009"])?;
        let since = lab.truth(Place::Client, "20009")?;
        Udp::open(lab, Family::V4, 20009)?.send(Way::In, 50, 500)?;
        lab.exact_since("20009", since)?;
        lab.ok(&["del", "20009"])?;
        lab.exact(&["20000", "30000-30100"])?;
    }
    Ok(())
}

/// Runs `args` again and again, killed before the nth call of one system call, until it survives (3: `pm apply` changed something). `prepare` runs
/// before each try, `check` after it. Returns the number of kills.
pub(super) fn kill_at_calls(
    lab: &Lab,
    args: &[&str],
    prepare: impl Fn(&Lab) -> Result<()>,
    check: impl Fn(&Lab) -> Result<()>,
) -> Result<u32> {
    let mut kills = 0;
    for call in CALLS {
        for nth in 1.. {
            prepare(lab)?;
            let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
            let trace = format!("trace={call}");
            let strace = [
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &trace,
                "-e",
                &inject,
            ];
            let mut command = lab.pm_command_under(&strace, args);
            let status = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            let what = format!("`pm {}` killed before {call} no. {nth}", args.join(" "));
            lab.check_ruleset().with_context(|| what.clone())?;
            check(lab).with_context(|| what.clone())?;
            if matches!(status.code(), Some(0 | 3)) {
                break;
            }
            ensure!(
                status.code().is_none(),
                "{what}: instead it ended with {status}"
            );
            kills += 1;
        }
    }
    Ok(kills)
}

fn a_tick_killed_before_each_system_call_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "500GB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    let send = |_: &Lab| udp.send(Way::In, 3, 500);
    let exact = |lab: &Lab| lab.exact(&["20000"]);
    let kills = kill_at_calls(lab, &["monitor"], send, exact)?;
    ensure!(kills > 10, "only {kills} kills");
    // A tick that has to rebuild the table.
    let flushed = |lab: &Lab| {
        udp.send(Way::Out, 3, 500)?;
        lab.ok(&["monitor"])?;
        drop(lab.vps.nft(&["flush", "ruleset"])?);
        Ok(())
    };
    let healed = |lab: &Lab| {
        lab.ok(&["monitor"])?;
        udp.send(Way::Out, 3, 500)?;
        lab.exact(&["20000"])
    };
    let kills = kill_at_calls(lab, &["monitor"], flushed, healed)?;
    ensure!(kills > 10, "only {kills} kills");
    Ok(())
}

fn commands_killed_before_each_system_call_keep_every_byte(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "20009"])?;
    lab.ok(&["add", "20000", "--quota", "500GB"])?;
    let udp = Udp::open(lab, Family::V6, 20000)?;
    let send = |_: &Lab| udp.send(Way::Out, 3, 500);
    // Also after the next tick, which repairs what the death left.
    let exact = |lab: &Lab| {
        lab.exact(&["20000"])?;
        lab.ok(&["monitor"])?;
        lab.exact(&["20000"])
    };
    let without_20009 = |lab: &Lab| {
        send(lab)?;
        if lab.list()?.len() > 1 {
            lab.ok(&["del", "20009"])?;
        }
        Ok(())
    };
    let mut kills = kill_at_calls(
        lab,
        &["add", "20009", "--quota", "1GB"],
        without_20009,
        exact,
    )?;
    kills += kill_at_calls(
        lab,
        &["del", "20009"],
        |lab| {
            send(lab)?;
            lab.ok(&["add", "20009", "--or-set", "--quota", "1GB"])?;
            Ok(())
        },
        exact,
    )?;
    lab.ok(&["add", "20009", "--or-set"])?;
    let service = Udp::open(lab, Family::V4, 20009)?;
    kills += kill_at_calls(
        lab,
        &["reset", "20009"],
        |lab| {
            send(lab)?;
            service.send(Way::In, 4, 100)
        },
        |lab| {
            // Either it has happened or it has not; repeated, it has, and counting goes on from there.
            lab.ok(&["reset", "20009"])?;
            let since = lab.truth(Place::Client, "20009")?;
            ensure!(
                lab.service("20009")?.bytes() == Bytes::default(),
                "a repeated reset left something"
            );
            service.send(Way::In, 2, 100)?;
            lab.exact_since("20009", since)?;
            exact(lab)
        },
    )?;
    kills += kill_at_calls(
        lab,
        &["set", "20000", "--mode", "out", "--quota", "9GB"],
        |lab| {
            send(lab)?;
            lab.ok(&["set", "20000", "--mode", "both", "--quota", "8GB"])?;
            Ok(())
        },
        exact,
    )?;
    ensure!(kills > 40, "only {kills} kills");
    Ok(())
}

fn kills_flushes_and_restarts_together_keep_every_byte(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "500GB"])?;
    let mut rng = Rng::new(lab.seed());
    let longest = usual_time(lab, &["monitor"])?;
    for round in 0..15 {
        // What was never collected goes with its table; everything collected must stay.
        Udp::open(lab, Family::V4, 20000)?.send(Way::In, rng.between(1, 50), 500)?;
        lab.ok(&["monitor"])?;
        let saved = format!("flush ruleset\n{}", lab.vps.nft(&["list", "ruleset"])?);
        match rng.between(0, 3) {
            0 => drop(lab.vps.nft(&["flush", "ruleset"])?),
            1 => lab.vps.nft_load(&saved)?,
            2 => lab.restart_vps()?,
            _ => {
                lab.restart_vps()?;
                lab.vps.nft_load(&saved)?;
            }
        }
        for _ in 0..4 {
            kill_after(lab, &["monitor"], rng.moment(longest))?;
        }
        lab.ok(&["monitor"])?;
        Udp::open(lab, Family::V6, 20000)?.send(Way::Out, rng.between(1, 50), 500)?;
        lab.exact(&["20000"])
            .with_context(|| format!("round {round}, seed {}", lab.seed()))?;
    }
    Ok(())
}
