//! Real peers: servers that others have written, or that were written from a protocol's description.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::channels::{NODE, SECRET, json, typed};
use super::outage::{deliver, tick};
use super::peer::{Authority, Peer, among, refused_under, under};
use crate::lab::{Lab, wait_until};
use crate::outbox::make;

/// A bot's token.
pub(super) const TOKEN: &str = "123456:AA-planted-7Hq2";

/// A tenant's name that markup would stumble over.
pub(super) const UNKIND: &str = r#"a & b + _c_ *d* [e](f) <g> "租户" 🐙"#;

/// Adds a bot's channel.
pub(super) fn add_bot(lab: &Lab, name: &str, chat: i64, base: &str, token: &str) -> Result<()> {
    let chat = format!("--chat={chat}");
    let add = ["notify", "add", "telegram", "--name", name, &chat];
    let more = ["--api-base", base, "--token-file", "-"];
    typed(lab, &[&add[..], &more].concat(), token).map(drop)
}

/// Has a service expire, be blocked and unblocked; returns what is told of it.
fn changes(lab: &Lab, tick: impl Fn() -> Result<()>) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for (args, what) in [
        (
            &["set", "20000", "--expires", "2026-01-01"][..],
            format!("20000 ({UNKIND}): blocked, its last day has passed"),
        ),
        (
            &["block", "20000"],
            format!("20000 ({UNKIND}): blocked by the operator"),
        ),
        (
            &["unblock", "20000"],
            format!("20000 ({UNKIND}): no longer blocked by the operator"),
        ),
    ] {
        lab.ok(args)?;
        tick()?;
        told.push(what);
    }
    Ok(told)
}

/// Returns what one channel is said to be.
pub(super) fn standing(lab: &Lab, name: &str) -> Result<Value> {
    let listed = json(lab, &["notify", "list"])?;
    let mut channels = listed["channels"].as_array().into_iter().flatten();
    let found = channels.find(|it| it["name"] == name);
    found.cloned().with_context(|| format!("no {name}"))
}

/// Returns the first lines of the texts that a chat was sent, in order, without icon and host.
fn read(seen: &[Value], chat: i64) -> Vec<String> {
    let ours = seen
        .iter()
        .filter(|it| it["chat"] == chat && it["status"] == 200);
    let texts = ours.filter_map(|it| it["text"].as_str());
    let headlines = texts.filter_map(|text| text.lines().next()?.split_once(" · "));
    headlines.map(|(_, headline)| headline.to_owned()).collect()
}

pub(super) fn a_bot_api_of_others_is_understood(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--note", UNKIND])?;
    make(lab)?;
    let peer = Peer::others_bot_api(lab, TOKEN)?;
    let base = format!("http://127.0.0.1:{}", peer.port);
    let find = ["notify", "find-chat", "--api-base", &base];
    let found = typed(lab, &[&find[..], &["--token-file", "-"]].concat(), TOKEN)?;
    ensure!(found.contains("老王"), "{found}");
    add_bot(lab, "ops", 5, &base, TOKEN)?;
    lab.ok(&["notify", "test"])?;
    let told = changes(lab, || lab.ok(&["monitor"]).map(drop))?;
    let seen = peer.wait_for(1 + told.len())?;
    for (one, told) in seen[1..].iter().zip(&told) {
        let text = one["message"]["text"].as_str().unwrap_or_default();
        let markup = told.replace('&', "&amp;");
        let markup = markup.replace('<', "&lt;").replace('>', "&gt;");
        let first = text.lines().next().unwrap_or_default();
        ensure!(
            first.ends_with(&format!("{markup}</b>")),
            "{one} is not {told}"
        );
        ensure!(
            one["token"] == true && one["message"]["chat_id"] == 5,
            "{one}"
        );
    }
    ensure!(peer.seen().len() == 1 + told.len(), "{:?}", peer.seen());
    Ok(())
}

