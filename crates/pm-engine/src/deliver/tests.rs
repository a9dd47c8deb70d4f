//! What becomes of messages, against a server on loopback.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pm_core::calendar::Timestamp;
use pm_core::config::{ChannelName, Preset, Via, Webhook};
use pm_core::language::Language;
use pm_notify::Part;
use pm_notify::part::Format;
use pm_store::outbox_db::{Attempt, Batch, NewMessage, OutboxDb, Standing};
use tempfile::TempDir;

use super::{Limits, next_try};
use crate::clock;
use crate::outbox::Sender;

/// What a server answers to the message of this title.
type Answers = fn(&str) -> &'static str;

/// A channel's server, and the outbox with what waits for it.
struct Bench {
    directory: TempDir,
    outbox: OutboxDb,
    settings: String,
    titles: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    /// Starts a server, and has messages wait that happened so many seconds ago.
    fn start(messages: &[(&str, i64)], answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let titles = Arc::default();
        let taken = Arc::clone(&titles);
        // It ends with the test's process.
        thread::spawn(move || serve(&listener, answers, &taken));
        let sender = Sender {
            via: Via::Webhook(Webhook {
                url: url.parse().unwrap(),
                secret: None,
                preset: Preset::Slack,
                body: None,
            }),
            language: Language::English,
            server: "hk-01".into(),
            quiet: None,
            zone: None,
        };
        let settings = serde_json::to_string(&sender).unwrap();
        let directory = TempDir::new().unwrap();
        let mut outbox = OutboxDb::open(directory.path()).unwrap();
        let messages = (1..).zip(messages).map(|(event, (text, age))| NewMessage {
            event,
            is_report: false,
            time: ago(*age),
            channel: name(),
            part: 0,
            body: serde_json::to_string(&part(text)).unwrap(),
        });
        let batch = Batch {
            channels: BTreeMap::from([(name(), settings.clone())]),
            messages: messages.collect(),
            push: None,
        };
        outbox.exchange(&batch).unwrap();
        Self {
            directory,
            outbox,
            settings,
            titles,
        }
    }

    /// Has an attempt fail at a time, to be tried again at another.
    fn fail(&mut self, at: Timestamp, next_try: Timestamp) {
        let attempt = Attempt {
            channel: &name(),
            settings: &self.settings,
            ids: &[],
            lost: 0,
        };
        assert!(self.outbox.begin(attempt, next_try).unwrap());
        self.outbox
            .note_failed(attempt, "nobody answers", next_try, at)
            .unwrap();
    }

    /// Delivers what is due, for no longer than that.
    fn deliver(&self) {
        self.deliver_until(Instant::now() + Duration::from_secs(60));
    }

    fn deliver_until(&self, last: Instant) {
        let limits = Limits {
            end: Instant::now(),
            last,
        };
        super::channel::deliver(self.directory.path(), &name(), limits).unwrap();
    }

    /// Returns what arrived.
    fn arrived(&self) -> Vec<String> {
        self.titles.lock().unwrap().clone()
    }

    fn standing(&self) -> Standing {
        self.outbox.standing().unwrap()
    }
}

fn name() -> ChannelName {
    "hook".parse().unwrap()
}

fn is_due(standing: &Standing, soon: i64) -> bool {
    standing.is_due(clock::now(), soon, |_, _| false)
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_unix(clock::now().unix() - seconds)
}

fn part(text: &str) -> Part {
    Part {
        title: text.into(),
        text: text.into(),
        format: Format::Plain,
        server: "hk-01".into(),
        event: "blocked".into(),
        time: "2026-11-22 08:15".into(),
    }
}

fn serve(listener: &TcpListener, answers: Answers, taken: &Mutex<Vec<String>>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let text = body["text"].as_str().unwrap().to_owned();
        let (status, said) = answers(&text).split_once('/').unwrap_or(("200 OK", "ok"));
        if status == "200 OK" {
            taken.lock().unwrap().push(text);
        }
        let length = said.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{said}"
        );
    }
}

const DAY: i64 = 24 * 60 * 60;

