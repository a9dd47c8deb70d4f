//! What settings can be that is no text of the operator's own: each refuses what it cannot be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::names::{MAX_GROUP_BYTES, MAX_NOTE_CHARS};
use crate::ruleset::Metered;
use crate::units::{BitRate, Size, decimal, thousandths};

/// Which bytes count against a quota.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What comes in and what goes out.
    #[default]
    Both,
    /// What goes out.
    Out,
    /// The larger of the two.
    Max,
}

/// How often each byte counts against a quota: thousandths, from 0.001 to 1000.
///
/// Some providers bill relayed traffic twice.
///
/// # Examples
///
/// ```
/// use pm_core::config::Factor;
///
/// let factor: Factor = "1.5".parse()?;
/// assert_eq!(factor.thousandths(), 1_500);
/// assert_eq!(factor.of(1_000), 1_500);
/// assert_eq!(factor.within(1_000), 666);
/// # Ok::<(), pm_core::config::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Factor(u32);

/// How bytes become what is billed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tariff {
    /// Which of them count.
    pub mode: Mode,
    /// How often.
    pub factor: Factor,
}

/// The highest rate at which a service may send or receive.
///
/// At least [`Limit::MIN_BITS_PER_SECOND`]: below that, one packet would take seconds. At most
/// [`Limit::MAX_BITS_PER_SECOND`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "BitRate", into = "BitRate")]
pub struct Limit(BitRate);

/// A quota: a [`Size`] of at least one byte.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Size", into = "Size")]
pub struct QuotaSize(Size);

/// Why a value is not one that a setting can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// A note that is too long.
    #[error("the note has {0} characters: the most is {MAX_NOTE_CHARS}")]
    NoteTooLong(usize),
    /// A note with a control character other than tab and newline.
    #[error("the note holds the control character U+{0:04X}: leave it out")]
    NoteControl(u32),
    /// A quota of nothing.
    #[error(
        "a quota of 0 would let nothing through: block the port instead (`pm block`), or write `none` for no quota"
    )]
    QuotaZero,
    /// A mode that does not exist.
    #[error(
        "`{0}` is not a mode: write `both` (in and out count), `out` (only what the port sends counts) or `max` (the larger of the two counts)"
    )]
    Mode(String),
    /// A factor that is none, or out of bounds.
    #[error("`{0}` is not a factor: write a number from 0.001 to 1000 with up to three decimals")]
    Factor(String),
    /// A rate that would let next to nothing through.
    #[error(
        "a limit of {0} would let next to nothing through: write at least 8Kbps, or `M` behind a number of megabits"
    )]
    LimitTooLow(BitRate),
    /// A rate that the kernel would not enforce.
    #[error("a limit of {0} is too high: the highest rate is 100Gbps")]
    LimitTooHigh(BitRate),
    /// A name that a group cannot have.
    #[error(
        "`{0}` cannot be a group's name: write 1 to {MAX_GROUP_BYTES} bytes of text without commas and line breaks, not `none` and not with `-` first"
    )]
    GroupName(String),
    /// A zone that the built-in data does not know.
    #[error("time zone `{0}` is not known: write an IANA name such as Asia/Shanghai, or `system`")]
    Zone(String),
}

impl Mode {
    /// Returns the bytes that count, of what came in and what went out.
    pub fn count(self, incoming: u64, outgoing: u64) -> u64 {
        match self {
            Self::Both => incoming.saturating_add(outgoing),
            Self::Out => outgoing,
            Self::Max => incoming.max(outgoing),
        }
    }

    /// Returns what the kernel quotas of this mode count, one each.
    pub fn metered(self) -> &'static [Metered] {
        match self {
            Self::Both => &[Metered::Both],
            Self::Out => &[Metered::Out],
            Self::Max => &[Metered::In, Metered::Out],
        }
    }
}

impl Factor {
    /// Each byte counts once.
    pub const ONE: Self = Self(1_000);

    /// Returns the factor in thousandths, from 1 to 1,000,000.
    pub fn thousandths(self) -> u32 {
        self.0
    }

