//! Decimal numbers, read and written without rounding.

/// A decimal number and the text after it.
pub(super) struct Number<'a> {
    whole: &'a str,
    fraction: &'a str,
    pub(super) unit: &'a str,
}

pub(super) enum NumberFault {
    Missing,
    Signed,
    Exponent,
}

pub(super) enum Inexact {
    Fraction { below: u64 },
    TooLarge,
}

impl<'a> Number<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, NumberFault> {
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
    pub(super) fn times(&self, unit: u64) -> Result<u64, Inexact> {
        // Long multiplication from the last digit on: what is carried past the point is
        // whole, and every digit left behind it must be 0 to be exact. Exact for any number of digits.
        let (mut carry, mut exact) = (0, true);
        for digit in self.fraction.bytes().rev() {
            let product = u128::from(digit - b'0') * u128::from(unit) + carry;
            exact &= product % 10 == 0;
            carry = product / 10;
        }
        // Only digits: too many of them is all that can be wrong.
        let whole: u64 = self.whole.parse().map_err(|_| Inexact::TooLarge)?;
        let product = u128::from(whole) * u128::from(unit) + carry;
        match u64::try_from(product) {
            Ok(product) if exact => Ok(product),
            Ok(below) => Err(Inexact::Fraction { below }),
            Err(_) => Err(Inexact::TooLarge),
        }
    }
}

/// Returns the thousandths that a number without a unit has, if they are a whole number.
pub(crate) fn thousandths(text: &str) -> Option<u64> {
    let number = Number::read(text).ok()?;
    number.times(1_000).ok().filter(|_| number.unit.is_empty())
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Whether `value` is at least one `unit` and a whole number of its thousandths.
pub(super) fn shows_in_three_decimals(value: u64, unit: u64) -> bool {
    value >= unit && value.is_multiple_of((unit / 1_000).max(1))
}

/// Returns `value / unit` with all the decimals it has; `unit` divides a power of ten.
pub(super) fn exact_decimal(value: u64, unit: u64) -> String {
    decimal(value, unit, usize::MAX)
}

/// Returns `value / unit`, cut after `decimals` decimals, without zeros at its end.
pub(crate) fn decimal(value: u64, unit: u64, decimals: usize) -> String {
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
