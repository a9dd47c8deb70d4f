//! Whose an interface's root qdisc is: the host's own comes back as it was, somebody else's is left alone, and pm's
//! stands where the default routes lead.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use super::limits::{CLASS, MBIT, class};
use super::requests::{everything, refused_whole};
use super::tests;
use crate::lab::{Family, Lab, check_refusal};
use crate::traffic::{Udp, Way};

tests!["roots":
    fault_12_the_hosts_own_root_comes_back_as_it_was,
    a_foreign_root_is_refused_and_everything_else_works,
    a_foreign_root_in_the_place_of_pms_stays_and_stops_nothing_else,
    limits_follow_the_default_routes,
    a_dry_run_changes_no_traffic_control,
];

/// Returns what `tc qdisc show` prints of all interfaces.
fn roots(lab: &Lab) -> Result<String> {
    lab.vps.tc(&["qdisc", "show"])
}

/// Returns the interfaces at whose root pm's tree stands.
fn shaped(lab: &Lab) -> Result<BTreeSet<String>> {
    let roots = roots(lab)?;
    let ours = roots
        .lines()
        .filter_map(|line| line.strip_prefix("qdisc htb 706d: dev "));
    Ok(ours
        .filter_map(|rest| Some(rest.split_whitespace().next()?.to_owned()))
        .collect())
}

/// Fault 12 of the scripts pm replaces: the host's own root qdisc was replaced and never came back.
fn fault_12_the_hosts_own_root_comes_back_as_it_was(lab: &mut Lab) -> Result<()> {
    lab.vps.ip(
        "link add wan numtxqueues 4 numrxqueues 4 type veth peer name nowhere\n\
         link set wan up\nlink set nowhere up\naddr add 10.79.0.1/24 dev wan\n",
    )?;
    lab.ok(&["add", "20000"])?;
    // The commands that choose a root, and the leaf in which it goes on under pm's.
    let cases: [(&str, &[&str], &str); 4] = [
        ("eth0", &[], "pfifo_fast"),
        ("eth0", &["root handle 5: pfifo limit 77"], "limit 77p"),
        ("wan", &["root handle 9: mq"], "pfifo_fast"),
        (
            "wan",
            &[
                "root handle 9: mq",
                "parent 9:1 handle 12: pfifo limit 33",
                "parent 9:4 bfifo limit 44000",
            ],
            "limit 33p",
        ),
    ];
    for (interface, chosen, leaf) in cases {
        let gateway = if interface == "wan" {
            "10.79.0.2"
        } else {
            "10.77.0.2"
        };
        lab.vps.ip(&format!(
            "route replace default via {gateway} dev {interface}\n"
        ))?;
        for words in chosen {
            let mut args = vec!["qdisc", "replace", "dev", interface];
            args.extend(words.split(' '));
            lab.vps.tc(&args)?;
        }
        let before = roots(lab)?;
        comes_back(lab, interface, leaf, &before)
            .with_context(|| format!("{interface} with {chosen:?}"))?;
        if !chosen.is_empty() {
            lab.vps.tc(&["qdisc", "del", "dev", interface, "root"])?;
        }
    }
    Ok(())
}

fn comes_back(lab: &Lab, interface: &str, leaf: &str, before: &str) -> Result<()> {
    let ours = BTreeSet::from([interface.to_owned()]);
    let back = |when: &str| -> Result<()> {
        let now = roots(lab)?;
        ensure!(now == before, "{when}, there was\n{before}and is\n{now}");
        Ok(())
    };
    let taken = |when: &str| -> Result<()> {
        let now = roots(lab)?;
        ensure!(shaped(lab)? == ours, "{when}, pm has no tree there:\n{now}");
        let default = now
            .lines()
            .find(|line| line.contains("parent 706d:ffff"))
            .context("the others have no leaf")?;
        ensure!(default.contains(leaf), "the others have {default}");
        Ok(())
    };
    lab.ok(&["set", "20000", "--limit", "6M"])?;
    taken("limited")?;
    lab.ok(&["set", "20000", "--limit", "none"])?;
    for _ in 0..2 {
        lab.ok(&["monitor"])?;
        taken("two ticks after the last limit")?;
    }
    lab.ok(&["monitor"])?;
    back("three ticks after the last limit")?;
    lab.ok(&["set", "20000", "--limit", "6M"])?;
    lab.ok(&["teardown"])?;
    back("after a teardown")?;
    lab.ok(&["restore"])?;
    taken("restored")?;
    lab.ok(&["set", "20000", "--limit", "none"])?;
    lab.ok(&["teardown"])?;
    back("after a teardown in the ticks of grace")?;
    lab.ok(&["restore"])?;
    back("restored without a limit")
}

