//! The one way to change anything: what the operator asks for, checked and applied.
//!
//! Subcommands parse into a [`Request`], the wizard fills it, imports produce it, so each rule
//! stands here once. `Display` is the command line that does the same.

mod difference;
mod display;
mod guard;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

pub use difference::{Difference, differences};
pub use guard::ephemeral_overlap;
use guard::guard_ssh;

use time::Date;

use crate::calendar::{ResetChoice, ResetPolicy};
use crate::config::{Config, Mode, Note, QuotaSize, Service, ZoneName};
use crate::ledger::{Ledger, State};
use crate::port::{PortList, PortRange};
use crate::units::Size;

/// What the operator asks for.
///
/// # Examples
///
/// ```
/// use pm_core::config::Config;
/// use pm_core::request::{Context, Request, Settings};
///
/// let quota = Some(Some(pm_core::config::QuotaSize::try_from("5GB".parse::<pm_core::units::Size>()?)?));
/// let add = Request::Add {
///     ports: "20000,30000-30100".parse()?,
///     settings: Settings { quota, ..Settings::default() },
///     or_set: false,
/// };
/// assert_eq!(add.to_string(), "pm add 20000,30000-30100 --quota 5GB");
/// let config = add.apply(&Config::default(), &Context::default())?;
/// assert_eq!(config.services.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Monitor ports that are not monitored yet.
    Add {
        /// One service each.
        ports: PortList,
        /// What is not set takes its default.
        settings: Settings,
        /// Change those that exist already instead of refusing.
        or_set: bool,
    },
    /// Change services.
    Set {
        /// Which.
        ports: Selection,
        /// What is not set stays.
        settings: Settings,
        /// What is billed so far is to be this.
        used: Option<Size>,
    },
    /// Stop monitoring ports.
    Delete {
        /// Which.
        ports: Selection,
    },
    /// Begin their periods anew, at nothing used.
    Reset {
        /// Which.
        ports: Selection,
    },
    /// Let nothing through.
    Block {
        /// Which.
        ports: Selection,
    },
    /// Undo a block.
    Unblock {
        /// Which.
        ports: Selection,
    },
    /// Set the zone whose dates count; `None`: the system's.
    SetTimeZone(Option<ZoneName>),
}

/// Existing services.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection {
    /// Every one.
    All,
    /// These, each written as it was added.
    Ports(PortList),
}

/// Settings of a service to be changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// The quota; `Some(None)`: no quota.
    pub quota: Option<Option<QuotaSize>>,
    /// What counts against it.
    pub mode: Option<Mode>,
    /// When its periods end.
    pub reset: Option<ResetChoice>,
    /// The operator's words.
    pub note: Option<Note>,
}

/// What a request is judged by, beside the configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Context {
    /// The ports through which the operator reaches the host.
    pub ssh_ports: BTreeSet<u16>,
    /// The date, from which an interval counts; `None`: the clock is plainly wrong.
    pub today: Option<Date>,
    /// Services whose quota is spent.
    pub spent: BTreeSet<PortRange>,
    /// The operator said `--force`.
    pub force: bool,
}

/// Why a request is not carried out. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// An added port belongs to a service already.
    #[error("{wanted} has ports that are monitored already, as service {existing}")]
    Overlap {
        /// What was to be added.
        wanted: PortRange,
        /// The service that has a port of it.
        existing: PortRange,
    },
    /// No service is named so.
    #[error("{0} is not monitored")]
    Unknown(PortRange),
    /// No service is named so, but one includes or is part of it.
    #[error("{wanted} is not a service of its own: the service is {existing}")]
    Partial {
        /// What was named.
        wanted: PortRange,
        /// The service that has a port of it.
        existing: PortRange,
    },
    /// It could cut off the operator.
    #[error(
        "service {ports} covers port {ssh_port}, through which this host is administered by SSH: it could lock you out"
    )]
    Ssh {
        /// The service.
        ports: PortRange,
        /// The port.
        ssh_port: u16,
    },
    /// A block by the quota, which only the quota can lift.
    #[error("{0} is blocked because its quota is spent")]
    Spent(PortRange),
    /// An interval that would start on a day that nobody knows.
    #[error("`{0}` counts from today, and the clock of this host is plainly wrong")]
    NoToday(ResetChoice),
    /// A change request without a change.
    #[error("nothing to change was given")]
    Nothing,
    /// A correction of what was used, where a sum of several would be ambiguous.
    #[error("the used amount can be set for one service at a time")]
    UsedOfSeveral,
    /// There is no service at all.
    #[error("no port is monitored yet")]
    NoServices,
}

