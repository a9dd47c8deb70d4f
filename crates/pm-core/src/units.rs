//! Sizes and rates: exact numbers, kept with the unit they were typed in.
//!
//! - A size is a whole number of bytes. `GB` is 10⁹ and `GiB` is 2³⁰ of them;
//!   which one was typed is part of the value, so that it is shown again as it was typed.
//! - A rate is a whole number of bits a second, and its units are decimal only.
//! - What is read is exact: a fraction of a byte or of a bit is refused, never rounded.
//!   Only [`approximate`] rounds, and only down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes, from 0 to [`Size::MAX_BYTES`], and the unit it was typed in.
///
/// The unit's case does not matter, nor does its `B`, nor spaces before it; without a
/// unit the number counts bytes. Ordered by bytes, then by unit.
///
/// # Examples
///
/// ```
/// use pm_core::units::Size;
///
/// let size: Size = "1.5 gib".parse()?;
/// assert_eq!(size.bytes(), 1_610_612_736);
/// assert_eq!(size.to_string(), "1.5GiB");
/// assert_eq!("100G".parse::<Size>()?.to_string(), "100GB");
/// # Ok::<(), pm_core::units::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size {
    bytes: u64,
    unit: SizeUnit,
}

/// A unit of size: a byte, or a decimal or binary multiple of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SizeUnit {
    /// One byte.
    B,
    /// 10³ bytes.
    KB,
    /// 10⁶ bytes.
    MB,
    /// 10⁹ bytes.
    GB,
    /// 10¹² bytes.
    TB,
    /// 10¹⁵ bytes.
    PB,
    /// 2¹⁰ bytes.
    KiB,
    /// 2²⁰ bytes.
    MiB,
    /// 2³⁰ bytes.
    GiB,
    /// 2⁴⁰ bytes.
    TiB,
    /// 2⁵⁰ bytes.
    PiB,
}

/// Whether multiples are powers of 1000 or of 1024.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SizeFamily {
    /// B, KB, MB, GB, TB, PB.
    Decimal,
    /// B, KiB, MiB, GiB, TiB, PiB.
    Binary,
}

/// Why a text is not a size.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SizeError {
    /// Not a decimal number, with or without a unit.
    #[error("`{0}` is not a size: write a number and a unit, such as 100GB, 1.5GiB or 500MB")]
    NotASize(String),
    /// A number with a sign.
    #[error("`{0}` has a sign: write the size without one, such as 100GB")]
    Signed(String),
    /// A number with an exponent.
    #[error("`{0}` has an exponent: write the number out with a unit, such as 100GB")]
    Exponent(String),
    /// A number followed by something that is no unit.
    #[error(
        "`{text}` is not a size: `{unit}` is no unit; use B, KB, MB, GB, TB or PB (powers of 1000), \
         or KiB, MiB, GiB, TiB or PiB (powers of 1024)"
    )]
    UnknownUnit {
        /// What was written.
        text: String,
        /// The part of it after the number.
        unit: String,
    },
    /// Not a whole number of bytes.
    #[error("`{0}` is not a whole number of bytes: write fewer decimals")]
    FractionOfByte(String),
    /// More than [`Size::MAX_BYTES`].
    #[error("`{0}` is too large: the largest size is 9223372036854775807 bytes (about 9223PB)")]
    TooLarge(String),
}

impl Size {
    /// The most bytes a size can have: what an SQLite integer holds, 2⁶³−1.
    pub const MAX_BYTES: u64 = i64::MAX as u64;

    /// Returns `bytes` bytes, shown in `unit`.
    ///
    /// # Errors
    ///
    /// `TooLarge` above [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn new(bytes: u64, unit: SizeUnit) -> Result<Self, SizeError> {
        if bytes > Self::MAX_BYTES {
            return Err(SizeError::TooLarge(bytes.to_string()));
        }
        Ok(Self { bytes, unit })
    }

    /// Returns `bytes` bytes, shown in the largest decimal unit that is no larger than
    /// they are and needs at most three decimals; in bytes if none does.
    ///
    /// # Errors
    ///
    /// `TooLarge` above [`MAX_BYTES`](Self::MAX_BYTES).
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_core::units::Size;
    ///
    /// assert_eq!(Size::from_bytes(1_500_000_000)?.to_string(), "1.5GB");
    /// assert_eq!(Size::from_bytes(1_500_000_001)?.to_string(), "1500000001B");
    /// # Ok::<(), pm_core::units::SizeError>(())
    /// ```
    pub fn from_bytes(bytes: u64) -> Result<Self, SizeError> {
        let unit = SizeFamily::Decimal
            .units()
            .into_iter()
            .rev()
            .find(|unit| shows_in_three_decimals(bytes, unit.bytes()))
            .unwrap_or(SizeUnit::B);
        Self::new(bytes, unit)
    }

    /// Returns the bytes, at most [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// Returns the unit it was typed in, and is shown in.
    pub fn unit(self) -> SizeUnit {
        self.unit
    }
}

