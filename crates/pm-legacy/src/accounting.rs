//! Which bytes port-traffic-dog's counters hold, and what it bills of them: that differs from
//! release to release, two of which carry the same number.

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
}
