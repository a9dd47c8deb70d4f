//! The outbox: every message once, and nothing believed of who holds it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use pm_core::calendar::Timestamp;
use pm_core::config::ChannelName;
use pm_store::outbox_db::{
    self, Attempt, Batch, ChannelStanding, MOST_BODY, MOST_WAITING, NewMessage, NewPush, OutboxDb,
    OutboxError, Standing,
};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(1_790_000_000 + second)
}

fn name(text: &str) -> ChannelName {
    text.parse().unwrap()
}

fn channels(names: &[&str]) -> BTreeMap<ChannelName, String> {
    let channels = names.iter().map(|it| (name(it), format!("to {it}")));
    channels.collect()
}

fn message(event: i64, channel: &str) -> NewMessage {
    NewMessage {
        event,
        time: at(event),
        channel: name(channel),
        part: 0,
        is_report: false,
        body: format!("{event} for {channel}"),
    }
}

fn report(event: i64, channel: &str) -> NewMessage {
    NewMessage {
        is_report: true,
        ..message(event, channel)
    }
}

fn batch(names: &[&str], messages: Vec<NewMessage>) -> Batch {
    Batch {
        channels: channels(names),
        messages,
        push: None,
    }
}

/// An attempt by the settings that [`channels`] makes.
fn attempt<'a>(channel: &'a ChannelName, settings: &'a str, ids: &'a [i64]) -> Attempt<'a> {
    Attempt {
        channel,
        settings,
        ids,
        lost: 0,
    }
}

fn deliver(outbox: &mut OutboxDb, channel: &str, ids: &[i64], second: i64) {
    let (name, settings) = (name(channel), format!("to {channel}"));
    let attempt = attempt(&name, &settings, ids);
    assert!(outbox.begin(attempt, at(second + 10)).unwrap());
    outbox.note_delivered(attempt, "ok", at(second)).unwrap();
}

fn fail(outbox: &mut OutboxDb, channel: &str, ids: &[i64], error: &str, times: (i64, i64)) {
    let (name, settings) = (name(channel), format!("to {channel}"));
    let attempt = attempt(&name, &settings, ids);
    assert!(outbox.begin(attempt, at(times.0)).unwrap());
    outbox
        .note_failed(attempt, error, at(times.0), at(times.1))
        .unwrap();
}

fn bodies(outbox: &OutboxDb, channel: &str) -> Vec<String> {
    let waiting = outbox.waiting(&name(channel), 100).unwrap();
    waiting.into_iter().map(|it| it.body).collect()
}

proptest! {
    /// Whatever is copied again, in whichever order it is delivered meanwhile: each message is
    /// there once, and waits until it is delivered.
    #[test]
    fn copying_twice_changes_nothing(
        rounds in prop::collection::vec((0i64..12, 1i64..6, 0usize..4), 1..8),
    ) {
        let dir = TempDir::new().unwrap();
        let mut sent = BTreeSet::new();
        let mut given = BTreeSet::new();
        for (first, count, taken) in rounds {
            let mut outbox = OutboxDb::open(dir.path()).unwrap();
            let messages: Vec<_> = (first..first + count).map(|it| message(it, "ops")).collect();
            given.extend(messages.iter().map(|it| it.body.clone()));
            outbox.exchange(&batch(&["ops"], messages)).unwrap();
            for one in outbox.waiting(&name("ops"), taken as u32).unwrap() {
                prop_assert!(sent.insert(one.body.clone()), "{} went out twice", one.body);
                deliver(&mut outbox, "ops", &[one.id], 100);
            }
        }
        let outbox = OutboxDb::open(dir.path()).unwrap();
        let waiting: BTreeSet<_> = bodies(&outbox, "ops").into_iter().collect();
        prop_assert!(waiting.is_disjoint(&sent));
        sent.extend(waiting);
        prop_assert_eq!(sent, given);
    }
}

