//! Taking out of the kernel what is no longer used, though somebody else may hold on to it.

use std::collections::BTreeSet;

use pm_core::backend::{BackendError, Netfilter};
use pm_core::config::Config;
use pm_core::ruleset::{Changes, Installed, Metering, QuotaId, RoomId};

use super::Session;
use super::reading::Applied;
use crate::error::EngineError;

impl<N: Netfilter> Session<'_, N> {
    /// Deletes rooms in whose place others must come.
    pub(super) fn make_way(
        &mut self,
        changes: Changes,
        config: &Config,
    ) -> Result<(), EngineError> {
        if self.clean_up(changes) {
            return Ok(());
        }
        self.observe(config)?;
        match self.next_step(config) {
            (changes, true) if changes.is_cleanup() => match self.leftover.pop() {
                Some(error) => Err(error),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Deletes rooms and quotas that are no longer used. Returns whether all of them are gone; what
    /// somebody else holds on to is noted, and left for the next tick.
    pub(super) fn clean_up(&mut self, changes: Changes) -> bool {
        let Some((before, installed)) = self.seen.take() else {
            return true;
        };
        match self.netfilter.apply(&changes, before.generation) {
            Ok(generation) => {
                self.applied = Some(Applied {
                    generation,
                    installed: installed.after(&changes),
                    concerned: changes.concerned(),
                    before,
                });
                return true;
            }
            Err(BackendError::Raced) => return true,
            Err(error) if changes.delete_rooms.len() + changes.delete_quotas.len() == 1 => {
                self.leftover.push(error.into());
                return false;
            }
            // One by one, so that only what is held on to stays.
            Err(_) => {}
        }
        let mut generation = before.generation;
        let mut named = BTreeSet::new();
        for (room, parts) in changes.delete_rooms {
            let one = Changes {
                delete_rooms: [(room, parts)].into(),
                ..Changes::default()
            };
            if !self.delete(&one, &mut generation) {
                named.extend(metered_by(&installed, room));
            }
        }
        for quota in changes.delete_quotas.difference(&named) {
            let one = Changes {
                delete_quotas: [quota.clone()].into(),
                ..Changes::default()
            };
            self.delete(&one, &mut generation);
        }
        false
    }

    /// Deletes one thing on top of `generation`. Returns whether it is gone.
    fn delete(&mut self, one: &Changes, generation: &mut u32) -> bool {
        match self.netfilter.apply(one, *generation) {
            Ok(next) => *generation = next,
            Err(error) => {
                self.leftover.push(error.into());
                return false;
            }
        }
        true
    }
}

/// Returns the quotas that a room's rules name.
fn metered_by(installed: &Installed, room: RoomId) -> impl Iterator<Item = QuotaId> {
    let found = installed.rooms.get(&room);
    let metering = found.and_then(|found| found.intact.as_ref()?.metering.as_ref());
    metering.into_iter().flat_map(Metering::quotas)
}