/// Somebody else's root, by the words that make it and the one that names it.
const FOREIGN: [(&[&str], &str); 2] = [
    (
        &["qdisc replace dev eth0 root handle 7: tbf rate 100mbit burst 64k latency 50ms"],
        "tbf",
    ),
    (
        &[
            "qdisc replace dev eth0 root handle 1: htb default 10",
            "class add dev eth0 parent 1: classid 1:10 htb rate 100mbit quantum 20000",
        ],
        "htb",
    ),
];

fn make_foreign(lab: &Lab, commands: &[&str]) -> Result<()> {
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        lab.vps.tc(&words)?;
    }
    Ok(())
}

fn a_foreign_root_is_refused_and_everything_else_works(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    for (commands, kind) in FOREIGN {
        make_foreign(lab, commands)?;
        let foreign = roots(lab)?;
        let words = ["eth0", kind, "pm doctor"];
        refused_whole(lab, &["set", "20000", "--limit", "6M"], &words)?;
        refused_whole(lab, &["set", "20000", "--dynqos", "9M/5/5M/60"], &words)?;
        refused_whole(lab, &["add", "20001", "--limit", "6M"], &words)?;
        for args in [
            &["set", "20000", "--limit-in", "60M"][..],
            &["set", "20000", "--quota", "5GB"],
            &["block", "20000"],
            &["unblock", "20000"],
            &["monitor"],
            &["restore"],
        ] {
            let output = lab.pm(args)?;
            let silent = output.stderr.is_empty();
            ensure!(
                output.code == Some(0) && silent,
                "`pm {}`: {}",
                args.join(" "),
                output.stderr
            );
        }
        let udp = Udp::open(lab, Family::V4, 20000)?;
        udp.send(Way::In, 20, 1000)?;
        udp.send(Way::Out, 20, 1000)?;
        lab.exact(&["20000"])?;
        ensure!(
            roots(lab)? == foreign,
            "pm touched a foreign root:\n{foreign}{}",
            roots(lab)?
        );
        lab.vps.tc(&["qdisc", "del", "dev", "eth0", "root"])?;
    }
    lab.ok(&["set", "20000", "--limit", "6M"])?;
    ensure!(
        class(lab, "eth0", CLASS)?.rate == 6 * MBIT,
        "the way is free, and nothing is limited"
    );
    Ok(())
}

/// Whoever takes the root from pm wants it; what was limited goes unlimited, and that is said. Nothing else waits.
fn a_foreign_root_in_the_place_of_pms_stays_and_stops_nothing_else(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000,20001,20002", "--limit", "60M"])?;
    make_foreign(lab, FOREIGN[0].0)?;
    let foreign = roots(lab)?;
    for args in [
        &["monitor"][..],
        &["block", "20001"],
        &["set", "20001", "--quota", "5GB"],
        &["set", "20001", "--limit-in", "60M"],
        &["set", "20001", "--limit", "none"],
        &["add", "20003", "--quota", "5GB"],
        &["del", "20002"],
        &["reset", "20001"],
        &["monitor"],
    ] {
        let output = lab.pm(args)?;
        let said = &output.stderr;
        ensure!(
            said.starts_with("warning: ") && said.contains("eth0") && said.contains("tbf"),
            "`pm {}` does not say that limits are not in force: {said}",
            args.join(" ")
        );
        ensure!(
            roots(lab)? == foreign,
            "`pm {}` touched a foreign root",
            args.join(" ")
        );
        Udp::open(lab, Family::V6, 20000)?.send(Way::Out, 20, 1000)?;
        lab.exact(&["20000"]).with_context(|| args.join(" "))?;
    }
    let (blocked, added) = (lab.service("20001")?, lab.service("20003")?);
    ensure!(
        blocked.state == "blocked" && blocked.ceil_bps.is_none() && added.quota_bytes.is_some(),
        "what was asked for has not happened: {blocked:?}, {added:?}"
    );
    // Another limit cannot be had.
    refused_whole(lab, &["set", "20000", "--limit", "9M"], &["eth0", "tbf"])?;
    lab.vps.tc(&["qdisc", "del", "dev", "eth0", "root"])?;
    lab.ok(&["monitor"])?;
    ensure!(
        class(lab, "eth0", CLASS)?.rate == 60 * MBIT,
        "a tick does not limit again"
    );
    make_foreign(lab, FOREIGN[0].0)?;
    lab.ok(&["teardown"])?;
    ensure!(
        roots(lab)? == foreign,
        "a teardown touched a foreign root:\n{foreign}{}",
        roots(lab)?
    );
    Ok(())
}

