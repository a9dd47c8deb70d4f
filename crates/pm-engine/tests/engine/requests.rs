//! Short words for requests.

use pm_core::config::{Mode, QuotaSize, Service};
use pm_core::ledger::Ledger;
use pm_core::port::PortRange;
use pm_core::request::{Request, Selection, Settings};
use pm_core::units::{Size, SizeUnit};
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
pub(crate) fn quota(bytes: u64) -> Settings {
    Settings {
        quota: Some(Some(QuotaSize::try_from(size(bytes)).unwrap())),
        reset: Some("never".parse().unwrap()),
        ..Settings::default()
    }
}

pub(crate) fn no_quota() -> Settings {
    Settings {
        quota: Some(None),
        reset: Some("never".parse().unwrap()),
        ..Settings::default()
    }
}

pub(crate) fn mode(mode: Mode) -> Settings {
    Settings {
        mode: Some(mode),
        ..Settings::default()
    }
}

pub(crate) fn add(text: &str, settings: Settings) -> Request {
    Request::Add {
        ports: text.parse().unwrap(),
        settings,
        or_set: false,
    }
}

pub(crate) fn set(text: &str, settings: Settings) -> Request {
    Request::Set {
        ports: some(text),
        settings,
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

/// Whether a service's packets ought to pass.
pub(crate) fn is_open(service: &Service, ledger: &Ledger) -> bool {
    !service.blocked && ledger.spent.is_none()
}
