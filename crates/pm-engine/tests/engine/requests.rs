//! Short words for requests.

use pm_core::config::{Config, GroupName, Limit, Mode, QuotaSize, Service};
use pm_core::ledger::{Ledger, State};
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request, Selection, Settings};
use pm_core::units::{BitRate, Size, SizeUnit};
use pm_engine::Options;

/// The test's own SSH session is nobody's concern.
pub(crate) const FORCE: Options = Options {
    force: true,
    dry_run: false,
};

pub(crate) fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

pub(crate) fn some(text: &str) -> Selection {
    Selection::Ports(text.parse().unwrap())
}

pub(crate) fn size(bytes: u64) -> Size {
    Size::new(bytes, SizeUnit::B).unwrap()
}

/// A quota that no date renews.
pub(crate) fn quota(bytes: u64) -> ContractSettings {
    ContractSettings {
        quota: Some(Some(QuotaSize::try_from(size(bytes)).unwrap())),
        reset: Some("never".parse().unwrap()),
        ..ContractSettings::default()
    }
}

pub(crate) fn no_quota() -> ContractSettings {
    ContractSettings {
        quota: Some(None),
        reset: Some("never".parse().unwrap()),
        ..ContractSettings::default()
    }
}

pub(crate) fn mode(mode: Mode) -> ContractSettings {
    ContractSettings {
        mode: Some(mode),
        ..ContractSettings::default()
    }
}

pub(crate) fn add(text: &str, settings: impl Into<Settings>) -> Request {
    Request::Add {
        ports: text.parse().unwrap(),
        settings: settings.into(),
        or_set: false,
    }
}

pub(crate) fn set(text: &str, settings: impl Into<Settings>) -> Request {
    Request::Set {
        ports: some(text),
        settings: settings.into(),
        used: None,
    }
}

pub(crate) fn set_used(text: &str, bytes: u64) -> Request {
    Request::Set {
        ports: some(text),
        settings: Settings::default(),
        used: Some(size(bytes)),
    }
}

pub(crate) fn group(name: &str) -> GroupName {
    name.parse().unwrap()
}

pub(crate) fn add_group(name: &str, settings: ContractSettings) -> Request {
    Request::AddGroup {
        name: group(name),
        settings,
        or_set: false,
    }
}

pub(crate) fn set_group(name: &str, settings: ContractSettings) -> Request {
    Request::SetGroup {
        name: group(name),
        settings,
        used: None,
    }
}

pub(crate) fn set_group_used(name: &str, bytes: u64) -> Request {
    Request::SetGroup {
        name: group(name),
        settings: ContractSettings::default(),
        used: Some(size(bytes)),
    }
}

pub(crate) fn reset(name: &str) -> Request {
    Request::Reset { ports: some(name) }
}

pub(crate) fn reset_group(name: &str) -> Request {
    Request::ResetGroup { name: group(name) }
}

/// Settings of who joins a group.
pub(crate) fn in_group(name: &str) -> Settings {
    Settings {
        group: Some(Some(group(name))),
        ..Settings::default()
    }
}

/// Settings of who leaves his group.
pub(crate) fn alone() -> Settings {
    Settings {
        group: Some(None),
        ..Settings::default()
    }
}

pub(crate) fn rate(text: &str) -> BitRate {
    text.parse().unwrap()
}

/// How fast a service may send.
pub(crate) fn limit(text: &str) -> Settings {
    Settings {
        limit: Some(Some(Limit::try_from(rate(text)).unwrap())),
        ..Settings::default()
    }
}

pub(crate) fn no_limit() -> Settings {
    Settings {
        limit: Some(None),
        ..Settings::default()
    }
}

/// How fast a service may receive.
pub(crate) fn limit_in(text: &str) -> Settings {
    Settings {
        limit_in: Some(Some(Limit::try_from(rate(text)).unwrap())),
        ..Settings::default()
    }
}

pub(crate) fn dynqos(text: &str) -> Settings {
    Settings {
        dynqos: Some(Some(text.parse().unwrap())),
        ..Settings::default()
    }
}

/// Whether a service's packets ought to pass.
pub(crate) fn is_open(service: &Service, ledger: &Ledger, state: &State) -> bool {
    let holder = match &service.group {
        Some(name) => &state.groups[name],
        None => &ledger.account,
    };
    !service.blocked && !ledger.expired && holder.spent.is_none()
}

pub(crate) fn restore(config: Config) -> Request {
    Request::Restore {
        version: Some(1),
        config: Box::new(config),
    }
}
