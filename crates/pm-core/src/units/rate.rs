//! Rates: bits a second.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::number::{Inexact, Number, NumberFault, exact_decimal, shows_in_three_decimals};

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
            Err(Inexact::Fraction { .. }) => Err(BitRateError::FractionOfBit(whole())),
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
