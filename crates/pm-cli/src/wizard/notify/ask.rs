//! A question for each thing that can be said of channels. Enter alone takes what is stated.

use std::error::Error;
use std::str::FromStr;

use pm_core::config::{
    DigestMinutes, Email, MailAddress, MailServer, QuietHours, Schedule, ServerName, Template,
    Thresholds,
};
use pm_core::language::Language;
use pm_core::secret::Secret;

use crate::language::tr;
use crate::output::notify as shown;
use crate::wizard::language::{languages, name as language_name};
use crate::wizard::text;
use crate::wizard::ui::{Answer, Entry, Question, Ui};

/// Asks for something that is not shown while it is typed.
pub(in crate::wizard) fn secret<T: FromStr<Err: Error + 'static>>(
    ui: &mut Ui,
    title: String,
) -> Answer<T> {
    let hint = tr!("paste it; it is not shown", "请粘贴；输入内容不会显示");
    let question = Question::new(title, hint).hidden();
    ui.ask(&question, read, |_| tr!("taken", "已填写"))
}

/// Asks for a secret that there is, or may be none of; `None`: it stays as it is.
pub(super) fn new_secret(
    ui: &mut Ui,
    title: String,
    is_there: bool,
) -> Answer<Option<Option<Secret>>> {
    let none = || tr!("none", "无");
    let stays = || match is_there {
        true => tr!("as it is", "保持不变"),
        false => none(),
    };
    let enter = stays();
    let hint = match is_there {
        true => tr!(
            "paste it; it is not shown; - is none",
            "请粘贴；输入内容不会显示；输入 - 表示不用"
        ),
        false => tr!("paste it; it is not shown", "请粘贴；输入内容不会显示"),
    };
    let question = Question::new(title, with_enter(hint, Some(enter))).hidden();
    let read = |typed: &str| match typed.trim() {
        "" => Ok(None),
        "-" => Ok(is_there.then_some(None)),
        typed => read(typed).map(|secret| Some(Some(secret))),
    };
    ui.ask(&question, read, |secret| match secret {
        None => stays(),
        Some(None) => none(),
        Some(Some(_)) => tr!("taken", "已填写"),
    })
}

