//! Whatever others do to the ruleset, the next tick puts it right, and no byte is lost or billed twice.

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::lab::{Family, Lab};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, Udp, Way, tcp_exchange};
use crate::truth::{Bytes, Place};

tests!["recovery":
    a_flushed_ruleset_is_rebuilt,
    a_deleted_table_is_rebuilt,
    every_half_deletion_heals_at_the_next_tick,
    deletions_that_leave_the_counters_lose_nothing,
    a_saved_and_reloaded_ruleset_is_not_billed_twice,
    a_ruleset_merged_into_itself_is_not_billed_twice,
    foreign_counter_resets_lose_nothing_that_was_read,
    a_fresh_namespace_with_the_saved_ruleset_is_not_billed_twice,
    a_fresh_namespace_is_metered_after_restore,
    restarts_and_reloads_at_random_keep_every_byte,
    a_foreign_quota_reset_does_not_give_more,
    a_healed_quota_cuts_at_the_same_byte,
    another_tables_changes_are_left_alone,
    base_chains_are_mended_under_traffic_without_a_packet_lost_or_counted_twice,
];

const PORTS: &[&str] = &["20000", "30000-30100"];

/// A lab with two services and some collected traffic.
fn served(lab: &Lab) -> Result<()> {
    lab.watch(PORTS)?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["add", "30000-30100", "--quota", "5GB", "--mode", "out"])?;
    some_traffic(lab)?;
    lab.ok(&["monitor"])?;
    lab.exact(PORTS)
}

fn some_traffic(lab: &Lab) -> Result<()> {
    for port in [20000, 30007] {
        let udp = Udp::open(lab, Family::V6, port)?;
        udp.send(Way::In, 33, 700)?;
        udp.send(Way::Out, 21, 900)?;
        tcp_exchange(lab, Family::V4, port, 30_000, 60_000)?;
    }
    Ok(())
}

/// A tick, more traffic, and the figures must still be those of the wire.
fn goes_on(lab: &Lab) -> Result<()> {
    lab.ok(&["monitor"])?;
    lab.exact(PORTS).context("after the first tick")?;
    some_traffic(lab)?;
    lab.exact(PORTS).context("with more traffic")?;
    lab.ok(&["monitor"])?;
    lab.exact(PORTS).context("after the second tick")
}

fn a_flushed_ruleset_is_rebuilt(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    lab.vps.nft(&["flush", "ruleset"])?;
    lab.exact(PORTS).context("while the table is gone")?;
    goes_on(lab)
}

fn a_deleted_table_is_rebuilt(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    lab.vps.nft(&["delete", "table", "inet", "port_monitor"])?;
    goes_on(lab)
}

