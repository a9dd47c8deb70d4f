//! What stands where a server should be, and what is to be told that is hard to tell.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::channels::{NODE, SECRET, add_hook, json, typed};
use super::outage::{deliver, tick};
use super::peer::{Peer, refused_under, under};
use super::peers::{TOKEN, UNKIND, add_bot, standing};
use super::{Hook, PORT, arrive, begin, events};
use crate::lab::{Lab, wait_until};
use crate::outbox::{directory as outbox, hold, make, sql, sql_in};

/// What stands in a server's place, where in the strict Bot API's host, and what pm says of it.
const STRANGERS: [(&str, &str, &str); 6] = [
    ("page", "/page", "somebody else answers there"),
    ("cut", "/cut", "somebody else answers there"),
    ("error", "/error", "the server has trouble of its own"),
    ("redirect", "/redirect", "the server sends elsewhere"),
    ("endless", "/endless", "the answer is far too long"),
    ("silent", "/silent", "the server took too long"),
];

/// Of each channel, by hand and from the outbox, what is the matter is said, and no secret.
pub(super) fn who_is_no_server_is_known_for_what_he_is(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    make(lab)?;
    let elsewhere = Peer::bot_api(lab, TOKEN, "")?;
    let there = format!("http://127.0.0.1:{}", elsewhere.port);
    let peer = Peer::bot_api(lab, TOKEN, &there)?;
    let base = format!("http://127.0.0.1:{}", peer.port);
    let secure = base.replace("http:", "https:");
    let mut wanted = Vec::new();
    for (name, path, words) in STRANGERS {
        add_bot(lab, name, 5, &format!("{base}{path}"), TOKEN)?;
        wanted.push((name, words));
    }
    add_bot(lab, "plain", 5, &secure, TOKEN)?;
    wanted.push(("plain", "the server does not encrypt at that port"));
    add_bot(lab, "name", 5, "https://bot-api.invalid", TOKEN)?;
    wanted.push(("name", "the server's name cannot be looked up"));
    add_bot(lab, "nobody", 5, "http://127.0.0.1:9", TOKEN)?;
    wanted.push(("nobody", "nobody answers there"));
    add_bot(lab, "well", 5, &base, TOKEN)?;
    // There is no DNS here; nobody has to find that out slowly.
    let resolv = lab.directory().join("resolv.conf");
    fs::write(&resolv, "nameserver 127.0.0.1\n")?;
    let resolv = resolv.to_string_lossy().into_owned();
    let script = r#"mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@""#;
    let wrapper = ["unshare", "--mount", "sh", "-ec", script, &resolv];

    lab.ok(&["block", "20000"])?;
    // Who is started by this takes his time with some of them.
    under(lab, &wrapper, &["monitor"], "")?;
    let mut said = String::new();
    for &(name, words) in wanted.iter().filter(|(name, _)| *name != "silent") {
        said += &refused_under(lab, &wrapper, &["notify", "test", name], words)
            .with_context(|| format!("test {name}"))?;
    }
    let seconds = std::time::Instant::now();
    for (name, words) in wanted {
        wait_until("what is the matter", || {
            let why = &standing(lab, name)?["error"];
            Ok(why.as_str().is_some_and(|why| why.contains(words)))
        })
        .with_context(|| format!("{name}: {:?}", standing(lab, name)))?;
    }
    ensure!(seconds.elapsed().as_secs() < 25, "they were held up");
    for args in [&["notify", "list"][..], &["notify", "log", "--json"]] {
        said += &lab.ok(args)?;
    }
    ensure!(!said.contains("planted"), "{said}");
    let leaked = elsewhere.seen();
    ensure!(leaked.is_empty(), "it was led there: {leaked:?}");
    let well = peer.seen().iter().filter(|it| it["status"] == 200).count();
    ensure!(well == 1, "{well} for who is well");
    Ok(())
}

/// Fault 19 of the tools that pm's users come from: text over 4096 characters is lost.
pub(super) fn a_report_of_300_services_arrives_whole(lab: &mut Lab) -> Result<()> {
    let ports: Vec<_> = (20_000..20_300).map(|port| port.to_string()).collect();
    lab.ok(&["add", &ports.join(","), "--note", UNKIND])?;
    make(lab)?;
    let peer = Peer::bot_api(lab, TOKEN, "")?;
    add_bot(
        lab,
        "ops",
        5,
        &format!("http://127.0.0.1:{}", peer.port),
        TOKEN,
    )?;
    lab.ok(&["notify", "set", "ops", "--report", "every 1m"])?;
    for minute in [0, 2] {
        tick(lab, minute)?;
        deliver(lab, minute)?;
    }
    let seen = peer.seen();
    ensure!(seen.len() > 3, "{} messages", seen.len());
    ensure!(seen.iter().all(|it| it["status"] == 200), "{seen:?}");
    let texts = seen.iter().filter_map(|it| it["text"].as_str());
    let whole = texts.collect::<Vec<_>>().join("\n");
    for port in ports {
        let line = format!("{port} ({UNKIND})");
        let count = whole.matches(&line).count();
        ensure!(count == 1, "{line} is there {count} times");
    }
    Ok(())
}

