//! A question for each setting. Enter alone takes what is stated: the present value, or a new one's default.

use pm_core::config::{Factor, GroupName, Limit, Mode, Note, QuotaSize};
use pm_core::dynqos::{DynQos, Minutes};
use pm_core::units::{BitRate, Size};
use time::Date;

use super::text;
use super::ui::{Answer, Entry, Question, Ui};
use crate::language::tr;

/// What is suggested to whom wants DynQoS and does not know what to type: minutes and Mbps.
const TRIGGER: (&str, &str) = ("5", "100");
const PUNISH: (&str, &str) = ("5", "60");

/// Asks how much may be used in a period.
pub(super) fn quota(ui: &mut Ui, present: Option<QuotaSize>) -> Answer<Option<QuotaSize>> {
    let enter = show_quota(&present);
    let question = Question::new(
        tr!("Quota of a period, in GB", "每周期流量配额，单位 GB"),
        tr!(
            "100 is 100GB (10^9 bytes each); 100GiB for 2^30, 1.5TB, 500MB; 0 is no quota; Enter: {enter}",
            "100 即 100GB（1 GB = 10⁹ 字节）；按 2³⁰ 计请写 100GiB；也可写 1.5TB、500MB；0 表示不限；直接回车：{enter}"
        ),
    );
    ui.ask(
        &question,
        |typed| or(typed, present, text::quota),
        show_quota,
    )
}

/// Asks which bytes count.
pub(super) fn mode(ui: &mut Ui, present: Mode) -> Answer<Mode> {
    const MODES: [Mode; 3] = [Mode::Both, Mode::Out, Mode::Max];
    let entries: Vec<Entry> = MODES
        .iter()
        .enumerate()
        .map(|(index, mode)| Entry::new(index + 1, show_mode(*mode)))
        .collect();
    let enter = show_mode(present);
    let title = tr!("What counts against the quota?", "计费模式");
    let chosen = ui.choose(&title, &enter, &entries)?;
    Ok(chosen.map_or(present, |index| MODES[index]))
}

pub(super) fn show_mode(mode: Mode) -> String {
    match mode {
        Mode::Both => tr!("both: in and out", "双向：入站 + 出站"),
        Mode::Out => tr!(
            "out: only what the port sends",
            "仅出站：只计端口发出的流量"
        ),
        Mode::Max => tr!("max: the larger of in and out", "取大：入站与出站中较大者"),
    }
}

/// Asks how often each byte counts.
pub(super) fn factor(ui: &mut Ui, present: Factor) -> Answer<Factor> {
    let question = Question::new(
        tr!(
            "How often does each byte count?",
            "流量倍率（每字节计几次）"
        ),
        tr!(
            "1, 2, 0.5; from 0.001 to 1000; Enter: {present}",
            "如 1、2、0.5，范围 0.001 到 1000；直接回车：{present}"
        ),
    );
    ui.ask(
        &question,
        |typed| or(typed, present, text::factor),
        Factor::to_string,
    )
}

/// Asks how fast a service may send.
pub(super) fn limit(ui: &mut Ui, present: Option<Limit>) -> Answer<Option<Limit>> {
    let title = tr!("Limit of what it sends, in Mbps", "出站限速，单位 Mbps");
    rate(ui, title, present)
}

/// Asks how fast a service may receive.
pub(super) fn limit_in(ui: &mut Ui, present: Option<Limit>) -> Answer<Option<Limit>> {
    let title = tr!("Limit of what it receives, in Mbps", "入站限速，单位 Mbps");
    rate(ui, title, present)
}

fn rate(ui: &mut Ui, title: String, present: Option<Limit>) -> Answer<Option<Limit>> {
    let enter = show_limit(&present);
    let hint = tr!(
        "50 is 50Mbps; 1.5G, 800K; 0 is no limit; Enter: {enter}",
        "50 即 50Mbps；也可写 1.5G、800K；0 表示无限制；直接回车：{enter}"
    );
    let question = Question::new(title, hint);
    ui.ask(
        &question,
        |typed| or(typed, present, text::limit),
        show_limit,
    )
}