fn limits_follow_the_default_routes(lab: &mut Lab) -> Result<()> {
    lab.vps.ip("link add eth1 type veth peer name nowhere\n\
         link set eth1 addrgenmode none\nlink set eth1 up\nlink set nowhere up\n\
         addr add 10.78.0.1/24 dev eth1\naddr add fd78::1/64 dev eth1 nodad\n")?;
    let before = roots(lab)?;
    let on = |names: &[&str]| -> Result<()> {
        let (found, wanted) = (
            shaped(lab)?,
            names.iter().map(|&name| name.to_owned()).collect(),
        );
        ensure!(
            found == wanted,
            "pm's tree stands on {found:?} instead of {wanted:?}"
        );
        for name in names {
            class(lab, name, CLASS)?;
        }
        Ok(())
    };
    lab.ok(&["add", "20000", "--limit", "60M"])?;
    on(&["eth0"])?;
    // IPv6 leads elsewhere.
    lab.vps.ip("route add default via fd78::2 dev eth1\n")?;
    lab.ok(&["monitor"])?;
    on(&["eth0", "eth1"])?;
    // IPv4 leads nowhere; a route that flaps costs nothing.
    lab.vps.ip("route del default\n")?;
    for _ in 0..2 {
        lab.ok(&["monitor"])?;
        on(&["eth0", "eth1"])?;
    }
    lab.ok(&["monitor"])?;
    on(&["eth1"])?;
    // Nothing leads anywhere.
    lab.vps.ip("route del default via fd78::2 dev eth1\n")?;
    for _ in 0..3 {
        let output = lab.pm(&["monitor"])?;
        ensure!(
            output.stderr.contains("default route"),
            "nothing is limited, and nobody says so: {}",
            output.stderr
        );
    }
    on(&[])?;
    ensure!(roots(lab)? == before, "the roots are not as they were");
    // Over both at once, and in force when a request returns.
    lab.vps
        .ip("route add default nexthop via 10.77.0.2 dev eth0 nexthop via 10.78.0.2 dev eth1\n")?;
    lab.ok(&["set", "20000", "--limit", "50M"])?;
    on(&["eth0", "eth1"])?;
    // A second provider's addresses may have a table of their own.
    lab.vps
        .ip("link set lo up\nroute add default via 10.78.0.2 dev eth1 table 77\n")?;
    lab.vps
        .ip("route replace default via 10.77.0.2 dev eth0\n")?;
    for _ in 0..3 {
        lab.ok(&["monitor"])?;
    }
    on(&["eth0", "eth1"])?;
    lab.vps.ip("route del default table 77\n")?;
    for _ in 0..3 {
        lab.ok(&["monitor"])?;
    }
    on(&["eth0"])?;
    // An interface that is gone is no reason to fail.
    lab.vps
        .ip("route replace default via 10.78.0.2 dev eth1\n")?;
    lab.ok(&["monitor"])?;
    lab.vps
        .ip("link del eth1\nroute add default via 10.77.0.2\n")?;
    lab.ok(&["monitor"])?;
    on(&["eth0"])
}

fn a_dry_run_changes_no_traffic_control(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    for round in 0..2 {
        let before = everything(lab)?;
        for args in [
            &["set", "20000", "--limit", "6M"][..],
            &["set", "20000", "--limit", "none", "--limit-in", "8M"],
            &["set", "20000", "--dynqos", "9M/5/5M/60"],
            &["add", "20001", "--limit", "6M"],
            &["del", "20000"],
            &["config", "set", "classifier", "fwmark"],
        ] {
            let mut args = args.to_vec();
            args.push("--dry-run");
            let output = lab.pm(&args)?;
            if output.code != Some(0) {
                check_refusal(&output, &["fw classifier"])?;
            }
            ensure!(
                everything(lab)? == before,
                "`pm {}` has changed something in round {round}",
                args.join(" ")
            );
        }
        lab.ok(&["set", "20000", "--limit", "7M"])?;
    }
    Ok(())
}
