//! `pm history`: what was used, by period and by day.

use std::process::ExitCode;

use anyhow::Result;
use pm_core::holder::Holder;
use pm_core::port::PortList;
use pm_core::request::{Refusal, Selection};
use pm_engine::{EngineError, History, Whose};

use crate::cli::{By, History as Command, Places};
use crate::output::history::{days, periods};
use crate::output::{json, say};

/// Shows what was used before.
pub(crate) fn run(places: &Places, command: &Command) -> Result<ExitCode> {
    let whose = whose(command);
    let by = match command.by {
        By::Period => pm_engine::By::Period,
        By::Day => pm_engine::By::Day,
    };
    let history = super::engine(places)?.history(&whose, by)?;
    check(&whose, &history).map_err(EngineError::from)?;
    let as_json = command.reading.json;
    match command.by {
        By::Period => {
            let rows = periods::rows(&history, &whose);
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
            let rows = days::rows(&history, &whose);
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

/// Returns whose past is asked for.
fn whose(command: &Command) -> Whose {
    match (command.ports(), &command.group) {
        (Some(ports), _) => Whose::Services(ports.iter().collect()),
        (None, Some(name)) => Whose::Group(name.clone()),
        (None, None) => Whose::All,
    }
}

/// Refuses what never was.
///
/// What was deleted can be named as long as something is known of it.
fn check(whose: &Whose, history: &History) -> Result<(), Refusal> {
    let is_known = |holder: &Holder| {
        let closed = history.closed.iter().any(|period| period.holder == *holder);
        let counted = || {
            let mut days = history.days.iter();
            days.any(|day| Holder::Service(day.ports) == *holder)
        };
        closed || counted()
    };
    match whose {
        Whose::All => {}
        Whose::Services(asked) => {
            let unknown = asked
                .iter()
                .copied()
                .filter(|&range| !is_known(&range.into()));
            // None is no list: then there is nothing to look up.
            if let Ok(unknown) = PortList::new(unknown.collect()) {
                Selection::Ports(unknown).resolve(&history.config)?;
            }
        }
        Whose::Group(name) => {
            if !history.config.groups.contains_key(name) && !is_known(&name.clone().into()) {
                return Err(Refusal::NoSuchGroup(name.clone()));
            }
        }
    }
    Ok(())
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
    use pm_core::port::PortRange;

    /// Returns a history of services that are there and of some that are not any more.
    fn history() -> History {
        let config = r#"{"schema": 1, "groups": {"vip": {}}, "services": {
            "80": {}, "81": {"group": "vip"}, "90-99": {"group": "vip"}
        }}"#;
        let closed = |holder: &str| ClosedPeriod {
            holder: holder.parse().unwrap(),
            group: None,
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
        let whose = whose(&command);
        if let Err(refusal) = check(&whose, &history()) {
            return refusal.to_string();
        }
        match whose {
            Whose::All => "all".to_owned(),
            Whose::Services(services) => {
                let names: Vec<String> = services.iter().map(PortRange::to_string).collect();
                names.join(", ")
            }
            Whose::Group(name) => format!("group {name}"),
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
            ("pm history --group vip", "group vip"),
            ("pm history --group gone", "group gone"),
            ("pm history --group never", "there is no group never"),
        ] {
            assert_eq!(wanted_by(line), expected, "{line}");
        }
    }
}