/// Asks when a service is slowed down, in the words that pm.sh explained it with.
pub(super) fn dynqos(ui: &mut Ui, present: Option<DynQos>) -> Answer<Option<DynQos>> {
    ui.say(&tr!(
        "DynQoS: above X Mbps for N minutes on end, in and out together, it is slowed down to Y Mbps for M minutes.",
        "DynQoS：入站加出站的速率连续 N 分钟超过 X Mbps，就限速至 Y Mbps，持续 M 分钟。"
    ))?;
    let example = TRIGGER.0;
    let off = tr!("off", "关闭");
    let after = present.map_or(off, |rule| minutes(rule.trigger_minutes));
    let question = Question::new(
        tr!("N: for how many minutes on end?", "N：连续几分钟？"),
        tr!(
            "1 to 10080, such as {example}; 0 turns it off; Enter: {after}",
            "1 到 10080，例如 {example}；0 表示关闭；直接回车：{after}"
        ),
    );
    let read = |typed: &str| match text::tidy(typed) {
        typed if typed.is_empty() => Ok(present.map(|rule| rule.trigger_minutes)),
        typed if text::is_none(&typed) => Ok(None),
        typed => text::minutes(&typed).map(Some),
    };
    let show = |after: &Option<Minutes>| after.map_or(tr!("off", "关闭"), minutes);
    let Some(trigger_minutes) = ui.ask(&question, read, show)? else {
        return Ok(None);
    };
    let trigger = megabits(
        ui,
        tr!("X: above how many Mbps?", "X：速率超过多少 Mbps？"),
        present.map_or(TRIGGER.1.to_owned(), |rule| rule.trigger.to_string()),
        speed,
    )?;
    let punish = megabits(
        ui,
        tr!("Y: slowed down to how many Mbps?", "Y：则限速至多少 Mbps？"),
        present.map_or(PUNISH.0.to_owned(), |rule| rule.punish.to_string()),
        speed,
    )?;
    let default = present.map_or(PUNISH.1.to_owned(), |rule| {
        rule.punish_minutes.get().to_string()
    });
    let question = Question::new(
        tr!("M: for how many minutes?", "M：持续几分钟？"),
        tr!(
            "1 to 10080; Enter: {default}",
            "1 到 10080；直接回车：{default}"
        ),
    );
    let read = |typed: &str| or_text(typed, &default, text::minutes);
    let punish_minutes = ui.ask(&question, read, |after| minutes(*after))?;
    Ok(Some(DynQos {
        trigger,
        trigger_minutes,
        punish,
        punish_minutes,
    }))
}

fn speed(typed: &str) -> Result<Limit, String> {
    Limit::try_from(text::rate(typed)?).map_err(|error| text::why(&error))
}

fn megabits<T: ToString>(
    ui: &mut Ui,
    title: String,
    default: String,
    read: impl Fn(&str) -> Result<T, String>,
) -> Answer<T> {
    let hint = tr!(
        "100 is 100Mbps; Enter: {default}",
        "100 即 100Mbps；直接回车：{default}"
    );
    let question = Question::new(title, hint);
    ui.ask(
        &question,
        |typed| or_text(typed, &default, &read),
        T::to_string,
    )
}

/// Returns a rule in the words that it was asked with.
pub(super) fn show_dynqos(rule: &Option<DynQos>) -> String {
    let Some(rule) = rule else {
        return tr!("off", "关闭");
    };
    let (after, above) = (rule.trigger_minutes.get(), trimmed(rule.trigger.rate()));
    let (to, during) = (trimmed(rule.punish.rate()), rule.punish_minutes.get());
    tr!(
        "above {above} for {after} min: {to} for {during} min",
        "连续 {after} 分钟 速率超过 {above} 则限速至 {to} 持续 {during} 分钟"
    )
}

fn trimmed(rate: BitRate) -> String {
    super::screen::spaced(&rate.to_string())
}

fn minutes(minutes: Minutes) -> String {
    let count = minutes.get();
    tr!("{count} min", "{count} 分钟")
}

/// Asks for the last day.
pub(super) fn expires(ui: &mut Ui, present: Option<Date>) -> Answer<Option<Date>> {
    let enter = show_expires(&present);
    let question = Question::new(
        tr!("Last day on which it is open", "到期日（当天仍可用）"),
        tr!(
            "such as 2027-01-31; 0 is never; Enter: {enter}",
            "例如 2027-01-31；0 表示永不到期；直接回车：{enter}"
        ),
    );
    ui.ask(
        &question,
        |typed| or(typed, present, text::last_day),
        show_expires,
    )
}

/// Asks whether routed traffic counts.
pub(super) fn routed(ui: &mut Ui, present: bool) -> Answer<bool> {
    let title = tr!(
        "Count traffic, too, that this host only routes, without translating its addresses?",
        "是否统计仅经本机路由（不做地址转换）的流量？"
    );
    ui.confirm(title, present)
}

/// Asks for a note.
pub(super) fn note(ui: &mut Ui, present: &Note) -> Answer<Note> {
    let hint = if present.is_empty() {
        tr!(
            "any text, up to 200 characters; Enter: none",
            "任意文字，最多 200 字；直接回车：无"
        )
    } else {
        let present = crate::output::table::one_line(present);
        tr!(
            "any text; - clears it; Enter: {present}",
            "任意文字；输入 - 清空；直接回车：{present}"
        )
    };
    let read = |typed: &str| match typed.trim() {
        "" => Ok(present.clone()),
        "-" if !present.is_empty() => Ok(Note::default()),
        typed => text::note(typed),
    };
    let question = Question::new(tr!("Note", "备注"), hint);
    ui.ask(&question, read, |note| or_none(note.as_str()))
}