    /// Returns the factor of so many thousandths.
    ///
    /// # Errors
    ///
    /// `Factor` for 0 and above 1,000,000.
    pub fn from_thousandths(thousandths: u32) -> Result<Self, ValueError> {
        match thousandths {
            1..=1_000_000 => Ok(Self(thousandths)),
            _ => Err(ValueError::Factor(format!("{thousandths}/1000"))),
        }
    }

    /// Returns what `bytes` count for, rounded down.
    pub fn of(self, bytes: u64) -> u64 {
        let product = u128::from(bytes) * u128::from(self.0) / 1_000;
        u64::try_from(product).unwrap_or(u64::MAX)
    }

    /// Returns how many bytes count for at most `billed`, which may be negative.
    pub fn within(self, billed: i64) -> i64 {
        let quotient = (i128::from(billed) * 1_000).div_euclid(i128::from(self.0));
        let limit = if quotient < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(quotient).unwrap_or(limit)
    }

    /// Whether each byte counts once.
    pub fn is_one(&self) -> bool {
        *self == Self::ONE
    }
}

impl Default for Factor {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal(u64::from(self.0), 1_000, 3))
    }
}

impl FromStr for Factor {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refused = || ValueError::Factor(text.trim().to_owned());
        let thousandths = thousandths(text).ok_or_else(refused)?;
        let thousandths = u32::try_from(thousandths).map_err(|_| refused())?;
        Self::from_thousandths(thousandths).map_err(|_| refused())
    }
}

impl TryFrom<String> for Factor {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<Factor> for String {
    fn from(factor: Factor) -> Self {
        factor.to_string()
    }
}

impl Tariff {
    /// Returns what is billed of what came in and went out.
    pub fn bill(self, incoming: u64, outgoing: u64) -> u64 {
        self.factor.of(self.mode.count(incoming, outgoing))
    }
}

impl Limit {
    /// The lowest limit.
    pub const MIN_BITS_PER_SECOND: u64 = 8_000;

    /// The highest limit. The tokens that a kernel limit gets in a second, counted in
    /// nanoseconds, must fit 64 bits: 18 GB, which a quarter more than this is below.
    ///
    /// Source: `net/netfilter/nft_limit.c`, `nft_limit_init`.
    pub const MAX_BITS_PER_SECOND: u64 = 100_000_000_000;

    /// Returns the rate.
    pub fn rate(self) -> BitRate {
        self.0
    }
}

impl TryFrom<BitRate> for Limit {
    type Error = ValueError;

    fn try_from(rate: BitRate) -> Result<Self, ValueError> {
        if rate.bits_per_second() < Self::MIN_BITS_PER_SECOND {
            Err(ValueError::LimitTooLow(rate))
        } else if rate.bits_per_second() > Self::MAX_BITS_PER_SECOND {
            Err(ValueError::LimitTooHigh(rate))
        } else {
            Ok(Self(rate))
        }
    }
}

impl From<Limit> for BitRate {
    fn from(limit: Limit) -> Self {
        limit.0
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Both => "both",
            Self::Out => "out",
            Self::Max => "max",
        })
    }
}

impl FromStr for Mode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.to_ascii_lowercase().as_str() {
            "both" => Ok(Self::Both),
            "out" => Ok(Self::Out),
            "max" => Ok(Self::Max),
            _ => Err(ValueError::Mode(text.to_owned())),
        }
    }
}

impl QuotaSize {
    /// Returns the quota as it was typed.
    pub fn size(self) -> Size {
        self.0
    }

    /// Returns the quota in bytes, at least 1.
    pub fn bytes(self) -> u64 {
        self.0.bytes()
    }
}

impl TryFrom<Size> for QuotaSize {
    type Error = ValueError;

    fn try_from(size: Size) -> Result<Self, ValueError> {
        if size.bytes() == 0 {
            Err(ValueError::QuotaZero)
        } else {
            Ok(Self(size))
        }
    }
}

impl From<QuotaSize> for Size {
    fn from(quota: QuotaSize) -> Self {
        quota.0
    }
}
