//! What things are called in the kernel.

use std::fmt;

use crate::config::{GroupName, Mode};
use crate::holder::Holder;
use crate::port::PortRange;

/// One of the two rooms that a service, and the two sets of quotas that a group, can have at a
/// time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Variant {
    /// Its objects are named without a suffix.
    A,
    /// Its objects end in `_b`.
    B,
}

impl Variant {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Returns the variant to move to from this one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::A => "",
            Self::B => "_b",
        }
    }

    /// Splits a name into what stands before the suffix, and which suffix it is.
    fn split(name: &str) -> (&str, Self) {
        match name.strip_suffix("_b") {
            Some(stem) => (stem, Self::B),
            None => (name, Self::A),
        }
    }
}

/// A direction of traffic, seen from the host.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// What arrives for the port.
    In,
    /// What the port sends.
    Out,
}

impl Direction {
    /// Both, in first.
    pub const BOTH: [Self; 2] = [Self::In, Self::Out];

    fn prefix(self) -> &'static str {
        match self {
            Self::In => "in_",
            Self::Out => "out_",
        }
    }

    fn split(name: &str) -> Option<(Self, &str)> {
        Self::BOTH
            .into_iter()
            .find_map(|direction| Some((direction, name.strip_prefix(direction.prefix())?)))
    }
}

/// A room's name: its service and which of the service's two rooms it is.
///
/// # Examples
///
/// ```
/// use pm_core::ruleset::{Direction, RoomId, Variant};
///
/// let room = RoomId { ports: "30000-30100".parse()?, variant: Variant::B };
/// assert_eq!(room.chain(Direction::In), "in_30000_30100_b");
/// assert_eq!(RoomId::parse_chain("in_30000_30100_b"), Some((room, Direction::In)));
/// # Ok::<(), pm_core::port::PortError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RoomId {
    /// The service.
    pub ports: PortRange,
    /// Which of its rooms.
    pub variant: Variant,
}

impl RoomId {
    /// Returns the name of the chain, and of the counter in it, for `direction`.
    pub fn chain(self, direction: Direction) -> String {
        format!("{}{self}", direction.prefix())
    }

    /// Returns the room and direction that a chain's or counter's name belongs to.
    pub fn parse_chain(name: &str) -> Option<(Self, Direction)> {
        let (direction, stem) = Direction::split(name)?;
        Some((Self::parse(stem)?, direction))
    }

    fn parse(name: &str) -> Option<Self> {
        let (stem, variant) = Variant::split(name);
        let ports = parse_ports(stem)?;
        Some(Self { ports, variant })
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ports(f, self.ports)?;
        f.write_str(self.variant.suffix())
    }
}

fn write_ports(f: &mut impl fmt::Write, ports: PortRange) -> fmt::Result {
    if ports.is_single() {
        write!(f, "{}", ports.first())
    } else {
        write!(f, "{}_{}", ports.first(), ports.last())
    }
}

fn parse_ports(stem: &str) -> Option<PortRange> {
    let ports = match stem.split_once('_') {
        Some((first, last)) => PortRange::new(first.parse().ok()?, last.parse().ok()?).ok()?,
        None => stem.parse().ok()?,
    };
    // `080` or `80_80` is nothing that pm would write.
    let mut name = String::new();
    write_ports(&mut name, ports).ok()?;
    (name == stem).then_some(ports)
}

/// Which directions a quota counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Metered {
    /// What comes in and what goes out.
    Both,
    /// What comes in.
    In,
    /// What goes out.
    Out,
}

impl Metered {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Both, Self::In, Self::Out];

    /// Whether `direction` counts.
    pub fn covers(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::In => direction == Direction::In,
            Self::Out => direction == Direction::Out,
        }
    }

    /// Returns what the names of such quotas begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Both => "q_",
            Self::In => "q_in_",
            Self::Out => "q_out_",
        }
    }
}

/// A quota's name: whose it is, which of his sets it belongs to and what it counts.
///
/// # Examples
///
/// ```
/// use pm_core::ruleset::{Metered, QuotaId, Variant};
///
/// let quota = QuotaId {
///     holder: "30000-30100".parse()?,
///     variant: Variant::B,
///     metered: Metered::Both,
/// };
/// assert_eq!(quota.to_string(), "q_30000_30100_b");
/// assert_eq!(QuotaId::parse("q_30000_30100_b"), Some(quota));
/// // What an administrator could not type back is spelled in bytes.
/// let quota = QuotaId { holder: "group vip 1".parse()?, variant: Variant::A, metered: Metered::Out };
/// assert_eq!(quota.to_string(), "q_out_group_vip_201");
/// # Ok::<(), pm_core::holder::NoHolder>(())
/// ```
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct QuotaId {
    /// Whose.
    pub holder: Holder,
    /// Which of his sets. A service's belongs to its room of the same variant.
    pub variant: Variant,
    /// What it counts.
    pub metered: Metered,
}

