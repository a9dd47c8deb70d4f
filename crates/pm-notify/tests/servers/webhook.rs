//! Web hooks and WeCom, against receivers that say what arrived.

use std::time::{Duration, Instant};

use crate::support::{Request, Server, failure, why};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use pm_core::config::{Preset, Telegram, Via, WeCom, Webhook};
use pm_notify::{Message, Outcome, Why, parts, send};
use sha2::Sha256;

const NOW: i64 = 1_800_000_000;

const SECRET: &str = "SECpLaNtEd";

fn hook(base: &str, preset: Preset) -> Webhook {
    Webhook {
        url: format!("{base}/hook/pLaNtEdKey?access_token=pLaNtEdToken")
            .parse()
            .unwrap(),
        secret: preset.is_signed().then(|| SECRET.parse().unwrap()),
        preset,
        body: None,
    }
}

fn unkind() -> Message {
    Message {
        icon: "⛔",
        server: "hk <1>".into(),
        headline: r#"20000 (a & b + _c_ *d* "e" \ <at user_id="all"> @everyone 🐙): blocked"#
            .into(),
        lines: vec!["5GB of 5GB used".into(), "租户\t老王".into()],
        time: "2026-11-22 08:15".into(),
        event: "blocked",
    }
}

fn tell(webhook: Webhook, server: &Server) -> (Outcome, Request) {
    let via = Via::Webhook(webhook);
    let parts = parts(&via, &unkind());
    assert_eq!(parts.len(), 1);
    let outcome = send(&via, &parts[0], NOW);
    assert!(!format!("{outcome:?}").contains("pLaNtEd"), "{outcome:?}");
    (outcome, server.only())
}

fn good(preset: Preset) -> &'static str {
    match preset {
        Preset::Slack => "ok",
        Preset::DingTalk => r#"{"errcode":0,"errmsg":"ok"}"#,
        Preset::Feishu => r#"{"code":0,"msg":"success","data":{}}"#,
        Preset::Bark => r#"{"code":200,"message":"success"}"#,
        Preset::Generic | Preset::Discord | Preset::Ntfy => "",
    }
}

