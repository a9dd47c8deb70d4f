//! The questions of channels and push. What is planted must be shown nowhere.

use std::cell::Cell;

use pm_core::request::{NotifyChange, PushChange};
use pm_notify::telegram::Chat;

use super::*;
use crate::wizard::{notify, push};

fn said(said: Said) -> String {
    let said = String::from_utf8(said.0.take()).unwrap();
    assert!(!said.contains("planted"), "{said}");
    said
}

/// Answers the questions of a new channel; the bot has heard of nobody when it is asked first.
fn channel(language: Language, input: &str) -> (Answer<String>, String) {
    crate::language::speak(language);
    let talk = Said::default();
    let mut ui = Ui::scripted(io::Cursor::new(input.to_owned()), talk.clone());
    let config = r#"{"schema": 1, "notify": {"channels": {"telegram": {"via": {"wecom": {"url": "https://q/x"}}}}}}"#;
    let config = Config::parse(config).unwrap();
    let asked = Cell::new(0);
    let find = |_: &_, _: Option<&_>| {
        asked.set(asked.get() + 1);
        let chat = |id: &str, thread, title: &str| Chat {
            id: id.parse().unwrap(),
            thread,
            title: title.to_owned(),
            kind: "supergroup".to_owned(),
        };
        match asked.get() {
            1 => Err("nobody answers there".to_owned()),
            2 => Ok(Vec::new()),
            _ => Ok(vec![
                chat("-1001", None, "ops"),
                chat("-1001", Some(7), "ops"),
            ]),
        }
    };
    let made = notify::new(&mut ui, &config, &find);
    drop(ui);
    let made = made.map(|(name, channel)| NotifyChange::Add { name, channel }.to_string());
    (made, said(talk))
}

#[test]
fn a_bot_is_set_up_step_by_step_and_finds_its_chat() {
    // A wrong token, a proxy, looking twice, the second of two chats, a name that is taken.
    let input = "planted\n123456:AA-planted\nhttp://far.example\nhttps://tg.example.org\n\n1\n2\n\
                 telegram\nops\n23:00至07:00\nsoon\n08:00，20:00\n";
    for language in Language::ALL {
        let (made, said) = channel(language, &format!("1\n{input}"));
        assert_eq!(
            made.unwrap(),
            "pm notify add telegram --name ops --token-file - --chat=-1001 --thread 7 \
             --api-base https://tg.example.org --quiet 23:00-07:00 --report 'at 08:00,20:00'",
            "{said}"
        );
        insta::assert_snapshot!(format!("telegram-{language}"), said);
    }
}

#[test]
fn every_other_kind_of_channel_is_asked_for() {
    for (input, line) in [
        (
            "2\nhttps://qyapi.weixin.qq.com/send?key=planted\n\n\n\n",
            "pm notify add wecom --name wecom --url-file -",
        ),
        (
            "3\nsmtp.example.org\n2\npm\nplanted\npm@example.org\na@example.org b@example.org\nmail\n\n60\n",
            "pm notify add email --name mail --server smtp.example.org --security starttls \
             --user=pm --password-file - --from pm@example.org \
             --to a@example.org,b@example.org --report 'every 1h'",
        ),
        // Without encryption only to this host, which is said where it is asked.
        (
            "3\nsmtp.example.org:25\n3\n2\n\npm@example.org\na@example.org\nmail\n\n\n",
            "pm notify add email --name mail --server smtp.example.org:25 --security starttls \
             --from pm@example.org --to a@example.org",
        ),
        (
            "3\nlocalhost\n3\n\npm@example.org\na@example.org\nmail\n\n\n",
            "pm notify add email --name mail --server localhost --security none \
             --from pm@example.org --to a@example.org",
        ),
        (
            "4\n4\nhttps://oapi.dingtalk.com/robot/send?access_token=planted\ny\nSECplanted\n\n\n\n",
            "pm notify add webhook --name webhook --url-file - --secret-file - --preset dingtalk",
        ),
        (
            "4\n2\nhttps://hooks.slack.com/planted\n\n\n\n",
            "pm notify add webhook --name webhook --url-file - --preset slack",
        ),
        (
            "1\n123456:AA-planted\n\n3\n654321:AA-planted\n2\n-100\n\n\n\n",
            "pm notify add telegram --name telegram2 --token-file - --chat=-100",
        ),
        // The bot is not reached, so another way to it is taken.
        (
            "1\n123456:AA-planted\nhttps://a.example\n4\nhttps://a.example?q\n\n2\n-100\n\n\n\n",
            "pm notify add telegram --name telegram2 --token-file - --chat=-100 --api-base https://a.example",
        ),
        (
            "1\n123456:AA-planted\nhttps://a.example\n4\n-\n2\n-100\n\n\n\n",
            "pm notify add telegram --name telegram2 --token-file - --chat=-100",
        ),
    ] {
        for language in Language::ALL {
            let (made, said) = channel(language, input);
            match made {
                Ok(made) => assert_eq!(made, line, "{said}"),
                Err(_) => panic!("{said}"),
            }
        }
    }
}