impl SizeUnit {
    /// Returns how many bytes one of these is.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::B => 1,
            Self::KB => 1_000,
            Self::MB => 1_000_000,
            Self::GB => 1_000_000_000,
            Self::TB => 1_000_000_000_000,
            Self::PB => 1_000_000_000_000_000,
            Self::KiB => 1 << 10,
            Self::MiB => 1 << 20,
            Self::GiB => 1 << 30,
            Self::TiB => 1 << 40,
            Self::PiB => 1 << 50,
        }
    }

    /// Returns the family whose units other sizes beside this one are shown in.
    ///
    /// A byte belongs to both; it counts as decimal.
    pub const fn family(self) -> SizeFamily {
        match self {
            Self::B | Self::KB | Self::MB | Self::GB | Self::TB | Self::PB => SizeFamily::Decimal,
            Self::KiB | Self::MiB | Self::GiB | Self::TiB | Self::PiB => SizeFamily::Binary,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::B => "B",
            Self::KB => "KB",
            Self::MB => "MB",
            Self::GB => "GB",
            Self::TB => "TB",
            Self::PB => "PB",
            Self::KiB => "KiB",
            Self::MiB => "MiB",
            Self::GiB => "GiB",
            Self::TiB => "TiB",
            Self::PiB => "PiB",
        }
    }

    /// Reads a unit without regard to case, and with or without its `B`.
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "" | "b" => Self::B,
            "k" | "kb" => Self::KB,
            "m" | "mb" => Self::MB,
            "g" | "gb" => Self::GB,
            "t" | "tb" => Self::TB,
            "p" | "pb" => Self::PB,
            "ki" | "kib" => Self::KiB,
            "mi" | "mib" => Self::MiB,
            "gi" | "gib" => Self::GiB,
            "ti" | "tib" => Self::TiB,
            "pi" | "pib" => Self::PiB,
            _ => return None,
        })
    }
}

impl fmt::Display for SizeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl SizeFamily {
    /// Returns the units, from the byte up.
    pub const fn units(self) -> [SizeUnit; 6] {
        use SizeUnit::{B, GB, GiB, KB, KiB, MB, MiB, PB, PiB, TB, TiB};
        match self {
            Self::Decimal => [B, KB, MB, GB, TB, PB],
            Self::Binary => [B, KiB, MiB, GiB, TiB, PiB],
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!(
            "{}{}",
            exact_decimal(self.bytes, self.unit.bytes()),
            self.unit
        ))
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let whole = || text.trim().to_owned();
        let number = Number::read(text).map_err(|fault| match fault {
            NumberFault::Missing => SizeError::NotASize(whole()),
            NumberFault::Signed => SizeError::Signed(whole()),
            NumberFault::Exponent => SizeError::Exponent(whole()),
        })?;
        let unit = SizeUnit::named(number.unit).ok_or_else(|| SizeError::UnknownUnit {
            text: whole(),
            unit: number.unit.to_owned(),
        })?;
        match number.times(unit.bytes()) {
            Ok(bytes) if bytes <= Self::MAX_BYTES => Ok(Self { bytes, unit }),
            Ok(_) | Err(Inexact::TooLarge) => Err(SizeError::TooLarge(whole())),
            Err(Inexact::Fraction) => Err(SizeError::FractionOfByte(whole())),
        }
    }
}

impl TryFrom<String> for Size {
    type Error = SizeError;

