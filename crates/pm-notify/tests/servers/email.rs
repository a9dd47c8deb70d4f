//! Mail, against a real SMTP server.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{failure, part, why};
use pm_core::config::{Email, Preset, Security, Via, Webhook};
use pm_notify::{Outcome, Part, TIMEOUT_SECONDS, Why, digest, send};
use serde_json::Value;

const PASSWORD: &str = "pLaNtEd & \"pass\"";

/// The server, until it is dropped.
struct Mail {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Drop for Mail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a Python that has aiosmtpd; the first one on the path may be another than the system's.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python)
            .args(["-c", "import aiosmtpd"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Starts it; `None` where there is none, which `cargo xtask test` installs for root.
fn start(mode: &str, more: &[&Path]) -> Option<Mail> {
    let Some(python) = python() else {
        println!("skipped: there is no Python with aiosmtpd: install python3-aiosmtpd");
        return None;
    };
    let mut child = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/servers/mail.py"
        ))
        .arg(mode)
        .args(more)
        .env("PASSWORD", PASSWORD)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap().parse().unwrap();
    Some(Mail { child, lines, port })
}

impl Mail {
    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn email(&self, security: Security) -> Email {
        email(self.port, security)
    }
}

fn email(port: u16, security: Security) -> Email {
    Email {
        server: format!("127.0.0.1:{port}").parse().unwrap(),
        security,
        user: None,
        password: None,
        from: "pm@example.org".parse().unwrap(),
        to: vec![
            "ops@example.org".parse().unwrap(),
            "b@example.org".parse().unwrap(),
        ],
        digest: None,
    }
}

fn tell(email: Email, part: &Part) -> Outcome {
    let outcome = send(&Via::Email(email), part, 0);
    assert!(!format!("{outcome:?}").contains("pLaNtEd"), "{outcome:?}");
    outcome
}

#[test]
fn a_mail_arrives_with_everything_that_was_written() {
    let Some(mut server) = start("plain", &[]) else {
        return;
    };
    let mut sent =
        part("⛔ hk-01 · 20000（老王 & <b> + _x_ * 🐙）：配额用完\n.\nFrom here on\n租户");
    sent.title = format!("[香港 1] 20000 (老王 🐙): {}", "x".repeat(200));
    let outcome = tell(server.email(Security::None), &sent);
    assert!(
        matches!(&outcome, Outcome::Delivered { answer } if answer.contains("queued as 42")),
        "{outcome:?}"
    );
    let mail = server.next();
    assert_eq!(mail["subject"], sent.title);
    assert_eq!(
        mail["text"]
            .as_str()
            .unwrap()
            .trim_end()
            .replace("\r\n", "\n"),
        sent.text
    );
    assert_eq!(mail["from"], "pm@example.org");
    assert_eq!(
        mail["to"],
        serde_json::json!(["ops@example.org", "b@example.org"])
    );
    assert_eq!(mail["type"], "text/plain; charset=\"utf-8\"");
    assert_eq!(mail["helo"], "example.org");
    assert!(mail["date"].is_string());
    assert_eq!(mail["automatic"], "auto-generated");
    assert!(
        mail["longest"].as_u64().unwrap() <= 998,
        "RFC 5322, section 2.1.1"
    );

    // What is sent twice, because the answer was lost, is the same mail.
    tell(server.email(Security::None), &sent);
    assert_eq!(server.next()["id"], mail["id"]);
    tell(server.email(Security::None), &part("another"));
    assert_ne!(server.next()["id"], mail["id"]);
}

#[test]
fn several_messages_are_one_mail() {
    let Some(mut server) = start("plain", &[]) else {
        return;
    };
    let parts = [part("one"), part("two"), part("three")];
    assert_eq!(digest(&[], "none"), None);
    assert_eq!(digest(&parts[..1], "one"), Some(parts[0].clone()));
    let whole = digest(&parts, "[hk-01] 3 messages").unwrap();
    tell(server.email(Security::None), &whole);
    let mail = server.next();
    assert_eq!(mail["subject"], "[hk-01] 3 messages");
    assert_eq!(
        mail["text"]
            .as_str()
            .unwrap()
            .trim_end()
            .replace("\r\n", "\n"),
        "one\n\ntwo\n\nthree"
    );
}

#[test]
fn refusals_are_known_for_what_they_are() {
    let Some(mut server) = start("plain", &[]) else {
        return;
    };
    let mut stranger = server.email(Security::None);
    stranger.to = vec!["user@refused.example".parse().unwrap()];
    let (refusal, retries) = failure(tell(stranger, &part("hello")));
    assert_eq!(refusal.why, Why::NoMailbox);
    assert!(!retries);
    assert!(refusal.answer.contains("no such mailbox"), "{refusal}");
    let (delay, retries) = failure(tell(server.email(Security::None), &part("later")));
    assert_eq!(delay.why, Why::TooMany);
    assert!(retries);
    // Of one number, and not the same: RFC 3463, sections 3.3 and 3.4.
    let (full, retries) = failure(tell(server.email(Security::None), &part("full")));
    assert_eq!(full.why, Why::TooMany);
    assert!(retries);
    let (large, retries) = failure(tell(server.email(Security::None), &part("too large")));
    assert_eq!(large.why, Why::Content);
    assert!(!retries);
    let mut encrypted = server.email(Security::StartTls);
    assert_eq!(
        why(tell(encrypted.clone(), &part("hello"))),
        Why::NoStartTls
    );
    encrypted.security = Security::Tls;
    let refusal = failure(tell(encrypted, &part("hello"))).0;
    assert_eq!(refusal.why, Why::NoTls, "{refusal}");
    assert!(refusal.to_string().contains("--security starttls"));
    // Nothing of these has arrived.
    tell(server.email(Security::None), &part("the first"));
    assert_eq!(
        server.next()["text"].as_str().unwrap().trim_end(),
        "the first"
    );
}

#[test]
fn who_logs_in_is_let_in_with_the_right_password_only() {
    let Some(mut server) = start("login", &[]) else {
        return;
    };
    let mut email = server.email(Security::None);
    email.user = Some("pm".into());
    email.password = Some("pLaNtEd wrong".parse().unwrap());
    assert_eq!(why(tell(email.clone(), &part("hello"))), Why::Credentials);
    email.password = Some(PASSWORD.parse().unwrap());
    assert!(matches!(
        tell(email, &part("hello")),
        Outcome::Delivered { .. }
    ));
    assert_eq!(server.next()["login"], true);
}

/// Postfix answers so, by default, of an address that it cannot verify: for ever, where nobody has it.
#[test]
fn a_recipient_in_doubt_costs_the_others_nothing() {
    let Some(mut server) = start("plain", &[]) else {
        return;
    };
    let mut email = server.email(Security::None);
    email.to = ["ops@example.org", "a@unverified.example"]
        .map(|to| to.parse().unwrap())
        .to_vec();
    let outcome = tell(email.clone(), &part("hello"));
    let Outcome::Delivered { answer } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(answer.contains("not to a@unverified.example"), "{answer}");
    assert_eq!(server.next()["to"], serde_json::json!(["ops@example.org"]));
    email.to.remove(0);
    let (refusal, retries) = failure(tell(email, &part("hello")));
    assert_eq!(refusal.why, Why::Rejected { code: 450 });
    assert!(refusal.answer.contains("unverified address"), "{refusal}");
    assert!(retries);
}

/// A mailbox that is gone, or full, silences nobody but whoever had it.
#[test]
fn a_dead_recipient_costs_the_others_nothing() {
    let Some(mut server) = start("plain", &[]) else {
        return;
    };
    let mut email = server.email(Security::None);
    email.to = ["gone@refused.example", "ops@example.org", "b@full.example"]
        .map(|to| to.parse().unwrap())
        .to_vec();
    let outcome = tell(email.clone(), &part("hello"));
    let Outcome::Delivered { answer } = &outcome else {
        panic!("{outcome:?}");
    };
    for said in [
        "queued as 42",
        "not to gone@refused.example",
        "no such mailbox",
        "not to b@full.example",
    ] {
        assert!(answer.contains(said), "{answer}");
    }
    assert_eq!(server.next()["to"], serde_json::json!(["ops@example.org"]));
    // Who wants to see pm again later gets it then, and nobody gets it twice.
    email.to.push("c@grey.example".parse().unwrap());
    let (delay, retries) = failure(tell(email.clone(), &part("hello")));
    assert_eq!(delay.why, Why::TooMany);
    assert!(retries);
    email.to = vec!["b@full.example".parse().unwrap()];
    assert_eq!(why(tell(email.clone(), &part("hello"))), Why::TooMany);
    email.to = vec!["ops@example.org".parse().unwrap()];
    tell(email, &part("the second"));
    let text = server.next()["text"].clone();
    assert_eq!(text.as_str().unwrap().trim_end(), "the second");
}

#[test]
fn a_server_without_a_login_is_not_a_wrong_password() {
    let Some(server) = start("nologin", &[]) else {
        return;
    };
    let mut email = server.email(Security::None);
    email.user = Some("pm".into());
    email.password = Some(PASSWORD.parse().unwrap());
    let (refusal, retries) = failure(tell(email, &part("hello")));
    assert_eq!(refusal.why, Why::NoLogin);
    assert!(refusal.to_string().contains("--user none"), "{refusal}");
    assert!(!retries);
}

fn hook(url: &str) -> Outcome {
    let hook = Webhook {
        url: url.parse().unwrap(),
        secret: None,
        preset: Preset::Generic,
        body: None,
    };
    let outcome = send(&Via::Webhook(hook), &part("hello"), 0);
    assert!(!format!("{outcome:?}").contains("pLaNtEd"), "{outcome:?}");
    outcome
}

/// A certificate that nobody vouches for is somebody else's, for all pm knows.
#[test]
fn a_server_that_cannot_prove_who_it_is_gets_no_password() {
    let directory = tempfile::tempdir().unwrap();
    let [key, certificate] = ["key", "cert"].map(|name| directory.path().join(name));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=127.0.0.1",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: there is no openssl");
        return;
    }
    for (mode, security) in [("tls", Security::Tls), ("starttls", Security::StartTls)] {
        let Some(server) = start(mode, &[&certificate, &key]) else {
            return;
        };
        let mut email = server.email(security);
        email.user = Some("pm".into());
        email.password = Some(PASSWORD.parse().unwrap());
        let (refusal, retries) = failure(tell(email, &part("hello")));
        assert_eq!(refusal.why, Why::Tls, "{refusal}");
        assert!(retries);
        if security == Security::Tls {
            // HTTP trusts the same authorities.
            let url = format!("https://127.0.0.1:{}/pLaNtEdKey", server.port);
            let (refusal, retries) = failure(hook(&url));
            assert_eq!(refusal.why, Why::Tls, "{refusal}");
            assert!(refusal.answer.contains("certificate"), "{refusal}");
            assert!(retries);
        }
    }
}