/// Answers the questions of a change of the channel that the configuration has under this name.
fn changed(name: &str, input: &str) -> (Answer<String>, String) {
    let talk = Said::default();
    let mut ui = Ui::scripted(io::Cursor::new(input.to_owned()), talk.clone());
    let config = r#"{"schema": 1, "groups": {"vip": {}}, "services": {"80": {}, "443": {}}, "notify": {"channels": {
        "mail": {"via": {"email": {"server": "smtp.example.org", "user": "u", "password": "planted",
            "from": "pm@example.org", "to": ["a@example.org"]}}},
        "robot": {"via": {"wecom": {"url": "https://q/planted"}}},
        "bot": {"events": ["quota"], "services": ["80"], "report": "every 1h", "language": "zh", "server_name": "hk",
            "via": {"telegram": {"token": "123456:AA-planted", "chat": "5", "api_base": "https://a.example"}}},
        "hook": {"enabled": false, "quiet": "23:00-07:00",
            "via": {"webhook": {"url": "https://h.example/planted", "secret": "planted"}}}}}}"#;
    let config = Config::parse(config).unwrap();
    let name = name.parse().unwrap();
    let present = &config.notify.channels[&name];
    let settings = notify::change_channel(&mut ui, &config, present, &|_, _| Ok(Vec::new()));
    drop(ui);
    let line = settings.map(|settings| {
        let settings = settings.unwrap_or_default();
        NotifyChange::Set { name, settings }.to_string()
    });
    (line, said(talk))
}

#[test]
fn every_setting_of_a_channel_is_asked_for_in_both_languages() {
    for (name, input, line) in [
        ("mail", "1\n", "pm notify set mail --enabled no"),
        ("hook", "1\n", "pm notify set hook --enabled yes"),
        (
            "hook",
            "2\nlost\nquota，blocked\n",
            "pm notify set hook --events quota,blocked",
        ),
        ("hook", "2\nall\n", "pm notify set hook"),
        ("hook", "2\n\n", "pm notify set hook"),
        ("hook", "2\nnone\n", "pm notify set hook --events none"),
        ("bot", "2\n\n", "pm notify set bot"),
        ("bot", "2\nall\n", "pm notify set bot --events all"),
        (
            "mail",
            "3\n81\n,\n80,group vip\n",
            "pm notify set mail --services '80,group vip'",
        ),
        ("mail", "3\nall\n", "pm notify set mail"),
        ("bot", "3\n\n", "pm notify set bot"),
        ("bot", "3\nall\n", "pm notify set bot --services all"),
        ("hook", "4\n0\n", "pm notify set hook --quiet none"),
        ("hook", "4\n\n", "pm notify set hook"),
        ("bot", "5\n0\n", "pm notify set bot --report none"),
        ("mail", "6\n2\n", "pm notify set mail --language zh"),
        ("bot", "6\n3\n", "pm notify set bot --language system"),
        ("hook", "6\n\n", "pm notify set hook"),
        (
            "mail",
            "7\nhk 01\n",
            "pm notify set mail --server-name='hk 01'",
        ),
        ("bot", "7\n-\n", "pm notify set bot --server-name="),
        (
            "hook",
            "8\nplanted\nhttps://h.example/planted2\n",
            "pm notify set hook --url-file -",
        ),
        (
            "robot",
            "8\nhttps://q/planted2\n",
            "pm notify set robot --url-file -",
        ),
        (
            "hook",
            "9\nplanted2\n",
            "pm notify set hook --secret-file -",
        ),
        ("hook", "9\n-\n", "pm notify set hook --no-secret"),
        ("hook", "9\n\n", "pm notify set hook"),
        (
            "hook",
            "10\n{{text}}\n{\"msg\": \"{{text}}\"}\n",
            r#"pm notify set hook --body '{"msg": "{{text}}"}'"#,
        ),
        ("hook", "10\n-\n", "pm notify set hook"),
        (
            "bot",
            "8\n123456:AA-planted2\n",
            "pm notify set bot --token-file -",
        ),
        ("bot", "9\n2\n-100\n", "pm notify set bot --chat=-100"),
        (
            "bot",
            "10\nhttps://b.example\n",
            "pm notify set bot --api-base https://b.example",
        ),
        ("bot", "10\n-\n", "pm notify set bot --api-base none"),
        ("bot", "10\n\n", "pm notify set bot"),
        (
            "mail",
            "8\nsmtp2.example.org:25\n3\n2\n",
            "pm notify set mail --server smtp2.example.org:25 --security starttls",
        ),
        ("mail", "8\n\n\n", "pm notify set mail"),
        ("mail", "9\n\n\n", "pm notify set mail"),
        (
            "mail",
            "9\n\nn\nplanted2\n",
            "pm notify set mail --password-file -",
        ),
        ("mail", "9\n-\n", "pm notify set mail --user="),
        (
            "mail",
            "9\nv\nplanted2\n",
            "pm notify set mail --user=v --password-file -",
        ),
        (
            "mail",
            "10\nb@example.org\n",
            "pm notify set mail --from b@example.org",
        ),
        (
            "mail",
            "11\nnobody\nb@example.org\n",
            "pm notify set mail --to b@example.org",
        ),
        ("mail", "11\n\n", "pm notify set mail"),
        ("mail", "12\n1441\n60\n", "pm notify set mail --digest 60"),
        ("mail", "12\n0\n", "pm notify set mail"),
        ("mail", "0\n", "pm notify set mail"),
    ] {
        for language in Language::ALL {
            crate::language::speak(language);
            let (made, said) = changed(name, input);
            match made {
                Ok(made) => assert_eq!(made, line, "{said}"),
                Err(_) => panic!("{said}"),
            }
        }
    }
}