    fn try_from(text: String) -> Result<Self, SizeError> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

/// Returns `bytes` for a table: three significant digits, rounded down, in the largest
/// unit of `family` that is no larger than `bytes`.
///
/// Rounded down, so that a quota is shown as used up only when it is. The whole part is
/// never cut short (`1023 KiB`), and zeros at the end of a fraction are left out.
///
/// # Examples
///
/// ```
/// use pm_core::units::{SizeFamily, approximate};
///
/// assert_eq!(approximate(4_200_000_000, SizeFamily::Decimal), "4.2 GB");
/// assert_eq!(approximate(4_200_000_000, SizeFamily::Binary), "3.91 GiB");
/// assert_eq!(approximate(9_999_999_999, SizeFamily::Decimal), "9.99 GB");
/// ```
pub fn approximate(bytes: u64, family: SizeFamily) -> String {
    let unit = family
        .units()
        .into_iter()
        .rev()
        .find(|unit| unit.bytes() <= bytes)
        .unwrap_or(SizeUnit::B);
    let whole = bytes / unit.bytes();
    let decimals = match whole {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    format!("{} {unit}", decimal(bytes, unit.bytes(), decimals))
}

/// A rate, in bits a second, from 1 to [`BitRate::MAX_BITS_PER_SECOND`].
///
/// Written as a number, a decimal prefix and, if wanted, `bps`, `bit` or `bit/s`; a plain
/// number counts bits a second. Case does not matter, but for a capital `B` that would
/// make bytes of the bits (`MBps`): that is refused.
///
/// # Examples
///
/// ```
/// use pm_core::units::BitRate;
///
/// let rate: BitRate = "100M".parse()?;
/// assert_eq!(rate.bits_per_second(), 100_000_000);
/// assert_eq!(rate.bytes_per_second(), 12_500_000);
/// assert_eq!(rate.to_string(), "100Mbps");
/// assert_eq!("1.5 Gbit/s".parse::<BitRate>()?.to_string(), "1.5Gbps");
/// # Ok::<(), pm_core::units::BitRateError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BitRate(u64);

/// Why a text is not a rate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BitRateError {
    /// Not a decimal number, with or without a unit.
    #[error("`{0}` is not a rate: write a number and a unit, such as 100Mbps, 1.5Gbps or 500K")]
    NotARate(String),
    /// A number with a sign.
    #[error("`{0}` has a sign: write the rate without one, such as 100Mbps")]
    Signed(String),
    /// A number with an exponent.
    #[error("`{0}` has an exponent: write the number out with a unit, such as 100Mbps")]
    Exponent(String),
    /// A number followed by something that is no unit.
    #[error("`{text}` is not a rate: `{unit}` is no unit; use bps, Kbps, Mbps, Gbps or Tbps")]
    UnknownUnit {
        /// What was written.
        text: String,
        /// The part of it after the number.
        unit: String,
    },
    /// A unit with a capital `B`: bytes.
    #[error("`{0}` may mean bytes: rates are in bits, so write Mbps for bits, or 8Mbps for 1MB/s")]
    Bytes(String),
    /// Not a whole number of bits a second.
    #[error("`{0}` is not a whole number of bits a second: write fewer decimals")]
    FractionOfBit(String),
    /// Nothing a second.
    #[error("a rate of `{0}` would let nothing through: write at least 1bps")]
    Zero(String),
    /// More than [`BitRate::MAX_BITS_PER_SECOND`].
    #[error("`{0}` is too fast: the highest rate is 10Tbps")]
    TooFast(String),
}

/// The units of rates, the largest first, with their bits a second.
const RATE_UNITS: [(&str, u64); 5] = [
    ("Tbps", 1_000_000_000_000),
    ("Gbps", 1_000_000_000),
    ("Mbps", 1_000_000),
    ("Kbps", 1_000),
    ("bps", 1),
];

impl BitRate {
    /// The highest rate, 10 Tbps: above any host's links, and a million times as much
    /// (microseconds, in the reckoning of bursts) still fits 64 bits.
    pub const MAX_BITS_PER_SECOND: u64 = 10_000_000_000_000;

    /// Returns the rate of `bits` bits a second.
    ///
    /// # Errors
    ///
    /// `Zero` for 0, `TooFast` above [`MAX_BITS_PER_SECOND`](Self::MAX_BITS_PER_SECOND).
    pub fn from_bits_per_second(bits: u64) -> Result<Self, BitRateError> {
        match bits {
            0 => Err(BitRateError::Zero("0".to_owned())),
            1..=Self::MAX_BITS_PER_SECOND => Ok(Self(bits)),
            _ => Err(BitRateError::TooFast(bits.to_string())),
        }
    }

    /// Returns the bits a second, at least 1.
    pub fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Returns the whole bytes a second: 0 below 8 bits a second.
    pub fn bytes_per_second(self) -> u64 {
        self.0 / 8
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = RATE_UNITS
            .into_iter()
            .find(|&(_, unit)| shows_in_three_decimals(self.0, unit))
            .unwrap_or(("bps", 1));
        f.pad(&format!("{}{name}", exact_decimal(self.0, unit)))
    }
}

impl FromStr for BitRate {
    type Err = BitRateError;

