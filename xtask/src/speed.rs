//! How fast ports are, by counters that pm has no part in, and what traffic control does, by `tc`.
//!
//! A machine may be too busy to be fast, but nothing makes a limit let more through than it should: a speed is judged
//! strictly from above and with patience from below.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::lab::{Lab, wait_until};
use crate::traffic::Way;
use crate::truth::{self, Place};

/// The minor number of the class of all that is not limited.
pub(crate) const DEFAULT_CLASS: u16 = 0xffff;

/// What a class may be ahead of its rate: a burst of 16 KiB, a super-packet that begins in it, and what the other end
/// of the cable has not counted yet.
pub(crate) const AHEAD: u64 = 160_000;

/// What passed in a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    bytes: u64,
    /// The time took at least this long, and at most that.
    time: (Duration, Duration),
}

/// One of pm's classes, as tc shows it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Class {
    /// In bits a second.
    pub(crate) rate: u64,
    /// What it sent, in bytes of Ethernet frames.
    pub(crate) bytes: u64,
    /// How many packets it sent.
    pub(crate) packets: u64,
    /// How many packets it dropped.
    pub(crate) dropped: u64,
    /// How often it had something to send and had to wait.
    pub(crate) overlimits: u64,
}

/// Measures ports that are watched at `place` and that somebody keeps busy, until each has moved so many `bytes` of IP
/// packets. Returns the speeds in the order of the ports.
///
/// # Errors
///
/// When one does not in time.
pub(crate) fn measure(
    lab: &Lab,
    place: Place,
    way: Way,
    ports: &[&str],
    bytes: u64,
) -> Result<Vec<Speed>> {
    let namespace = if place == Place::Client {
        &lab.client
    } else {
        &lab.vps
    };
    let read = || -> Result<(Instant, Vec<u64>, Instant)> {
        let before = Instant::now();
        let all = truth::read(namespace, place)?;
        let after = Instant::now();
        let one = |port: &&str| {
            let bytes = all.get(*port).context("a port is not watched")?;
            Ok(match way {
                Way::In => bytes.inbound,
                Way::Out => bytes.outbound,
            })
        };
        let counted = ports.iter().map(one).collect::<Result<_>>()?;
        Ok((before, counted, after))
    };
    let (first, mut last) = (read()?, None);
    wait_until("enough has passed", || {
        let now = read()?;
        let is_enough = |(new, old): (&u64, &u64)| *new - *old >= bytes;
        let enough = now.1.iter().zip(&first.1).all(is_enough);
        last = Some(now);
        Ok(enough)
    })?;
    let last = last.context("nothing was measured")?;
    let time = (last.0 - first.2, last.2 - first.0);
    let moved = last.1.iter().zip(&first.1).map(|(new, old)| new - old);
    Ok(moved.map(|bytes| Speed { bytes, time }).collect())
}

impl Speed {
    /// Returns it in bits a second.
    pub(crate) fn bits_per_second(self) -> u64 {
        let seconds = (self.time.0 + self.time.1).as_secs_f64() / 2.0;
        (self.bytes as f64 * 8.0 / seconds) as u64
    }

    /// Checks that no more passed than a limit of `rate` bits a second lets through, where `ahead` bytes may pass
    /// before their time, and at least half of it.
    ///
    /// # Errors
    ///
    /// With what passed, when it was more or less.
    pub(crate) fn check(self, rate: u64, ahead: u64) -> Result<()> {
        let fits = |time: Duration| (rate as f64 / 8.0 * time.as_secs_f64()) as u64;
        let (least, most) = (fits(self.time.0) / 2, fits(self.time.1) + ahead);
        ensure!(
            (least..=most).contains(&self.bytes),
            "{} bytes passed in {:?}, where a limit of {rate} bits a second lets {least} to {most} through",
            self.bytes,
            self.time
        );
        Ok(())
    }
}

