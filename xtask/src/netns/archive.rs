//! Moving house: what is exported on one host goes on on another, whole or not at all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::kills::{Kills, kill_at_calls};
use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::{Bytes, Place};

tests!["archive":
    what_was_used_goes_on_on_another_host,
    an_import_killed_at_each_system_call_leaves_all_as_before_or_all_as_after,
    an_export_killed_at_each_system_call_leaves_a_whole_archive_or_none,
    what_is_wanted_is_applied_whole_or_not_at_all,
    what_an_import_would_change_is_said,
    what_is_no_archive_changes_nothing,
    the_tick_keeps_as_many_backups_as_it_is_told,
];

fn file(lab: &Lab, name: &str) -> PathBuf {
    lab.directory().join(name)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("not UTF-8")
}

/// Returns all that can be seen of a host, but for what moves on its own.
fn seen(lab: &Lab) -> Result<String> {
    let mut seen = lab.ok(&["list", "--json"])?;
    let config = fs::read_to_string(lab.config_dir().join("config.json"))?;
    let lines = config.lines().filter(|line| !line.contains("revision"));
    seen.extend(lines);
    seen.push_str(&lab.ok(&["history", "--by", "day", "--json"])?);
    Ok(seen)
}

/// Returns what the room's counters in the kernel show of a service that never moved.
fn counted(lab: &Lab, port: &str) -> Result<Bytes> {
    let json = lab
        .vps
        .nft(&["-j", "list", "counters", "table", "inet", "port_monitor"])?;
    let value: serde_json::Value = serde_json::from_str(&json)?;
    let objects = value["nftables"].as_array().context("no objects")?;
    let of = |prefix: &str| {
        let name = format!("{prefix}_{port}");
        let mut counters = objects.iter().map(|object| &object["counter"]);
        let found = counters.find(|counter| counter["name"] == name.as_str());
        found.and_then(|counter| counter["bytes"].as_u64())
    };
    Ok(Bytes {
        inbound: of("in").context("no counter")?,
        outbound: of("out").context("no counter")?,
    })
}

/// Returns the archives in a directory, the oldest first.
fn archives(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn what_was_used_goes_on_on_another_host(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "20001"])?;
    lab.ok(&["group", "add", "vip", "--quota", "500GB"])?;
    lab.ok(&["add", "20000", "--quota", "500GB", "--note", "it's 'odd'"])?;
    lab.ok(&["add", "20001", "--group", "vip"])?;
    Udp::open(lab, Family::V4, 20001)?.send(Way::Out, 40, 700)?;
    lab.ok(&["reset", "20000"])?;
    let flood = Flood::start(lab, Family::V4, Way::In, 20000, 500, Pace::Windowed)?;
    // While it is used, and again when that is over.
    let (early, late) = (file(lab, "early.pm"), file(lab, "late.pm"));
    lab.ok(&["export", text(&early)?])?;
    flood.stop()?;
    lab.exact(&["20000", "20001"])?;
    lab.ok(&["export", text(&late)?])?;
    lab.refused(&["export", text(&late)?], &["--force"])?;
    let here = [lab.service("20000")?.bytes(), lab.service("20001")?.bytes()];
    let days = lab.ok(&["history", "--by", "day", "--json"])?;

    let other = Lab::new(lab.pm_path(), lab.seed())?;
    other.watch(&["20000", "20001", "30000"])?;
    other.ok(&["add", "30000", "--quota", "1GB"])?;
    other.ok(&["import", text(&early)?, "--dry-run"])?;
    ensure!(other.list()?.len() == 1, "a dry run changed something");
    other.refused(&["import", text(&late)?], &["--yes"])?;
    let flood = Flood::start(&other, Family::V6, Way::Out, 20000, 500, Pace::Windowed)?;
    other.ok(&["import", text(&late)?, "--yes"])?;
    ensure!(other.list()?.len() == 2, "what was there is there still");
    flood.stop()?;
    other.ok(&["monitor"])?;
    // All that its room has counted is on top of what it used before, and nothing else.
    let new = other.service("20000")?.bytes() - here[0];
    ensure!(
        new == counted(&other, "20000")?,
        "{new:?} is not what the kernel counted"
    );
    let wire = other.truth(Place::Client, "20000")?;
    ensure!(
        new.outbound > 0 && new.outbound <= wire.outbound,
        "{new:?}, on the wire {wire:?}"
    );
    ensure!(
        other.service("20001")?.bytes() == here[1],
        "20001 is another"
    );
    // And it goes on to the byte.
    let since = other.truth(Place::Client, "20001")?;
    Udp::open(&other, Family::V6, 20001)?.send(Way::In, 30, 600)?;
    let sent = other.truth(Place::Client, "20001")? - since;
    ensure!(
        other.service("20001")?.bytes() - here[1] == sent,
        "what came after the import is not all there"
    );
    // Again, what passed since goes, and the days are those of the archive.
    other.ok(&["import", text(&late)?, "--yes"])?;
    ensure!(
        other.service("20001")?.bytes() == here[1],
        "20001 has not gone back"
    );
    ensure!(
        other.ok(&["history", "--by", "day", "--json"])? == days,
        "the days differ"
    );
    let once = seen(&other)?;
    let said = other.ok(&["import", text(&late)?, "--yes"])?;
    ensure!(said.contains("Nothing to change"), "{said}");
    ensure!(seen(&other)? == once, "the same again changed something");
    // What was there before the first import is kept, to be had back: the second has not taken its
    // place, and the third, which changed nothing, is not there.
    let kept = archives(&other.state_dir().join("before-import"))?;
    ensure!(kept.len() == 2, "{kept:?}");
    other.ok(&["import", text(&kept[0])?, "--yes"])?;
    let [service] = &other.list()?[..] else {
        bail!("what was there before the first import has not come back");
    };
    ensure!(service.port == "30000", "{} came back", service.port);
    other.check_ruleset().map(drop)
}