fn delivered(preset: Preset) -> Request {
    let server = Server::saying("200 OK", good(preset));
    let (outcome, request) = tell(hook(&server.base, preset), &server);
    assert!(
        matches!(outcome, Outcome::Delivered { .. }),
        "{preset} {outcome:?}"
    );
    assert_eq!(request.method, "POST");
    request
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn each_server_gets_what_it_understands() {
    let text = unkind().text();
    assert_eq!(delivered(Preset::Generic).json()["text"], text);
    assert_eq!(delivered(Preset::Generic).json()["event"], "blocked");
    let slack = delivered(Preset::Slack).json();
    let entities = slack["text"].as_str().unwrap();
    assert!(!entities.contains(['<', '>']), "{entities}");
    let back = entities
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    assert_eq!(back, text);
    let discord = delivered(Preset::Discord).json();
    assert_eq!(discord["allowed_mentions"]["parse"], serde_json::json!([]));
    let content = discord["content"].as_str().unwrap();
    assert!(content.contains(r"\_c\_ \*d\*"), "{content}");
    assert_eq!(delivered(Preset::DingTalk).json()["text"]["content"], text);
    let feishu = delivered(Preset::Feishu).json();
    assert_eq!(feishu["content"]["text"], text.replace('<', "＜"));
    let ntfy = delivered(Preset::Ntfy);
    assert_eq!(ntfy.text(), text);
    assert_eq!(
        ntfy.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(delivered(Preset::Bark).json()["body"], text);
}

#[test]
fn what_is_signed_is_what_is_sent() {
    let generic = delivered(Preset::Generic);
    assert_eq!(generic.header("x-timestamp"), Some("1800000000"));
    let whole = [b"1800000000", &*generic.body].concat();
    let expected: String = mac(SECRET.as_bytes(), &whole)
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    assert_eq!(generic.header("x-signature"), Some(&*expected));

    let dingtalk = delivered(Preset::DingTalk);
    let text = format!("{NOW}000\n{SECRET}");
    let sign = base64(&mac(SECRET.as_bytes(), text.as_bytes()));
    let sign = sign
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    assert!(
        dingtalk
            .path
            .ends_with(&format!("&timestamp={NOW}000&sign={sign}")),
        "{}",
        dingtalk.path
    );

    let feishu = delivered(Preset::Feishu).json();
    let key = format!("{NOW}\n{SECRET}");
    assert_eq!(feishu["timestamp"], NOW.to_string());
    assert_eq!(feishu["sign"], base64(&mac(key.as_bytes(), b"")));

    let ntfy = delivered(Preset::Ntfy);
    assert_eq!(ntfy.header("authorization"), Some("Bearer SECpLaNtEd"));
}

#[test]
fn a_body_of_the_operators_is_filled_in() {
    let server = Server::saying("204 No Content", "");
    let mut hook = hook(&server.base, Preset::Generic);
    hook.secret = None;
    hook.body = Some(
        r#"{"msg": ["{{server}}", "{{title}}", "{{event}} {{time}}"]}"#
            .parse()
            .unwrap(),
    );
    let (outcome, request) = tell(hook, &server);
    assert!(matches!(outcome, Outcome::Delivered { .. }));
    assert_eq!(request.header("x-signature"), None);
    let message = unkind();
    let expected = [
        message.server.clone(),
        message.title(),
        "blocked 2026-11-22 08:15".into(),
    ];
    assert_eq!(request.json()["msg"], serde_json::json!(expected));
}

/// RFC 9110, section 10.2.3: it comes with 503 as with 429, whatever the body is.
#[test]
fn a_server_is_left_alone_for_as_long_as_it_asks() {
    let page = "<html>slow down</html>";
    let seconds = "Retry-After: 70\r\n";
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                Retry-After: Sun, 06 Nov 1994 08:50:47 GMT\r\n";
    for (status, headers) in [
        ("429 Too Many Requests", seconds),
        ("503 Service Unavailable", seconds),
        ("503 Service Unavailable", date),
    ] {
        let server = Server::with_headers(status, headers, page);
        let base = &server.base;
        let telegram = Telegram {
            token: "1:AA-pLaNtEd".parse().unwrap(),
            chat: "5".parse().unwrap(),
            thread: None,
            api_base: Some(base.parse().unwrap()),
        };
        let hooks = Preset::ALL.map(|preset| Via::Webhook(hook(base, preset)));
        let others = [robot(base), Via::Telegram(telegram)];
        for via in hooks.into_iter().chain(others) {
            let Outcome::Retry { after, .. } = send(&via, &crate::support::part("hello"), NOW)
            else {
                panic!("{status} {}", via.kind());
            };
            let after = after.map(|it| it.as_secs());
            assert_eq!(after, Some(70), "{status} {}", via.kind());
        }
    }
}

/// Discord answers 204 on a connection that it keeps: who waits for its end takes the message for
/// lost, and sends it again.
#[test]
fn an_answer_without_a_body_ends_with_its_head() {
    for (answer, is_taken) in [
        ("HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", true),
        ("HTTP/1.1 205 Reset Content\r\n\r\n", true),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", false),
    ] {
        let server = Server::holding(answer);
        let began = Instant::now();
        let (outcome, request) = tell(hook(&server.base, Preset::Discord), &server);
        let is_delivered = matches!(outcome, Outcome::Delivered { .. });
        assert_eq!(is_delivered, is_taken, "{outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{answer}");
        assert_eq!(request.header("connection"), Some("close"));
    }
}

/// RFC 9110, section 15.2: any number of interim answers may come before the last one.
#[test]
fn an_interim_answer_is_not_the_last_one() {
    for (answer, expected) in [
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            None,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            None,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\n\
             Transfer-Encoding: chunked\r\n\r\n4\r\ngone\r\n0\r\n\r\n",
            Some(Why::NoRecipient),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
            Some(Why::Redirected),
        ),
    ] {
        let server = Server::holding(answer);
        let (outcome, _) = tell(hook(&server.base, Preset::Generic), &server);
        match expected {
            None => assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}"),
            Some(expected) => assert_eq!(why(outcome), expected, "{answer}"),
        }
    }
}