/// Something the operator should know, which stops nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Warning {
    /// The host takes ports of this service for connections of its own.
    Ephemeral {
        /// The service.
        ports: PortRange,
        /// The overlap.
        overlap: PortRange,
    },
    /// No longer blocked by the operator, but by its quota.
    StillSpent(PortRange),
    /// Its one reset would have been on a date that has passed.
    NoResetToCome {
        /// The service.
        ports: PortRange,
        /// The date.
        date: Date,
    },
}

impl Request {
    /// Returns the configuration after the request, its revision one higher where it differs.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn apply(&self, config: &Config, context: &Context) -> Result<Config, Refusal> {
        let mut next = config.clone();
        // The service of which more may be used up after this than before.
        let mut corrected = None;
        match self {
            Self::Add {
                ports,
                settings,
                or_set,
            } => {
                for range in ports.iter() {
                    match config.overlapping(range) {
                        Some(existing) if existing == range && *or_set => {}
                        Some(existing) => {
                            return Err(Refusal::Overlap {
                                wanted: range,
                                existing,
                            });
                        }
                        None => {}
                    }
                    settings.apply(next.services.entry(range).or_default(), context)?;
                }
            }
            Self::Set {
                ports,
                settings,
                used,
            } => {
                if *settings == Settings::default() && used.is_none() {
                    return Err(Refusal::Nothing);
                }
                let selected = ports.resolve(config)?;
                if let Some(used) = used {
                    let &[range] = &selected[..] else {
                        return Err(Refusal::UsedOfSeveral);
                    };
                    corrected = (used.bytes() > 0).then_some(range);
                }
                for range in selected {
                    settings.apply(next.services.entry(range).or_default(), context)?;
                }
            }
            Self::Delete { ports } => {
                for range in ports.resolve(config)? {
                    next.services.remove(&range);
                }
            }
            Self::Reset { ports } => {
                ports.resolve(config)?;
            }
            Self::Block { ports } => {
                for range in ports.resolve(config)? {
                    next.services.entry(range).or_default().blocked = true;
                }
            }
            Self::Unblock { ports } => {
                for range in ports.resolve(config)? {
                    let service = next.services.entry(range).or_default();
                    if !service.blocked && context.spent.contains(&range) {
                        return Err(Refusal::Spent(range));
                    }
                    service.blocked = false;
                }
            }
            Self::SetTimeZone(zone) => next.time_zone.clone_from(zone),
        }
        guard_ssh(config, &next, corrected, context)?;
        if next != *config {
            next.revision = config.revision.saturating_add(1);
        }
        Ok(next)
    }

    /// Whether it could cut off the operator, so that [`Context::ssh_ports`] matters.
    pub fn can_cut_off(&self) -> bool {
        match self {
            Self::Set { used: Some(_), .. } | Self::Block { .. } => true,
            Self::Add { settings, .. } | Self::Set { settings, .. } => {
                settings.mode.is_some() || settings.quota.flatten().is_some()
            }
            _ => false,
        }
    }

    /// Returns the services that it names; `None`: all of them, or none in particular.
    pub fn named(&self) -> Option<&PortList> {
        match self {
            Self::Add { ports, .. } => Some(ports),
            Self::Set { ports, .. }
            | Self::Delete { ports }
            | Self::Reset { ports }
            | Self::Block { ports }
            | Self::Unblock { ports } => match ports {
                Selection::All => None,
                Selection::Ports(ports) => Some(ports),
            },
            Self::SetTimeZone(_) => None,
        }
    }

    /// Carries out what concerns usage, not configuration.
    ///
    /// `state` must come from a [`step`](crate::tick::step) with the configuration before, and be
    /// stepped again with the new `config` after.
    pub fn apply_to_usage(&self, config: &Config, state: &mut State) {
        match self {
            Self::Reset { ports } => {
                for range in ports.resolve(config).unwrap_or_default() {
                    if let Some(ledger) = state.ledgers.get_mut(&range) {
                        ledger.reset();
                    }
                }
            }
            Self::Set {
                ports,
                used: Some(used),
                ..
            } => {
                for range in ports.resolve(config).unwrap_or_default() {
                    let service = config.services.get(&range);
                    if let (Some(service), Some(ledger)) = (service, state.ledgers.get_mut(&range))
                    {
                        correct(ledger, service, used.bytes());
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns what the operator should know about the services it touches.
    ///
    /// `ephemeral` is the range from which the host takes ports for its own connections,
    /// `reserved` those it leaves out of it.
    pub fn warnings(
        &self,
        before: &Config,
        after: &Config,
        context: &Context,
        ephemeral: Option<RangeInclusive<u16>>,
        reserved: &[PortRange],
    ) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for &ports in after
            .services
            .keys()
            .filter(|ports| !before.services.contains_key(ports))
        {
            if let Some(overlap) = ephemeral_overlap(ports, ephemeral.as_ref(), reserved) {
                warnings.push(Warning::Ephemeral { ports, overlap });
            }
        }
        for (&ports, service) in &after.services {
            if let Some(ResetPolicy::Once(date)) = service.reset
                && context.today.is_some_and(|today| date <= today)
                && before.services.get(&ports).and_then(|old| old.reset) != service.reset
            {
                warnings.push(Warning::NoResetToCome { ports, date });
            }
        }
        if let Self::Unblock { ports } = self {
            let selected = ports.resolve(after).unwrap_or_default();
            let still = selected
                .into_iter()
                .filter(|ports| context.spent.contains(ports));
            warnings.extend(still.map(Warning::StillSpent));
        }
        warnings
    }
}

fn correct(ledger: &mut Ledger, service: &Service, bytes: u64) {
    ledger.set_billed(service.mode, bytes);
    if service.quota.is_some_and(|quota| bytes < quota.bytes()) {
        // Judged anew at the next step, by what is left.
        ledger.spent = None;
    }
}

impl Selection {
    /// Returns the services that are meant, ascending.
    ///
    /// # Errors
    ///
    /// `Unknown` or `Partial` for a range that is not exactly a service, `NoServices` for all of
    /// none.
    pub fn resolve(&self, config: &Config) -> Result<Vec<PortRange>, Refusal> {
        match self {
            Self::All if config.services.is_empty() => Err(Refusal::NoServices),
            Self::All => Ok(config.services.keys().copied().collect()),
            Self::Ports(ports) => ports
                .iter()
                .map(|wanted| {
                    if config.services.contains_key(&wanted) {
                        return Ok(wanted);
                    }
                    Err(match config.overlapping(wanted) {
                        Some(existing) => Refusal::Partial { wanted, existing },
                        None => Refusal::Unknown(wanted),
                    })
                })
                .collect(),
        }
    }
}

impl Settings {
    fn apply(&self, service: &mut Service, context: &Context) -> Result<(), Refusal> {
        if let Some(quota) = self.quota {
            service.quota = quota;
        }
        if let Some(mode) = self.mode {
            service.mode = mode;
        }
        if let Some(reset) = self.reset {
            let policy = reset.applied(service.reset, context.today);
            service.reset = Some(policy.ok_or(Refusal::NoToday(reset))?);
        }
        if let Some(note) = &self.note {
            service.note = note.clone();
        }
        Ok(())
    }
}
