//! Usage and history as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use time::Date;

use super::Archive;
use crate::adoption::{Books, ServiceBooks};
use crate::calendar::{Period, ResetPolicy, Timestamp, iso_date};
use crate::config::{Factor, GroupName, Mode, Tariff, is_unprintable};
use crate::history::{ClosedPeriod, DayTotal, Why};
use crate::holder::Holder;
use crate::ledger::{Account, Terms, Usage};
use crate::port::PortRange;

/// The document after the first line.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    made: Timestamp,
    #[serde(deserialize_with = "version")]
    pm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    config: Value,
    #[serde(default)]
    services: BTreeMap<PortRange, ServiceRow>,
    #[serde(default)]
    groups: BTreeMap<GroupName, AccountRow>,
    #[serde(default)]
    periods: Vec<PeriodRow>,
    #[serde(default)]
    days: Vec<DayRow>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ServiceRow {
    total: Bytes,
    period: AccountRow,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    expired: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    punished_seconds: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AccountRow {
    used: Bytes,
    #[serde(default)]
    adjust: i64,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    factor: Factor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spent: Option<SpentRow>,
    #[serde(default)]
    warned: u16,
    reset: ResetPolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_reset: Option<Day>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SpentRow {
    mode: Mode,
    allowance: i64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PeriodRow {
    holder: Word<Holder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<Timestamp>,
    ended: Timestamp,
    why: Word<Why>,
    used: Bytes,
    mode: Mode,
    factor: Factor,
    #[serde(default)]
    adjust: i64,
}

/// Date, service, bytes in and out: there are many.
#[derive(Deserialize, Serialize)]
struct DayRow(Day, PortRange, u64, u64);

/// Bytes in and out.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Bytes {
    #[serde(rename = "in")]
    incoming: u64,
    #[serde(rename = "out")]
    outgoing: u64,
}

#[derive(Clone, Copy)]
struct Day(Date);

/// What is written as its `Display` says.
struct Word<T>(T);

impl Content {
    pub(super) fn of(archive: &Archive) -> Self {
        let Books {
            services,
            groups,
            closed,
            days,
        } = &archive.books;
        let service = |(&ports, books): (&PortRange, &ServiceBooks)| {
            let row = ServiceRow {
                total: books.total.into(),
                period: books.account.into(),
                expired: books.expired,
                punished_seconds: books.punished.map(|left| left.as_secs()),
            };
            (ports, row)
        };
        let groups = groups.iter();
        let groups = groups.map(|(name, &account)| (name.clone(), account.into()));
        let day = |day: &DayTotal| {
            let Usage { incoming, outgoing } = day.usage;
            DayRow(Day(day.date), day.ports, incoming, outgoing)
        };
        Self {
            made: archive.made,
            pm: archive.pm.clone(),
            zone: archive.zone.clone(),
            config: archive.config.clone(),
            services: services.iter().map(service).collect(),
            groups: groups.collect(),
            periods: closed.iter().map(PeriodRow::from).collect(),
            days: days.iter().map(day).collect(),
        }
    }

    pub(super) fn archive(self) -> Archive {
        let service = |(ports, row): (PortRange, ServiceRow)| {
            let books = ServiceBooks {
                total: row.total.into(),
                account: row.period.into(),
                expired: row.expired,
                punished: row.punished_seconds.map(Duration::from_secs),
            };
            (ports, books)
        };
        let groups = self.groups.into_iter();
        let day = |DayRow(Day(date), ports, incoming, outgoing)| DayTotal {
            date,
            ports,
            usage: Usage { incoming, outgoing },
        };
        Archive {
            made: self.made,
            pm: self.pm,
            zone: self.zone,
            config: self.config,
            books: Books {
                services: self.services.into_iter().map(service).collect(),
                groups: groups.map(|(name, row)| (name, row.into())).collect(),
                closed: self.periods.into_iter().map(PeriodRow::into).collect(),
                days: self.days.into_iter().map(day).collect(),
            },
        }
    }
}

impl From<Account> for AccountRow {
    fn from(account: Account) -> Self {
        let Account {
            usage,
            adjust,
            tariff: Tariff { mode, factor },
            spent,
            warned,
            period,
            began,
        } = account;
        Self {
            used: usage.into(),
            adjust,
            mode,
            factor,
            spent: spent.map(|Terms { mode, allowance }| SpentRow { mode, allowance }),
            warned,
            reset: period.policy(),
            next_reset: period.next().map(Day),
            began,
        }
    }
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        let AccountRow {
            used,
            adjust,
            mode,
            factor,
            spent,
            warned,
            reset,
            next_reset,
            began,
        } = row;
        Self {
            usage: used.into(),
            adjust,
            tariff: Tariff { mode, factor },
            spent: spent.map(|SpentRow { mode, allowance }| Terms { mode, allowance }),
            warned,
            period: Period::restore(reset, next_reset.map(|Day(date)| date)),
            began,
        }
    }
}

impl From<&ClosedPeriod> for PeriodRow {
    fn from(period: &ClosedPeriod) -> Self {
        Self {
            holder: Word(period.holder.clone()),
            group: period.group.clone(),
            began: period.began,
            ended: period.ended,
            why: Word(period.why),
            used: period.usage.into(),
            mode: period.tariff.mode,
            factor: period.tariff.factor,
            adjust: period.adjust,
        }
    }
}

impl From<PeriodRow> for ClosedPeriod {
    fn from(row: PeriodRow) -> Self {
        Self {
            holder: row.holder.0,
            group: row.group,
            began: row.began,
            ended: row.ended,
            why: row.why.0,
            usage: row.used.into(),
            tariff: Tariff {
                mode: row.mode,
                factor: row.factor,
            },
            adjust: row.adjust,
        }
    }
}

impl From<Usage> for Bytes {
    fn from(Usage { incoming, outgoing }: Usage) -> Self {
        Self { incoming, outgoing }
    }
}

impl From<Bytes> for Usage {
    fn from(Bytes { incoming, outgoing }: Bytes) -> Self {
        Self { incoming, outgoing }
    }
}

/// Reads what is printed as it is.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    const MAX_CHARS: usize = 64;
    let text = String::deserialize(deserializer)?;
    match text.chars().count() > MAX_CHARS || text.chars().any(is_unprintable) {
        true => Err(D::Error::custom("`pm` is not a version")),
        false => Ok(text),
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date = iso_date::parse(&text);
        date.map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a date")))
    }
}

impl<T: std::fmt::Display> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: std::str::FromStr<Err: std::fmt::Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
