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
    /// they are and needs at most three decimals.
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
    /// assert_eq!(Size::from_bytes(1_000_100)?.to_string(), "1000.1KB");
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
    #[error(
        "`{0}` may mean bytes: rates are in bits; write 100Mbps for bits, or 8Mbps for each megabyte a second"
    )]
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
        "b" | "bps" | "b/s" | "bit" | "bits" | "bit/s" | "bits/s" => RateUnit::Bits(prefix),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::{bit_rate, size};
    use proptest::prelude::*;

    fn bytes(text: &str) -> Result<u64, SizeError> {
        text.parse().map(Size::bytes)
    }

    fn bits(text: &str) -> Result<u64, BitRateError> {
        text.parse().map(BitRate::bits_per_second)
    }

    #[test]
    fn units_are_powers_of_1000_or_of_1024() {
        for (power, (letter, binary)) in (0..).zip([
            ("", ""),
            ("K", "Ki"),
            ("M", "Mi"),
            ("G", "Gi"),
            ("T", "Ti"),
            ("P", "Pi"),
        ]) {
            assert_eq!(bytes(&format!("7{letter}B")), Ok(7 * 1_000u64.pow(power)));
            assert_eq!(bytes(&format!("7{binary}B")), Ok(7 * 1_024u64.pow(power)));
            let family = [SizeFamily::Decimal, SizeFamily::Binary].map(SizeFamily::units);
            assert_eq!(family[0][power as usize].bytes(), 1_000u64.pow(power));
            assert_eq!(family[1][power as usize].bytes(), 1_024u64.pow(power));
        }
    }

    #[test]
    fn a_size_is_shown_in_the_unit_it_was_typed_in() {
        for (typed, shown) in [
            ("100G", "100GB"),
            ("100Gi", "100GiB"),
            ("500m", "500MB"),
            ("1.5 gib", "1.5GiB"),
            (" 1000GB ", "1000GB"),
            ("007kb", "7KB"),
            ("1.50GB", "1.5GB"),
            ("1000", "1000B"),
            ("1000 b", "1000B"),
            ("0", "0B"),
            ("0.0TB", "0TB"),
            ("0.0009765625KiB", "0.0009765625KiB"),
        ] {
            assert_eq!(typed.parse::<Size>().unwrap().to_string(), shown);
        }
        assert_eq!(format!("{:>6}", "5GB".parse::<Size>().unwrap()), "   5GB");
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(bytes("1.5GB"), Ok(1_500_000_000));
        assert_eq!(bytes("1.5GiB"), Ok(1_610_612_736));
        assert_eq!(bytes("0.000000001GB"), Ok(1));
        assert_eq!(bytes("9007199.254740993GB"), Ok(9_007_199_254_740_993));
        assert_eq!(bytes(&format!("2.5{}KB", "0".repeat(300))), Ok(2_500));
        for text in ["0.5", "1.5B", "0.0000000001GB", "1.0001KiB", "0.1GiB"] {
            assert_eq!(bytes(text), Err(SizeError::FractionOfByte(text.into())));
        }
        let byte = Size::new(1, SizeUnit::PiB).unwrap();
        let text = "0.00000000000000088817841970012523233890533447265625PiB";
        assert_eq!(byte.to_string(), text);
        assert_eq!(text.parse(), Ok(byte));
    }

    #[test]
    fn the_largest_size_fits_a_signed_integer() {
        assert_eq!(bytes("9223372036854775807"), Ok(Size::MAX_BYTES));
        assert_eq!(bytes("9223.372036854775807PB"), Ok(Size::MAX_BYTES));
        for text in [
            "9223372036854775808",
            "18446744073709551616",
            "9223.372036854775808PB",
            "8192PiB",
            "99999999999999999999999999999999999999999999PB",
        ] {
            assert_eq!(bytes(text), Err(SizeError::TooLarge(text.into())));
        }
        assert!(Size::new(Size::MAX_BYTES, SizeUnit::B).is_ok());
        assert!(Size::from_bytes(Size::MAX_BYTES + 1).is_err());
        assert!(
            bytes("8192PiB")
                .unwrap_err()
                .to_string()
                .contains(&Size::MAX_BYTES.to_string())
        );
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "", " ", "GB", ".5GB", "5.GB", "5.", ".", "１GB", "∞", "NaN", "x5GB",
        ] {
            assert_eq!(bytes(text), Err(SizeError::NotASize(text.trim().into())));
        }
        for text in ["-1GB", "+1GB", "-0"] {
            assert_eq!(bytes(text), Err(SizeError::Signed(text.into())));
        }
        for text in ["1e30GB", "1E9", "1.5e+3", "1e-3GB"] {
            assert_eq!(bytes(text), Err(SizeError::Exponent(text.into())));
        }
        for (text, unit) in [
            ("5EB", "EB"),
            ("5 bytes", "bytes"),
            ("1,5GB", ",5GB"),
            ("1_000", "_000"),
            ("1 000", "000"),
            ("0x10", "x10"),
            ("1.2.3GB", ".3GB"),
            ("5Mbps", "Mbps"),
            ("5GBB", "GBB"),
            ("5ＧＢ", "ＧＢ"),
        ] {
            let (text, unit) = (text.to_owned(), unit.to_owned());
            assert_eq!(bytes(&text), Err(SizeError::UnknownUnit { text, unit }));
        }
    }

    #[test]
    fn bytes_choose_the_unit_that_shows_them_in_three_decimals() {
        for (bytes, shown) in [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1KB"),
            (1_001, "1.001KB"),
            (1_000_000, "1MB"),
            (1_001_000, "1.001MB"),
            (1_000_100, "1000.1KB"),
            (1_000_001, "1000.001KB"),
            (100_000_000_000, "100GB"),
            (100_000_000_001, "100000000.001KB"),
            (Size::MAX_BYTES, "9223372036854775.807KB"),
        ] {
            assert_eq!(Size::from_bytes(bytes).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn sizes_are_ordered_by_bytes() {
        let [a, b, c] = ["999MB", "1GB", "1000MB"].map(|text| text.parse::<Size>().unwrap());
        assert!(a < b && a < c && c < b);
        assert_ne!(b, c);
    }

    #[test]
    fn sizes_and_rates_are_saved_as_text() {
        let size: Size = "1.5GiB".parse().unwrap();
        assert_eq!(serde_json::to_string(&size).unwrap(), r#""1.5GiB""#);
        assert!(serde_json::from_str::<Size>("5").is_err());
        let rate: BitRate = "100M".parse().unwrap();
        assert_eq!(serde_json::to_string(&rate).unwrap(), r#""100Mbps""#);
        let error = serde_json::from_str::<BitRate>(r#""fast""#).unwrap_err();
        assert!(error.to_string().contains("`fast` is not a rate"));
    }

    #[test]
    fn a_table_never_shows_more_than_there_is() {
        use SizeFamily::{Binary, Decimal};
        for (bytes, family, shown) in [
            (0, Decimal, "0 B"),
            (999, Decimal, "999 B"),
            (1_023, Binary, "1023 B"),
            (1_000, Decimal, "1 KB"),
            (1_000, Binary, "1000 B"),
            (1_009, Decimal, "1 KB"),
            (1_010, Decimal, "1.01 KB"),
            (4_200_000_000, Decimal, "4.2 GB"),
            (9_999_999_999, Decimal, "9.99 GB"),
            (10_000_000_000, Decimal, "10 GB"),
            (99_999_999_999, Decimal, "99.9 GB"),
            (100_999_999_999, Decimal, "100 GB"),
            (999_999_999_999, Decimal, "999 GB"),
            (1_000_000_000_000, Decimal, "1 TB"),
            ((1 << 20) - 1, Binary, "1023 KiB"),
            (10 << 30, Binary, "10 GiB"),
            ((10 << 30) - 1, Binary, "9.99 GiB"),
            (u64::MAX, Decimal, "18446 PB"),
            (u64::MAX, Binary, "16383 PiB"),
        ] {
            assert_eq!(approximate(bytes, family), shown);
        }
    }

    #[test]
    fn a_rate_is_in_decimal_bits() {
        for (typed, rate, shown) in [
            ("1", 1, "1bps"),
            ("999", 999, "999bps"),
            ("100M", 100_000_000, "100Mbps"),
            ("100Mbps", 100_000_000, "100Mbps"),
            ("100mb", 100_000_000, "100Mbps"),
            ("1Gbps", 1_000_000_000, "1Gbps"),
            ("1000mbit", 1_000_000_000, "1Gbps"),
            ("1.5 Gbit/s", 1_500_000_000, "1.5Gbps"),
            ("500Kbps", 500_000, "500Kbps"),
            ("1234567", 1_234_567, "1234.567Kbps"),
            ("1.0001M", 1_000_100, "1000.1Kbps"),
            ("10T", BitRate::MAX_BITS_PER_SECOND, "10Tbps"),
        ] {
            let parsed: BitRate = typed.parse().unwrap();
            assert_eq!(
                (parsed.bits_per_second(), parsed.to_string()),
                (rate, shown.into())
            );
        }
    }

    #[test]
    fn bytes_a_second_are_rounded_down() {
        for (rate, bytes) in [("7", 0), ("8", 1), ("15", 1), ("100M", 12_500_000)] {
            assert_eq!(rate.parse().map(BitRate::bytes_per_second), Ok(bytes));
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["0", "0Mbps", "0.000G"] {
            assert_eq!(bits(text), Err(BitRateError::Zero(text.into())));
        }
        for text in ["10.000000000001T", "10000000000001", "99999999999999999999"] {
            assert_eq!(bits(text), Err(BitRateError::TooFast(text.into())));
        }
        for text in ["100MB", "100MBps", "100MBPS", "1GB/s", "5B"] {
            assert_eq!(bits(text), Err(BitRateError::Bytes(text.into())));
        }
        for text in ["", "Mbps", ".5M", "fast"] {
            assert_eq!(bits(text), Err(BitRateError::NotARate(text.into())));
        }
        assert_eq!(bits("-1M"), Err(BitRateError::Signed("-1M".into())));
        assert_eq!(bits("1e9"), Err(BitRateError::Exponent("1e9".into())));
        assert_eq!(bits("0.5"), Err(BitRateError::FractionOfBit("0.5".into())));
        for (text, unit) in [
            ("1Mi", "Mi"),
            ("1Pbps", "Pbps"),
            ("1Mbps/s", "Mbps/s"),
            ("1µ", "µ"),
        ] {
            let (text, unit) = (text.to_owned(), unit.to_owned());
            assert_eq!(bits(&text), Err(BitRateError::UnknownUnit { text, unit }));
        }
        assert!(BitRate::from_bits_per_second(0).is_err());
        assert!(BitRate::from_bits_per_second(BitRate::MAX_BITS_PER_SECOND + 1).is_err());
    }

    proptest! {
        #[test]
        fn text_and_size_round_trip(size in size()) {
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            prop_assert_eq!(size.to_string().to_lowercase().parse(), Ok(size));
        }

        #[test]
        fn text_and_rate_round_trip(rate in bit_rate()) {
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }

        #[test]
        fn bytes_survive_the_choice_of_a_unit(size in size()) {
            let chosen = Size::from_bytes(size.bytes()).unwrap();
            prop_assert_eq!(chosen.bytes(), size.bytes());
            let text = chosen.to_string();
            let decimals = text.split_once('.').map_or("", |(_, rest)| rest);
            prop_assert!(decimals.bytes().filter(u8::is_ascii_digit).count() <= 3);
        }

        /// At most a hundredth is missing, and nothing is added.
        #[test]
        fn an_approximation_is_close_and_below(size in size()) {
            for family in [SizeFamily::Decimal, SizeFamily::Binary] {
                let text = approximate(size.bytes(), family);
                let (number, unit) = text.split_once(' ').unwrap();
                let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
                let unit = u128::from(SizeUnit::named(unit).unwrap().bytes());
                let hundredths: u128 = format!("{whole}{fraction:0<2}").parse().unwrap();
                let (shown, exact) = (hundredths * unit, u128::from(size.bytes()) * 100);
                prop_assert!(shown <= exact && (exact - shown) * 100 <= exact, "{text}");
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), number in "[0-9]{1,30}(\\.[0-9]{1,60})?") {
            let _ = text.parse::<Size>();
            let _ = text.parse::<BitRate>();
            let _ = format!("{number}{text}").parse::<Size>();
            let _ = format!("{number}{text}").parse::<BitRate>();
            let _ = format!("{number}PiB").parse::<Size>();
        }
    }
}