/// What there must be is said by its question, and what is wrong in the words of the menu.
#[test]
fn what_is_left_out_or_wrong_is_said_as_it_is_typed_here() {
    for (language, input, says) in [
        (
            Language::English,
            "3\n\nsmtp.example.org\n\n\n\npm@example.org\na@example.org\n\n\nsoon\n0\n",
            [
                "> nothing was typed, and it cannot be left out\n",
                "> `soon` does not say when: type 60 (or any number of minutes from 1 to 1440), 08:00,20:00 or 0\n",
            ],
        ),
        (
            Language::Chinese,
            "2\n\nhttps://q/planted\n\n\n1441\n0\n",
            [
                "> 没有输入内容，这一项不能留空\n",
                "> “1441”没有说明何时：请输入 60（或 1 到 1440 之间的分钟数）、08:00,20:00 或 0\n",
            ],
        ),
    ] {
        let (made, said) = channel(language, input);
        assert!(made.is_ok(), "{said}");
        for words in says {
            assert!(said.contains(words), "{said}");
        }
    }
}

/// Answers the questions of the push, as it is in `config`.
fn pushed(config: &str, input: &str) -> (String, String) {
    let talk = Said::default();
    let mut ui = Ui::scripted(io::Cursor::new(input.to_owned()), talk.clone());
    let config = Config::parse(config).unwrap();
    let settings = push::ask(&mut ui, config.push.as_ref());
    drop(ui);
    let said = said(talk);
    match settings {
        Ok(settings) => (PushChange::Set(settings).to_string(), said),
        Err(_) => panic!("{said}"),
    }
}

#[test]
fn the_push_is_asked_for_whole_and_then_only_what_changes() {
    let set_up = r#"{"schema": 1, "push": {"url": "https://w.example/api/push", "node": "hk", "secret": "planted"}}"#;
    for language in Language::ALL {
        crate::language::speak(language);
        let (line, said) = pushed(
            r#"{"schema": 1}"#,
            "http://w.example\nhttps://w.example/api/push\nhk\nplanted\ny\n",
        );
        assert_eq!(
            line,
            "pm push set --url https://w.example/api/push --node=hk --secret-file - --notes yes"
        );
        insta::assert_snapshot!(format!("push-{language}"), said);
        assert_eq!(pushed(set_up, "\n\n\n\n").0, "pm push set");
        let (line, _) = pushed(set_up, "\nhk-02\nn\nplanted2\n\n");
        assert_eq!(line, "pm push set --node=hk-02 --secret-file -");
    }
}
