//! Sizes and rates: exact numbers, kept with the unit they were typed in.
//!
//! - A size is a whole number of bytes. `GB` is 10⁹ and `GiB` is 2³⁰ of them;
//!   which one was typed is part of the value, so that it is shown again as it was typed.
//! - A rate is a whole number of bits a second, and its units are decimal only.
//! - What is read is exact: a fraction of a byte or of a bit is refused, never rounded.
//!   Only [`approximate`] rounds, and only down.

mod number;
mod rate;
mod size;
#[cfg(test)]
mod tests;

pub(crate) use number::{decimal, thousandths};
pub use rate::{BitRate, BitRateError};
pub use size::{Size, SizeError, SizeFamily, SizeUnit, approximate};
