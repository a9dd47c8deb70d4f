//! `pm history`: what was used, by period and by day.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use pm_core::holder::Holder;
use pm_core::port::PortList;
use pm_core::request::{Refusal, Selection};
use pm_engine::{EngineError, History};

use crate::cli::{By, History as Command, Places};
use crate::output::history::{days, periods};
use crate::output::{json, say};

/// Shows what was used before.
pub(crate) fn run(places: &Places, command: &Command) -> Result<ExitCode> {
    let history = super::engine(places)?.history()?;
    let wanted = wanted(command, &history).map_err(EngineError::from)?;
    let is_wanted = |holder: &Holder| wanted.as_ref().is_none_or(|wanted| wanted.contains(holder));
    let as_json = command.reading.json;
    match command.by {
        By::Period => {
            let rows = periods::rows(&history, is_wanted);
            say!(
                "{}",
                if as_json {
                    json::periods(&rows)?
                } else {
                    periods::table(&rows, &history.config, &history.zone, None)
                }
            );
        }
        By::Day => {
            let rows = days::rows(&history, is_wanted);
            say!(
                "{}",
                if as_json {
                    json::days(&rows)?
                } else {
                    days::table(&rows, &history.config, None)
                }
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the services and groups that are meant; `None`: all.
///
/// What was deleted can be named as long as something is known of it.
fn wanted(command: &Command, history: &History) -> Result<Option<BTreeSet<Holder>>, Refusal> {
    let is_known = |holder: &Holder| {
        let closed = history.closed.iter().any(|period| period.holder == *holder);
        let counted = || {
            let mut days = history.days.iter();
            days.any(|day| Holder::Service(day.ports) == *holder)
        };
        closed || counted()
    };
    if let Some(ports) = command.ports() {
        let unknown = ports.iter().filter(|&range| !is_known(&range.into()));
        // None is no list: then there is nothing to look up.
        if let Ok(unknown) = PortList::new(unknown.collect()) {
            Selection::Ports(unknown).resolve(&history.config)?;
        }
        return Ok(Some(ports.iter().map(Holder::Service).collect()));
    }
    let Some(name) = &command.group else {
        return Ok(None);
    };
    let holder = Holder::Group(name.clone());
    if !history.config.groups.contains_key(name) && !is_known(&holder) {
        return Err(Refusal::NoSuchGroup(name.clone()));
    }
    let members = history.config.members(name).map(Holder::Service);
    Ok(Some(members.chain([holder]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command as Subcommand};
    use clap::Parser;
    use pm_core::calendar::Timestamp;
    use pm_core::config::Tariff;
    use pm_core::history::{ClosedPeriod, DayTotal, Why};
    use pm_core::ledger::Usage;

    /// Returns a history of services that are there and of some that are not any more.
    fn history() -> History {
        let config = r#"{"schema": 1, "groups": {"vip": {}}, "services": {
            "80": {}, "81": {"group": "vip"}, "90-99": {"group": "vip"}
        }}"#;
        let closed = |holder: &str| ClosedPeriod {
            holder: holder.parse().unwrap(),
            began: None,
            ended: Timestamp::from_unix(0),
            why: Why::Deleted,
            usage: Usage::default(),
            tariff: Tariff::default(),
            adjust: 0,
        };
        History {
            config: pm_core::config::Config::parse(config).unwrap(),
            zone: pm_core::calendar::Zone::utc(),
            days: vec![DayTotal {
                date: time::macros::date!(2026 - 11 - 22),
                ports: "9002".parse().unwrap(),
                usage: Usage::default(),
            }],
            closed: vec![closed("9000-9001"), closed("group gone")],
            running: vec![],
        }
    }

    fn wanted_by(line: &str) -> String {
        let command = Cli::parse_from(line.split(' ')).command.unwrap();
        let Subcommand::History(command) = command else {
            panic!("{command:?}");
        };
        match wanted(&command, &history()) {
            Ok(None) => "all".to_owned(),
            Ok(Some(holders)) => {
                let names: Vec<String> = holders.iter().map(Holder::to_string).collect();
                names.join(", ")
            }
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn what_was_deleted_can_be_named_and_what_never_was_cannot() {
        for (line, expected) in [
            ("pm history", "all"),
            ("pm history 80,90-99", "80, 90-99"),
            ("pm history 80 9000-9001 9002", "80, 9000-9001, 9002"),
            ("pm history 80,9003", "9003 is not monitored"),
            (
                "pm history 95",
                "95 is not a service of its own: the service is 90-99",
            ),
            ("pm history --group vip", "81, 90-99, group vip"),
            ("pm history --group gone", "group gone"),
            ("pm history --group never", "there is no group never"),
        ] {
            assert_eq!(wanted_by(line), expected, "{line}");
        }
    }
}
