//! Figures of those tools as pm's settings.

use pm_core::config::{Limit, QuotaSize};
use pm_core::units::{BitRate, Size, SizeUnit};

/// Returns a quota of so many thousandths of a GiB; `None`: it is nothing, or too large.
pub(crate) fn gib(thousandths: u64) -> Option<QuotaSize> {
    quota(
        u128::from(thousandths) * u128::from(SizeUnit::GiB.bytes()) / 1_000,
        SizeUnit::GiB,
    )
}

/// Returns a quota of so many bytes, shown in a unit; `None`: it is nothing, or too large.
pub(crate) fn quota(bytes: u128, unit: SizeUnit) -> Option<QuotaSize> {
    let size = Size::new(u64::try_from(bytes).ok()?, unit).ok()?;
    size.try_into().ok()
}

/// Returns a limit of so many thousandths of a megabit a second; `None`: pm has no such limit.
pub(crate) fn megabits(thousandths: u64) -> Option<Limit> {
    limit(thousandths.checked_mul(1_000)?)
}

/// Returns a limit of so many bits a second; `None`: pm has no such limit.
pub(crate) fn limit(bits: u64) -> Option<Limit> {
    BitRate::from_bits_per_second(bits).ok()?.try_into().ok()
}