#[test]
fn a_channel_that_fails_delays_no_other_and_is_told_with_its_reason() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let both = vec![message(1, "dead"), message(1, "live"), message(2, "live")];
    let standing = outbox.exchange(&batch(&["dead", "live"], both)).unwrap();
    let is_due = |standing: &Standing, now, soon| standing.is_due(now, soon, |_, _| false);
    assert!(is_due(&standing, at(0), 0));
    let first = outbox.waiting(&name("dead"), 1).unwrap().remove(0);
    fail(&mut outbox, "dead", &[first.id], "no\nroute", (90, 60));
    for one in outbox.waiting(&name("live"), 9).unwrap() {
        deliver(&mut outbox, "live", &[one.id], 61);
    }
    let standing = outbox.standing().unwrap();
    let (dead, live) = (
        &standing.channels[&name("dead")],
        &standing.channels[&name("live")],
    );
    assert_eq!(dead.error.as_deref(), Some("no route"));
    assert_eq!((dead.waiting, dead.failing_since), (1, Some(at(60))));
    assert_eq!((live.waiting, live.delivered), (0, Some(at(61))));
    assert_eq!((dead.oldest, live.oldest), (Some(first.time), None));
    assert!(!is_due(&standing, at(61), 10) && is_due(&standing, at(61), 30));
    let is_kept = |kept: &ChannelName, _: &ChannelStanding| *kept == name("dead");
    assert!(!standing.is_due(at(61), 30, is_kept));
}

#[test]
fn other_settings_are_tried_at_once_and_a_removed_channel_is_forgotten() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    outbox
        .exchange(&batch(&["a", "b"], vec![message(1, "a"), message(1, "b")]))
        .unwrap();
    fail(&mut outbox, "a", &[], "wrong token", (900, 0));
    outbox
        .note_moved(attempt(&name("a"), "to a", &[]), "-1001")
        .unwrap();
    let mut other = batch(&["a"], Vec::new());
    other.channels.insert(name("a"), "to another".into());
    let standing = outbox.exchange(&other).unwrap();
    let sending = outbox.sending(&name("a")).unwrap().unwrap();
    assert_eq!(sending.settings, "to another");
    assert_eq!((sending.attempts, sending.next_try), (0, 0));
    assert_eq!(sending.moved_to, None);
    assert!(!standing.channels.contains_key(&name("b")));
    assert_eq!(bodies(&outbox, "b"), Vec::<String>::new());
}

#[test]
fn of_too_many_the_oldest_of_the_longest_queue_are_lost_and_counted() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let many = i64::from(MOST_WAITING);
    let mut messages: Vec<_> = (0..many).map(|it| message(it, "long")).collect();
    messages.extend((0..7).map(|it| message(it, "short")));
    let standing = outbox
        .exchange(&batch(&["long", "short"], messages))
        .unwrap();
    let (long, short) = (
        &standing.channels[&name("long")],
        &standing.channels[&name("short")],
    );
    assert_eq!((long.waiting, long.lost), (many as u64 - 7, 7));
    assert_eq!((short.waiting, short.lost), (7, 0));
    let first = outbox.waiting(&name("long"), 1).unwrap().remove(0);
    assert_eq!(first.body, "7 for long");
}

#[test]
fn too_many_in_many_queues_are_no_more_than_may_wait() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let names = ["a", "b", "c", "d", "e", "f"];
    let many = i64::from(MOST_WAITING);
    let messages = names
        .iter()
        .flat_map(|name| (0..many / 2).map(|it| message(it, name)))
        .collect();
    let standing = outbox.exchange(&batch(&names, messages)).unwrap();
    let waiting: u64 = standing.channels.values().map(|it| it.waiting).sum();
    let lost: u64 = standing.channels.values().map(|it| it.lost).sum();
    assert_eq!((waiting, lost), (many as u64, 2 * many as u64));
    let each = standing.channels.values().map(|it| it.waiting);
    assert!(each.clone().max().unwrap() - each.min().unwrap() <= 1);
}