/// These answer HTTP 200 with an error inside.
#[test]
fn the_body_of_an_answer_is_judged_where_the_server_speaks_there() {
    let page = "<html>log in</html>";
    for (preset, answer, expected) in [
        (
            Preset::DingTalk,
            r#"{"errcode":310000,"errmsg":"sign not match"}"#,
            Why::Credentials,
        ),
        (
            Preset::DingTalk,
            r#"{"errcode":300001,"errmsg":"token is not exist"}"#,
            Why::NoRecipient,
        ),
        (
            Preset::DingTalk,
            r#"{"errcode":130101,"errmsg":"send too fast"}"#,
            Why::TooMany,
        ),
        (
            Preset::DingTalk,
            r#"{"errcode":7,"errmsg":"?"}"#,
            Why::Rejected { code: 7 },
        ),
        (Preset::DingTalk, page, Why::NotTheServer),
        (
            Preset::Feishu,
            r#"{"code":19021,"msg":"sign match fail"}"#,
            Why::Credentials,
        ),
        (
            Preset::Feishu,
            r#"{"code":19001,"msg":"param invalid"}"#,
            Why::NoRecipient,
        ),
        (Preset::Feishu, "", Why::NotTheServer),
        (
            Preset::Bark,
            r#"{"code":400,"message":"failed to get device token"}"#,
            Why::NoRecipient,
        ),
    ] {
        let server = Server::saying("200 OK", answer);
        assert_eq!(
            why(tell(hook(&server.base, preset), &server).0),
            expected,
            "{answer}"
        );
    }
    for (preset, status, answer, expected) in [
        (
            Preset::Slack,
            "404 Not Found",
            "no_service",
            Why::NoRecipient,
        ),
        (
            Preset::Slack,
            "403 Forbidden",
            "action_prohibited",
            Why::Credentials,
        ),
        (
            Preset::Discord,
            "401 Unauthorized",
            r#"{"message":"Invalid Webhook Token"}"#,
            Why::Credentials,
        ),
        (
            Preset::Ntfy,
            "502 Bad Gateway",
            page,
            Why::Server { status: 502 },
        ),
        (
            Preset::Generic,
            "418 Teapot",
            "",
            Why::Rejected { code: 418 },
        ),
        (Preset::Generic, "302 Found", "", Why::Redirected),
    ] {
        let server = Server::saying(status, answer);
        assert_eq!(
            why(tell(hook(&server.base, preset), &server).0),
            expected,
            "{status}"
        );
    }
    let server = Server::saying(
        "429 Too Many Requests",
        r#"{"message":"slow","retry_after":1.2}"#,
    );
    let (outcome, _) = tell(hook(&server.base, Preset::Discord), &server);
    let Outcome::Retry { after, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(after.map(|after| after.as_secs()), Some(2));
}

/// Apple takes 4 kB of what Bark hands on, the title included; the whole headline is in the text.
#[test]
fn a_long_title_leaves_room_for_the_text() {
    let mut message = unkind();
    message.headline = "租户🐙 ".repeat(700);
    let via = Via::Webhook(hook("http://127.0.0.1:9", Preset::Bark));
    let parts = parts(&via, &message);
    let text: String = parts.iter().map(|part| &*part.text).collect();
    assert_eq!(text.matches('🐙').count(), 700);
    for part in parts {
        assert!(part.title.len() <= 300, "{}", part.title);
        assert!(part.title.ends_with('…'), "{}", part.title);
        assert!(part.title.len() + part.text.len() < 3_000);
    }
}

/// A hotel's or a proxy's page comes with 200: the message is nowhere.
#[test]
fn a_page_for_people_is_no_delivery() {
    for page in [
        "<!DOCTYPE html><p>log in",
        "\n <html>log in</html>",
        "<script>",
    ] {
        for preset in Preset::ALL {
            let server = Server::saying("200 OK", page);
            let (refusal, retries) = failure(tell(hook(&server.base, preset), &server).0);
            assert_eq!(refusal.why, Why::NotTheServer, "{preset} {page}");
            assert!(retries, "{preset} {page}");
        }
    }
    // A receiver of the operator's own may answer what it likes, XML too.
    for answer in ["", "ok", "taken <3", r#"<?xml version="1.0"?><Response/>"#] {
        let server = Server::saying("202 Accepted", answer);
        let (outcome, _) = tell(hook(&server.base, Preset::Generic), &server);
        assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
    }
}

/// Where HTTP's number decides, it is there before the body: a message whose answer goes on too long,
/// or breaks off, is not posted again.
#[test]
fn a_number_counts_whatever_becomes_of_the_body() {
    let long = "x".repeat(200_000);
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n-";
    let interim =
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n";
    for answer in [
        crate::support::response("200 OK", "", &long),
        format!("{interim}{long}"),
        format!("{interim}ok"),
        chunks.to_owned(),
    ] {
        let server = Server::start(move |_, stream| {
            let _ = std::io::Write::write_all(stream, answer.as_bytes());
        });
        for preset in [
            Preset::Generic,
            Preset::Slack,
            Preset::Discord,
            Preset::Ntfy,
        ] {
            let (outcome, _) = tell(hook(&server.base, preset), &server);
            assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
        }
    }
    let refused = format!("HTTP/1.1 404 Not Found\r\nContent-Length: 200000\r\n\r\n{long}");
    let server = Server::start(move |_, stream| {
        let _ = std::io::Write::write_all(stream, refused.as_bytes());
    });
    let (outcome, _) = tell(hook(&server.base, Preset::Generic), &server);
    assert_eq!(why(outcome), Why::NoRecipient);
}

/// The body is for the log only there, and what came of it in time is enough.
#[test]
fn a_body_that_stalls_is_no_reason_to_post_again() {
    let told = |answer| {
        let server = Server::holding(answer);
        let began = Instant::now();
        let (outcome, _) = tell(hook(&server.base, Preset::Generic), &server);
        let Outcome::Delivered { answer } = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(answer, "HTTP 200 ok");
        let most = Duration::from_secs(pm_notify::TIMEOUT_SECONDS + 2);
        assert!(began.elapsed() < most);
    };
    std::thread::scope(|scope| {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        ] {
            scope.spawn(move || told(answer));
        }
    });
}

