//! Sizes: bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::number::{
    Inexact, Number, NumberFault, decimal, exact_decimal, shows_in_three_decimals,
};

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
    /// A number without a unit, which could be meant in any.
    #[error("`{0}` has no unit: write {0}GB, {0}GiB or {0}B")]
    NoUnit(String),
    /// Not a whole number of bytes.
    #[error("`{text}` is not a whole number of bytes: write {below}B")]
    FractionOfByte {
        /// What was written.
        text: String,
        /// The bytes just below.
        below: u64,
    },
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
    pub(super) fn named(name: &str) -> Option<Self> {
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
            Ok(bytes) if number.unit.is_empty() && bytes != 0 => Err(SizeError::NoUnit(whole())),
            Ok(bytes) if bytes <= Self::MAX_BYTES => Ok(Self { bytes, unit }),
            Ok(_) | Err(Inexact::TooLarge) => Err(SizeError::TooLarge(whole())),
            Err(Inexact::Fraction { below }) => Err(SizeError::FractionOfByte {
                text: whole(),
                below,
            }),
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
