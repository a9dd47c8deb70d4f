//! Days: when a service expires and when a period ends, by the date in the configured time zone.
//!
//! The wall clock is everybody's and stays as it is. Dates change with the zone instead: there are always two zones
//! whose dates differ.

use anyhow::{Context, Result, ensure};
use time::{Date, Duration, OffsetDateTime, UtcOffset};

use super::history::periods;
use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Udp, Way};
use crate::truth::{Bytes, Place};

tests!["calendar_days":
    a_service_is_open_through_its_last_day,
    the_zone_decides_when_a_service_expires,
    fault_9_a_reset_day_in_the_past_zeroes_nothing,
    fault_9_periods_end_by_the_date_in_the_zone_that_the_list_shows,
    fault_9_all_members_of_a_group_begin_anew_together,
];

/// A zone, and the date in it.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Its name.
    pub(super) zone: String,
    /// The date, which lasts for another hour at least.
    pub(super) today: Date,
}

/// Returns a zone in the west and one in the east, where the date is later.
pub(super) fn clocks() -> [Clock; 2] {
    let unix = i64::try_from(super::seed_from_clock()).unwrap_or(0);
    let now = OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let clock = |hours: i8| {
        let offset = UtcOffset::from_hms(hours, 0, 0).unwrap_or(UtcOffset::UTC);
        let there = now.to_offset(offset);
        // The names of these zones count westwards.
        let zone = format!("Etc/GMT{:+}", -hours);
        let today = there.date();
        (there.hour() != 23).then_some(Clock { zone, today })
    };
    // An hour before midnight, the next zone will do: they are a day apart still.
    let first = |mut hours: [i8; 2]| loop {
        match clock(hours[0]) {
            Some(clock) => return clock,
            None => hours[0] = hours[1],
        }
    };
    [first([-12, -11]), first([14, 13])]
}

fn in_zone(lab: &Lab, clock: &Clock) -> Result<()> {
    lab.ok(&["config", "set", "time_zone", &clock.zone])?;
    Ok(())
}

/// Checks whether packets pass both ways, and what pm says of it.
fn is_open(lab: &Lab, port: u16, blocked_by: Option<&str>) -> Result<()> {
    let name = port.to_string();
    let before = lab.truth(Place::Passed, &name)?;
    let udp = Udp::open(lab, Family::V4, port)?;
    match blocked_by {
        None => Way::ALL.iter().try_for_each(|way| udp.send(*way, 5, 100))?,
        Some(_) => Way::ALL.iter().try_for_each(|way| udp.push(*way, 5, 100))?,
    }
    let passed = lab.truth(Place::Passed, &name)? - before;
    let expected = match blocked_by {
        None => 10 * Family::V4.udp_length(100),
        Some(_) => 0,
    };
    let service = lab.service(&name)?;
    ensure!(
        service.blocked_by.as_deref() == blocked_by && passed.sum() == expected,
        "{port} is to be blocked by {blocked_by:?}: {passed:?} passed, {service:?}"
    );
    Ok(())
}