/// Kills a command at each system call, from what an archive holds on; afterwards all is as before or as `after`.
fn kill_between(
    lab: &Lab,
    args: &[&str],
    (archive, before): (&Path, &str),
    after: &str,
) -> Result<Kills> {
    let go_back = |lab: &Lab| {
        lab.ok(&["import", text(archive)?, "--yes"])?;
        ensure!(seen(lab)? == before, "it is not as before");
        Ok(())
    };
    let whole = |lab: &Lab| {
        lab.ok(&["monitor"])?;
        let now = seen(lab)?;
        ensure!(
            now == before || now == after,
            "neither nor:\n{now}\nold\n{before}\nnew\n{after}"
        );
        Ok(())
    };
    kill_at_calls(lab, args, go_back, whole)
}

fn an_import_killed_at_each_system_call_leaves_all_as_before_or_all_as_after(
    lab: &mut Lab,
) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["set", "20000", "--used", "2GB"])?;
    lab.ok(&["add", "20005"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
    let (old, new) = (file(lab, "old.pm"), file(lab, "new.pm"));
    lab.ok(&["export", text(&old)?])?;
    let seen_old = seen(lab)?;
    lab.ok(&["del", "20005"])?;
    lab.ok(&["set", "20000", "--used", "3GB", "--note", "another"])?;
    lab.ok(&["add", "20009", "--quota", "1GB"])?;
    Udp::open(lab, Family::V4, 20009)?.send(Way::Out, 5, 500)?;
    lab.ok(&["export", text(&new)?])?;
    let seen_new = seen(lab)?;
    let kills = kill_between(
        lab,
        &["import", text(&new)?, "--yes"],
        (&old, &seen_old),
        &seen_new,
    )?;
    ensure!(kills.all > 20 && kills.renames > 0, "only {kills:?}");
    Ok(())
}

fn an_export_killed_at_each_system_call_leaves_a_whole_archive_or_none(
    lab: &mut Lab,
) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    let out = file(lab, "out.pm");
    let nothing = |_: &Lab| {
        if out.exists() {
            fs::remove_file(&out)?;
        }
        Ok(())
    };
    let whole = |lab: &Lab| {
        if out.exists() {
            lab.ok(&["import", text(&out)?, "--dry-run"])?;
        }
        Ok(())
    };
    let kills = kill_at_calls(lab, &["export", text(&out)?], nothing, whole)?;
    ensure!(kills.all > 2 && kills.renames > 0, "only {kills:?}");
    Ok(())
}