    fn from_str(text: &str) -> Result<Self, BitRateError> {
        let whole = || text.trim().to_owned();
        let number = Number::read(text).map_err(|fault| match fault {
            NumberFault::Missing => BitRateError::NotARate(whole()),
            NumberFault::Signed => BitRateError::Signed(whole()),
            NumberFault::Exponent => BitRateError::Exponent(whole()),
        })?;
        let unit = match rate_unit(number.unit) {
            RateUnit::Bits(unit) => unit,
            RateUnit::Bytes => return Err(BitRateError::Bytes(whole())),
            RateUnit::Unknown => {
                return Err(BitRateError::UnknownUnit {
                    text: whole(),
                    unit: number.unit.to_owned(),
                });
            }
        };
        match number.times(unit) {
            Ok(0) => Err(BitRateError::Zero(whole())),
            Ok(bits) if bits <= Self::MAX_BITS_PER_SECOND => Ok(Self(bits)),
            Ok(_) | Err(Inexact::TooLarge) => Err(BitRateError::TooFast(whole())),
            Err(Inexact::Fraction) => Err(BitRateError::FractionOfBit(whole())),
        }
    }
}

impl TryFrom<String> for BitRate {
    type Error = BitRateError;

    fn try_from(text: String) -> Result<Self, BitRateError> {
        text.parse()
    }
}

impl From<BitRate> for String {
    fn from(rate: BitRate) -> Self {
        rate.to_string()
    }
}

enum RateUnit {
    Bits(u64),
    Bytes,
    Unknown,
}

fn rate_unit(unit: &str) -> RateUnit {
    let (prefix, rest) = match unit.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b't') => (1_000_000_000_000, &unit[1..]),
        Some(b'g') => (1_000_000_000, &unit[1..]),
        Some(b'm') => (1_000_000, &unit[1..]),
        Some(b'k') => (1_000, &unit[1..]),
        _ => (1, unit),
    };
    match rest {
        "" => return RateUnit::Bits(prefix),
        "B" | "Bps" | "BPS" | "B/s" | "B/S" => return RateUnit::Bytes,
        _ => {}
    }
    match rest.to_ascii_lowercase().as_str() {
        "bps" | "b/s" | "bit" | "bits" | "bit/s" | "bits/s" => RateUnit::Bits(prefix),
        _ => RateUnit::Unknown,
    }
}

/// A decimal number and the text after it.
struct Number<'a> {
    whole: &'a str,
    fraction: &'a str,
    unit: &'a str,
}

enum NumberFault {
    Missing,
    Signed,
    Exponent,
}

enum Inexact {
    Fraction,
    TooLarge,
}

impl<'a> Number<'a> {
    fn read(text: &'a str) -> Result<Self, NumberFault> {
        let text = text.trim();
        if text.starts_with(['-', '+']) {
            return Err(NumberFault::Signed);
        }
        let (whole, rest) = split_digits(text);
        if whole.is_empty() {
            return Err(NumberFault::Missing);
        }
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => match split_digits(rest) {
                ("", _) => return Err(NumberFault::Missing),
                split => split,
            },
            None => ("", rest),
        };
        let exponent = rest
            .strip_prefix(['e', 'E'])
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c)));
        if exponent {
            return Err(NumberFault::Exponent);
        }
        Ok(Self {
            whole,
            fraction,
            unit: rest.trim_start(),
        })
    }

    /// Returns the number times `unit`, if that is a whole number.
    fn times(&self, unit: u64) -> Result<u64, Inexact> {
        // Long multiplication from the last digit on: what is carried past the point is
        // whole, and every digit left behind it must be 0. Exact for any number of digits.
        let mut carry = 0;
        for digit in self.fraction.bytes().rev() {
            let product = u128::from(digit - b'0') * u128::from(unit) + carry;
            if product % 10 != 0 {
                return Err(Inexact::Fraction);
            }
            carry = product / 10;
        }
        // Only digits: too many of them is all that can be wrong.
        let whole: u64 = self.whole.parse().map_err(|_| Inexact::TooLarge)?;
        let product = u128::from(whole) * u128::from(unit) + carry;
        u64::try_from(product).map_err(|_| Inexact::TooLarge)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Whether `value` is at least one `unit` and a whole number of its thousandths.
fn shows_in_three_decimals(value: u64, unit: u64) -> bool {
    value >= unit && value.is_multiple_of((unit / 1_000).max(1))
}

/// Returns `value / unit` with all the decimals it has; `unit` divides a power of ten.
fn exact_decimal(value: u64, unit: u64) -> String {
    decimal(value, unit, usize::MAX)
}

/// Returns `value / unit`, cut after `decimals` decimals, without zeros at its end.
fn decimal(value: u64, unit: u64, decimals: usize) -> String {
    let mut text = (value / unit).to_string();
    let mut fraction = String::new();
    let mut rest = value % unit;
    while rest != 0 && fraction.len() < decimals {
        // Below 2⁵⁰ times 10: fits.
        rest *= 10;
        fraction.push(char::from(b'0' + (rest / unit) as u8));
        rest %= unit;
    }
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}
