//! A kernel in memory, and pm's loop on top of it that can die between any two of its steps.

mod kernel;
mod pm;
pub mod script;

use pm_core::config::{GroupName, QuotaSize};
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request, Selection, Settings};
use pm_core::ruleset::{Link, Target};
use pm_core::units::{Size, SizeUnit};

use proptest::prelude::ProptestConfig;

pub use kernel::{Forwarded, Kernel, Packet, Table};
pub use pm::{Failed, Pm, World};

/// So many cases, each of which may be long: shrunk as far as it takes to read them.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// Nothing happens meanwhile.
pub struct Quiet;

impl World for Quiet {
    fn meanwhile(&mut self, _: &mut Kernel) {}
}

pub fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

pub fn group(name: &str) -> GroupName {
    name.parse().unwrap()
}

/// Returns where a service's packets go in both directions; `None`: nowhere that pm led them.
pub fn link(kernel: &Kernel, ports: PortRange) -> Option<Link> {
    let link = kernel.table.as_ref()?.link(ports);
    match (link.ingress?, link.egress?) {
        (Target::Drop, Target::Drop) => Some(Link::Drop),
        (Target::Room(a), Target::Room(b)) if a == b => Some(Link::Room(a)),
        other => panic!("the maps disagree: {other:?}"),
    }
}

pub fn bytes(bytes: u64) -> Size {
    Size::new(bytes, SizeUnit::B).unwrap()
}

pub fn quota(quota: u64) -> ContractSettings {
    ContractSettings {
        quota: Some(Some(QuotaSize::try_from(bytes(quota)).unwrap())),
        ..ContractSettings::default()
    }
}

pub fn no_quota() -> ContractSettings {
    ContractSettings {
        quota: Some(None),
        ..ContractSettings::default()
    }
}

pub fn these(text: &str) -> Selection {
    Selection::Ports(text.parse().unwrap())
}

pub fn add(text: &str, settings: impl Into<Settings>) -> Request {
    Request::Add {
        ports: text.parse().unwrap(),
        settings: settings.into(),
        or_set: false,
    }
}

pub fn set(text: &str, settings: impl Into<Settings>) -> Request {
    Request::Set {
        ports: these(text),
        settings: settings.into(),
        used: None,
    }
}

pub fn set_used(text: &str, used: u64) -> Request {
    Request::Set {
        ports: these(text),
        settings: Settings::default(),
        used: Some(bytes(used)),
    }
}

pub fn add_group(name: &str, settings: ContractSettings) -> Request {
    Request::AddGroup {
        name: group(name),
        settings,
        or_set: false,
    }
}

pub fn set_group(name: &str, settings: ContractSettings) -> Request {
    Request::SetGroup {
        name: group(name),
        settings,
        used: None,
    }
}

/// Settings of who joins a group.
pub fn in_group(name: &str) -> Settings {
    Settings {
        group: Some(Some(group(name))),
        ..Settings::default()
    }
}

/// Settings of who leaves his group.
pub fn alone() -> Settings {
    Settings {
        group: Some(None),
        ..Settings::default()
    }
}

pub fn do_now(pm: &mut Pm, kernel: &mut Kernel, request: &Request) {
    let done = pm.request(kernel, &mut Quiet, usize::MAX, request);
    done.unwrap_or_else(|failed| panic!("{request}: {failed}"));
}