/// Large messages that nobody takes for days are fewer, and never make the file look damaged.
#[test]
fn large_messages_that_wait_never_cost_the_others() {
    let dir = TempDir::new().unwrap();
    let large = |event| NewMessage {
        body: "x".repeat(50_000),
        ..message(event, "large")
    };
    for round in 0..40 {
        let mut outbox = OutboxDb::open(dir.path()).unwrap();
        let mut messages: Vec<_> = (0..50).map(|it| large(round * 50 + it)).collect();
        messages.push(message(round, "small"));
        outbox
            .exchange(&batch(&["large", "small"], messages))
            .unwrap();
        let size = fs::metadata(dir.path().join(outbox_db::FILE))
            .unwrap()
            .len();
        assert!(size < 40 << 20, "{size} bytes after {round}");
    }
    let outbox = OutboxDb::open(dir.path()).unwrap();
    let standing = outbox.standing().unwrap();
    let (large, small) = (
        &standing.channels[&name("large")],
        &standing.channels[&name("small")],
    );
    assert_eq!((small.waiting, small.lost), (40, 0));
    assert_eq!(large.waiting + large.lost, 2_000);
    assert!(large.waiting > 400, "{large:?}");
}

#[test]
fn of_a_channels_reports_the_newest_waits() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let second_part = NewMessage {
        part: 1,
        body: "more of 2 for a".into(),
        ..report(2, "a")
    };
    let first = vec![report(1, "a"), message(1, "b"), report(1, "b")];
    outbox.exchange(&batch(&["a", "b"], first)).unwrap();
    let second = vec![message(3, "a"), report(2, "a"), second_part];
    outbox
        .exchange(&batch(&["a", "b"], second.clone()))
        .unwrap();
    assert_eq!(
        bodies(&outbox, "a"),
        ["3 for a", "2 for a", "more of 2 for a"]
    );
    assert_eq!(bodies(&outbox, "b"), ["1 for b"]);
    // Who died before he noted that copies once more.
    outbox.exchange(&batch(&["a", "b"], second)).unwrap();
    assert_eq!(bodies(&outbox, "a").len(), 3);
    assert_eq!(outbox.standing().unwrap().channels[&name("a")].lost, 0);
}

/// What was put aside holds tokens.
#[test]
fn what_was_put_aside_is_removed_after_a_day() {
    let dir = TempDir::new().unwrap();
    drop(OutboxDb::open(dir.path()).unwrap());
    outbox_db::set_aside(dir.path()).unwrap();
    let aside = dir.path().join(outbox_db::ASIDE);
    let now = fs::metadata(&aside).unwrap().ctime();
    let day = 24 * 60 * 60;
    outbox_db::forget_aside(dir.path(), Timestamp::from_unix(now + day - 1));
    assert!(aside.exists());
    outbox_db::forget_aside(dir.path(), Timestamp::from_unix(now + day));
    assert!(!aside.exists());
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("x"), "").unwrap();
    fs::write(dir.path().join("outbox.db-journal"), "").unwrap();
    outbox_db::remove_all(dir.path());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_is_too_old_is_given_up_until_that_is_told() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let messages = (1..=3).map(|it| message(it, "ops")).collect();
    outbox.exchange(&batch(&["ops"], messages)).unwrap();
    assert_eq!(outbox.give_up(&name("ops"), at(3), at(9)).unwrap(), 2);
    assert_eq!(bodies(&outbox, "ops"), ["3 for ops"]);
    assert_eq!(outbox.sending(&name("ops")).unwrap().unwrap().lost, 2);
    let ops = name("ops");
    let note = Attempt {
        lost: 2,
        ..attempt(&ops, "to ops", &[])
    };
    outbox.note_delivered(note, "ok", at(9)).unwrap();
    assert_eq!(outbox.sending(&ops).unwrap().unwrap().lost, 0);
}