pub(super) fn a_clock_that_is_off_is_said_to_be(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    make(lab)?;
    let receiver = Peer::receiver(lab, &["600"])?;
    let url = format!("http://127.0.0.1:{}/api/push", receiver.port);
    let set = ["push", "set", "--url", &url, "--node", NODE];
    typed(lab, &[&set[..], &["--secret-file", "-"]].concat(), SECRET)?;
    lab.ok(&["monitor"])?;
    wait_until("what the receiver says", || {
        let status = json(lab, &["push", "status"])?;
        let why = status["error"].as_str().unwrap_or_default();
        Ok(why.contains("this host's clock is") && why.contains("s behind"))
    })
}

/// What the delivering side writes is a stranger's, and costs the tick nothing.
pub(super) fn whatever_stands_in_the_outbox_is_only_text(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let held = hold(lab)?;
    for script in [
        "UPDATE channel SET error = char(27) || '[31m' || char(10) || hex(zeroblob(1000000)), attempts = 3,
             failing_since = 9223372036854775807, failed = -9223372036854775808,
             tried_for = 9223372036854775807, next_try = -9223372036854775808, lost = -5;",
        "UPDATE message SET body = '{', answer = char(27) || char(7), time = 9223372036854775807;",
        "UPDATE channel SET settings = '{}', moved_to = '; rm', lost = 9223372036854775807;",
        "CREATE TRIGGER t AFTER INSERT ON message BEGIN DELETE FROM message; END;",
        "DROP TABLE message; CREATE VIEW message AS WITH RECURSIVE n(i) AS
             (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id FROM n;",
        "INSERT INTO channel SELECT 'a/../b', '', 0, 0, NULL, NULL, 0, NULL, NULL, 0, NULL;",
        "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'x';",
    ] {
        events(lab, 1)?;
        sql(lab, script).with_context(|| script.to_owned())?;
        // The change first: what is told of it waits, the ports do not.
        lab.ok(&["unblock", "20000"])?;
        let output = lab.pm(&["monitor"])?;
        ensure!(output.code == Some(0), "{script}: {output:?}");
        let mut said = output.stderr;
        for args in [
            &["notify", "list"][..],
            &["notify", "list", "--json"],
            &["notify", "log"],
            &["notify", "log", "--json"],
            &["doctor"],
        ] {
            let output = lab.pm(args)?;
            said += &output.stdout;
            said += &output.stderr;
        }
        let is_text = !said.contains(['\u{1b}', '\u{7}']) && said.len() < 20_000;
        ensure!(is_text, "{script}: {}", said.escape_debug());
        ensure!(lab.service("20000")?.state == "ok", "{script}");
    }
    drop(held);
    let hook = Hook::on(lab, PORT)?;
    lab.ok(&["block", "20000"])?;
    lab.ok(&["monitor"])?;
    wait_until("what is told after all that", || {
        Ok(hook
            .titles()
            .last()
            .is_some_and(|it| it.ends_with(": blocked by the operator")))
    })?;
    ensure!(
        outbox(lab).join("outbox.db.damaged").exists(),
        "none was put aside"
    );
    Ok(())
}

/// What waited is lost, and the disk too full for another outbox: it is told when there is one.
pub(super) fn what_was_lost_is_told_once_there_is_room(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    lab.mount_small(&outbox(lab), "256k")?;
    make(lab)?;
    lab.ok(&["monitor"])?;
    let file = outbox(lab).join("outbox.db");
    let size = usize::try_from(fs::metadata(&file)?.len())?;
    fs::write(&file, vec![7; size])?;
    let filling = outbox(lab).join("filling");
    // As much as goes in.
    let full = fs::write(&filling, vec![0; 1 << 20]);
    ensure!(full.is_err(), "there was room");
    let output = lab.pm(&["monitor"])?;
    let lost = "messages that waited in it are lost";
    ensure!(output.stderr.contains(lost), "{output:?}");
    fs::remove_file(&filling)?;
    let hook = Hook::start(lab)?;
    lab.ok(&["monitor"])?;
    lab.ok(&["monitor"])?;
    let told = "the outbox was damaged and is made anew; messages that waited in it are lost";
    arrive(&hook, &[told])
}

/// Who comes later does not hear of what happened long before, and what nobody could hand over for days is
/// only counted.
pub(super) fn what_is_no_news_any_more_is_not_told(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    // Told to a channel that is gone before the next tick.
    lab.ok(&["block", "20000"])?;
    lab.ok(&["notify", "del", "hook"])?;
    lab.ok(&["monitor"])?;
    let hook = Hook::start(lab)?;
    add_hook(lab, "hook", PORT, &[])?;
    lab.ok(&["monitor"])?;
    lab.ok(&["unblock", "20000"])?;
    let older = "UPDATE event SET time = time - 90000,
                     what = replace(what, '\"time\":17', '\"time\":16');";
    sql_in(&lab.state_dir().join("state.db"), older)?;
    lab.ok(&["block", "20000"])?;
    lab.ok(&["monitor"])?;
    lab.ok(&["monitor"])?;
    let outdated = "1 message was more than a day old and was left out";
    arrive(&hook, &["20000: blocked by the operator", outdated])
}