impl QuotaId {
    /// Returns the quota that an object's name belongs to.
    pub fn parse(name: &str) -> Option<Self> {
        // `q_` begins the other two, too.
        let (metered, stem) = [Metered::In, Metered::Out, Metered::Both]
            .into_iter()
            .find_map(|metered| Some((metered, name.strip_prefix(metered.prefix())?)))?;
        // The suffix is split off what is left after `group_`, of which it is no part: a group may
        // be called `b`.
        let (holder, variant) = match stem.strip_prefix("group_") {
            Some(rest) => {
                let (text, variant) = Variant::split(rest);
                (Holder::Group(unescape(text)?), variant)
            }
            None => {
                let (ports, variant) = Variant::split(stem);
                (Holder::Service(parse_ports(ports)?), variant)
            }
        };
        Some(Self {
            holder,
            variant,
            metered,
        })
    }
}

impl fmt::Display for QuotaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metered.prefix())?;
        match &self.holder {
            Holder::Service(ports) => write_ports(f, *ports)?,
            Holder::Group(name) => write!(f, "group_{}", escape(name))?,
        }
        f.write_str(self.variant.suffix())
    }
}

/// Writes a group's name as nft reads an identifier: ASCII letters and digits as they are, any
/// other byte as `_` and two hexadecimal digits.
fn escape(name: &GroupName) -> String {
    let mut text = String::new();
    for byte in name.as_str().bytes() {
        if byte.is_ascii_alphanumeric() {
            text.push(byte.into());
        } else {
            text.push_str(&format!("_{byte:02x}"));
        }
    }
    text
}

fn unescape(text: &str) -> Option<GroupName> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (byte, used) = match first {
            '_' => (u8::from_str_radix(rest.get(1..3)?, 16).ok()?, 3),
            _ => (u8::try_from(first).ok()?, 1),
        };
        bytes.push(byte);
        rest = rest.get(used..)?;
    }
    let name: GroupName = String::from_utf8(bytes).ok()?.parse().ok()?;
    (escape(&name) == text).then_some(name)
}

/// Under which quotas a room's traffic counts: a set of them, made for one mode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Metering {
    /// Whose they are.
    pub holder: Holder,
    /// Which of his sets.
    pub variant: Variant,
    /// What they count: one quota, or two for [`Mode::Max`].
    pub mode: Mode,
}

impl Metering {
    /// Returns the quotas of the set.
    pub fn quotas(&self) -> impl Iterator<Item = QuotaId> {
        self.mode.metered().iter().map(|&metered| QuotaId {
            holder: self.holder.clone(),
            variant: self.variant,
            metered,
        })
    }
}

/// A limit's name. The rate is part of it, because the kernel changes no limit in place.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LimitId {
    /// The room that it is for.
    pub room: RoomId,
    /// The chain of that room in which it stands.
    pub direction: Direction,
    /// From how many bytes a second on it drops.
    pub rate: u64,
}

impl LimitId {
    /// Returns the limit that an object's name belongs to.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_core::ruleset::LimitId;
    ///
    /// let limit = LimitId::parse("l_in_30000_30100_b_625000").unwrap();
    /// assert_eq!((limit.rate, limit.to_string().as_str()), (625_000, "l_in_30000_30100_b_625000"));
    /// assert_eq!(LimitId::parse("l_in_30000_0625000"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        let (chain, rate) = name.strip_prefix("l_")?.rsplit_once('_')?;
        let (room, direction) = RoomId::parse_chain(chain)?;
        let limit = Self {
            room,
            direction,
            rate: rate.parse().ok()?,
        };
        (limit.to_string() == name).then_some(limit)
    }
}

impl fmt::Display for LimitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, room, rate) = (self.direction.prefix(), self.room, self.rate);
        write!(f, "l_{direction}{room}_{rate}")
    }
}

/// Sixty-four random bits that name an epoch chain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Returns the name of the chain: `epoch_` and sixteen hexadecimal digits.
    pub fn chain(self) -> String {
        format!("epoch_{:016x}", self.0)
    }

    /// Returns the epoch that a chain's name stands for.
    pub fn parse_chain(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("epoch_")?;
        let epoch = Self(u64::from_str_radix(digits, 16).ok()?);
        (epoch.chain() == name).then_some(epoch)
    }
}