fn what_is_wanted_is_applied_whole_or_not_at_all(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["add", "20007"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
    let (wanted, before) = (file(lab, "wanted.json"), file(lab, "before.pm"));
    lab.ok(&["export", text(&before)?])?;
    fs::write(
        &wanted,
        r#"{"groups": {"vip": {"quota": "9GB"}},
            "services": {"20000": {"quota": "6GB"}, "20001": {"group": "vip"},
                         "20002": {"group": "vip", "note": "x"}}}"#,
    )?;
    let seen_old = seen(lab)?;
    let args = ["apply", text(&wanted)?];
    let code = |args: &[&str]| -> Result<Option<i32>> { Ok(lab.pm(args)?.code) };
    ensure!(
        code(&[args[0], args[1], "--dry-run"])? == Some(3),
        "a dry run says that it would"
    );
    ensure!(seen(lab)? == seen_old, "a dry run changed something");
    ensure!(code(&args)? == Some(3), "it says that it changed something");
    let seen_new = seen(lab)?;
    ensure!(
        code(&args)? == Some(0),
        "it says that nothing was to be changed"
    );
    ensure!(seen(lab)? == seen_new, "the second time changed something");
    ensure!(lab.list()?.len() == 4, "who is not named stays");
    let kept = lab.service("20000")?.bytes();
    ensure!(kept != Bytes::default(), "what was used is gone");
    let kills = kill_between(lab, &args, (&before, &seen_old), &seen_new)?;
    ensure!(kills.all > 10 && kills.renames > 0, "only {kills:?}");
    // What one service is refused for, all are.
    lab.ok(&["import", text(&before)?, "--yes"])?;
    fs::write(&wanted, r#"{"services": {"20005": {}, "20006-20010": {}}}"#)?;
    lab.refused(&args, &["20007", "wanted.json", "nothing was changed"])?;
    ensure!(seen(lab)? == seen_old, "a refusal changed something");
    let pruned = code(&[args[0], args[1], "--prune"])?;
    ensure!(
        pruned == Some(3) && lab.list()?.len() == 2,
        "who is not named goes"
    );
    Ok(())
}

/// Also what is in no table: the history, and who is told.
fn what_an_import_would_change_is_said(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["set", "20000", "--used", "2GB"])?;
    let plain = file(lab, "plain.pm");
    lab.ok(&["export", text(&plain)?])?;
    let look = |archive: &Path, words: &[&str]| {
        let said = lab.ok(&["import", text(archive)?, "--dry-run"])?;
        for word in words {
            ensure!(said.contains(word), "{word:?} is not said:\n{said}");
        }
        ensure!(
            words == ["Nothing to change"] || !said.contains("Nothing to change"),
            "{said}"
        );
        Ok(())
    };
    look(&plain, &["Nothing to change"])?;
    // More used, without any correction, is not what passed meanwhile.
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 9, 500)?;
    let used = file(lab, "used.pm");
    lab.ok(&["export", text(&used)?])?;
    lab.ok(&["import", text(&plain)?, "--yes"])?;
    look(&used, &["20000: used now", "daily totals in the history"])?;
    lab.ok(&["import", text(&used)?, "--yes"])?;
    // A period that is over goes where the archive is from before.
    lab.ok(&["reset", "20000"])?;
    look(&used, &["closed periods in the history: 1 lost, 0 new"])?;
    let reset = file(lab, "reset.pm");
    lab.ok(&["export", text(&reset)?])?;
    lab.ok(&["import", text(&used)?, "--yes"])?;
    look(&reset, &["closed periods in the history: 0 lost, 1 new"])?;
    // Who is told, by name only.
    let path = lab.config_dir().join("config.json");
    let config = fs::read_to_string(&path)?;
    let told = config.replacen(
        "\"services\"",
        r#""notify": {"channels": {"ops": {"via": {"wecom":
            {"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k3y-0f-it"}}}}},
        "push": {"url": "https://example.net/push", "node": "n1", "secret": "p4ss-of-it"},
        "services""#,
        1,
    );
    fs::write(&path, told)?;
    lab.ok(&["monitor"])?;
    look(&used, &["channel ops: removed", "push: removed"])?;
    let told = file(lab, "told.pm");
    lab.ok(&["export", text(&told)?, "--with-secrets"])?;
    lab.ok(&["import", text(&used)?, "--yes"])?;
    let said = lab.ok(&["import", text(&told)?, "--dry-run"])?;
    ensure!(
        said.contains("channel ops: added (wecom)") && said.contains("push: as n1 to"),
        "{said}"
    );
    ensure!(!said.contains("k3y") && !said.contains("p4ss"), "{said}");
    Ok(())
}

