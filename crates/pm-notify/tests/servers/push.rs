//! The push, against a second implementation of the receiver's check.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Server, failure, why};
use pm_core::config::Push;
use pm_notify::{Outcome, Why, push};
use serde_json::Value;

struct Receiver {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    /// Starts one whose clock is so many seconds ahead.
    fn start(ahead: i64) -> Self {
        let mut child = Command::new("python3")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/servers/receiver.py"
            ))
            .arg(ahead.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap();
        let url = format!("http://127.0.0.1:{port}/api/push");
        Self { child, lines, url }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

fn settings(url: &str) -> Push {
    Push {
        enabled: true,
        url: url.parse().unwrap(),
        node: "hk-01".parse().unwrap(),
        node_id: None,
        secret: "pLaNtEd 密".parse().unwrap(),
        notes: false,
    }
}

fn told(push: &Push, body: &str, now: i64) -> Outcome {
    let outcome = push::send(push, body, now);
    assert!(!format!("{outcome:?}").contains("pLaNtEd"), "{outcome:?}");
    outcome
}

#[test]
fn a_receiver_accepts_the_exact_bytes_that_are_signed() {
    let mut receiver = Receiver::start(0);
    let settings = settings(&receiver.url);
    for body in [r#"{"a":"租户 & \"x\" 🐙"}"#, "{}"] {
        let outcome = told(&settings, body, now());
        assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
        let arrived = receiver.next();
        assert_eq!(arrived["status"], 200);
        assert_eq!(arrived["path"], "/api/push");
        assert_eq!(arrived["type"], "application/json");
        assert_eq!(arrived["body"], body);
    }
}

#[test]
fn a_wrong_secret_and_a_wrong_node_are_refused() {
    let receiver = Receiver::start(0);
    let mut wrong = settings(&receiver.url);
    wrong.secret = "pLaNtEd other".parse().unwrap();
    let (refusal, retries) = failure(told(&wrong, "{}", now()));
    assert_eq!(refusal.why, Why::Credentials);
    assert!(refusal.answer.contains("signature"), "{refusal}");
    assert!(!retries);
    let mut stranger = settings(&receiver.url);
    stranger.node = "us-01".parse().unwrap();
    assert_eq!(why(told(&stranger, "{}", now())), Why::Credentials);
}

#[test]
fn a_clock_that_is_off_is_said_to_be_off() {
    for ahead in [-600, 600] {
        let receiver = Receiver::start(ahead);
        let (refusal, retries) = failure(told(&settings(&receiver.url), "{}", now()));
        let Why::Clock { seconds } = refusal.why else {
            panic!("{refusal}");
        };
        assert!((seconds + ahead).abs() <= 2, "{seconds}");
        assert!(retries, "the next minute may have the right time");
        let word = if ahead > 0 { "behind" } else { "ahead" };
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
}

#[test]
fn what_is_no_receiver_is_known_for_what_it_is() {
    let answers = [
        ("200 OK", "<html>", Why::NotTheServer),
        ("404 Not Found", "", Why::NotTheServer),
        ("404 Not Found", r#"{"error":"unknown node"}"#, Why::NoNode),
        ("503 Unavailable", "", Why::Server { status: 503 }),
        ("429 Too Many Requests", "", Why::TooMany),
        ("400 Bad Request", "missing headers", Why::Content),
        ("301 Moved", "", Why::Redirected),
    ];
    for (status, body, expected) in answers {
        let server = Server::saying(status, body);
        let settings = settings(&server.base);
        assert_eq!(why(told(&settings, "{}", now())), expected, "{status}");
        assert_eq!(server.only().method, "PUT");
    }
}