/// What lay there while the clock was behind, or the host was off, is tried before it is given up.
#[test]
fn nothing_is_given_up_without_an_attempt() {
    let mut bench = Bench::start(&[("one", 3 * DAY), ("two", 10)], |_| "");
    bench.fail(ago(3 * DAY), ago(3 * DAY - 10));
    bench.deliver();
    assert_eq!(bench.arrived(), ["one", "two"]);
    assert_eq!(bench.standing().channels[&name()].lost, 0);
}

#[test]
fn what_nobody_takes_for_a_day_is_given_up_after_one_more_attempt() {
    let mut bench = Bench::start(&[("one", 3 * DAY), ("two", 10)], |_| "503 No/");
    // Each quarter of an hour.
    for quarter in (0..=4 * 24).rev() {
        bench.fail(ago(quarter * 900 + 10), ago(10));
    }
    bench.deliver();
    let standing = bench.standing().channels[&name()].clone();
    assert_eq!((standing.waiting, standing.lost), (1, 1));
}

/// The host was off for days, or its clock was, and the network comes up a little after it.
#[test]
fn time_in_which_nobody_tried_gives_nothing_up() {
    let mut bench = Bench::start(&[("one", 3 * DAY), ("two", 10)], |_| "503 No/");
    bench.fail(ago(3 * DAY), ago(3 * DAY));
    bench.fail(ago(3 * DAY - 60), ago(10));
    bench.deliver();
    let standing = bench.standing().channels[&name()].clone();
    assert_eq!((standing.waiting, standing.lost), (2, 0));
}

/// The clock was ahead when it failed, and is right now.
#[test]
fn a_clock_that_was_ahead_holds_nothing_up() {
    let mut bench = Bench::start(&[("one", 0)], |_| "503 No/");
    bench.fail(ago(-3 * DAY), ago(-3 * DAY - 900));
    assert!(is_due(&bench.standing(), 60));
    bench.deliver();
    let since = bench.standing().channels[&name()].failing_since.unwrap();
    assert!(since <= clock::now(), "it fails since some day to come");
    assert!(!is_due(&bench.standing(), 0));
}

#[test]
fn a_push_of_a_clock_that_was_ahead_is_followed_by_others() {
    let directory = TempDir::new().unwrap();
    let mut outbox = OutboxDb::open(directory.path()).unwrap();
    let push = |made| Batch {
        push: Some(pm_store::outbox_db::NewPush {
            settings: "s".into(),
            body: "{}".into(),
            made,
        }),
        ..Batch::default()
    };
    outbox.exchange(&push(ago(-3 * DAY))).unwrap();
    outbox
        .note_pushed("s", ago(-3 * DAY), Ok(()), ago(0))
        .unwrap();
    let standing = outbox.exchange(&push(ago(0))).unwrap();
    assert!(is_due(&standing, 60));
}

/// Only what the server says of a message itself is that one's end, and no other's delay.
#[test]
fn a_message_that_its_server_will_not_have_holds_up_no_other() {
    let bench = Bench::start(&[("one", 3), ("bad", 2), ("three", 1)], |text| match text {
        "bad" => "400 Bad Request/invalid_payload",
        _ => "",
    });
    bench.deliver();
    let lost = "hk-01 · 1 message could not be delivered here and was given up";
    assert_eq!(bench.arrived(), ["one", lost, "three"]);
    let standing = bench.standing().channels[&name()].clone();
    assert_eq!((standing.waiting, standing.lost), (0, 0));
    assert_eq!((standing.failing_since, standing.next_try), (None, None));
}

#[test]
fn a_number_that_nobody_knows_costs_no_message() {
    let bench = Bench::start(&[("one", 3), ("two", 2)], |text| match text {
        "one" => "400 Bad Request/a proxy",
        _ => "",
    });
    bench.deliver();
    assert!(bench.arrived().is_empty());
    assert_eq!(bench.standing().channels[&name()].waiting, 2);
}

