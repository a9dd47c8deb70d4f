//! Which bytes port-traffic-dog's counters hold, and what it bills of them: that differs from
//! release to release, two of which carry the same number.

use pm_core::config::{Factor, Mode, Tariff};

/// A way of accounting, by the releases that have it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Accounting {
    /// 1.0.0 to 1.2.3: counters hold what passed.
    V1_0,
    /// 1.2.4, which has `relay`: in + 2·out.
    V1_2_4,
    /// 1.2.4.3, whose `relay` is 2·(in + out).
    V1_2_4_3,
    /// 1.2.5 as of 2025-12-09: counters hold twice what passed.
    V1_2_5A,
    /// 1.2.5 since 2025-12-29: twice in `double`, once in `single`, where nothing is metered inwards.
    V1_2_5B,
    /// The fork, 1.5: as the one before, but `single` is in + out.
    Fork,
}

/// How a port is billed, in the tool's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Billing {
    Single,
    Double,
    Relay,
}

/// What a way of accounting makes of a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    /// How often a byte that comes in is in its counter; 0: it is not metered.
    pub(crate) times_in: u32,
    /// How often a byte that is sent is in its counter.
    pub(crate) times_out: u32,
    /// What is billed, of the bytes that passed.
    pub(crate) tariff: Tariff,
    /// Whether in counts once and out twice, for which the tariff only stands in.
    pub(crate) is_relay: bool,
}

impl Accounting {
    /// Every one there is, oldest first.
    pub const ALL: [Self; 6] = [
        Self::V1_0,
        Self::V1_2_4,
        Self::V1_2_4_3,
        Self::V1_2_5A,
        Self::V1_2_5B,
        Self::Fork,
    ];

    /// Returns the releases that have it, as the operator names them in a command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.2.3",
            Self::V1_2_4 => "1.2.4",
            Self::V1_2_4_3 => "1.2.4.3",
            Self::V1_2_5A => "1.2.5a",
            Self::V1_2_5B => "1.2.5b",
            Self::Fork => "fork",
        }
    }

    /// Returns the one of this name; `None`: there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_legacy::Accounting;
    ///
    /// assert_eq!(Accounting::named("1.2.5b"), Some(Accounting::V1_2_5B));
    /// assert_eq!(Accounting::named("1.2.5"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Returns how a port is billed for which nothing is said.
    pub(crate) fn default_billing(self) -> Billing {
        match self {
            Self::V1_0 | Self::V1_2_4 | Self::V1_2_4_3 => Billing::Single,
            Self::V1_2_5A | Self::V1_2_5B | Self::Fork => Billing::Double,
        }
    }

    /// Returns what becomes of a port; `None`: it knows no such billing, and refuses it.
    pub(crate) fn terms(self, billing: Billing) -> Option<Terms> {
        let old = matches!(self, Self::V1_0 | Self::V1_2_4 | Self::V1_2_4_3);
        Some(match (self, billing) {
            (_, Billing::Single) => self.single(),
            (_, Billing::Double) if old => Terms::raw(Mode::Both, 1),
            (_, Billing::Double) => Terms::doubled(Mode::Both),
            (Self::V1_0 | Self::Fork, Billing::Relay) => return None,
            (Self::V1_2_4, Billing::Relay) => Terms {
                is_relay: true,
                ..Terms::raw(Mode::Both, 2)
            },
            (Self::V1_2_4_3, Billing::Relay) => Terms::raw(Mode::Both, 2),
            (Self::V1_2_5A | Self::V1_2_5B, Billing::Relay) => self.single(),
        })
    }

    /// Returns what becomes of a port in `single`, which all of them know.
    pub(crate) fn single(self) -> Terms {
        match self {
            Self::V1_0 | Self::V1_2_4 | Self::V1_2_4_3 => Terms::raw(Mode::Out, 1),
            Self::V1_2_5A => Terms::doubled(Mode::Out),
            Self::V1_2_5B => Terms {
                times_in: 0,
                ..Terms::raw(Mode::Out, 1)
            },
            Self::Fork => Terms::raw(Mode::Both, 1),
        }
    }
}

impl Terms {
    /// Counters that hold what passed, of which each byte is billed so often.
    fn raw(mode: Mode, times: u32) -> Self {
        let factor = Factor::from_thousandths(times * 1_000).unwrap_or_default();
        Self {
            times_in: 1,
            times_out: 1,
            tariff: Tariff { mode, factor },
            is_relay: false,
        }
    }

    /// Counters that hold each byte twice, and are billed as they are.
    fn doubled(mode: Mode) -> Self {
        Self {
            times_in: 2,
            times_out: 2,
            ..Self::raw(mode, 2)
        }
    }
}