/// Returns the names after `word` in the table, such as those of its counters.
fn names(table: &str, word: &str) -> Vec<String> {
    table
        .lines()
        .filter_map(|line| line.trim().strip_prefix(word)?.strip_prefix(' '))
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// What somebody may take out of the live table. Each is a script for the table as it stands.
fn damages(table: &str, keeps_counters: bool) -> Result<Vec<(String, String)>> {
    let object = |kind: &str, part: &str| {
        names(table, kind)
            .into_iter()
            .find(|name| name.starts_with(part))
            .with_context(|| format!("no {kind} {part} in:\n{table}"))
    };
    let (chain, counter, epoch) = (
        object("chain", "in_20000")?,
        object("counter", "in_20000")?,
        object("chain", "epoch_")?,
    );
    let quota = object("quota", "")?;
    let t = "inet port_monitor";
    let no_maps = format!(
        "flush chain {t} input; flush chain {t} output; flush map {t} ingress; flush map {t} egress"
    );
    let all = [
        (
            true,
            "one element",
            format!("delete element {t} ingress {{ 20000 }}"),
        ),
        (true, "all elements", format!("flush map {t} egress")),
        (true, "the base rule", format!("flush chain {t} input")),
        (
            true,
            "a base chain",
            format!("flush chain {t} output; delete chain {t} output"),
        ),
        (
            true,
            "a service's rules",
            format!("flush chain {t} {chain}"),
        ),
        (
            true,
            "a service's chain",
            format!("delete element {t} ingress {{ 20000 }}; delete chain {t} {chain}"),
        ),
        (
            true,
            "both maps",
            format!("{no_maps}; delete map {t} ingress; delete map {t} egress"),
        ),
        (
            true,
            "an added rule",
            format!("insert rule {t} input counter accept"),
        ),
        (
            true,
            "an added element",
            format!("add element {t} ingress {{ 55555 : drop }}"),
        ),
        (false, "the epoch", format!("delete chain {t} {epoch}")),
        (
            false,
            "a counter",
            format!("flush chain {t} {chain}; delete counter {t} {counter}"),
        ),
        (false, "a quota", {
            let rules: Vec<_> = names(table, "chain")
                .into_iter()
                .filter(|name| name.starts_with("in_") || name.starts_with("out_"))
                .map(|name| format!("flush chain {t} {name}"))
                .collect();
            format!("{}; delete quota {t} {quota}", rules.join("; "))
        }),
        (
            false,
            "a foreign epoch",
            format!("delete chain {t} {epoch}; add chain {t} epoch_0123456789abcdef"),
        ),
    ];
    Ok(all
        .into_iter()
        .filter(|(keeps, ..)| *keeps || !keeps_counters)
        .map(|(_, what, script)| (what.to_owned(), script.replace("; ", "\n") + "\n"))
        .collect())
}

fn every_half_deletion_heals_at_the_next_tick(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    for index in 0..damages(&lab.table()?, false)?.len() {
        let (what, script) = damages(&lab.table()?, false)?.swap_remove(index);
        lab.vps
            .nft_load(&script)
            .with_context(|| format!("cannot damage {what}"))?;
        goes_on(lab).with_context(|| format!("damage: {what}"))?;
    }
    Ok(())
}

/// Bytes that were counted but not collected when somebody unlinked their counter are still in it.
fn deletions_that_leave_the_counters_lose_nothing(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    for index in 0..damages(&lab.table()?, true)?.len() {
        let (what, script) = damages(&lab.table()?, true)?.swap_remove(index);
        some_traffic(lab)?;
        lab.vps
            .nft_load(&script)
            .with_context(|| format!("cannot damage {what}"))?;
        goes_on(lab).with_context(|| format!("damage: {what}"))?;
    }
    Ok(())
}

fn without_elements(ruleset: &str) -> String {
    ruleset
        .lines()
        .filter(|line| !line.contains("elements = {"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn save(lab: &Lab) -> Result<String> {
    Ok(format!(
        "flush ruleset\n{}",
        lab.vps.nft(&["list", "ruleset"])?
    ))
}

/// Fault 11 of the scripts pm replaces: a counter that was made anew and had passed the last reading already was
/// taken for the old one, and what a reloaded ruleset brought back was billed again.
fn a_saved_and_reloaded_ruleset_is_not_billed_twice(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    let saved = save(lab)?;
    lab.vps.nft(&["flush", "ruleset"])?;
    lab.vps.nft_load(&saved)?;
    goes_on(lab)?;
    // The same, with the reload in one transaction, and an old file.
    lab.vps.nft_load(&saved)?;
    goes_on(lab)?;
    // A file from before a reset must not bring the old period back.
    lab.ok(&["reset", "--all"])?;
    let since: Vec<Bytes> = PORTS
        .iter()
        .map(|port| lab.truth(Place::Client, port))
        .collect::<Result<_>>()?;
    lab.vps.nft_load(&saved)?;
    lab.ok(&["monitor"])?;
    for (port, since) in PORTS.iter().zip(since) {
        lab.exact_since(port, since)
            .context("after a reset and an old file")?;
    }
    Ok(())
}

/// `nft -f` of a saved ruleset without `flush` adds each rule a second time. (The maps' elements are left out: nft
/// refuses to add a verdict that is there already, and then loads nothing.)
fn a_ruleset_merged_into_itself_is_not_billed_twice(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    let saved = without_elements(&lab.vps.nft(&["list", "ruleset"])?);
    for _ in 0..2 {
        let rules = lab.table()?.matches("counter name").count();
        lab.vps.nft_load(&saved)?;
        let doubled = lab.table()?.matches("counter name").count();
        ensure!(doubled == 2 * rules, "{rules} rules became {doubled}");
        goes_on(lab)?;
    }
    Ok(())
}

fn foreign_counter_resets_lose_nothing_that_was_read(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    lab.vps.nft(&["reset", "counters"])?;
    lab.exact(PORTS).context("right after a reset")?;
    goes_on(lab)?;
    // The next reading is larger than the last one: only the tick in between knows of the reset.
    lab.vps
        .nft(&["reset", "counters", "table", "inet", "port_monitor"])?;
    lab.ok(&["monitor"])?;
    for _ in 0..4 {
        some_traffic(lab)?;
    }
    goes_on(lab)
}

fn a_fresh_namespace_with_the_saved_ruleset_is_not_billed_twice(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    for tick_first in [true, false] {
        let saved = save(lab)?;
        lab.restart_vps()?;
        lab.vps.nft_load(&saved)?;
        lab.ok(if tick_first {
            &["monitor"]
        } else {
            &["restore"]
        })?;
        goes_on(lab)?;
    }
    Ok(())
}

/// Fault 10 of the scripts pm replaces: after a reboot nothing was metered or limited until someone opened the menu.
fn a_fresh_namespace_is_metered_after_restore(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    for command in ["restore", "monitor"] {
        lab.restart_vps()?;
        lab.exact(PORTS).context("before pm has run")?;
        lab.ok(&[command])?;
        some_traffic(lab)?;
        lab.exact(PORTS)
            .with_context(|| format!("after {command}"))?;
        goes_on(lab)?;
    }
    Ok(())
}

fn restarts_and_reloads_at_random_keep_every_byte(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    let mut rng = Rng::new(lab.seed());
    let mut saved = save(lab)?;
    for round in 0..12 {
        // Only what has been collected can survive what follows.
        lab.ok(&["monitor"])?;
        let what = *rng.pick(&[
            "flush",
            "reload",
            "merge",
            "reset",
            "restart",
            "restart and reload",
        ]);
        if rng.between(0, 1) == 0 {
            saved = save(lab)?;
        }
        match what {
            "flush" => drop(lab.vps.nft(&["flush", "ruleset"])?),
            "reload" => lab.vps.nft_load(&saved)?,
            "merge" => lab.vps.nft_load(&without_elements(&saved.replacen(
                "flush ruleset
",
                "",
                1,
            )))?,
            "reset" => drop(lab.vps.nft(&["reset", "counters"])?),
            "restart" => lab.restart_vps()?,
            _ => {
                lab.restart_vps()?;
                lab.vps.nft_load(&saved)?;
            }
        }
        lab.ok(&["monitor"])?;
        some_traffic(lab)?;
        lab.exact(PORTS)
            .with_context(|| format!("round {round}, {what}, seed {}", lab.seed()))?;
    }
    Ok(())
}

fn a_foreign_quota_reset_does_not_give_more(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 500, 1000)?;
    lab.ok(&["monitor"])?;
    lab.vps
        .nft(&["reset", "quotas", "table", "inet", "port_monitor"])?;
    lab.ok(&["monitor"])?;
    udp.push(Way::In, 2000, 1000)?;
    let passed = lab.truth(Place::Passed, "20000")?.sum();
    ensure!(
        (1_000_000 - 1027..=1_000_000).contains(&passed),
        "{passed} bytes passed"
    );
    Ok(())
}

fn a_healed_quota_cuts_at_the_same_byte(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "2MB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 700, 1000)?;
    lab.ok(&["monitor"])?;
    let saved = save(lab)?;
    lab.vps.nft(&["flush", "ruleset"])?;
    lab.ok(&["monitor"])?;
    udp.send(Way::Out, 500, 1000)?;
    lab.ok(&["monitor"])?;
    lab.vps.nft_load(&saved)?;
    lab.ok(&["monitor"])?;
    lab.watch_cut(&["20000"])?;
    udp.push(Way::Out, 3000, 1000)?;
    let passed = lab.truth(Place::Passed, "20000")?.sum() + 1200 * Family::V4.udp_length(1000);
    ensure!(
        (2_000_000 - 1027..=2_000_000).contains(&passed),
        "{passed} bytes passed"
    );
    Ok(())
}

fn another_tables_changes_are_left_alone(lab: &mut Lab) -> Result<()> {
    served(lab)?;
    lab.vps
        .nft_load("table inet mine { chain c { tcp dport 20000 accept; }\n}")?;
    goes_on(lab)?;
    let mine = lab.vps.nft(&["list", "table", "inet", "mine"])?;
    lab.vps.nft(&["flush", "table", "inet", "port_monitor"])?;
    goes_on(lab)?;
    ensure!(
        lab.vps.nft(&["list", "table", "inet", "mine"])? == mine,
        "a foreign table was changed"
    );
    Ok(())
}

/// While one base chain comes in the place of another, a packet on its way meets both, or neither: where only rules
/// are wrong, only rules may change.
fn base_chains_are_mended_under_traffic_without_a_packet_lost_or_counted_twice(
    lab: &mut Lab,
) -> Result<()> {
    lab.watch(PORTS)?;
    lab.ok(&["add", "20000,30000-30100", "--quota", "500GB"])?;
    for round in 0..6 {
        let floods = [
            Flood::start(lab, Family::V4, Way::Out, 20000, 100, Pace::Windowed)?,
            Flood::start(lab, Family::V6, Way::In, 30007, 100, Pace::Windowed)?,
        ];
        for _ in 0..10 {
            // Rules that stop nothing from being counted.
            lab.vps.nft_load(
                "insert rule inet port_monitor input counter\n\
                 insert rule inet port_monitor output counter\n",
            )?;
            lab.ok(&["monitor"])?;
        }
        for flood in floods {
            flood.stop()?;
        }
        lab.exact(PORTS).with_context(|| format!("round {round}"))?;
    }
    Ok(())
}
