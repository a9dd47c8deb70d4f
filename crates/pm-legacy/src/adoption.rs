//! What is taken over, as the books that the engine adopts.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::adoption::{Adoption, Books as Adopted, Extent, ServiceBooks};
use pm_core::calendar::{Period, Timestamp, Zone};
use pm_core::config::{Config, Contract};
use pm_core::ledger::{Account, Usage};
use pm_core::port::PortRange;
use pm_core::request::{Context as Judged, Refusal};

use crate::imported::{Books, Imported};
use crate::source::Context;

impl Imported {
    /// Returns what is to be carried out: the configuration that `present` becomes, and the past
    /// of everybody who is new in it. Others and their past stay.
    ///
    /// A reset that the tool has left undone is made by the first tick, which closes the period.
    /// What was used before its days were kept belongs to no day. `context` is the one that the
    /// files were read with.
    ///
    /// # Errors
    ///
    /// As of [`applied`](Self::applied).
    pub fn adoption(
        &self,
        present: &Config,
        judged: &Judged,
        command: String,
        context: &Context<'_>,
    ) -> Result<Adoption, Refusal> {
        let config = self.applied(present, judged)?;
        let configured = config.time_zone.as_ref();
        let configured = configured.and_then(|name| Zone::named(name.as_str()).ok());
        let zone = configured.as_ref().unwrap_or(context.zone);
        let today = zone.date_at(context.now);
        let account = |contract: Contract, books: &Books| {
            let policy = contract.reset_policy();
            let period = match books.due {
                Some(due) => Period::restore(policy, Some(due)),
                None => Period::begin(policy, today),
            };
            Account {
                usage: books.usage,
                adjust: books.adjust,
                ..Account::new(contract.tariff, period, books.began)
            }
        };
        let mut days: BTreeMap<PortRange, Usage> = BTreeMap::new();
        for day in &self.days {
            let sum = days.entry(day.ports).or_default();
            *sum = sum.plus(day.usage);
        }
        let left = |until: Timestamp| {
            let seconds = until.unix() - context.now.unix();
            u64::try_from(seconds)
                .ok()
                .filter(|&seconds| seconds > 0)
                .map(Duration::from_secs)
        };
        let services = self.services.iter().map(|(&ports, found)| {
            let contract = config.contract(&found.service);
            let used = found.books.usage;
            let past = days.get(&ports).copied().unwrap_or_default();
            let books = ServiceBooks {
                total: Usage {
                    incoming: used.incoming.max(past.incoming),
                    outgoing: used.outgoing.max(past.outgoing),
                },
                account: account(contract, &found.books),
                expired: false,
                punished: found.punished_until.and_then(left),
            };
            (ports, books)
        });
        let groups = self.groups.iter().map(|(name, found)| {
            let account = account(found.group.contract(), &found.books);
            (name.clone(), account)
        });
        let books = Adopted {
            services: services.collect(),
            groups: groups.collect(),
            closed: self.closed.clone(),
            days: self.days.clone(),
        };
        Ok(Adoption {
            command,
            config,
            books,
            extent: Extent::Newcomers,
        })
    }
}
