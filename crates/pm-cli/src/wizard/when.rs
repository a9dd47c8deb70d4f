//! When a period ends: first the kind of date, then its numbers. Nothing but numbers is typed, since the grammar
//! of the command line is English.

use pm_core::calendar::{
    DayOfMonth, DayOfYear, Days, Interval, Months, ResetChoice, ResetPolicy, YearMonth,
};
use time::Date;

use super::settings::or;
use super::text;
use super::ui::{Answer, Entry, Question, Ui};
use crate::language::tr;

/// What a date can be set by. Their order is that of the list; 0 is the last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Monthly,
    EveryDays,
    EveryMonths,
    Yearly,
    Once,
    Never,
}

const KINDS: [Kind; 6] = [
    Kind::Monthly,
    Kind::EveryDays,
    Kind::EveryMonths,
    Kind::Yearly,
    Kind::Once,
    Kind::Never,
];

/// Asks when a period ends.
pub(super) fn ask(ui: &mut Ui, present: ResetPolicy) -> Answer<ResetChoice> {
    let entries: Vec<Entry> = KINDS
        .iter()
        .enumerate()
        .map(|(index, kind)| Entry::new((index + 1) % KINDS.len(), kind.name()))
        .collect();
    let title = tr!("When does a new period begin?", "流量重置日");
    let Some(index) = ui.choose(&title, &show(&present.into()), &entries)? else {
        return Ok(present.into());
    };
    match KINDS[index] {
        Kind::Monthly => monthly(ui, present),
        Kind::EveryDays => every_days(ui, present),
        Kind::EveryMonths => every_months(ui, present),
        Kind::Yearly => yearly(ui, present),
        Kind::Once => once(ui, present),
        Kind::Never => Ok(ResetPolicy::Never.into()),
    }
}

/// Returns when a period ends, in words.
pub(super) fn show(choice: &ResetChoice) -> String {
    match *choice {
        ResetChoice::EveryDays(every) => {
            tr!(en: "every {}", every.of("day"); zh: "每 {} 天", every.get())
        }
        ResetChoice::EveryMonths(every, day) => tr!(
            en: "every {} on day {day}", every.of("month");
            zh: "每 {} 个月的 {day} 日", every.get()
        ),
        ResetChoice::Policy(policy) => match policy {
            ResetPolicy::Monthly(day) => tr!("day {day} of each month", "每月 {day} 日"),
            ResetPolicy::EveryDays { every, from } => {
                let every = show(&ResetChoice::EveryDays(every));
                tr!("{every}, counted from {from}", "{every}（从 {from} 起）")
            }
            ResetPolicy::EveryMonths { every, day, from } => {
                let every = show(&ResetChoice::EveryMonths(every, day));
                tr!("{every}, counted from {from}", "{every}（从 {from} 起）")
            }
            ResetPolicy::Yearly(day) => {
                let day = show_day_of_year(&day);
                tr!("each year on {day}", "每年 {day}")
            }
            ResetPolicy::Once(date) => tr!("once, on {date}", "一次：{date}"),
            ResetPolicy::Never => tr!("never", "不重置"),
        },
    }
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Monthly => tr!("on a day of each month", "每月某一天"),
            Self::EveryDays => tr!("every so many days", "每隔若干天"),
            Self::EveryMonths => tr!("every so many months", "每隔若干个月"),
            Self::Yearly => tr!("on a day of each year", "每年某一天"),
            Self::Once => tr!("once, on a date", "仅一次，指定日期"),
            Self::Never => tr!("never", "不重置"),
        }
    }
}

fn monthly(ui: &mut Ui, present: ResetPolicy) -> Answer<ResetChoice> {
    let present = match present {
        ResetPolicy::Monthly(day) => day,
        _ => DayOfMonth::FIRST,
    };
    Ok(ResetPolicy::Monthly(day(ui, present)?).into())
}