#[test]
fn of_the_push_the_newest_state_wins() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let push = |second| Batch {
        push: Some(NewPush {
            settings: "s".into(),
            body: format!("as of {second}"),
            made: at(second),
        }),
        ..Batch::default()
    };
    outbox.exchange(&push(0)).unwrap();
    outbox.exchange(&push(60)).unwrap();
    let (_, waiting) = outbox.waiting_push().unwrap().unwrap();
    assert_eq!(waiting.body, "as of 60");
    // Another one came while that was on its way.
    outbox.exchange(&push(120)).unwrap();
    outbox.note_pushed("s", at(60), Ok(()), at(121)).unwrap();
    let (_, waiting) = outbox.waiting_push().unwrap().unwrap();
    assert_eq!(waiting.body, "as of 120");
    outbox.note_pushed("s", at(120), Ok(()), at(122)).unwrap();
    assert_eq!(outbox.waiting_push().unwrap(), None);
    // Another receiver has none of it, and nothing went wrong there yet.
    let error = ("no such host", at(900));
    outbox
        .note_pushed("s", at(120), Err(error), at(123))
        .unwrap();
    let mut other = push(120);
    if let Some(push) = &mut other.push {
        push.settings = "to another".into();
    }
    let standing = outbox.exchange(&other).unwrap().push.unwrap();
    assert_eq!(
        (standing.sent, standing.failing_since, standing.error),
        (None, None, None)
    );
    assert!(outbox.waiting_push().unwrap().is_some());
    let standing = outbox.exchange(&Batch::default()).unwrap();
    assert_eq!(standing.push, None);
}

/// Somebody changed where a channel goes while a message was on its way to the old place.
#[test]
fn what_became_of_a_message_says_nothing_of_other_settings() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let messages = vec![message(1, "a"), message(2, "a")];
    outbox.exchange(&batch(&["a"], messages)).unwrap();
    let (a, first) = (name("a"), outbox.waiting(&name("a"), 1).unwrap().remove(0));
    let ids = [first.id];
    let old = attempt(&a, "to a", &ids);
    assert!(outbox.begin(old, at(10)).unwrap());
    let mut other = batch(&["a"], Vec::new());
    other.channels.insert(a.clone(), "to another".into());
    outbox.exchange(&other).unwrap();
    outbox.note_failed(old, "gone", at(900), at(1)).unwrap();
    outbox.note_moved(old, "-1001").unwrap();
    let sending = outbox.sending(&a).unwrap().unwrap();
    assert_eq!((sending.attempts, sending.next_try), (0, 0));
    assert_eq!(sending.moved_to, None);
    let standing = outbox.standing().unwrap();
    assert_eq!(standing.channels[&a].failing_since, None);
    // It is not begun again, but what was delivered was.
    assert!(!outbox.begin(old, at(10)).unwrap());
    outbox.note_delivered(old, "ok", at(2)).unwrap();
    assert_eq!(bodies(&outbox, "a"), ["2 for a"]);
    assert_eq!(outbox.standing().unwrap().channels[&a].delivered, None);
}

/// A channel that goes takes its messages along, and others get their numbers.
#[test]
fn what_became_of_a_message_says_nothing_of_another_with_its_number() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    outbox
        .exchange(&batch(&["a"], vec![message(1, "a")]))
        .unwrap();
    let (a, id) = (name("a"), outbox.waiting(&name("a"), 1).unwrap()[0].id);
    let ids = [id];
    let first = attempt(&a, "to a", &ids);
    assert!(outbox.begin(first, at(10)).unwrap());
    outbox.exchange(&Batch::default()).unwrap();
    outbox
        .exchange(&batch(&["a"], vec![message(2, "a")]))
        .unwrap();
    assert_eq!(outbox.waiting(&a, 1).unwrap()[0].id, id);
    outbox.note_delivered(first, "ok", at(1)).unwrap();
    assert_eq!(bodies(&outbox, "a"), ["2 for a"]);
}

/// Who sends what he cannot note sends it again at each tick, as long as the disk is full.
#[test]
fn what_cannot_be_noted_is_not_begun() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    outbox
        .exchange(&batch(&["a"], vec![message(1, "a")]))
        .unwrap();
    let a = name("a");
    let id = outbox.waiting(&a, 1).unwrap().remove(0).id;
    // A journal can no more be made than on a full disk.
    let journal = dir.path().join(format!("{}-journal", outbox_db::FILE));
    fs::create_dir(&journal).unwrap();
    assert!(outbox.begin(attempt(&a, "to a", &[id]), at(10)).is_err());
    fs::remove_dir(&journal).unwrap();
    assert!(outbox.begin(attempt(&a, "to a", &[id]), at(10)).unwrap());
    // Whoever died in between, or could not note it, has the next try wait.
    drop(outbox);
    let outbox = OutboxDb::open(dir.path()).unwrap();
    let sending = outbox.sending(&a).unwrap().unwrap();
    assert_eq!((sending.attempts, sending.next_try), (1, at(10).unix()));
    assert_eq!(outbox.standing().unwrap().channels[&a].waiting, 1);
}