/// A server of which nobody knows what it wants.
fn met(answer: &'static [u8], drips: bool) -> (Why, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(answer).is_ok() {
            if drips {
                thread::park_timeout(Duration::from_millis(200));
            }
        }
    });
    let began = Instant::now();
    let why = why(tell(email(port, Security::None), &part("hello")));
    (why, began.elapsed())
}

#[test]
fn a_server_that_never_ends_is_left() {
    let (why, after) = met(b"2", true);
    assert!(matches!(why, Why::Slow), "{why:?}");
    assert!(after < Duration::from_secs(TIMEOUT_SECONDS + 5));
    let (why, _) = met(b"HTTP/1.1 400 Bad Request\r\n", true);
    assert!(matches!(why, Why::Broken | Why::Slow), "{why:?}");
}

/// A server that takes its time: so long before it answers a line. It says which lines came.
fn slow(patience: impl Fn(&str) -> Duration + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, lines) = channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let answer = |stream: &mut TcpStream, line: &str, answer: &str| {
            thread::park_timeout(patience(line));
            let _ = stream.write_all(answer.as_bytes());
        };
        answer(&mut stream, "", "220 mail.test\r\n");
        let mut is_text = false;
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            let Ok(line) = line else {
                break;
            };
            sender.send(line.clone()).unwrap();
            let said = match &*line {
                "." => "250 2.0.0 queued as 42\r\n",
                _ if is_text => continue,
                "DATA" => "354 go on\r\n",
                _ => "250 mail.test\r\n",
            };
            is_text = line == "DATA";
            answer(&mut stream, &line, said);
        }
    });
    (port, lines)
}