fn a_service_is_open_through_its_last_day(lab: &mut Lab) -> Result<()> {
    let [_, here] = clocks();
    let yesterday = (here.today - Duration::DAY).to_string();
    let tomorrow = (here.today + Duration::DAY).to_string();
    let today = here.today.to_string();
    in_zone(lab, &here)?;
    lab.watch_cut(&["20000", "20001", "20002"])?;
    lab.ok(&["group", "add", "vip", "--quota", "5GB"])?;
    lab.ok(&["add", "20000,20001,20002"])?;
    lab.ok(&["set", "20001,20002", "--group", "vip"])?;
    for port in [20000, 20001] {
        let name = port.to_string();
        for (date, blocked_by) in [
            (&today, None),
            (&yesterday, Some("expiry")),
            (&tomorrow, None),
        ] {
            let output = lab.pm(&["set", &name, "--expires", date])?;
            let warned = output.stderr.contains("warning");
            output.success()?;
            ensure!(
                warned == blocked_by.is_some(),
                "{port} until {date}: warned {warned}"
            );
            is_open(lab, port, blocked_by).with_context(|| format!("{port} until {date}"))?;
        }
        lab.ok(&["set", &name, "--expires", &yesterday])?;
        lab.ok(&["monitor"])?;
        is_open(lab, port, Some("expiry"))?;
        // Nobody else's business.
        is_open(lab, 20002, None)?;
    }
    lab.ok(&["set", "20001", "--expires", "never"])?;
    is_open(lab, 20001, None)?;
    // What has expired keeps its books, and the operator's own block goes first.
    lab.ok(&["block", "20000"])?;
    is_open(lab, 20000, Some("operator"))?;
    let output = lab.pm(&["unblock", "20000"])?;
    let warning = "20000 stays cut off, because its last day has passed";
    ensure!(output.stderr.contains(warning), "{}", output.stderr);
    output.success()?;
    is_open(lab, 20000, Some("expiry"))?;
    lab.refused(
        &["unblock", "20000"],
        &["its last day has passed", "pm set 20000 --expires"],
    )?;
    let (billed, passed) = (
        lab.service("20000")?.bytes(),
        lab.truth(Place::Passed, "20000")?,
    );
    ensure!(billed == passed, "{billed:?} billed, {passed:?} passed");
    Ok(())
}

fn the_zone_decides_when_a_service_expires(lab: &mut Lab) -> Result<()> {
    let [west, east] = clocks();
    lab.watch_cut(&["20000"])?;
    in_zone(lab, &west)?;
    lab.ok(&["add", "20000", "--expires", &west.today.to_string()])?;
    for _ in 0..2 {
        is_open(lab, 20000, None)?;
        in_zone(lab, &east)?;
        is_open(lab, 20000, Some("expiry"))?;
        lab.ok(&["monitor"])?;
        is_open(lab, 20000, Some("expiry"))?;
        in_zone(lab, &west)?;
    }
    is_open(lab, 20000, None)
}