/// Asks which group's quota it shares.
pub(super) fn group(
    ui: &mut Ui,
    groups: &[GroupName],
    present: Option<&GroupName>,
) -> Answer<Option<GroupName>> {
    let mut entries: Vec<Entry> = groups
        .iter()
        .enumerate()
        .map(|(index, name)| Entry::new(index + 1, name.to_string()))
        .collect();
    entries.push(Entry::new(
        0,
        tr!("none: a quota of its own", "不入组：使用自己的配额"),
    ));
    let enter = present.map_or(tr!("none", "不入组"), GroupName::to_string);
    let title = tr!("Share the quota of a group?", "加入分组（共享配额）？");
    let chosen = ui.choose(&title, &enter, &entries)?;
    Ok(match chosen {
        None => present.cloned(),
        Some(index) => groups.get(index).cloned(),
    })
}

/// Asks what was used; `None`: as it is.
pub(super) fn used(ui: &mut Ui, present: &str) -> Answer<Option<Size>> {
    let question = Question::new(
        tr!(
            "Used so far in this period, in GB",
            "本周期已用流量，单位 GB"
        ),
        tr!(
            "4.2 is 4.2GB; 500MB; Enter: leave it at {present}",
            "4.2 即 4.2GB；也可写 500MB；直接回车：保持 {present}"
        ),
    );
    let read = |typed: &str| or(typed, None, |typed| text::size(typed).map(Some));
    ui.ask(&question, read, |used| {
        used.map_or(present.to_owned(), |used| used.to_string())
    })
}

pub(super) fn show_quota(quota: &Option<QuotaSize>) -> String {
    quota.map_or(tr!("no quota", "不限"), |quota| quota.size().to_string())
}

pub(super) fn show_limit(limit: &Option<Limit>) -> String {
    limit.map_or(tr!("unlimited", "无限制"), |limit| limit.to_string())
}

pub(super) fn show_expires(date: &Option<Date>) -> String {
    date.map_or(tr!("never", "永不到期"), |date| date.to_string())
}

pub(super) fn show_yes(yes: bool) -> String {
    if yes {
        tr!("yes", "是")
    } else {
        tr!("no", "否")
    }
}

pub(super) fn or_none(text: &str) -> String {
    if text.is_empty() {
        tr!("none", "无")
    } else {
        text.to_owned()
    }
}

/// Reads what was typed; nothing is `default`.
pub(super) fn or<T>(
    typed: &str,
    default: T,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    if text::tidy(typed).is_empty() {
        Ok(default)
    } else {
        read(typed)
    }
}

fn or_text<T>(
    typed: &str,
    default: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    if text::tidy(typed).is_empty() {
        read(default)
    } else {
        read(typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wizard::when::show_day_of_year;
    use pm_core::calendar::DayOfYear;
    use pm_core::language::Language;
    use pm_core::strategies;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shown_is_understood(
            quota in prop::option::of(strategies::quota_size()),
            limit in prop::option::of(strategies::limit()),
            factor in strategies::factor(),
            date in strategies::date(),
            dynqos in strategies::dynqos(),
        ) {
            prop_assume!((1..=9999).contains(&date.year()));
            for language in Language::ALL {
                crate::language::speak(language);
                prop_assert_eq!(text::quota(&show_quota(&quota)), Ok(quota));
                prop_assert_eq!(text::limit(&show_limit(&limit)), Ok(limit));
                prop_assert_eq!(text::factor(&factor.to_string()), Ok(factor));
                for date in [None, Some(date)] {
                    prop_assert_eq!(text::last_day(&show_expires(&date)), Ok(date));
                }
                let after = dynqos.trigger_minutes;
                prop_assert_eq!(text::minutes(&minutes(after)), Ok(after));
                prop_assert_eq!(speed(&trimmed(dynqos.trigger.rate())), Ok(dynqos.trigger));
                let day = DayOfYear::of(date);
                prop_assert_eq!(text::day_of_year(&show_day_of_year(&day)), Ok(day));
                prop_assert!(text::is_none(&show_dynqos(&None)));
                prop_assert_eq!(text::yes_or_no(&show_yes(true), false), Ok(true));
                prop_assert_eq!(text::yes_or_no(&show_yes(false), true), Ok(false));
            }
        }
    }

    #[test]
    fn what_people_write_is_understood() {
        let date = |text: &str| text::last_day(text).unwrap().map(|date| date.to_string());
        for text in ["2027-1-31", "2027年1月31日", "２０２７／１／３１"] {
            assert_eq!(date(text).as_deref(), Some("2027-01-31"), "{text}");
        }
        for text in ["x2", "2x", "2倍", "2 倍", "×2"] {
            assert_eq!(text::factor(text).unwrap().to_string(), "2", "{text}");
        }
        for text in ["off", "关闭", "未开启", "永不到期"] {
            assert!(text::is_none(text), "{text}");
        }
    }
}