fn every_days(ui: &mut Ui, present: ResetPolicy) -> Answer<ResetChoice> {
    let start = match present {
        ResetPolicy::EveryDays { every, from } => Some((every, from)),
        _ => None,
    };
    let title = tr!("Every how many days?", "每隔多少天？");
    let usual = start.map(|(every, _)| every).or(Days::new(30));
    let every = count(ui, title, usual, |typed| text::interval(typed, "days"))?;
    let kept = start.filter(|(old, _)| *old == every).map(|(_, from)| from);
    let enter = kept.map_or(tr!("today", "今天"), |from| from.to_string());
    let question = Question::new(
        tr!("Counted from which day?", "从哪一天算起？"),
        tr!(
            "such as 2027-01-31; Enter: {enter}",
            "例如 2027-01-31；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match &*text::tidy(typed).to_lowercase() {
        "today" | "今天" => Ok(None),
        typed => or(typed, kept, |typed| text::date(typed).map(Some)),
    };
    let show = |from: &Option<_>| from.map_or(enter.clone(), |from: Date| from.to_string());
    Ok(match ui.ask(&question, read, show)? {
        Some(from) => ResetPolicy::EveryDays { every, from }.into(),
        None => ResetChoice::EveryDays(every),
    })
}

fn every_months(ui: &mut Ui, present: ResetPolicy) -> Answer<ResetChoice> {
    let start = match present {
        ResetPolicy::EveryMonths { every, day, from } => Some((every, day, from)),
        _ => None,
    };
    let title = tr!("Every how many months?", "每隔多少个月？");
    let usual = start.map(|(every, ..)| every).or(Months::new(3));
    let every = count(ui, title, usual, |typed| text::interval(typed, "months"))?;
    let day = day(ui, start.map_or(DayOfMonth::FIRST, |(_, day, _)| day))?;
    let is_kept = |(old, on, _): &(Months, DayOfMonth, _)| (*old, *on) == (every, day);
    let kept = start.filter(is_kept).map(|(.., from)| from);
    let enter = kept.map_or(tr!("this month", "本月"), |from| from.to_string());
    let question = Question::new(
        tr!("Counted from which month?", "从哪个月算起？"),
        tr!(
            "such as 2027-01; Enter: {enter}",
            "例如 2027-01；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match &*text::tidy(typed).to_lowercase() {
        "this month" | "本月" => Ok(None),
        typed => or(typed, kept, |typed| text::month(typed).map(Some)),
    };
    let show = |from: &Option<_>| from.map_or(enter.clone(), |from: YearMonth| from.to_string());
    Ok(match ui.ask(&question, read, show)? {
        Some(from) => ResetPolicy::EveryMonths { every, day, from }.into(),
        None => ResetChoice::EveryMonths(every, day),
    })
}

fn yearly(ui: &mut Ui, present: ResetPolicy) -> Answer<ResetChoice> {
    let present = match present {
        ResetPolicy::Yearly(day) => Some(day),
        _ => text::day_of_year("01-01").ok(),
    };
    let title = tr!("On which day of the year?", "每年哪一天？");
    let example = tr!("month and day, such as 06-18", "月-日，例如 06-18");
    let day = value(
        ui,
        title,
        example,
        present,
        text::day_of_year,
        show_day_of_year,
    )?;
    Ok(ResetPolicy::Yearly(day).into())
}

fn once(ui: &mut Ui, present: ResetPolicy) -> Answer<ResetChoice> {
    let present = match present {
        ResetPolicy::Once(date) => Some(date),
        _ => None,
    };
    let title = tr!("On which date?", "哪一天？");
    let example = tr!("such as 2027-01-31", "例如 2027-01-31");
    let date = value(ui, title, example, present, text::date, ToString::to_string)?;
    Ok(ResetPolicy::Once(date).into())
}

fn day(ui: &mut Ui, present: DayOfMonth) -> Answer<DayOfMonth> {
    let title = tr!("On which day of the month?", "每月几日？");
    let range = tr!(
        "1 to 31; a shorter month: its last day",
        "1 到 31；当月没有这一天则为月末"
    );
    let show = |day: &DayOfMonth| tr!("day {day}", "{day} 日");
    value(ui, title, range, Some(present), text::day, show)
}

fn count<const MOST: u16>(
    ui: &mut Ui,
    title: String,
    usual: Option<Interval<MOST>>,
    read: impl Fn(&str) -> Result<Interval<MOST>, String>,
) -> Answer<Interval<MOST>> {
    let range = tr!("1 to {MOST}", "1 到 {MOST}");
    value(ui, title, range, usual, read, |count| {
        count.get().to_string()
    })
}

/// Asks for something of which Enter alone means what it is now, if it is that already.
fn value<T: Copy>(
    ui: &mut Ui,
    title: String,
    example: String,
    present: Option<T>,
    read: impl Fn(&str) -> Result<T, String>,
    show: impl Fn(&T) -> String,
) -> Answer<T> {
    let hint = match present.as_ref().map(&show) {
        Some(enter) => tr!("{example}; Enter: {enter}", "{example}；直接回车：{enter}"),
        None => example,
    };
    let read = |typed: &str| match present {
        Some(present) => or(typed, present, &read),
        None => read(typed),
    };
    ui.ask(&Question::new(title, hint), read, show)
}

pub(super) fn show_day_of_year(day: &DayOfYear) -> String {
    let (month, number) = (day.month(), u8::from(day.month()));
    let day = day.day();
    tr!("{month} {day}", "{number} 月 {day} 日")
}