/// A server that will not even have the note of it is not asked for ever.
#[test]
fn a_server_that_will_have_nothing_is_left_alone() {
    let bench = Bench::start(&[("one", 3), ("two", 2)], |_| "413 Content Too Large/");
    bench.deliver();
    let standing = bench.standing().channels[&name()].clone();
    assert_eq!((standing.waiting, standing.lost), (1, 1));
    assert!(standing.failing_since.is_some());
    assert!(standing.next_try.is_some_and(|at| at > clock::now()));
}

#[test]
fn what_was_lost_is_told_though_nothing_waits() {
    let mut bench = Bench::start(&[("one", DAY + 9)], |_| "");
    assert_eq!(bench.outbox.give_up(&name(), ago(DAY), ago(0)).unwrap(), 1);
    assert!(is_due(&bench.standing(), 0));
    bench.deliver();
    let lost = "hk-01 · 1 message could not be delivered here and was given up";
    assert_eq!(bench.arrived(), [lost]);
    assert!(!is_due(&bench.standing(), 0));
}

/// Somebody else ends who goes on for too long, in the middle of a message.
#[test]
fn a_server_that_is_slow_is_left_in_time() {
    let bench = Bench::start(&[("one", 3), ("two", 2)], |_| "");
    bench.deliver_until(Instant::now());
    assert!(bench.arrived().is_empty());
    assert_eq!(bench.standing().channels[&name()].waiting, 2);
    bench.deliver();
    assert_eq!(bench.arrived(), ["one", "two"]);
}

/// Settings that change while it waits are those that count.
#[test]
fn after_a_wait_the_settings_of_then_count() {
    let mut bench = Bench::start(&[("one", 3)], |_| "");
    let mut other = Bench::start(&[], |_| "");
    bench.fail(ago(0), ago(-2));
    let directory = bench.directory.path().to_owned();
    let limits = Limits {
        end: Instant::now() + Duration::from_secs(30),
        last: Instant::now() + Duration::from_secs(60),
    };
    let waits = thread::spawn(move || {
        super::channel::deliver(&directory, &name(), limits).unwrap();
    });
    let batch = Batch {
        channels: BTreeMap::from([(name(), std::mem::take(&mut other.settings))]),
        ..Batch::default()
    };
    bench.outbox.exchange(&batch).unwrap();
    waits.join().unwrap();
    assert!(bench.arrived().is_empty());
    assert_eq!(other.arrived(), ["one"]);
}

/// systemd starts who delivers as long as the file is there, and gives up for good when that is too
/// often.
#[test]
fn who_finds_another_at_it_leaves_no_call_behind() {
    let directory = TempDir::new().unwrap();
    let wake = directory.path().join("wake");
    let held = super::take(directory.path(), Duration::ZERO).unwrap();
    assert!(held.is_some());
    let path = directory.path().to_owned();
    let take = move |patience| super::take(&path, patience).unwrap();
    // He answers nobody.
    File::create(&wake).unwrap();
    assert!(take(Duration::from_millis(200)).is_none());
    assert!(!wake.exists());
    // He knows already.
    assert!(take(Duration::from_secs(60)).is_none());
    // He has just looked for the last time, and goes.
    File::create(&wake).unwrap();
    let other = thread::spawn(move || take(Duration::from_secs(60)).is_some());
    drop(held);
    assert!(other.join().unwrap());
    assert!(wake.exists(), "what it was woken for is to be done");
}

#[test]
fn waits_double_up_to_a_quarter_of_an_hour_and_servers_may_ask_for_more() {
    let now = Timestamp::from_unix(1_000_000);
    let wait = |attempts, asked| next_try(now, attempts, asked).unix() - now.unix();
    let none: Vec<_> = (0..9).map(|attempts| wait(attempts, None)).collect();
    assert_eq!(none, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
    assert_eq!(wait(u32::MAX, None), 900);
    assert_eq!(wait(0, Some(Duration::from_secs(33))), 33);
    assert_eq!(wait(5, Some(Duration::from_secs(33))), 320);
    assert_eq!(wait(0, Some(Duration::MAX)), 3_600);
}