/// A host with thousands of services and long notes pushes some megabytes; one message that is longer
/// than anything can be costs no other.
#[test]
fn what_is_long_is_held_or_left_out_and_never_taken_for_damage() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let mut long = message(1, "a");
    long.body = "x".repeat(MOST_BODY + 1);
    let mut batch = batch(&["a"], vec![long, message(2, "a")]);
    batch.push = Some(NewPush {
        settings: "s".into(),
        body: "x".repeat(MOST_BODY),
        made: at(1),
    });
    let standing = outbox.exchange(&batch).unwrap();
    let a = &standing.channels[&name("a")];
    assert_eq!((a.waiting, a.lost), (1, 1));
    let (_, push) = outbox.waiting_push().unwrap().unwrap();
    assert_eq!(push.body.len(), MOST_BODY);
}

/// Whoever takes over the delivering user owns the file: nothing in it does more than to be
/// put aside.
#[test]
fn a_hostile_file_is_put_aside_and_made_anew() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 9] = [
        ("a file of noise", |path| {
            fs::write(path, [7u8; 9000]).unwrap();
        }),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("a link to somebody else's", |path| {
            let other = path.with_file_name("other");
            fs::rename(path, &other).unwrap();
            symlink(other, path).unwrap();
        }),
        ("a second name", |path| {
            fs::hard_link(path, path.with_file_name("other")).unwrap();
        }),
        ("a trigger", |path| {
            sql(
                path,
                "CREATE TRIGGER t AFTER INSERT ON message BEGIN DELETE FROM message; END",
            );
        }),
        ("another table in the place of one", |path| {
            sql(path, "DROP TABLE push; CREATE VIEW push AS SELECT 1 AS id");
        }),
        ("another program's", |path| {
            sql(path, "PRAGMA application_id = 1");
        }),
        ("a name that is none", |path| {
            sql(
                path,
                "INSERT INTO channel (name, settings, attempts, next_try, lost)
                 VALUES ('../../etc', '', 0, 0, 0)",
            );
        }),
        ("too large", |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(100 << 20).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(outbox_db::FILE);
        drop(OutboxDb::open(dir.path()).unwrap());
        harm(&path);
        let began = Instant::now();
        let opened = OutboxDb::open(dir.path())
            .and_then(|mut outbox| outbox.exchange(&batch(&["a"], vec![message(1, "a")])));
        match opened {
            Err(OutboxError::Damaged { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{what}");
        outbox_db::set_aside(dir.path()).unwrap();
        let mut outbox = OutboxDb::open(dir.path()).unwrap();
        outbox
            .exchange(&batch(&["a"], vec![message(1, "a")]))
            .unwrap();
        assert_eq!(bodies(&outbox, "a"), ["1 for a"], "{what}");
    }
}

#[test]
fn somebody_who_never_lets_go_is_not_waited_for() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    let other = Connection::open(dir.path().join(outbox_db::FILE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let refused = outbox.exchange(&batch(&["a"], vec![message(1, "a")]));
    assert!(
        matches!(refused, Err(OutboxError::Busy { .. })),
        "{refused:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn what_the_delivering_side_says_is_one_short_line() {
    let dir = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(dir.path()).unwrap();
    outbox.exchange(&batch(&["a"], Vec::new())).unwrap();
    let long = format!("\u{1b}[31m{}", "x".repeat(100_000));
    sql(
        &dir.path().join(outbox_db::FILE),
        &format!("UPDATE channel SET error = '{long}', failing_since = 1"),
    );
    let standing = outbox.standing().unwrap();
    let error = standing.channels[&name("a")].error.clone().unwrap();
    assert!(!error.contains('\u{1b}') && error.len() <= 400, "{error}");
}

fn sql(path: &Path, text: &str) {
    Connection::open(path).unwrap().execute_batch(text).unwrap();
}
