//! What somebody is told, complete in itself: it is kept until it is said, and says then what was
//! so when it happened.

use serde::{Deserialize, Serialize};
use time::Date;

use crate::calendar::{Timestamp, iso_date};
use crate::config::{ChannelName, Config, EventKind, Note, QuotaSize};
use crate::dynqos::DynQos;
use crate::event::Event;
use crate::holder::Holder;
use crate::ledger::{State, Usage};
use crate::port::PortRange;

/// One thing that is told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notice {
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A part of a quota is used.
    Quota {
        /// Whose.
        whom: Whom,
        /// The threshold, in percent.
        percent: u16,
        /// What is billed, in bytes.
        billed: u64,
        /// Of what.
        quota: QuotaSize,
        /// When the next period begins; `None`: never.
        #[serde(default, with = "iso_date")]
        next_reset: Option<Date>,
    },
    /// A quota is used up, and its holder cut off.
    Blocked {
        /// Who.
        whom: Whom,
        /// What is billed, in bytes.
        billed: u64,
        /// Of what, where it is still known.
        quota: Option<QuotaSize>,
        /// When the next period begins; `None`: never.
        #[serde(default, with = "iso_date")]
        next_reset: Option<Date>,
    },
    /// Somebody who was cut off, and not by the operator, is open again.
    Unblocked {
        /// Who.
        whom: Whom,
    },
    /// A period ended.
    Reset(Ended),
    /// A service hogged the line and is slowed down.
    Punished {
        /// The service.
        whom: Whom,
        /// By which rule.
        rule: DynQos,
    },
    /// A service that was slowed down is not any more.
    Restored {
        /// The service.
        whom: Whom,
    },
    /// A service's last day is near.
    Expiring {
        /// The service.
        whom: Whom,
        /// That day.
        #[serde(with = "iso_date")]
        last_day: Option<Date>,
        /// How many days are left; 0: it is today.
        days: u16,
    },
    /// A service's last day has passed, and it is cut off.
    Expired {
        /// The service.
        whom: Whom,
        /// That day.
        #[serde(with = "iso_date")]
        last_day: Option<Date>,
    },
    /// What another program removed or changed in the kernel was put right.
    Healed {
        /// What was gone.
        gone: Gone,
        /// The services concerned.
        services: Vec<PortRange>,
        /// The last time all was well; `None`: unknown.
        since: Option<Timestamp>,
    },
    /// The host was started anew, and what passed before the end was not counted.
    Restarted {
        /// The last tick before.
        since: Option<Timestamp>,
    },
    /// The operator did something.
    Done {
        /// What.
        deed: Deed,
        /// To whom, in order.
        whom: Vec<Whom>,
    },
    /// Messages, or the pushed state, could not be delivered.
    Delivery {
        /// Where to.
        to: Destination,
        /// Why not, as the server or the system says.
        why: String,
        /// How many were given up after a day.
        lost: u64,
    },
    /// They are delivered again to where it was told that they were not.
    DeliveredAgain {
        /// Where to.
        to: Destination,
        /// Since when they were not.
        since: Timestamp,
    },
}

/// A period that ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ended {
    /// Whose.
    pub whom: Whom,
    /// Whether the operator ended it.
    #[serde(default)]
    pub by_operator: bool,
    /// What came in, in bytes.
    pub incoming: u64,
    /// What went out, in bytes.
    pub outgoing: u64,
    /// Whether he was cut off until then.
    #[serde(default)]
    pub reopened: bool,
    /// The quota, in whose units it is said.
    pub quota: Option<QuotaSize>,
    /// When the next period begins; `None`: never.
    #[serde(default, with = "iso_date")]
    pub next_reset: Option<Date>,
}