/// It is long in looking for viruses, and takes the mail: sent again, that would come twice.
#[test]
fn a_mail_that_was_handed_over_is_waited_for() {
    let (port, _lines) = slow(|line| match line {
        "" => Duration::from_secs(6),
        "." => Duration::from_secs(TIMEOUT_SECONDS + 2),
        _ => Duration::ZERO,
    });
    let outcome = tell(email(port, Security::None), &part("hello"));
    assert!(
        matches!(&outcome, Outcome::Delivered { answer } if answer.contains("queued as 42")),
        "{outcome:?}"
    );
}

#[test]
fn a_mail_that_was_given_up_is_not_handed_over() {
    let (port, lines) = slow(|_| Duration::from_secs(6));
    let began = Instant::now();
    let refusal = why(tell(email(port, Security::None), &part("hello")));
    assert_eq!(refusal, Why::Slow);
    assert!(began.elapsed() < Duration::from_secs(TIMEOUT_SECONDS + 5));
    // The conversation goes on without anybody who waits for it, and ends before the text.
    let lines: Vec<_> = lines.iter().collect();
    assert!(lines.iter().any(|line| line == "DATA"), "{lines:?}");
    assert!(!lines.iter().any(|line| line == "."), "{lines:?}");
}

#[test]
fn who_is_not_there_is_known_for_what_it_is() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    assert_eq!(
        why(tell(email(free, Security::None), &part("hello"))),
        Why::Connect
    );
    let mut nowhere = email(25, Security::StartTls);
    nowhere.server = "mail.invalid".parse().unwrap();
    assert_eq!(why(tell(nowhere, &part("hello"))), Why::Name);
}
