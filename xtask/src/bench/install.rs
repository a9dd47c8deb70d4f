//! How soon a new host counts.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use pm_update::Version;

use super::measure::median;
use super::{Effort, Row};
use crate::lab::Lab;
use crate::netns::settling::renewal::first_byte;

/// From the start of `install.sh` to the first counted byte.
const GOAL: Duration = Duration::from_secs(30);

/// Measures installations, each on a host of its own.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let version = Version::parse(env!("CARGO_PKG_VERSION"))?;
    let mut seconds = Vec::new();
    for _ in 0..effort.rounds(5) {
        let mut lab = Lab::new(pm, 0)?;
        seconds.push(first_byte(&mut lab, &version, pm)?.as_secs_f64());
    }
    let took = median(seconds);
    Ok(vec![Row::goal(
        "from the start of `install.sh`, with a release at hand, to the first counted byte",
        "≤ 30 s",
        format!("{took:.1} s"),
        took <= GOAL.as_secs_f64(),
    )])
}
