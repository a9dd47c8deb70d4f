//! Telegram, against a strict Bot API.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::bot_api::TOKEN;
use crate::support::{Server, failure, part, response, why};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Telegram, Via};
use pm_core::language::Language;
use pm_core::notice::{Notice, What, Whom};
use pm_notify::compose::Voice;
use pm_notify::{Outcome, Part, TIMEOUT_SECONDS, Why, parts, send, telegram};
use proptest::prelude::*;

fn via(base: &str, chat: &str) -> Via {
    Via::Telegram(Telegram {
        token: TOKEN.parse().unwrap(),
        chat: chat.parse().unwrap(),
        thread: None,
        api_base: Some(base.parse().unwrap()),
    })
}

fn tell(server: &Server, chat: &str, part: &Part) -> Outcome {
    send(&via(&server.base, chat), part, 0)
}

/// What no failure may say.
fn assert_no_secret(outcome: &Outcome) {
    assert!(!format!("{outcome:?}").contains("pLaNtEd"), "{outcome:?}");
}

#[test]
fn every_refusal_is_known_for_what_it_is() {
    let server = crate::bot_api::start();
    let hello = part("hello");
    assert!(
        matches!(tell(&server, "5", &hello), Outcome::Delivered { answer } if answer == "message 1")
    );
    assert_eq!(why(tell(&server, "6", &hello)), Why::NoChat);
    assert_eq!(why(tell(&server, "@nobody_here", &hello)), Why::NoChat);
    assert_eq!(why(tell(&server, "-300", &hello)), Why::Unwanted);
    let (_, retries) = failure(tell(&server, "-300", &hello));
    assert!(!retries, "who was thrown out does not knock again");
    assert_eq!(
        tell(&server, "-200", &hello),
        Outcome::Moved {
            chat: "-100200".parse().unwrap()
        }
    );
    assert!(matches!(
        tell(&server, "-400", &hello),
        Outcome::Delivered { .. }
    ));
    let Outcome::Retry { after, failure } = tell(&server, "-400", &hello) else {
        panic!("it wants to be left alone");
    };
    assert_eq!(after, Some(Duration::from_secs(31)));
    assert_eq!(failure.why, Why::TooMany);

    let mut stranger = via(&server.base, "5");
    if let Via::Telegram(telegram) = &mut stranger {
        telegram.token = "654321:AA-pLaNtEd".parse().unwrap();
    }
    let outcome = send(&stranger, &hello, 0);
    assert_no_secret(&outcome);
    assert_eq!(why(outcome), Why::Credentials);

    let mut broken = part("<b>");
    broken.format = pm_notify::part::Format::Html;
    assert_eq!(why(tell(&server, "5", &broken)), Why::Content);
    assert_eq!(
        why(tell(&server, "5", &part(&"x".repeat(4097)))),
        Why::Content
    );
}

#[test]
fn a_topic_is_written_to() {
    let server = crate::bot_api::start();
    let mut topic = via(&server.base, "-100123");
    for (thread, is_there) in [(7, true), (8, false)] {
        if let Via::Telegram(telegram) = &mut topic {
            telegram.thread = Some(thread);
        }
        let outcome = send(&topic, &part("hello"), 0);
        assert_eq!(matches!(outcome, Outcome::Delivered { .. }), is_there);
    }
}

#[test]
fn chats_are_found_without_opening_an_address_with_a_token() {
    let server = crate::bot_api::start();
    let base = server.base.parse().unwrap();
    let chats = telegram::find_chats(&TOKEN.parse().unwrap(), Some(&base)).unwrap();
    let shown: Vec<_> = chats
        .iter()
        .map(|chat| format!("{} {:?} {} {}", chat.id, chat.thread, chat.kind, chat.title))
        .collect();
    assert_eq!(
        shown,
        [
            "-100123 Some(7) supergroup ops & co",
            "-9 None group new",
            "5 None private 老王"
        ]
    );
    let failure = telegram::find_chats(&"1:AA-pLaNtEd".parse().unwrap(), Some(&base)).unwrap_err();
    assert_eq!(failure.why, Why::Credentials);
}

/// Fault 19 of the scripts pm replaces: `&`, `+`, `_`, `*` in a note break the message, and text
/// over 4096 characters is lost.
#[test]
fn a_report_of_300_services_with_unkind_notes_arrives_whole() {
    let server = crate::bot_api::start();
    let via = via(&server.base, "5");
    let message = support_report(300);
    let parts = parts(&via, &message);
    assert!(parts.len() > 2, "{}", parts.len());
    let mut arrived = String::new();
    for part in &parts {
        assert!(part.text.encode_utf16().count() <= 4096);
        let outcome = send(&via, part, 0);
        assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
        arrived.push_str(&crate::bot_api::html(&part.text).unwrap());
    }
    for line in &message.lines {
        assert!(arrived.contains(line.trim()), "{line}");
    }
}