/// Fault 19 of the tools that pm's users come from: what a server refused was lost.
pub(super) fn a_strict_bot_api_gets_each_message_once(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--note", UNKIND])?;
    make(lab)?;
    let peer = Peer::bot_api(lab, TOKEN, "")?;
    let base = format!("http://127.0.0.1:{}", peer.port);
    let chats = [("person", 5), ("moved", -200), ("busy", -400)];
    for (name, chat) in chats.into_iter().chain([("gone", -300), ("nobody", 6)]) {
        add_bot(lab, name, chat, &base, TOKEN)?;
    }
    add_bot(lab, "stranger", 5, &base, "654321:AA-planted-7Hq2")?;
    let told = changes(lab, || tick(lab, 0))?;
    deliver(lab, 0)?;
    let seen = peer.seen();
    for chat in [5, -100_200, -400] {
        let read = read(&seen, chat);
        ensure!(read == told, "{chat} reads {read:?} of {told:?}");
    }
    // Who has moved is not asked for twice, and who says no has his peace.
    let asked = |chat: i64, status: u16| {
        let all = seen.iter().filter(|it| it["chat"] == chat);
        all.filter(|it| it["status"] == status).collect::<Vec<_>>()
    };
    for (chat, status) in [(-200, 400), (-300, 403), (6, 400), (5, 401), (-400, 429)] {
        let count = asked(chat, status).len();
        ensure!(count == 1, "{chat} said {status} {count} times");
    }
    // 40 s of rest, in a time twenty times as fast.
    let asked_for_rest = asked(-400, 429)[0]["time"].as_f64().context("no time")?;
    let next = asked(-400, 200)[1]["time"].as_f64().context("no time")?;
    ensure!(next - asked_for_rest > 1.8, "{next} after {asked_for_rest}");
    for (name, words) in [
        ("gone", "the recipient does not let it through"),
        ("nobody", "there is no such chat"),
        ("stranger", "the token, key or password is wrong"),
    ] {
        let one = standing(lab, name)?;
        let why = one["error"].as_str().unwrap_or_default();
        ensure!(why.contains(words) && one["waiting"] == told.len(), "{one}");
        refused_under(lab, &[], &["notify", "test", name], words)?;
    }
    Ok(())
}

/// Mails and pushes go to whom the host's own authorities vouch for, and to nobody else.
pub(super) fn whom_the_host_trusts_gets_mails_and_pushes(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--note", UNKIND])?;
    make(lab)?;
    let authority = Authority::make(lab)?;
    let pair = [&authority.certificate[..], &authority.key];
    let password = "planted-7Hq2 & \"pass\"";
    let mut mailboxes = Vec::new();
    for mode in ["starttls", "tls"] {
        let peer = Peer::mail(lab, &[&[mode][..], &pair].concat(), password)?;
        let server = format!("127.0.0.1:{}", peer.port);
        let add = [
            "notify", "add", "email", "--name", mode, "--server", &server,
        ];
        let more = ["--security", mode, "--user", "pm", "--password-file", "-"];
        let who = ["--from", "pm@example.org", "--to", "ops@example.org"];
        typed(lab, &[&add[..], &more, &who].concat(), password)?;
        mailboxes.push((mode, peer));
    }
    let receiver = Peer::receiver(lab, &[&["0"][..], &pair].concat())?;
    let url = format!("https://127.0.0.1:{}/api/push", receiver.port);
    let set = ["push", "set", "--url", &url, "--node", NODE];
    typed(lab, &[&set[..], &["--secret-file", "-"]].concat(), SECRET)?;

    // A host that knows others, and one that knows nobody.
    let stranger = "the server cannot prove who it is";
    for wrapper in [&[][..], &among("/dev/null")] {
        for args in [&["push", "now"][..], &["notify", "test"]] {
            refused_under(lab, wrapper, args, stranger)?;
        }
    }
    let nowhere = [&mailboxes[0].1, &mailboxes[1].1, &receiver];
    ensure!(nowhere.iter().all(|it| it.seen().is_empty()), "it was sent");

    let known = authority.known();
    for args in [&["push", "now"][..], &["notify", "test"]] {
        under(lab, &known, args, "")?;
    }
    // Who is started by this delivers in the same world.
    let told = changes(lab, || under(lab, &known, &["monitor"], "").map(drop))?;
    for (mode, peer) in &mailboxes {
        let mails = peer.wait_for(1 + told.len())?;
        for (mail, told) in mails[1..].iter().zip(&told) {
            let is_safe = mail["tls"] == true && mail["login"] == true;
            let subject = mail["subject"].as_str().unwrap_or_default();
            ensure!(is_safe && subject.ends_with(told), "{mode}: {mail}");
        }
    }
    let pushes = receiver.wait_for(2)?;
    ensure!(pushes.iter().all(|it| it["status"] == 200), "{pushes:?}");
    wait_until("the receipt", || {
        Ok(json(lab, &["push", "status"])?["accepted"].is_string())
    })?;
    // It is vouched for by another name only.
    let other = url.replace("127.0.0.1", "localhost");
    lab.ok(&["push", "set", "--url", &other])?;
    refused_under(lab, &known, &["push", "now"], stranger).map(drop)
}
