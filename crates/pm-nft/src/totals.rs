//! The totals of a table, taken in object by object.

use pm_core::backend::{CounterReading, QuotaReading, TableReading};
use pm_core::ruleset::{QuotaId, RoomId};
use pm_netlink::{Malformed, Reply};

use crate::found::is_pm_sh_counter;
use crate::object::{Object, State};

/// What the objects of a table have counted.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) reading: TableReading,
    pub(crate) pm_sh: bool,
}

impl Totals {
    pub(crate) fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let Some(object) = Object::parse(reply)? else {
            return Ok(());
        };
        let handle = object.handle;
        match object.state {
            State::Counter { bytes } => {
                self.pm_sh |= is_pm_sh_counter(object.name);
                if let Some(key) = RoomId::parse_chain(object.name) {
                    let counter = CounterReading { handle, bytes };
                    self.reading.counters.insert(key, counter);
                }
            }
            State::Quota { limit, used, .. } => {
                if let Some(id) = QuotaId::parse(object.name) {
                    let quota = QuotaReading {
                        handle,
                        limit,
                        used,
                    };
                    self.reading.quotas.insert(id, quota);
                }
            }
            State::Limit(_) | State::Foreign => {}
        }
        Ok(())
    }

    /// Whether there is anything that pm would count with.
    pub(crate) fn is_empty(&self) -> bool {
        self.reading.counters.is_empty() && self.reading.quotas.is_empty()
    }
}