/// Returns pm's classes at an interface of the VPS by minor number; none where its tree is not there.
///
/// # Errors
///
/// When tc fails or shows something unheard of.
pub(crate) fn classes(lab: &Lab, interface: &str) -> Result<BTreeMap<u16, Class>> {
    parse(&lab.vps.tc(&["-s", "class", "show", "dev", interface])?)
}

fn parse(text: &str) -> Result<BTreeMap<u16, Class>> {
    let mut classes: BTreeMap<u16, Class> = BTreeMap::new();
    let mut minor = None;
    for line in text.lines() {
        let words: Vec<&str> = line
            .split(|c: char| c.is_whitespace() || "(),".contains(c))
            .filter(|word| !word.is_empty())
            .collect();
        let after = |name: &str| {
            let place = words.iter().position(|word| *word == name);
            place.and_then(|place| words.get(place + 1).copied())
        };
        match words[..] {
            ["class", "htb", id, ..] => {
                let digits = id.strip_prefix("706d:");
                minor = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
                if let Some(minor) = minor {
                    let rate = bits(after("rate").context("a class without a rate")?)?;
                    classes.entry(minor).or_default().rate = rate;
                }
            }
            ["Sent", bytes, "bytes", packets, ..] => {
                let Some(class) = minor.and_then(|minor| classes.get_mut(&minor)) else {
                    continue;
                };
                class.bytes = bytes.parse()?;
                class.packets = packets.parse()?;
                class.dropped = after("dropped").context("no drops")?.parse()?;
                class.overlimits = after("overlimits").context("no overlimits")?.parse()?;
            }
            _ => {}
        }
    }
    Ok(classes)
}

/// Reads a rate as tc prints it.
fn bits(text: &str) -> Result<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "bit" => 1,
        "Kbit" => 1_000,
        "Mbit" => 1_000_000,
        "Gbit" => 1_000_000_000,
        "Tbit" => 1_000_000_000_000,
        unit => anyhow::bail!("tc prints a rate in {unit:?}"),
    };
    Ok(number.parse::<u64>()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tc of iproute2 6.1 prints.
    const SHOWN: &str = "\
class htb 706d:ffff root leaf 8068: prio 0 rate 10Tbit ceil 10Tbit burst 2500000000b cburst 2500000000b 
 Sent 70 bytes 1 pkt (dropped 0, overlimits 0 requeues 0) 
 backlog 0b 0p requeues 0
class htb 706d:4e20 root leaf 8069: prio 0 rate 1500Kbit ceil 1500Kbit burst 16Kb cburst 16Kb 
 Sent 125000 bytes 84 pkt (dropped 3, overlimits 17 requeues 0) 
class htb 1:10 root prio 0 rate 1Mbit ceil 1Mbit burst 16Kb cburst 16Kb 
 Sent 5 bytes 5 pkt (dropped 5, overlimits 5 requeues 0) 
";

    #[test]
    fn classes_are_read_as_tc_shows_them() {
        let classes = parse(SHOWN).unwrap();
        assert_eq!(classes.len(), 2);
        assert_eq!(classes[&DEFAULT_CLASS].rate, 10_000_000_000_000);
        let limited = Class {
            rate: 1_500_000,
            bytes: 125_000,
            packets: 84,
            dropped: 3,
            overlimits: 17,
        };
        assert_eq!(classes[&20_000], limited);
    }

    #[test]
    fn a_speed_is_judged_strictly_from_above() {
        let second = Duration::from_secs(1);
        let speed = |bytes| Speed {
            bytes,
            time: (second, second),
        };
        assert_eq!(speed(1_000).bits_per_second(), 8_000);
        assert!(speed(1_050).check(8_000, 50).is_ok());
        assert!(speed(1_051).check(8_000, 50).is_err());
        assert!(speed(500).check(8_000, 50).is_ok());
        assert!(speed(499).check(8_000, 50).is_err());
    }
}