/// Asks for something that there may be none of: `-`, or Enter alone where there is none now.
pub(super) fn optional<T: Clone + ToString>(
    ui: &mut Ui,
    title: String,
    hint: String,
    present: Option<&T>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Answer<Option<T>> {
    let show = |value: &Option<T>| value.as_ref().map_or(tr!("none", "无"), T::to_string);
    let hint = match present {
        Some(_) => tr!("{hint}; - is none", "{hint}；输入 - 表示不用"),
        None => hint,
    };
    let question = Question::new(title, with_enter(hint, Some(show(&present.cloned()))));
    let read = |typed: &str| match typed.trim() {
        "" => Ok(present.cloned()),
        "-" => Ok(None),
        typed => read(typed).map(Some),
    };
    ui.ask(&question, read, show)
}

/// Asks for something that there must be; Enter alone is `present`, where there is one.
fn needed<T>(ui: &mut Ui, title: String, hint: String, present: Option<&T>) -> Answer<T>
where
    T: Clone + FromStr<Err: Error + 'static> + ToString,
{
    let question = Question::new(title, with_enter(hint, present.map(T::to_string)));
    let read = |typed: &str| match (typed.trim(), present) {
        ("", Some(present)) => Ok(present.clone()),
        (typed, _) => read(typed),
    };
    ui.ask(&question, read, T::to_string)
}

/// Returns a hint with what Enter alone means, if it means anything.
pub(super) fn with_enter(hint: String, enter: Option<String>) -> String {
    match enter {
        Some(enter) => tr!("{hint}; Enter: {enter}", "{hint}；直接回车：{enter}"),
        None => hint,
    }
}

/// Asks which server takes the mail.
pub(super) fn server(ui: &mut Ui, present: Option<&MailServer>) -> Answer<MailServer> {
    let hint = tr!(
        "such as smtp.example.org or smtp.example.org:587",
        "如 smtp.example.org 或 smtp.example.org:587"
    );
    needed(ui, tr!("Mail server", "邮件服务器"), hint, present)
}

/// Asks who logs in at the mail server; `None`: nobody.
pub(super) fn user(ui: &mut Ui, present: Option<&String>) -> Answer<Option<String>> {
    let hint = tr!("often the address", "通常是邮箱地址");
    let read = |typed: &str| match Email::check_user(typed) {
        Ok(()) => Ok(typed.to_owned()),
        Err(error) => Err(text::why(&error)),
    };
    let title = tr!("User to log in as", "登录用户名");
    optional(ui, title, hint, present, read)
}

/// Asks who the mail is from.
pub(super) fn sender(ui: &mut Ui, present: Option<&MailAddress>) -> Answer<MailAddress> {
    let hint = tr!("such as pm@example.org", "如 pm@example.org");
    needed(ui, tr!("Sender's address", "发件人地址"), hint, present)
}

/// Asks when messages wait.
pub(super) fn quiet(ui: &mut Ui, present: Option<QuietHours>) -> Answer<Option<QuietHours>> {
    let show = |quiet: &Option<QuietHours>| quiet.map_or(tr!("none", "无"), |it| it.to_string());
    let enter = show(&present);
    let question = Question::new(
        tr!(
            "Quiet hours, when messages wait",
            "免打扰时段（消息留到之后发送）"
        ),
        tr!(
            "such as 23:00-07:00; 0 is none; Enter: {enter}",
            "如 23:00-07:00；0 表示没有；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match &*text::tidy(typed) {
        "" => Ok(present),
        typed if text::is_none(typed) => Ok(None),
        typed => read(&typed.replace(['~', '至'], "-").replace(' ', "")).map(Some),
    };
    ui.ask(&question, read, show)
}

/// Asks when a summary is sent.
pub(super) fn report(ui: &mut Ui, present: Option<&Schedule>) -> Answer<Option<Schedule>> {
    let show = |report: &Option<Schedule>| {
        report
            .as_ref()
            .map_or(tr!("never", "不发送"), shown::schedule)
    };
    let enter = show(&present.cloned());
    let question = Question::new(
        tr!(
            "When to send a summary of all services",
            "何时发送所有服务的汇总"
        ),
        tr!(
            "60 is every 60 minutes (1 to 1440); 08:00,20:00 each day; 0 is never; Enter: {enter}",
            "60 即每 60 分钟（1 到 1440）；08:00,20:00 即每天这些时刻；0 表示不发送；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match &*text::tidy(typed) {
        "" => Ok(present.cloned()),
        typed if text::is_none(typed) => Ok(None),
        typed => schedule(typed).map(Some),
    };
    ui.ask(&question, read, show)
}

/// Reads `60`, `60m`, `24h`, `08:00,20:00`, or as the command line has it.
fn schedule(text: &str) -> Result<Schedule, String> {
    let typed = text::separated(text);
    let minutes = text.trim_end_matches("分钟").trim();
    let as_command = if minutes.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("every {minutes}m")
    } else if typed.contains(':') && !text.starts_with("at") {
        format!("at {typed}")
    } else if text.starts_with(|c: char| c.is_ascii_digit()) {
        format!("every {text}")
    } else {
        text.to_owned()
    };
    // What is typed here is less than what a command takes, and is said so.
    as_command.parse().map_err(|_| {
        let typed: String = text.chars().take(40).collect();
        tr!(
            "`{typed}` does not say when: type 60 (or any number of minutes from 1 to 1440), \
             08:00,20:00 or 0",
            "“{typed}”没有说明何时：请输入 60（或 1 到 1440 之间的分钟数）、08:00,20:00 或 0"
        )
    })
}

/// Asks for the language of a channel's messages; nothing: the user goes back.
pub(super) fn language(ui: &mut Ui, present: Option<Language>) -> Answer<Option<Option<Language>>> {
    let mut entries = languages();
    let as_all = tr!("that of pm itself", "与 pm 的语言一致");
    let enter = present.map_or(as_all.clone(), |it| language_name(it).to_owned());
    entries.push(Entry::new(entries.len() + 1, as_all));
    let title = tr!("Language of its messages", "消息使用哪种语言？");
    let chosen = ui.choose(&title, &enter, &entries)?;
    Ok(chosen.map(|index| Language::ALL.get(index).copied()))
}

/// Asks what a channel's messages call this host; `None`: what all the others do.
pub(super) fn server_name(ui: &mut Ui, present: Option<&ServerName>) -> Answer<Option<ServerName>> {
    let as_all = || tr!("as in all channels", "与其他渠道相同");
    let show = |name: &Option<ServerName>| name.as_ref().map_or_else(as_all, ToString::to_string);
    let enter = show(&present.cloned());
    let question = Question::new(
        tr!(
            "What its messages call this host",
            "这个渠道的消息里的主机名称"
        ),
        tr!(
            "any text, such as hk-01; - is as in all channels; Enter: {enter}",
            "任意文字，如 hk-01；输入 - 表示与其他渠道相同；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match typed.trim() {
        "" => Ok(present.cloned()),
        "-" => Ok(None),
        typed => read(typed).map(Some),
    };
    ui.ask(&question, read, show)
}

/// Asks for how long mails are collected into one.
pub(super) fn digest(ui: &mut Ui, present: Option<DigestMinutes>) -> Answer<Option<DigestMinutes>> {
    let show = |digest: &Option<DigestMinutes>| match digest {
        Some(minutes) => tr!("{minutes} minutes", "{minutes} 分钟"),
        None => tr!("one mail a message", "每条消息一封"),
    };
    let enter = show(&present);
    let question = Question::new(
        tr!(
            "For how long are messages collected into one mail?",
            "多少分钟内的消息合并成一封邮件？"
        ),
        tr!(
            "minutes, 1 to 1440; 0 is one mail a message; Enter: {enter}",
            "分钟数，1 到 1440；0 表示每条消息一封；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match &*text::tidy(typed) {
        "" => Ok(present),
        typed if text::is_none(typed) => Ok(None),
        typed => read(typed.trim_end_matches("分钟").trim()).map(Some),
    };
    ui.ask(&question, read, show)
}

/// Asks for what is posted to a web hook; `None`: what its server usually takes.
pub(super) fn body(ui: &mut Ui, present: Option<&Template>) -> Answer<Option<Template>> {
    let usual = || tr!("what its server usually takes", "对方服务的标准格式");
    let show = |body: &Option<Template>| body.as_ref().map_or_else(usual, ToString::to_string);
    let enter = show(&present.cloned());
    let places = "{{title}} {{text}} {{event}} {{server}} {{time}}";
    let question = Question::new(
        tr!("What is posted: JSON, in one line", "发送的内容：一行 JSON"),
        tr!(
            "with {places} in its texts; - is what its server usually takes; Enter: {enter}",
            "文字中可用 {places}；输入 - 表示用对方服务的标准格式；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match typed.trim() {
        "" => Ok(present.cloned()),
        "-" => Ok(None),
        typed => read(typed).map(Some),
    };
    ui.ask(&question, read, show)
}

/// Asks at which parts of a quota its holder is warned of.
pub(super) fn thresholds(ui: &mut Ui, present: &Thresholds) -> Answer<Thresholds> {
    let show = |thresholds: &Thresholds| match thresholds.percents().is_empty() {
        true => tr!("none", "不预警"),
        false => format!("{thresholds} %"),
    };
    let enter = show(present);
    let question = Question::new(
        tr!(
            "Warn at which percentages of a quota?",
            "配额用到百分之几时预警？"
        ),
        tr!(
            "such as 50,80,100; 0 is none; Enter: {enter}",
            "如 50,80,100；0 表示不预警；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match &*text::tidy(typed) {
        "" => Ok(present.clone()),
        typed if text::is_none(typed) => read("none"),
        typed => read(&text::separated(&typed.replace('%', " "))),
    };
    ui.ask(&question, read, show)
}

pub(super) fn read<T: FromStr<Err: Error + 'static>>(typed: &str) -> Result<T, String> {
    text::needed(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_reports_are_read_as_people_write_them() {
        for (typed, expected) in [
            ("60", "every 60m"),
            ("60分钟", "every 60m"),
            ("24h", "every 24h"),
            ("every 90m", "every 90m"),
            ("08:00 20:00", "at 08:00,20:00"),
            ("at 08:00", "at 08:00"),
        ] {
            let expected: Schedule = expected.parse().unwrap();
            assert_eq!(schedule(typed), Ok(expected), "{typed}");
        }
        for typed in ["0m", "1441", "25:00", "soon"] {
            assert!(schedule(typed).is_err(), "{typed}");
        }
    }
}
