//! The calendar against python-dateutil and Python's zoneinfo, on random questions.
//!
//! Both sides read the same zone data, the one that is inside of pm: a zone that was changed between two editions of
//! it would be no fault of pm's, and so every instant can be compared, far future and distant past. What is compared
//! is how the data is understood; the data themselves are IANA's on either side.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use pm_core::calendar::{DayOfMonth, DayOfYear, Interval, ResetPolicy, Timestamp, YearMonth, Zone};
use time::{Date, Duration};

use crate::netns::seed_from_clock;
use crate::rng::Rng;

/// How many policies, and how many instants, are asked about.
const QUESTIONS: usize = 10_000;

/// How many differences are shown.
const SHOWN: usize = 10;

/// What the oracle is asked, and what pm says.
struct Question {
    line: String,
    answer: String,
}

/// Returns a Python that has dateutil; the first one on the path may be another than the system's.
pub(crate) fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python)
            .args(["-c", "import dateutil.rrule, zoneinfo"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Compares [`QUESTIONS`] random policies and as many instants in random zones.
///
/// # Errors
///
/// When an answer differs, with the first of them; when there is no Python with dateutil.
pub(crate) fn run(seed: Option<u64>) -> Result<()> {
    let python = python().context("there is no Python with dateutil: install python3-dateutil")?;
    let seed = seed.unwrap_or_else(seed_from_clock);
    println!("seed {seed}; repeat with `cargo xtask calendar --seed {seed}`");
    let rng = &mut Rng::new(seed);
    let mut questions: Vec<Question> = (0..QUESTIONS).map(|_| about_policy(rng)).collect();
    let mut zones = BTreeSet::new();
    for _ in 0..QUESTIONS / 2 {
        let name = *rng.pick(tzdb::TZ_NAMES);
        zones.insert(name);
        questions.extend(about_zone(rng, name)?);
    }
    let answers = ask(python, &zones, &questions)?;

    let different: Vec<String> = questions
        .iter()
        .zip(answers.lines())
        .filter(|(question, answer)| question.answer != **answer)
        .map(|(question, answer)| {
            format!(
                "{}: pm says {}, Python {answer}",
                question.line, question.answer
            )
        })
        .collect();
    ensure!(
        different.is_empty(),
        "{} of {} answers differ:\n{}",
        different.len(),
        questions.len(),
        different[..different.len().min(SHOWN)].join("\n")
    );
    println!(
        "{} answers on policies and zones agree with Python's",
        questions.len()
    );
    Ok(())
}

/// Returns the oracle's answers, a line each.
fn ask(python: &str, zones: &BTreeSet<&str>, questions: &[Question]) -> Result<String> {
    let mut input = String::new();
    for name in zones {
        let bytes = tzdb::raw_tz_by_name(name).context("a zone without data")?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        input += &format!("zone {name} {hex}\n");
    }
    for question in questions {
        input += &format!("{}\n", question.line);
    }
    let mut child = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/calendar_oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {python}"))?;
    // It reads all before it answers.
    let mut stdin = child.stdin.take().context("no pipe to Python")?;
    let written = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "the oracle failed: {}",
        output.status
    );
    written.context("Python did not read all questions")?;
    let answers = String::from_utf8(output.stdout)?;
    let count = answers.lines().count();
    ensure!(count == questions.len(), "Python gave {count} answers");
    Ok(answers)
}

/// Asks for the reset after a day: any day, or for an interval one not too many intervals after its start, because
/// the oracle counts them one by one.
fn about_policy(rng: &mut Rng) -> Question {
    let start = date(rng);
    let day_of_month = |rng: &mut Rng| match DayOfMonth::new(number(rng, 1, 31)) {
        Ok(day) => day,
        Err(_) => DayOfMonth::FIRST,
    };
    let (policy, reach) = match rng.between(0, 19) {
        0..4 => (ResetPolicy::Monthly(day_of_month(rng)), 0),
        4..9 => {
            let every = interval(rng);
            let policy = ResetPolicy::EveryDays { every, from: start };
            (policy, i64::from(every.get()) * 100)
        }
        9..14 => {
            let every = interval(rng);
            let policy = ResetPolicy::EveryMonths {
                every,
                day: day_of_month(rng),
                from: YearMonth::of(start),
            };
            (policy, i64::from(every.get()) * 31 * 40)
        }
        14..16 => (ResetPolicy::Yearly(DayOfYear::of(date(rng))), 0),
        16 => {
            let leap = Date::from_ordinal_date(2000, 31 + 29).unwrap_or(start);
            (ResetPolicy::Yearly(DayOfYear::of(leap)), 0)
        }
        17..19 => (ResetPolicy::Once(start), 1_000),
        _ => (ResetPolicy::Never, 0),
    };
    let after = match rng.between(0, 3) {
        // Near the start, or on a date of the policy: where `<` for `<=` would show.
        0 => number(rng, 0, 4) - 2,
        _ => number(rng, 0, 1_000 + reach) - 1_000,
    };
    let near = start.saturating_add(Duration::days(after));
    let day = match rng.between(0, 3) {
        0 => policy.next_after(near).unwrap_or(near),
        1 => policy
            .next_after(near)
            .and_then(Date::previous_day)
            .unwrap_or(near),
        _ => near,
    };
    let next = policy.next_after(day);
    Question {
        line: format!("reset {day} {policy}"),
        answer: next.map_or("never".to_owned(), |date| date.to_string()),
    }
}

/// Asks for the time there at the seconds before and of a change of the offset, or at two instants where there is none
/// for long.
fn about_zone(rng: &mut Rng, name: &str) -> Result<[Question; 2]> {
    let zone = Zone::named(name)?;
    let ahead = |at: i64| {
        let utc = Duration::seconds(at);
        let epoch = Date::from_ordinal_date(1970, 1).map(Date::midnight);
        epoch.map(|epoch| zone.local(Timestamp::from_unix(at)) - epoch - utc)
    };
    // From 1802 to 2603.
    let mut from = number(rng, -5_300_000_000, 20_000_000_000);
    let mut to = from + number(rng, 1, 400 * 86_400);
    let (before, after) = (ahead(from)?, ahead(to)?);
    while before != after && to - from > 1 {
        let middle = from + (to - from) / 2;
        if ahead(middle)? == before {
            from = middle;
        } else {
            to = middle;
        }
    }
    Ok([from, to].map(|at| {
        let local = zone.local(Timestamp::from_unix(at));
        let (hour, minute, second) = local.as_hms();
        Question {
            line: format!("local {name} {at}"),
            answer: format!("{}T{hour:02}:{minute:02}:{second:02}", local.date()),
        }
    }))
}

/// Returns a date: of our time, of the Gregorian calendar, or at its end.
fn date(rng: &mut Rng) -> Date {
    let last = Date::MAX.to_julian_day();
    let day = match rng.between(0, 9) {
        0..7 => number(rng, 2_440_588, 2_500_000), // 1970 to 2132
        7..9 => number(rng, 2_400_000, last),      // from 1858
        _ => number(rng, last - 4_000, last),
    };
    Date::from_julian_day(day).unwrap_or(Date::MAX)
}

/// Returns an interval: short, any, or the longest.
fn interval<const MOST: u16>(rng: &mut Rng) -> Interval<MOST> {
    let (least, most) = *rng.pick(&[(1, 12), (1, 12), (1, MOST), (1, MOST), (MOST, MOST)]);
    let count = number(rng, least, most);
    Interval::new(count).unwrap_or_else(|| unreachable!("1 to {MOST}"))
}

/// Returns a number in `low..=high`.
fn number<T>(rng: &mut Rng, low: T, high: T) -> T
where
    T: Into<i64> + TryFrom<i64> + Copy,
{
    let span = u64::try_from(high.into() - low.into()).unwrap_or(0);
    let steps = i64::try_from(rng.between(0, span)).unwrap_or(0);
    T::try_from(low.into() + steps).unwrap_or(high)
}
