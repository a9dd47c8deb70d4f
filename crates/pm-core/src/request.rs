//! The one way to change anything: what the operator asks for, checked and applied.
//!
//! Subcommands parse into a [`Request`], the wizard fills it, imports produce it, so each rule
//! stands here once. `Display` is the command line that does the same.

mod apply;
mod difference;
mod display;
mod guard;
mod news;
mod notify;
mod refusal;
mod settings;
mod steps;
#[cfg(test)]
mod tests;
mod usage;
mod warning;

use std::collections::BTreeSet;

use time::Date;

pub use difference::{Difference, differences, group_differences};
pub use guard::ephemeral_overlap;
pub use news::{Side, news_of};
pub use notify::{
    ChannelSettings, NotifyChange, NotifyRefusal, PushChange, PushSettings, changed_fields,
    changed_push_fields,
};
pub use refusal::Refusal;
pub use settings::{ContractSettings, Settings};
pub use steps::steps;
pub use warning::Warning;

use crate::adoption::Adoption;
use crate::backend::ShapingError;
use crate::cause::Cause;
use crate::config::{Backup, Config, GroupName, ZoneName};
use crate::language::Language;
use crate::port::{PortList, PortRange};
use crate::shaping::Classifier;
use crate::units::Size;

/// What the operator asks for.
///
/// # Examples
///
/// ```
/// use pm_core::config::Config;
/// use pm_core::request::{Context, ContractSettings, Request};
///
/// let quota = Some(Some(pm_core::config::QuotaSize::try_from("5GB".parse::<pm_core::units::Size>()?)?));
/// let add = Request::Add {
///     ports: "20000,30000-30100".parse()?,
///     settings: ContractSettings { quota, ..ContractSettings::default() }.into(),
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
    /// Begin their periods anew, at nothing used. All of them are all groups, too.
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
    /// Make a group, for services to share its quota.
    AddGroup {
        /// Its name.
        name: GroupName,
        /// What is not set takes its default.
        settings: ContractSettings,
        /// Change one that exists already instead of refusing.
        or_set: bool,
    },
    /// Change a group.
    SetGroup {
        /// Which.
        name: GroupName,
        /// What is not set stays.
        settings: ContractSettings,
        /// What is billed so far is to be this.
        used: Option<Size>,
    },
    /// Remove a group that has no services.
    DeleteGroup {
        /// Which.
        name: GroupName,
    },
    /// Begin a group's period anew, at nothing used.
    ResetGroup {
        /// Which.
        name: GroupName,
    },
    /// Set the zone whose dates count; `None`: the system's.
    SetTimeZone(Option<ZoneName>),
    /// Set the language in which pm speaks; `None`: that of the terminal.
    SetLanguage(Option<Language>),
    /// Set how packets find the class that shapes them.
    SetClassifier(Classifier),
    /// Change who is told what happens.
    Notify(Box<NotifyChange>),
    /// Change where the state is pushed.
    Push(Box<PushChange>),
    /// Set how often everything is written into an archive; `None`: never.
    SetBackup(Option<Backup>),
    /// Put a kept version in the place of the present configuration.
    ///
    /// It concerns the configuration only, but that who comes back has his [bill](crate::comeback)
    /// again, as long as the period in which he was deleted is running.
    Restore {
        /// The number under which it is kept; `None`: it is the last good one, for when the present
        /// one cannot be used.
        version: Option<u64>,
        /// What it says. Schema and revision go on from the present one.
        config: Box<Config>,
    },
    /// Put a configuration in the place of the present one that comes with its own past.
    Adopt(Box<Adoption>),
}

/// Existing services.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection {
    /// Every one.
    All,
    /// These, each written as it was added.
    Ports(PortList),
}

/// What a request is judged by, beside the configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Context {
    /// The ports through which the operator reaches the host.
    pub ssh_ports: BTreeSet<u16>,
    /// The date, from which an interval counts; `None`: the clock is plainly wrong.
    pub today: Option<Date>,
    /// Services that are cut off because a quota is spent.
    pub spent: BTreeSet<PortRange>,
    /// Services that are cut off because their last day has passed.
    pub expired: BTreeSet<PortRange>,
    /// Why this host cannot limit what is sent; `None`: it can.
    pub no_shaping: Option<Cause<ShapingError>>,
    /// The operator said `--force`.
    pub force: bool,
}

impl Request {
    /// Whether it could cut off or slow down the operator, so that [`Context::ssh_ports`] matters.
    pub fn can_cut_off(&self) -> bool {
        match self {
            Self::Set { used: Some(_), .. }
            | Self::Block { .. }
            | Self::SetGroup { .. }
            | Self::Restore { .. }
            | Self::Adopt(_) => true,
            Self::Add { settings, .. } | Self::Set { settings, .. } => settings.can_cut_off(),
            // One that is there already may have services.
            Self::AddGroup { or_set, .. } => *or_set,
            _ => false,
        }
    }

    /// Whether it ends a period or corrects a figure, so that it matters what was used.
    pub fn concerns_usage(&self) -> bool {
        matches!(
            self,
            Self::Reset { .. }
                | Self::ResetGroup { .. }
                | Self::Set { used: Some(_), .. }
                | Self::SetGroup { used: Some(_), .. }
                | Self::Adopt(_)
        )
    }

    /// Returns the configuration that it puts in the place of the present one; `None`: it changes
    /// that one.
    pub fn replacement(&self) -> Option<&Config> {
        match self {
            Self::Restore { config, .. } => Some(config),
            Self::Adopt(adoption) => Some(&adoption.config),
            _ => None,
        }
    }

    /// Whether it needs the host to shape what is sent, so that [`Context::no_shaping`] matters.
    ///
    /// `before` is the present configuration: limits that stay as they are ask for nothing new.
    pub fn needs_shaping(&self, before: &Config) -> bool {
        if let Some(config) = self.replacement() {
            if config.classifier != before.classifier && !config.classifier.is_priority() {
                return true;
            }
            return config.services.iter().any(|(ports, service)| {
                let old = before.services.get(ports);
                let is_new_limit =
                    service.limit.is_some() && old.is_none_or(|old| old.limit != service.limit);
                let is_new_rule =
                    service.dynqos.is_some() && old.is_none_or(|old| old.dynqos != service.dynqos);
                is_new_limit || is_new_rule
            });
        }
        match self {
            Self::Add { settings, .. } | Self::Set { settings, .. } => settings.needs_shaping(),
            Self::SetClassifier(classifier) => !classifier.is_priority(),
            _ => false,
        }
    }

    /// Returns the services whose totals it takes to carry this out; `None`: all.
    pub fn scope(&self, config: &Config) -> Option<&PortList> {
        let (ports, regroups) = match self {
            Self::Add {
                ports, settings, ..
            } => (ports, settings.group.is_some()),
            Self::Set {
                ports: Selection::Ports(ports),
                settings,
                ..
            } => (ports, settings.group.is_some()),
            Self::Delete { ports }
            | Self::Reset { ports }
            | Self::Block { ports }
            | Self::Unblock { ports } => match ports {
                Selection::All => return None,
                Selection::Ports(ports) => (ports, false),
            },
            _ => return None,
        };
        // What one member used says little about a quota that all of them share.
        let is_member = |range| {
            let service = config.services.get(&range);
            service.is_some_and(|service| service.group.is_some())
        };
        (!regroups && !ports.iter().any(is_member)).then_some(ports)
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
