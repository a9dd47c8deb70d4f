//! What it costs a tick that people are told, and that the state is pushed.
//!
//! Nothing is sent: whoever delivers is held up, so that all that is measured is the tick.

use std::path::Path;

use anyhow::{Result, ensure};

use super::loads::{FIRST, lab_with};
use super::measure::{Cost, cost, median};
use super::{Effort, Row};
use crate::lab::Lab;
use crate::namespace::run;
use crate::outbox::{hold, make, sql, sql_in};

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9/hook";

/// Ticks, and how much more CPU they may take than one that tells nobody, in milliseconds.
const GOALS: [(&str, f64); 3] = [
    ("push and three channels, nothing waiting", 2.0),
    ("the same, 10,000 messages waiting", 20.0),
    (
        "the same, and 10,000 events to be copied for each channel",
        20.0,
    ),
];

/// Measures a tick of 100 services that tells nobody, and those of [`GOALS`], in turns.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let silent = lab_with(pm, 100)?;
    let told = [telling(pm)?, telling(pm)?, telling(pm)?];
    let _held = [hold(&told[0])?, hold(&told[1])?, hold(&told[2])?];
    for lab in &told {
        cost(lab, &["monitor"])?;
    }
    sql(&told[1], WAITING)?;
    told[2].ok(&["block", &FIRST.to_string()])?;
    let state_db = told[2].state_dir().join("state.db");
    let mut base: Vec<Cost> = Vec::new();
    let mut costs: [Vec<Cost>; GOALS.len()] = Default::default();
    for _ in 0..effort.rounds(31) {
        sql_in(&state_db, TO_COPY)?;
        base.push(cost(&silent, &["monitor"])?);
        for (costs, lab) in costs.iter_mut().zip(&told) {
            costs.push(cost(lab, &["monitor"])?);
        }
    }
    let listed = told[1].ok(&["notify", "list", "--json"])?;
    ensure!(
        listed.contains("\"waiting\":10000"),
        "they do not wait: {listed}"
    );
    let listed = told[2].ok(&["notify", "list", "--json"])?;
    ensure!(
        !listed.contains("\"waiting\":0"),
        "nothing was copied: {listed}"
    );
    let cpu = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu_ms()));
    let base = cpu(&base);
    let mut rows = vec![Row::beside(
        "one tick that tells nobody, 100 services",
        format!("{base:.1} ms CPU"),
    )];
    for (costs, (what, goal)) in costs.iter().zip(GOALS) {
        let beyond = cpu(costs) - base;
        rows.push(Row::goal(
            format!("{what}, beyond that"),
            format!("≤ {goal} ms CPU"),
            format!("{beyond:.1} ms CPU"),
            beyond <= goal,
        ));
    }
    Ok(rows)
}

/// Messages as a tick puts them in, for one of the channels.
const WAITING: &str = "
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000)
    INSERT INTO message (event, time, channel, part, report, body, state, attempts)
    SELECT 1000000 + n, unixepoch(), 'c1', 0, 0, printf('%0400d', n), 0, 0 FROM number;";

/// Events as the block of a service leaves one, up to what is kept of them.
const TO_COPY: &str = "
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000)
    INSERT INTO event (time, what) SELECT time, what FROM number, (SELECT time, what FROM event LIMIT 1)
    LIMIT 10000 - (SELECT count(*) FROM event);";

/// Returns a lab with 100 services, three channels and a push.
fn telling(pm: &Path) -> Result<Lab> {
    let lab = lab_with(pm, 100)?;
    make(&lab)?;
    for name in ["c1", "c2", "c3"] {
        let add = [
            "notify",
            "add",
            "webhook",
            "--name",
            name,
            "--url-file",
            "-",
        ];
        run(&mut lab.pm_command(&add), Some(NOWHERE))?.success()?;
    }
    let push = [
        "push",
        "set",
        "--url",
        NOWHERE,
        "--node",
        "n",
        "--secret-file",
        "-",
    ];
    run(&mut lab.pm_command(&push), Some("secret"))?.success()?;
    Ok(lab)
}
