//! Ports and port ranges: what a service is known by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A TCP/UDP port, or a range of them, both ends included: `20000`, `30000-30100`.
///
/// Ordered by its first port, then by its last.
///
/// # Examples
///
/// ```
/// use pm_core::port::PortRange;
///
/// let range: PortRange = "30000-30100".parse()?;
/// assert_eq!((range.first(), range.last()), (30000, 30100));
/// assert_eq!(range.to_string(), "30000-30100");
/// assert!(range.overlaps("30050".parse()?));
/// # Ok::<(), pm_core::port::PortError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why a text is not a port or a list of ports.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PortError {
    /// Neither a number nor two numbers joined by `-`.
    #[error("`{0}` is not a port: write a number from 1 to 65535, or a range such as 30000-30100")]
    NotAPort(String),
    /// A number outside 1–65535.
    #[error("port {0} does not exist: ports run from 1 to 65535")]
    OutOfRange(String),
    /// A range whose end is before its start.
    #[error("range {first}-{last} is backwards: write {last}-{first}")]
    Backwards {
        /// The number written first.
        first: u16,
        /// The number written last.
        last: u16,
    },
    /// Two entries of one list share a port.
    #[error("{0} and {1} overlap: a port can belong to one service only")]
    Overlap(PortRange, PortRange),
    /// A list without an entry.
    #[error("no port given: write one, or several separated by commas")]
    Empty,
}

impl PortRange {
    /// Returns the range `first..=last`.
    ///
    /// # Errors
    ///
    /// `OutOfRange` for port 0, `Backwards` when `last < first`.
    pub fn new(first: u16, last: u16) -> Result<Self, PortError> {
        if first == 0 || last == 0 {
            return Err(PortError::OutOfRange("0".to_owned()));
        }
        if last < first {
            return Err(PortError::Backwards { first, last });
        }
        Ok(Self { first, last })
    }

    /// Returns the lowest port, 1–65535.
    pub fn first(self) -> u16 {
        self.first
    }

    /// Returns the highest port, at least [`first`](Self::first).
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether this is one port, not a range.
    pub fn is_single(self) -> bool {
        self.first == self.last
    }

    /// Whether `port` is one of these.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Whether the two share a port.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.is_single() {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        };
        f.pad(&text)
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let text = text.trim();
        match text.split_once('-') {
            None => {
                let port = parse_port(text, text)?;
                Self::new(port, port)
            }
            Some((first, last)) => Self::new(
                parse_port(first.trim(), text)?,
                parse_port(last.trim(), text)?,
            ),
        }
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortError;

    fn try_from(text: String) -> Result<Self, PortError> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

/// A list of ports and ranges that do not overlap, in order: `20000,20001,30000-30100`.
///
/// # Examples
///
/// ```
/// use pm_core::port::PortList;
///
/// let list: PortList = "30000-30100,20000".parse()?;
/// assert_eq!(list.to_string(), "20000,30000-30100");
/// assert!("20000,19000-21000".parse::<PortList>().is_err());
/// # Ok::<(), pm_core::port::PortError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortList(Vec<PortRange>);

impl PortList {
    /// Returns the entries in ascending order.
    ///
    /// # Errors
    ///
    /// `Empty` without an entry, `Overlap` when two entries share a port.
    pub fn new(mut ranges: Vec<PortRange>) -> Result<Self, PortError> {
        ranges.sort_unstable();
        ranges.dedup();
        if ranges.is_empty() {
            return Err(PortError::Empty);
        }
        for pair in ranges.windows(2) {
            if pair[0].overlaps(pair[1]) {
                return Err(PortError::Overlap(pair[0], pair[1]));
            }
        }
        Ok(Self(ranges))
    }

    /// Returns the entries, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PortRange> + '_ {
        self.0.iter().copied()
    }
}

impl From<PortRange> for PortList {
    fn from(ports: PortRange) -> Self {
        Self(vec![ports])
    }
}

impl FromStr for PortList {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        if text.trim().is_empty() {
            return Err(PortError::Empty);
        }
        let ranges = text
            .trim_end()
            .trim_end_matches(',')
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(ranges)
    }
}

impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{range}")?;
        }
        Ok(())
    }
}

fn parse_port(digits: &str, whole: &str) -> Result<u16, PortError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PortError::NotAPort(whole.to_owned()));
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(PortError::OutOfRange(digits.to_owned())),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::port_range;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<PortRange, PortError> {
        text.parse()
    }

    #[test]
    fn both_ends_of_the_port_space_are_ports() {
        assert_eq!(parse("1").unwrap().first(), 1);
        assert_eq!(parse("65535").unwrap().last(), 65535);
        assert_eq!(parse("65534").unwrap().to_string(), "65534");
        assert_eq!(parse("0"), Err(PortError::OutOfRange("0".into())));
        assert_eq!(parse("65536"), Err(PortError::OutOfRange("65536".into())));
        assert_eq!(parse("0-5"), Err(PortError::OutOfRange("0".into())));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "", "-", "a", "80-", "-80", "1-2-3", "+80", "80 81", "0x50", "８０",
        ] {
            assert!(
                matches!(parse(text), Err(PortError::NotAPort(_))),
                "{text:?}"
            );
        }
        assert_eq!(
            parse("90-80"),
            Err(PortError::Backwards {
                first: 90,
                last: 80
            })
        );
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let (low, high) = (parse("80-90").unwrap(), parse("91-95").unwrap());
        assert!(!low.overlaps(high));
        assert!(low.overlaps(parse("90").unwrap()));
        assert!(!low.overlaps(parse("8080").unwrap()));
    }

    #[test]
    fn a_list_names_the_two_entries_that_overlap() {
        let error = "10-20,30,15".parse::<PortList>().unwrap_err();
        assert_eq!(
            error,
            PortError::Overlap(parse("10-20").unwrap(), parse("15").unwrap())
        );
        assert_eq!(
            " , ".parse::<PortList>().unwrap_err(),
            PortError::NotAPort(String::new())
        );
        assert_eq!("".parse::<PortList>().unwrap_err(), PortError::Empty);
    }

    #[test]
    fn a_port_named_twice_is_listed_once() {
        assert_eq!("80,80".parse::<PortList>().unwrap().to_string(), "80");
    }

    proptest! {
        #[test]
        fn text_and_range_round_trip(range in port_range()) {
            prop_assert_eq!(parse(&range.to_string()), Ok(range));
            prop_assert_eq!(range.is_single(), range.first() == range.last());
        }

        #[test]
        fn overlap_is_a_shared_port(a in port_range(), b in port_range()) {
            let shared = (a.first()..=a.last()).any(|port| b.contains(port));
            prop_assert_eq!(a.overlaps(b), shared);
            prop_assert_eq!(b.overlaps(a), shared);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<PortList>();
        }
    }
}