fn what_is_no_archive_changes_nothing(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    let good = file(lab, "good.pm");
    lab.ok(&["export", text(&good)?])?;
    lab.ok(&["set", "20000", "--quota", "6GB"])?;
    let before = seen(lab)?;
    let bytes = fs::read(&good)?;
    let bad = file(lab, "bad.pm");
    let refuse = |what: &str, words: &[&str]| {
        lab.refused(&["import", text(&bad)?, "--yes"], words)
            .with_context(|| what.to_owned())?;
        ensure!(seen(lab)? == before, "{what} changed something");
        if bad.symlink_metadata().is_ok() {
            fs::remove_file(&bad)?;
        }
        Ok(())
    };
    for at in [0, 30, bytes.len() / 2, bytes.len() - 2] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(&bad, damaged)?;
        refuse("a damaged byte", &["nothing was changed"])?;
    }
    fs::write(&bad, &bytes[..bytes.len() - 9])?;
    refuse("half of one", &["damaged"])?;
    let newer = String::from_utf8(bytes.clone())?;
    fs::write(
        &bad,
        newer.replacen("\"pm_archive\":1", "\"pm_archive\":2", 1),
    )?;
    refuse("a newer one", &["update pm"])?;
    symlink(&good, &bad)?;
    refuse("a link", &["not a file"])?;
    fs::File::create(&bad)?.set_len(1 << 40)?;
    refuse("a huge one", &["MiB"])?;
    fs::create_dir(&bad)?;
    lab.refused(&["import", text(&bad)?, "--yes"], &["not a file"])?;
    fs::remove_dir(&bad)?;
    lab.refused(&["import", text(&bad)?, "--yes"], &["it is not there"])?;
    symlink("/etc/passwd", &bad)?;
    lab.refused(&["export", text(&bad)?, "--force"], &["not a file"])?;
    if fs::read_to_string("/etc/passwd")?.contains("pm_archive") {
        bail!("it was written through a link");
    }
    Ok(())
}

fn the_tick_keeps_as_many_backups_as_it_is_told(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["monitor"])?;
    let dir = lab.state_dir().join("backups");
    ensure!(!dir.exists(), "nobody asked for a backup");
    lab.refused(&["config", "set", "backup", "daily"], &["every 1d keep 7"])?;
    lab.ok(&["config", "set", "backup", "every 6h keep 2"])?;
    let names = || -> Result<Vec<String>> {
        let entries = fs::read_dir(&dir)?;
        let mut names: Vec<String> = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        names.sort();
        Ok(names)
    };
    let says = |words: &str| {
        let said = lab.pm(&["doctor"])?.stdout;
        ensure!(said.contains(words), "{words:?} is not said:\n{said}");
        Ok(())
    };
    says("warning  backups: every 6h keep 2, none made yet")?;
    lab.ok(&["monitor"])?;
    lab.ok(&["monitor"])?;
    says("ok       backups: every 6h keep 2, the last one 0 min ago")?;
    let [first] = &names()?[..] else {
        bail!("not one backup: {:?}", names()?);
    };
    lab.ok(&["import", text(&dir.join(first))?, "--dry-run"])?;
    // Seven hours, and two days, ago.
    let seconds: i64 = first["pm-".len()..first.len() - ".archive".len()].parse()?;
    let aged = |hours: i64| format!("pm-{}.archive", seconds - hours * 3600);
    fs::rename(dir.join(first), dir.join(aged(7)))?;
    fs::copy(dir.join(aged(7)), dir.join(aged(48)))?;
    fs::write(dir.join("mine"), "")?;
    says("warning  backups: every 6h keep 2, the last one 7 h ago")?;
    lab.ok(&["monitor"])?;
    let now = names()?;
    ensure!(
        now.len() == 3 && now[0] == "mine" && now[1] == aged(7),
        "{now:?}"
    );
    // One that a clock ahead has dated is neither the latest nor in the way of those that are.
    let (future, old) = (aged(-9000), dir.join(&now[2]));
    fs::copy(&old, dir.join(&future))?;
    fs::rename(old, dir.join(aged(8)))?;
    lab.ok(&["monitor"])?;
    lab.ok(&["monitor"])?;
    let now = names()?;
    ensure!(
        now.len() == 4 && now.contains(&future) && now.contains(&aged(7)),
        "{now:?}"
    );
    // What cannot be written is told, and no reason to fail.
    fs::remove_dir_all(&dir)?;
    fs::write(&dir, "in the way")?;
    let output = lab.pm(&["monitor"])?;
    ensure!(output.code == Some(0), "the tick failed: {output:?}");
    ensure!(output.stderr.contains("no backup was made"), "{output:?}");
    lab.ok(&["config", "set", "backup", "off"])?;
    ensure!(lab.pm(&["monitor"])?.stderr.is_empty(), "it is off");
    Ok(())
}
