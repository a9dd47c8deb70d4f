//! Self-check: what could be wrong on this host, and whether it is.

mod finding;
mod storage;
mod telling;

use std::collections::BTreeSet;

pub use finding::{Failing, Finding, Severity, ShapingProblem, StorageProblem, TableState};

use pm_core::backend::{BackendError, Netfilter, Shaper, ShapingError};
use pm_core::cause::Cause;
use pm_core::config::Config;
use pm_core::port::PortRange;
use pm_core::request::ephemeral_overlap;
use pm_core::shaping::classes;
use pm_store::backups::{self, Shelf};
use pm_store::config_file;
use pm_store::locks::{self, Lock, LockKind};
use pm_store::state_db::StateDb;

use crate::session::Session;
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError, clock, host, ssh};

/// A tick that is older than this, in seconds, is overdue: one is due each minute.
const OVERDUE_SECONDS: i64 = 180;

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Checks everything that can be checked without changing anything.
    pub fn doctor(&mut self) -> Vec<Finding> {
        let mut findings = vec![Finding::Kernel {
            release: host::kernel_release(),
            supported: host::require_kernel().is_ok(),
        }];
        let access = self.netfilter.read().err().map(Cause::from);
        let is_foreign = |error: &Cause<_>| matches!(**error, BackendError::ForeignTable);
        let foreign = access.as_ref().is_some_and(is_foreign);
        let problem = access.filter(|error| !is_foreign(error));
        findings.push(Finding::Access {
            problem: problem.clone(),
        });

        if matches!(problem.as_deref(), Some(BackendError::Permission(_))) {
            // Without the right to look, the rest would only seem wrong.
            return findings;
        }

        let db = StateDb::open_read_only(&self.paths);
        let loaded = match &db {
            Ok(Some(db)) => config_file::load_with(&self.paths, db),
            _ => config_file::load(&self.paths),
        };
        let in_force = match &db {
            Ok(Some(db)) => config_file::load_or_last_good(&self.paths, db).ok(),
            _ => None,
        };
        let (loaded, problem) = match loaded {
            Ok(loaded) => (loaded.config, None),
            Err(error) => (Config::default(), Some(error.into())),
        };
        let config = in_force.map_or(loaded, |(loaded, _)| loaded.config);
        findings.push(Finding::Config {
            services: config.services.len(),
            problem,
        });

        let problem = match db {
            Ok(db) => self.database_problem(db.as_ref(), &config).err(),
            Err(error) => Some(error.into()),
        };
        let is_usage_known = problem.is_none();
        findings.push(Finding::Database {
            problem: problem.map(Cause::from),
        });
        findings.push(Finding::Storage {
            problems: storage::problems(&self.paths),
        });

        let (table, last_tick) = self.table_state(&config);
        let table = match table {
            _ if foreign => TableState::Foreign,
            // Without the usage it is not known what must be there, and no tick puts it there.
            TableState::Different | TableState::Missing if !is_usage_known => TableState::Unknown,
            table => table,
        };
        findings.push(Finding::Table(table));

        let age = last_tick.map(|last| clock::now().unix().saturating_sub(last));
        let overdue = !config.services.is_empty() && age.is_none_or(|age| age > OVERDUE_SECONDS);
        findings.push(Finding::Ticks { age, overdue });

        findings.push(self.backups(&config));
        findings.push(telling::finding(&self.paths, &config));

        findings.push(Finding::Menu {
            holder: self.who_has_the_menu_open(),
        });

        findings.push(Finding::Ephemeral {
            overlaps: ephemeral_overlaps(&config),
        });
        let ports = ssh::ports();
        let covered = covered_ssh(&config, &ports);
        findings.push(Finding::Ssh { ports, covered });
        findings.push(Finding::Clock {
            zone: clock::zone(&config).name().to_owned(),
            wrong: clock::now() < clock::built_at(),
            unzoned: clock::is_unzoned(&config),
        });
        findings.push(self.shaping(&config));
        findings.push(self.forwarding());
        findings
    }

    fn backups(&self, config: &Config) -> Finding {
        let (schedule, now) = (config.backup, clock::now());
        let latest = match schedule {
            Some(_) => backups::latest(&self.paths, Shelf::Scheduled, now),
            None => Ok(None),
        };
        let (latest, problem) = match latest {
            Ok(latest) => (latest, None),
            Err(error) => (None, Some(error.into())),
        };
        let age = latest.map(|latest| now.unix().saturating_sub(latest.unix()));
        let overdue = schedule.is_some_and(|schedule| {
            let most = i64::from(schedule.hours()) * 3600 + OVERDUE_SECONDS;
            age.is_none_or(|age| age > most)
        });
        Finding::Backups {
            schedule,
            age,
            overdue,
            problem,
        }
    }

    fn shaping(&mut self, config: &Config) -> Finding {
        let (uplinks, problem) = match self.shaper.uplinks() {
            Ok(uplinks) => {
                let problem = match self.shaper.probe(&uplinks, config.classifier) {
                    Ok(()) if uplinks.is_empty() => Some(ShapingProblem::NoUplink),
                    Ok(()) => self.not_in_force(config),
                    Err(error) => Some(error.into()),
                };
                (uplinks, problem)
            }
            Err(error) => (BTreeSet::new(), Some(ShapingProblem::Other(error.into()))),
        };
        Finding::Shaping {
            uplinks: uplinks.into_iter().collect(),
            needed: config
                .services
                .values()
                .any(|service| service.limit.is_some() || service.dynqos.is_some()),
            problem,
        }
    }

    /// Compares what stands on each uplink with what must, as of the last tick.
    fn not_in_force(&mut self, config: &Config) -> Option<ShapingProblem> {
        let _lock = Lock::acquire(&self.paths, LockKind::Tick, LOCK_WAIT).ok()?;
        let saved = StateDb::open_read_only(&self.paths).ok()??.load().ok()??;
        let classes = classes(config, &saved);
        if saved.torn_down || classes.is_empty() {
            return None;
        }
        let uplinks = self.shaper.uplinks().ok()?;
        let lacks = |name: &String| {
            let stands = self.shaper.stands(name, &classes, config.classifier);
            matches!(stands, Ok(false))
        };
        let interfaces: Vec<String> = uplinks.into_iter().filter(lacks).collect();
        (!interfaces.is_empty()).then_some(ShapingProblem::NotInForce { interfaces })
    }

    fn who_has_the_menu_open(&self) -> Option<String> {
        let held = self.paths.lock_file(LockKind::Edit).exists()
            && matches!(Lock::try_acquire(&self.paths, LockKind::Edit), Ok(None));
        held.then(|| locks::holder(&self.paths, LockKind::Edit))
    }

    fn forwarding(&mut self) -> Finding {
        let inspected = self.netfilter.inspect();
        let forwarding = inspected
            .ok()
            .and_then(|(_, found)| found.forwarding.intact);
        Finding::Forwarding {
            counted: forwarding.is_some_and(|forwarding| !forwarding.is_nothing()),
            flowtables: self.netfilter.flowtables().unwrap_or_default(),
            docker_proxy: host::has_process("docker-proxy"),
        }
    }

    fn database_problem(&self, db: Option<&StateDb>, config: &Config) -> Result<(), EngineError> {
        self.saved_state(db, config)?;
        if let Some(db) = db {
            db.check()?;
        }
        Ok(())
    }

    /// Returns how the table stands against what must be, and the time of the last tick.
    fn table_state(&mut self, config: &Config) -> (TableState, Option<i64>) {
        let Ok(_lock) = Lock::acquire(&self.paths, LockKind::Tick, LOCK_WAIT) else {
            return (TableState::Unknown, None);
        };
        let Ok(db) = StateDb::open_read_only(&self.paths) else {
            return (TableState::Unknown, None);
        };
        let Ok(saved) = db.map(|db| db.load()).transpose() else {
            return (TableState::Unknown, None);
        };
        let saved = saved.flatten();
        let last_tick = saved
            .as_ref()
            .and_then(|state| state.last_tick)
            .map(|time| time.unix());
        let torn_down = saved.as_ref().is_some_and(|state| state.torn_down);
        let Ok(mut session) = Session::new(&mut self.netfilter, saved) else {
            return (TableState::Unknown, last_tick);
        };
        if session.observe(config).is_err() {
            return (TableState::Unknown, last_tick);
        }
        let table = if torn_down {
            TableState::TornDown
        } else if session.pending(config).is_empty() {
            TableState::Intact
        } else if session.is_as_left() {
            TableState::Due
        } else if session.state.table.is_some() {
            TableState::Different
        } else if config.services.is_empty() {
            TableState::Unneeded
        } else {
            TableState::Missing
        };
        (table, last_tick)
    }
}

fn ephemeral_overlaps(config: &Config) -> Vec<PortRange> {
    let (ephemeral, reserved) = (host::ephemeral_ports(), host::reserved_ports());
    let overlap = |ports: &PortRange| ephemeral_overlap(*ports, ephemeral.as_ref(), &reserved);
    config.services.keys().filter_map(overlap).collect()
}

fn covered_ssh(config: &Config, ssh_ports: &BTreeSet<u16>) -> Vec<(PortRange, u16)> {
    let cutting = config
        .services
        .iter()
        .filter(|(_, service)| config.can_cut_off(service));
    cutting
        .filter_map(|(&ports, _)| {
            let covered = ssh_ports.iter().find(|port| ports.contains(**port))?;
            Some((ports, *covered))
        })
        .collect()
}

impl From<ShapingError> for ShapingProblem {
    fn from(error: ShapingError) -> Self {
        match error {
            ShapingError::Unsupported(_) => Self::NoHtb,
            ShapingError::NoFwClassifier(_) => Self::NoFwClassifier,
            ShapingError::ForeignQdisc { interface, kind } => {
                Self::ForeignQdisc { interface, kind }
            }
            other => Self::Other(other.into()),
        }
    }
}