fn support_report(count: u16) -> pm_notify::Message {
    let lines = (0..count).map(|port| {
        format!(
            "🟢 {} (a & b + _c_ *d* [e](f) <g> \"租户\" 🐙): 8.5GB / 10GB (85%)",
            20_000 + port
        )
    });
    pm_notify::Message {
        icon: "📊",
        server: "hk <1> & _2_".into(),
        headline: format!("traffic report, {count} services"),
        lines: lines.collect(),
        time: "2026-11-22 08:15".into(),
        event: "report",
    }
}

#[test]
fn a_line_longer_than_a_message_is_cut_between_characters() {
    let via = via("http://127.0.0.1:9", "5");
    let mut message = support_report(1);
    message.lines = vec!["<&>🐙".repeat(3_000)];
    let whole: String = parts(&via, &message)
        .iter()
        .map(|part| {
            assert!(part.text.encode_utf16().count() <= 4096);
            crate::bot_api::html(&part.text).unwrap()
        })
        .collect();
    let kept = whole.chars().filter(|c| "<&>🐙".contains(*c)).count();
    // The name of the server has three of them.
    assert_eq!(kept, 4 * 3_000 + 3);
}

proptest! {
    /// Fault 6 of the scripts pm replaces: every text is only text.
    #[test]
    fn what_a_note_says_is_what_arrives(
        note in pm_core::strategies::note(),
        server in pm_core::strategies::server_name(),
        chinese in any::<bool>(),
    ) {
        let zone = Zone::utc();
        let language = if chinese { Language::Chinese } else { Language::English };
        let voice = Voice { language, server: server.as_str(), zone: &zone };
        let whom = Whom { holder: "20000".parse().unwrap(), note: note.clone() };
        let notice = Notice { time: Timestamp::from_unix(0), what: What::Unblocked { whom } };
        let message = voice.notice(&notice);
        let parts = parts(&via("http://127.0.0.1:9", "5"), &message);
        prop_assert_eq!(parts.len(), 1);
        let arrived = crate::bot_api::html(&parts[0].text).unwrap();
        prop_assert_eq!(&arrived, &message.text());
        let words: Vec<_> = note.as_str().split_whitespace().collect();
        prop_assert!(arrived.contains(&words.join(" ")));
    }
}

/// A server that does not behave, and what it is taken for.
fn met(server: &Server) -> Why {
    let outcome = tell(server, "5", &part("hello"));
    assert_no_secret(&outcome);
    let (failure, retries) = failure(outcome);
    assert!(retries, "{failure}");
    failure.why
}

#[test]
fn what_is_no_bot_api_is_known_for_what_it_is() {
    let page = "<html><body>Please log in</body></html>";
    assert_eq!(met(&Server::saying("200 OK", page)), Why::NotTheServer);
    assert_eq!(met(&Server::saying("200 OK", "[]")), Why::NotTheServer);
    assert_eq!(met(&Server::saying("200 OK", "{\"ok\"")), Why::NotTheServer);
    assert_eq!(
        met(&Server::saying("502 Bad Gateway", page)),
        Why::Server { status: 502 }
    );
    let broken = Server::start(|_, stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
    });
    assert_eq!(met(&broken), Why::Broken);
    let cut = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\":true,");
    });
    assert_eq!(met(&cut), Why::NotTheServer);
    let says_again = Server::start(|request, stream| {
        let page = format!("you asked for {}", request.path);
        let _ = stream.write_all(response("404 Not Found", "", &page).as_bytes());
    });
    assert_eq!(met(&says_again), Why::NotTheServer);
}

#[test]
fn an_endless_answer_is_left() {
    let body = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    assert_eq!(met(&body), Why::Endless);
    let headers = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-More: of the same\r\n").is_ok() {}
    });
    assert_eq!(met(&headers), Why::Endless);
    let line = Server::start(|_, stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    assert_eq!(met(&line), Why::Endless);
}

#[test]
fn a_redirection_is_never_followed() {
    let elsewhere = Server::saying("200 OK", "{\"ok\":true}");
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("Location: {}/bot{TOKEN}/sendMessage\r\n", elsewhere.base);
        let server = Server::start(move |_, stream| {
            let _ = stream.write_all(response(status, &location, "").as_bytes());
        });
        assert_eq!(met(&server), Why::Redirected);
    }
    assert!(elsewhere.arrived().is_empty());
}

#[test]
fn a_server_that_drips_has_the_same_time_as_any() {
    let server = Server::start(|_, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::park_timeout(Duration::from_millis(200));
        }
    });
    let began = Instant::now();
    assert_eq!(met(&server), Why::Slow);
    assert!(began.elapsed() < Duration::from_secs(TIMEOUT_SECONDS + 5));
}

#[test]
fn who_is_not_there_is_known_for_what_it_is() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = send(&via(&format!("http://{free}"), "5"), &part("hello"), 0);
    assert_eq!(why(outcome), Why::Connect);
    let outcome = send(&via("https://bot-api.invalid", "5"), &part("hello"), 0);
    assert_no_secret(&outcome);
    assert_eq!(why(outcome), Why::Name);
    // Plain HTTP where TLS is expected.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let outcome = send(&via(&base, "5"), &part("hello"), 0);
    let (refusal, retries) = failure(outcome);
    assert_eq!(refusal.why, Why::NoHttps, "{refusal}");
    assert!(retries);
}