/// What another program removed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gone {
    /// Rules, so that nothing was counted or cut off.
    Rules,
    /// Limits of what is sent on an interface.
    Limits {
        /// The interface.
        interface: String,
    },
    /// Counters, which were loaded with other values.
    Counters,
    /// What waited to be sent.
    Outbox,
    /// Messages that could not be handed over for a day.
    Outdated {
        /// How many.
        count: u64,
    },
    /// Messages that this version of pm cannot read.
    Messages {
        /// How many.
        count: u64,
    },
}

/// Where what pm says is delivered.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A channel.
    Channel(ChannelName),
    /// The receiver of the push.
    Push,
}

/// What an operator does that others may want to know.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// He lets nothing through.
    Blocked,
    /// He lets it through again.
    Unblocked,
}

/// Who it is about.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Whom {
    /// A service or a group.
    pub holder: Holder,
    /// The service's note.
    #[serde(default, skip_serializing_if = "Note::is_empty")]
    pub note: Note,
}

impl Whom {
    /// Returns a holder with his note.
    pub fn of(holder: &Holder, config: &Config) -> Self {
        let note = match holder {
            Holder::Service(ports) => config.services.get(ports),
            Holder::Group(_) => None,
        };
        Self {
            holder: holder.clone(),
            note: note.map(|service| service.note.clone()).unwrap_or_default(),
        }
    }
}

impl Ended {
    /// Returns a period that the calendar ended, of somebody who was not cut off.
    pub(crate) fn of(holder: &Holder, usage: Usage, config: &Config, state: &State) -> Self {
        Self {
            whom: Whom::of(holder, config),
            by_operator: false,
            incoming: usage.incoming,
            outgoing: usage.outgoing,
            reopened: false,
            quota: quota(holder, config),
            next_reset: next_reset(holder, state),
        }
    }
}

impl What {
    /// Returns what is told of an event; `None`: nothing.
    ///
    /// `config` and `state` are those after the tick in which it happened.
    pub fn of(event: &Event, config: &Config, state: &State) -> Option<Self> {
        let whom = |holder: &Holder| Whom::of(holder, config);
        let quota = |holder: &Holder| quota(holder, config);
        let next_reset = |holder: &Holder| next_reset(holder, state);
        Some(match event {
            Event::Spent { holder, billed } => Self::Blocked {
                whom: whom(holder),
                billed: *billed,
                quota: quota(holder),
                next_reset: next_reset(holder),
            },
            Event::Reached {
                holder,
                percent,
                billed,
                quota,
            } => Self::Quota {
                whom: whom(holder),
                percent: *percent,
                billed: *billed,
                quota: *quota,
                next_reset: next_reset(holder),
            },
            Event::Expiring {
                ports,
                last_day,
                days,
            } => Self::Expiring {
                whom: whom(&(*ports).into()),
                last_day: Some(*last_day),
                days: *days,
            },
            Event::Renewed { holder } => Self::Unblocked { whom: whom(holder) },
            Event::PeriodEnded { holder, usage } => {
                Self::Reset(Ended::of(holder, *usage, config, state))
            }
            // The operator deleted it himself.
            Event::Closed { .. } => return None,
            Event::Punished { ports, rule } => Self::Punished {
                whom: whom(&(*ports).into()),
                rule: *rule,
            },
            Event::Restored { ports } => Self::Restored {
                whom: whom(&(*ports).into()),
            },
            Event::Expired { ports, last_day } => Self::Expired {
                whom: whom(&(*ports).into()),
                last_day: Some(*last_day),
            },
            Event::RulesLost { ports, since } => Self::Healed {
                gone: Gone::Rules,
                services: ports.clone(),
                since: *since,
            },
            Event::LimitsLost { interface, since } => Self::Healed {
                gone: Gone::Limits {
                    interface: interface.clone(),
                },
                services: Vec::new(),
                since: *since,
            },
            Event::CountersReplaced { ports, since } => Self::Healed {
                gone: Gone::Counters,
                services: ports.clone(),
                since: *since,
            },
            Event::Restarted { since } => Self::Restarted { since: *since },
        })
    }

