//! Which rate each service has at the moment, and how its packets find it.
//!
//! What a service sends is shaped by traffic control: one class a service, numbered by its first
//! port. Its rules name the class, by the packet's priority or by some bits of its mark. What it
//! receives is policed by a limit in its rules, and so is what it sends far too fast, in front of
//! its quota, so that what the class would drop is not billed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Service};
use crate::ledger::{Ledger, State};
use crate::port::PortRange;
use crate::ruleset::{Class, Policing};
use crate::units::BitRate;

/// The major number of pm's classes: `pm` in ASCII. A packet's priority is read by every HTB it
/// meets, and a number nobody else uses never means a class in somebody else's tree.
pub const CLASS_MAJOR: u16 = 0x706d;

/// The minor number of the class of all other traffic.
pub const DEFAULT_MINOR: u16 = 0xffff;

/// What is sent may be ahead of its class by a quarter before it is dropped unbilled.
///
/// Lower, and a burst that the class would have let wait is lost; higher, and more is billed
/// that the class drops.
const HEADROOM: (u64, u64) = (5, 4);

/// How a packet finds its class.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Classifier {
    /// By its priority, which HTB reads as a class id: no filter is needed.
    #[default]
    Priority,
    /// By some bits of its mark, each value with a filter.
    Fwmark(MarkField),
}

/// The bits of a packet's mark that are pm's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MarkField {
    mask: u32,
}

/// Why a text is not a classifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClassifierError {
    /// None of the forms.
    #[error("`{0}` is not a classifier: write `priority`, `fwmark` or `fwmark/0xffff0000`")]
    Form(String),
    /// A mask that cannot name each port.
    #[error(
        "the mask `{0}` cannot tell 65535 ports apart: write 16 or more bits in a row, such as 0xffff0000"
    )]
    Narrow(String),
}

impl MarkField {
    /// The upper half of the mark.
    pub const UPPER: Self = Self { mask: 0xffff_0000 };

    /// Returns the field of the bits in `mask`; `None` unless they are one unbroken run.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_core::shaping::MarkField;
    ///
    /// let field = MarkField::new(0x0fff_0000).unwrap();
    /// assert_eq!(field.mark(0x10), Some(0x0010_0000));
    /// assert_eq!(field.mark(0x1000), None);
    /// assert_eq!(MarkField::new(0b101), None);
    /// ```
    pub fn new(mask: u32) -> Option<Self> {
        let run = mask.checked_shr(mask.trailing_zeros())?;
        (run & run.wrapping_add(1) == 0).then_some(Self { mask })
    }

    /// Returns the mask.
    pub fn mask(self) -> u32 {
        self.mask
    }

    /// Returns the mark of the class `minor`; `None` where the field is too narrow.
    pub fn mark(self, minor: u16) -> Option<u32> {
        let shift = self.mask.trailing_zeros();
        let mark = u32::from(minor).checked_shl(shift)?;
        let fits = mark & self.mask == mark && mark >> shift == u32::from(minor);
        fits.then_some(mark)
    }
}

impl Classifier {
    /// Whether it is the one that needs no filter.
    pub fn is_priority(&self) -> bool {
        *self == Self::Priority
    }

    /// Returns how rules name the class `minor`.
    pub fn class(self, minor: u16) -> Class {
        let id = u32::from(CLASS_MAJOR) << 16 | u32::from(minor);
        match self {
            Self::Priority => Class::Priority(id),
            Self::Fwmark(field) => Class::Mark {
                // The mask of a configured field is wide enough for any.
                mark: field.mark(minor).unwrap_or_default(),
                mask: field.mask,
            },
        }
    }
}

impl fmt::Display for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Priority => f.pad("priority"),
            Self::Fwmark(MarkField::UPPER) => f.pad("fwmark"),
            Self::Fwmark(field) => f.pad(&format!("fwmark/{:#010x}", field.mask)),
        }
    }
}

impl FromStr for Classifier {
    type Err = ClassifierError;

