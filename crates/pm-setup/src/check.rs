//! Whether what setup wrote is still there, and runs.

use std::fs;

use crate::apply::{Standing, standing};
use crate::footprint::{Footprint, Piece};
use crate::host::Host;
use crate::init::Schedule;
use crate::root::Root;
use crate::systemd;
use crate::tools::Tools;

/// What was found of the footprint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Check {
    /// Whether there is anything of pm's: a host on which setup never ran has none.
    pub is_set_up: bool,
    /// What is not there.
    pub missing: Vec<String>,
    /// What somebody has edited.
    pub edited: Vec<String>,
    /// What an older pm wrote.
    pub outdated: Vec<String>,
    /// What stands in the way.
    pub foreign: Vec<String>,
    /// Whether that which calls the tick runs; `None`: there is nothing that could.
    pub runs: Option<bool>,
}

/// Compares the host with `wanted`.
pub fn check(root: &Root, tools: &mut impl Tools, host: &Host, wanted: &Footprint) -> Check {
    let mut check = Check::default();
    for piece in &wanted.pieces {
        let Ok(standing) = standing(root, piece) else {
            continue;
        };
        let list = match standing {
            Standing::Current => {
                // The directories may be a mere `pm add`'s.
                check.is_set_up |= !matches!(piece, Piece::Directory { .. });
                continue;
            }
            Standing::Missing => &mut check.missing,
            Standing::Outdated => &mut check.outdated,
            Standing::Edited => &mut check.edited,
            Standing::Foreign => &mut check.foreign,
        };
        check.is_set_up |= matches!(standing, Standing::Outdated | Standing::Edited);
        list.push(piece.to_string());
    }
    check.runs = runs(root, tools, &host.schedule);
    check
}

/// Whether what calls the tick runs.
fn runs(root: &Root, tools: &mut impl Tools, schedule: &Schedule) -> Option<bool> {
    match schedule {
        Schedule::None => None,
        Schedule::Timer => {
            let asked = tools.run("systemctl", &["is-active", "--quiet", systemd::TIMER]);
            Some(asked.is_ok())
        }
        Schedule::CronDirectory | Schedule::Crontab(_) => Some(cron_runs(root)),
    }
}

/// Whether a cron runs. Source: proc(5), `/proc/[pid]/comm`.
pub fn cron_runs(root: &Root) -> bool {
    let processes = fs::read_dir(root.join("/proc"))
        .into_iter()
        .flatten()
        .flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("comm")).ok())
        .any(|comm| ["cron", "crond", "fcron"].contains(&comm.trim_end()))
}