    /// Whether this and another are told in one message, where they happen at once: what the
    /// calendar does to many is one thing, and so is a network that is down.
    pub fn is_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Reset(one), Self::Reset(other)) => one.by_operator == other.by_operator,
            (Self::Expiring { .. }, Self::Expiring { .. })
            | (Self::Expired { .. }, Self::Expired { .. })
            | (Self::Unblocked { .. }, Self::Unblocked { .. })
            | (Self::Delivery { .. }, Self::Delivery { .. })
            | (Self::DeliveredAgain { .. }, Self::DeliveredAgain { .. }) => true,
            _ => false,
        }
    }

    /// Returns the kind of event, by which channels choose.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Quota { .. } => EventKind::Quota,
            Self::Blocked { .. } => EventKind::Blocked,
            Self::Unblocked { .. } => EventKind::Unblocked,
            Self::Reset(_) => EventKind::Reset,
            Self::Punished { .. } => EventKind::Punished,
            Self::Restored { .. } => EventKind::Restored,
            Self::Expiring { .. } => EventKind::Expiring,
            Self::Expired { .. } => EventKind::Expired,
            Self::Healed { .. } => EventKind::Healed,
            Self::Restarted { .. } => EventKind::Restarted,
            Self::Delivery { .. } | Self::DeliveredAgain { .. } => EventKind::Delivery,
            Self::Done { deed, .. } => match deed {
                Deed::Blocked => EventKind::Blocked,
                Deed::Unblocked => EventKind::Unblocked,
            },
        }
    }

    /// Returns whom it is about; `None`: the host.
    pub fn whom(&self) -> Option<&Whom> {
        match self {
            Self::Quota { whom, .. }
            | Self::Blocked { whom, .. }
            | Self::Unblocked { whom }
            | Self::Punished { whom, .. }
            | Self::Restored { whom }
            | Self::Expiring { whom, .. }
            | Self::Expired { whom, .. } => Some(whom),
            Self::Reset(ended) => Some(&ended.whom),
            Self::Healed { .. }
            | Self::Restarted { .. }
            | Self::Delivery { .. }
            | Self::DeliveredAgain { .. }
            | Self::Done { .. } => None,
        }
    }

    /// Returns all whom it is about; none: the host.
    pub fn holders(&self) -> Vec<Holder> {
        match self {
            Self::Done { whom, .. } => whom.iter().map(|it| it.holder.clone()).collect(),
            Self::Healed { services, .. } => services.iter().map(|&it| it.into()).collect(),
            _ => self
                .whom()
                .map(|whom| whom.holder.clone())
                .into_iter()
                .collect(),
        }
    }
}

fn quota(holder: &Holder, config: &Config) -> Option<QuotaSize> {
    match holder {
        Holder::Service(ports) => config.services.get(ports).and_then(|it| it.quota),
        Holder::Group(name) => config.groups.get(name).and_then(|it| it.quota),
    }
}

fn next_reset(holder: &Holder, state: &State) -> Option<Date> {
    state.account(holder).and_then(|it| it.period.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let whom = Whom {
            holder: "group vip".parse().unwrap(),
            note: "a & <b>\n🐙".parse().unwrap(),
        };
        let rule: DynQos = "100M/5/5M/60".parse().unwrap();
        let date = iso_date::parse("2027-01-31");
        for what in [
            What::Blocked {
                whom: whom.clone(),
                billed: 5,
                quota: None,
                next_reset: date,
            },
            What::Punished {
                whom: whom.clone(),
                rule,
            },
            What::Expired {
                whom,
                last_day: date,
            },
            What::Healed {
                gone: Gone::Limits {
                    interface: "eth0".into(),
                },
                services: vec!["80-90".parse().unwrap()],
                since: None,
            },
        ] {
            let notice = Notice {
                time: Timestamp::from_unix(1),
                what,
            };
            let json = serde_json::to_string(&notice).unwrap();
            assert_eq!(serde_json::from_str::<Notice>(&json).unwrap(), notice);
        }
    }
}