    fn from_str(text: &str) -> Result<Self, ClassifierError> {
        let form = || ClassifierError::Form(text.trim().to_owned());
        let (kind, mask) = match text.trim().split_once('/') {
            Some((kind, mask)) => (kind, Some(mask)),
            None => (text.trim(), None),
        };
        match (kind.to_ascii_lowercase().as_str(), mask) {
            ("priority", None) => Ok(Self::Priority),
            ("fwmark", None) => Ok(Self::Fwmark(MarkField::UPPER)),
            ("fwmark", Some(mask)) => {
                let digits = mask.strip_prefix("0x").ok_or_else(form)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(form());
                }
                let bits = u32::from_str_radix(digits, 16).map_err(|_| form())?;
                let field = MarkField::new(bits).filter(|_| bits.count_ones() >= 16);
                field
                    .map(Self::Fwmark)
                    .ok_or_else(|| ClassifierError::Narrow(mask.to_owned()))
            }
            _ => Err(form()),
        }
    }
}

impl TryFrom<String> for Classifier {
    type Error = ClassifierError;

    fn try_from(text: String) -> Result<Self, ClassifierError> {
        text.parse()
    }
}

impl From<Classifier> for String {
    fn from(classifier: Classifier) -> Self {
        classifier.to_string()
    }
}

/// The rates at which a service may receive and send at the moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rates {
    /// Receive; `None`: as fast as the line.
    pub incoming: Option<BitRate>,
    /// Send; `None`: as fast as the line.
    pub outgoing: Option<BitRate>,
}

impl Rates {
    /// Returns the rates of a service: its limits, and what a punishment makes of them.
    pub fn of(service: &Service, ledger: &Ledger) -> Self {
        let punish = service
            .dynqos
            .filter(|_| ledger.hog.punished.is_some())
            .map(|rule| rule.punish);
        let lower = |limit: Option<_>| limit.into_iter().chain(punish).min();
        Self {
            incoming: lower(service.limit_in).map(|limit| limit.rate()),
            outgoing: lower(service.limit).map(|limit| limit.rate()),
        }
    }

    /// Returns what the service's rules let through, in bytes a second each way.
    pub(crate) fn policing(self) -> Policing {
        let bytes = |rate: BitRate| rate.bytes_per_second().max(1);
        let ahead = |rate: BitRate| bytes(rate).saturating_mul(HEADROOM.0) / HEADROOM.1;
        Policing {
            incoming: self.incoming.map(bytes),
            outgoing: self.outgoing.map(ahead),
        }
    }
}

/// The classes of all services whose sending is limited at the moment, by minor number.
///
/// # Examples
///
/// ```
/// use pm_core::config::Config;
/// use pm_core::ledger::State;
/// use pm_core::ruleset::Epoch;
/// use pm_core::shaping::classes;
///
/// let config = Config::parse(r#"{"schema":1,"services":{"20000":{"limit":"5Mbps"}}}"#)?;
/// // Nothing is limited before the first tick has seen the service.
/// assert!(classes(&config, &State::new(Epoch(1))).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn classes(config: &Config, state: &State) -> BTreeMap<u16, BitRate> {
    let minors = Minors::of(config);
    let rates = config.services.iter().filter_map(|(&ports, service)| {
        let ledger = state.ledgers.get(&ports)?;
        Some((minors.get(ports), Rates::of(service, ledger).outgoing?))
    });
    rates.collect()
}

/// The minor numbers of classes.
pub(crate) struct Minors {
    /// The one for the service at port 65535, whose own number is the default class's.
    last: u16,
}

impl Minors {
    pub(crate) fn of(config: &Config) -> Self {
        let taken: BTreeSet<u16> = config.services.keys().map(|ports| ports.first()).collect();
        let last = (1..DEFAULT_MINOR).find(|minor| !taken.contains(minor));
        Self {
            // All 65535 ports are services: two of them share a class.
            last: last.unwrap_or(1),
        }
    }

    pub(crate) fn get(&self, ports: PortRange) -> u16 {
        match ports.first() {
            DEFAULT_MINOR => self.last,
            first => first,
        }
    }
}