/// Fault 9 of the scripts pm replaces: a reset day that was moved into the past zeroed what was used at once.
fn fault_9_a_reset_day_in_the_past_zeroes_nothing(lab: &mut Lab) -> Result<()> {
    let [_, here] = clocks();
    in_zone(lab, &here)?;
    lab.watch(&["20000", "20001"])?;
    lab.ok(&["group", "add", "vip", "--quota", "5GB"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["add", "20001", "--group", "vip"])?;
    for port in [20000, 20001] {
        Udp::open(lab, Family::V4, port)?.send(Way::In, 50, 500)?;
    }
    lab.exact(&["20000", "20001"])?;
    let used = lab.service("20000")?.bytes();
    let mut policies = vec!["never".to_owned(), "every 30 days".to_owned()];
    for back in [0, 40] {
        let date = here.today - Duration::days(back);
        let (month, day) = (u8::from(date.month()), date.day());
        policies.extend([
            day.to_string(),
            format!("once {date}"),
            format!("yearly {month:02}-{day:02}"),
            format!("every 30 days from {date}"),
            format!("every 3 months on {day} from {}-{month:02}", date.year()),
        ]);
    }
    for policy in &policies {
        lab.ok(&["set", "20000", "--reset", policy])
            .with_context(|| policy.clone())?;
        lab.ok(&["group", "set", "vip", "--reset", policy])?;
        lab.ok(&["monitor"])?;
        let all = lab.list()?;
        let today = here.today.to_string();
        ensure!(
            all.iter().all(|service| service.bytes() == used),
            "{policy:?} changed what was used, {used:?}: {all:?}"
        );
        ensure!(
            all.iter()
                .flat_map(|service| &service.next_reset)
                .all(|next| *next > today)
                && all.iter().all(|one| one.next_reset == all[0].next_reset),
            "{policy:?} resets in the past, or a group otherwise: {all:?}"
        );
    }
    ensure!(lab.group("vip")?.bytes() == used);
    ensure!(
        periods(lab, "20000")?.len() == 1,
        "a period was ended: {:?}",
        periods(lab, "20000")?
    );
    Ok(())
}

/// Fault 9 of the scripts pm replaces: the screen used another time zone than what reset the ports.
fn fault_9_periods_end_by_the_date_in_the_zone_that_the_list_shows(lab: &mut Lab) -> Result<()> {
    let [west, east] = clocks();
    in_zone(lab, &west)?;
    lab.watch_cut(&["20000", "20001", "20002"])?;
    let date = east.today.to_string();
    let (month, day) = (u8::from(east.today.month()), east.today.day());
    for (port, policy) in [
        ("20000", format!("once {date}")),
        ("20001", day.to_string()),
        ("20002", format!("yearly {month:02}-{day:02}")),
    ] {
        lab.ok(&["add", port, "--quota", "10KB", "--reset", &policy])?;
        let next = lab.service(port)?.next_reset;
        ensure!(
            next.as_ref() == Some(&date),
            "{policy:?} is to come on {next:?} and not on {date}"
        );
        // More than the quota, so that it takes a new period to open it.
        Udp::open(lab, Family::V4, port.parse()?)?.push(Way::In, 20, 972)?;
    }
    lab.ok(&["monitor"])?;
    for port in [20000, 20001, 20002] {
        is_open(lab, port, Some("quota"))?;
    }
    let before = ["20000", "20001", "20002"].map(|port| lab.truth(Place::Passed, port));
    in_zone(lab, &east)?;
    for (port, passed) in ["20000", "20001", "20002"].into_iter().zip(before) {
        let (passed, found) = (passed?, periods(lab, port)?);
        let [closed, running] = &found[..] else {
            anyhow::bail!("one period of {port} was to end: {found:?}");
        };
        ensure!(
            closed.why.as_deref() == Some("calendar")
                && closed.bytes() == passed
                && running.bytes() == Bytes::default(),
            "{passed:?} passed {port} before its period ended: {found:?}"
        );
        is_open(lab, port.parse()?, None)?;
    }
    // Back in the west it is yesterday again, and no period ends twice.
    for clock in [&west, &east, &west] {
        in_zone(lab, clock)?;
        lab.ok(&["monitor"])?;
    }
    for port in ["20000", "20001", "20002"] {
        let found = periods(lab, port)?;
        ensure!(found.len() == 2, "a period ended again: {found:?}");
    }
    Ok(())
}

/// Fault 9 of the scripts pm replaces: the members of a group were reset one by one.
fn fault_9_all_members_of_a_group_begin_anew_together(lab: &mut Lab) -> Result<()> {
    let [west, east] = clocks();
    in_zone(lab, &west)?;
    lab.watch_cut(&["20000", "20001", "20002"])?;
    let policy = format!("once {}", east.today);
    lab.ok(&["group", "add", "vip", "--quota", "30KB", "--reset", &policy])?;
    lab.ok(&["add", "20000,20001,20002", "--group", "vip"])?;
    for port in [20000, 20001, 20002] {
        let udp = Udp::open(lab, Family::V6, port)?;
        udp.push(Way::In, u64::from(port - 19_990), 952)?;
    }
    lab.ok(&["monitor"])?;
    for port in [20000, 20001, 20002] {
        is_open(lab, port, Some("quota"))?;
    }
    in_zone(lab, &east)?;
    let closed = |name: &str| -> Result<_> {
        let found = periods(lab, name)?;
        ensure!(
            found.len() == 2 && found[0].why.as_deref() == Some("calendar"),
            "one period of {name} was to end: {found:?}"
        );
        ensure!(
            found[1].billed_bytes == 0,
            "{name} does not begin at nothing: {found:?}"
        );
        Ok(found[0].clone())
    };
    let group = closed("vip")?;
    let mut shares = Bytes::default();
    for port in ["20000", "20001", "20002"] {
        let share = closed(port)?;
        ensure!(
            share.ended == group.ended,
            "{share:?} does not end with {group:?}"
        );
        ensure!(
            share.bytes() == lab.truth(Place::Passed, port)?,
            "{share:?}"
        );
        shares = shares + share.bytes();
    }
    ensure!(
        shares == group.bytes() && group.billed_bytes == shares.sum(),
        "the shares are {shares:?}, the group used {group:?}"
    );
    for port in [20000, 20001, 20002] {
        is_open(lab, port, None)?;
    }
    Ok(())
}