/// A proxy in between says 400, too: only what the server is known to say of a message means that.
#[test]
fn a_message_is_given_up_only_where_it_is_known_to_be_its_own_fault() {
    for (preset, status, answer, is_given_up) in [
        (Preset::Generic, "400 Bad Request", "no", false),
        (Preset::Generic, "422 Unprocessable Content", "no", false),
        (Preset::Generic, "413 Content Too Large", "no", true),
        (Preset::Slack, "400 Bad Request", "invalid_payload", true),
        (Preset::Slack, "400 Bad Request", "no_text", true),
        (Preset::Slack, "400 Bad Request", "<html>", false),
        (
            Preset::Discord,
            "400 Bad Request",
            r#"{"message":"Invalid Form Body","code":50035}"#,
            true,
        ),
        (
            Preset::Discord,
            "400 Bad Request",
            r#"{"message":"Cannot send an empty message","code":50006}"#,
            true,
        ),
        (Preset::Discord, "400 Bad Request", r#"{"code":0}"#, false),
        (Preset::DingTalk, "400 Bad Request", "no", false),
    ] {
        let server = Server::saying(status, answer);
        let (refusal, retries) = failure(tell(hook(&server.base, preset), &server).0);
        let given_up = refusal.why == Why::Content;
        assert_eq!(given_up, is_given_up, "{preset} {answer} {refusal}");
        assert_ne!(given_up, retries, "{preset} {answer} {refusal}");
    }
}

#[test]
fn a_server_that_repeats_what_it_was_sent_gives_nothing_away() {
    for preset in Preset::ALL {
        let server = Server::start(|request, stream| {
            let again = format!(
                "{} {:?} {}",
                request.path,
                request.headers,
                String::from_utf8_lossy(&request.body)
            );
            let _ = std::io::Write::write_all(
                stream,
                crate::support::response("400 Bad Request", "", &again).as_bytes(),
            );
        });
        let (outcome, request) = tell(hook(&server.base, preset), &server);
        assert!(request.path.contains("pLaNtEdToken"));
        failure(outcome);
    }
}

/// A key can be `errcode`: what is judged is what the server said, not what is shown of it.
#[test]
fn an_answer_is_judged_before_secrets_are_taken_out_of_it() {
    let server = Server::saying("200 OK", r#"{"errcode":0,"errmsg":"ok"}"#);
    for query in [
        "key=pLaNtEd-693a&v=0",
        "key=errcode",
        "key=pLaNtEd-693a&x=errmsg",
    ] {
        let via = Via::WeCom(WeCom {
            url: format!("{}/cgi-bin/webhook/send?{query}", server.base)
                .parse()
                .unwrap(),
        });
        let outcome = send(&via, &crate::support::part("hello"), NOW);
        assert!(
            matches!(outcome, Outcome::Delivered { .. }),
            "{query} {outcome:?}"
        );
    }
    let server = Server::saying("200 OK", r#"{"errcode":0,"errmsg":"ok"}"#);
    let mut hook = hook(&server.base, Preset::DingTalk);
    hook.secret = Some("errcode".parse().unwrap());
    let (outcome, _) = tell(hook, &server);
    assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
}

/// Each piece of an address may be what it is kept secret for, wherever it stands in it.
#[test]
fn no_piece_of_an_address_is_shown() {
    let said = r#"{"errcode":1,"errmsg":"pLaNtEdRoom has no pLaNtEdKey of pLaNtEdToken, webhook"}"#;
    let path = "/cgi-bin/webhook/pLaNtEdRoom/x?key=pLaNtEdKey&access_token=pLaNtEdToken&v=0";
    for status in ["200 OK", "404 Not Found", "400 Bad Request"] {
        let server = Server::saying(status, said);
        let url = format!("{}{path}", server.base);
        let robot = Via::WeCom(WeCom {
            url: url.parse().unwrap(),
        });
        let (refusal, _) = failure(send(&robot, &crate::support::part("hello"), NOW));
        assert!(!refusal.answer.contains("pLaNtEd"), "{refusal}");
        // What every robot's address has is no secret, and says something.
        assert!(refusal.answer.contains("webhook"), "{refusal}");
        for preset in Preset::ALL {
            let mut hook = hook(&server.base, preset);
            hook.url = url.parse().unwrap();
            // It looks at the outcome, whichever it is.
            tell(hook, &server);
        }
    }
}

fn robot(base: &str) -> Via {
    Via::WeCom(WeCom {
        url: format!("{base}/cgi-bin/webhook/send?key=pLaNtEd-693a")
            .parse()
            .unwrap(),
    })
}

#[test]
fn wecom_gets_markdown_where_nothing_would_be_taken_for_it() {
    let good = r#"{"errcode":0,"errmsg":"ok"}"#;
    let mut kind = unkind();
    kind.server = "hk-01".into();
    kind.headline = "20000（老王）：配额用完，已阻断".into();
    for (message, field, most) in [(kind, "markdown", 4096), (unkind(), "text", 2048)] {
        let server = Server::saying("200 OK", good);
        let via = robot(&server.base);
        let mut long = message.clone();
        long.lines = (0..300)
            .map(|port| format!("🟢 {port}（租户）：8.5GB"))
            .collect();
        let parts = [parts(&via, &message), parts(&via, &long)].concat();
        assert!(parts.len() > 3);
        for part in &parts {
            let outcome = send(&via, part, NOW);
            assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
            let json = server.only().json();
            assert_eq!(json["msgtype"], field);
            assert!(json[field]["content"].as_str().unwrap().len() <= most);
        }
    }
}

#[test]
fn wecoms_errors_come_with_status_200() {
    for (answer, expected) in [
        (
            r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
            Why::NoRecipient,
        ),
        (
            r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
            Why::TooMany,
        ),
        (
            r#"{"errcode":40058,"errmsg":"exceed max length 4096"}"#,
            Why::Content,
        ),
        (
            r#"{"errcode":1,"errmsg":"key pLaNtEd-693a"}"#,
            Why::Rejected { code: 1 },
        ),
        (r#"{"errmsg":"ok"}"#, Why::NotTheServer),
    ] {
        let server = Server::saying("200 OK", answer);
        let outcome = send(&robot(&server.base), &crate::support::part("hello"), NOW);
        assert!(!format!("{outcome:?}").contains("pLaNtEd"), "{outcome:?}");
        assert_eq!(why(outcome), expected, "{answer}");
    }
}
