//! Rates in the kernel's terms: bytes a second, and buffers in ticks of the packet scheduler.

use pm_core::units::BitRate;
use pm_netlink::rtnetlink::TC_LINKLAYER_ETHERNET;

use crate::class::ClassShape;
use crate::qdisc::Qdisc;

// What was measured to keep TCP within 1 % of the rate from 1 Mbit/s to 1 Gbit/s.
const LEAST_BURST: u64 = 16 << 10;
const BURSTS_A_SECOND: u64 = 500;
// A full Ethernet frame at least, so that each turn of the round robin sends something; at most
// what stays below the kernel's warning of 200,000.
const LEAST_QUANTUM: u64 = 1514;
const GREATEST_QUANTUM: u64 = 60_000;
const QUANTA_A_SECOND: u64 = 100;
// One GSO packet is 64 KiB: with less than two, TCP starves. At slow rates two are not enough
// either: a connection's first burst may lose so many that it waits a second for its timer.
const LEAST_QUEUE: u64 = 128 << 10;
const LEAST_SLOW_QUEUE: u64 = 192 << 10;
const SLOW_BELOW: u64 = 5_000_000 / 8;
const QUEUES_A_SECOND: u64 = 5;

/// The clock of the packet scheduler: how long its tick is.
///
/// Source: `net/sched/sch_api.c`, `psched_show`; iproute2 `tc/tc_core.c`, `tc_core_init`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Psched {
    /// Multiplier of the conversion from microseconds to ticks.
    numerator: u64,
    denominator: u64,
}

impl Psched {
    /// Reads the text of `/proc/net/psched`: four hexadecimal numbers, of which the first three
    /// are nanoseconds a microsecond, nanoseconds a tick, and the clock's frequency.
    ///
    /// `None` when it has another form.
    ///
    /// # Examples
    ///
    /// ```
    /// let clock = pm_tc::Psched::parse("000003e8 00000040 000f4240 3b9aca00\n").unwrap();
    /// // Ticks of 64 ns.
    /// assert_eq!(clock.ticks(25_000, 12_500_000), 31_250);
    /// assert!(pm_tc::Psched::parse("").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text
            .split_ascii_whitespace()
            .map(|word| u32::from_str_radix(word, 16).ok());
        let mut next = || numbers.next().flatten().filter(|&number| number != 0);
        let (per_us, per_tick, resolution) = (next()?, next()?, next()?);
        // tc does the same: kernels with a nanosecond clock show the wrong ratio.
        let per_us = if resolution == 1_000_000_000 {
            per_tick
        } else {
            per_us
        };
        Some(Self {
            numerator: u64::from(per_us) * u64::from(resolution),
            denominator: u64::from(per_tick) * 1_000_000,
        })
    }

    /// Returns the ticks that `bytes` take at `rate` bytes a second, rounded up; `u32::MAX`, some
    /// 275 s, where they take longer.
    pub fn ticks(self, bytes: u64, rate: u64) -> u32 {
        let micros = u128::from(bytes) * 1_000_000;
        let ticks = micros
            .saturating_mul(u128::from(self.numerator))
            .div_ceil(u128::from(rate.max(1)) * u128::from(self.denominator).max(1));
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

impl ClassShape {
    /// Returns the class that sends at `rate`: no more and, where nothing else slows it, no less.
    ///
    /// Rates below 8 bits a second become 1 byte a second, since HTB refuses 0.
    ///
    /// Source: tc-htb(8).
    pub fn of(rate: BitRate, clock: Psched) -> Self {
        Self::at(rate.bytes_per_second(), clock)
    }

    /// Returns the default class: at [`BitRate::MAX_BITS_PER_SECOND`], above any link.
    pub fn unlimited(clock: Psched) -> Self {
        Self::at(BitRate::MAX_BITS_PER_SECOND / 8, clock)
    }

    fn at(rate: u64, clock: Psched) -> Self {
        let rate = rate.max(1);
        let burst = (rate / BURSTS_A_SECOND).max(LEAST_BURST);
        let buffer = clock.ticks(burst, rate);
        let quantum = (rate / QUANTA_A_SECOND).clamp(LEAST_QUANTUM, GREATEST_QUANTUM);
        Self {
            rate,
            ceil: rate,
            buffer,
            cbuffer: buffer,
            quantum: u32::try_from(quantum).unwrap_or(u32::MAX),
            prio: 0,
            linklayer: TC_LINKLAYER_ETHERNET,
            overhead: 0,
            mpu: 0,
        }
    }
}

/// Returns the leaf of a class at `rate`: `fq_codel` where there is one, else a FIFO that holds
/// 200 ms: what a flow has underway at one rate, it may have when that is lowered.
pub(crate) fn leaf(rate: BitRate, fq_codel: bool) -> Qdisc {
    if fq_codel {
        return Qdisc::plain("fq_codel");
    }
    let bytes_per_second = rate.bytes_per_second();
    let least = match bytes_per_second < SLOW_BELOW {
        true => LEAST_SLOW_QUEUE,
        false => LEAST_QUEUE,
    };
    let limit = (bytes_per_second / QUEUES_A_SECOND).max(least);
    Qdisc::bfifo(u32::try_from(limit).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLOCK: &str = "000003e8 00000040 000f4240 3b9aca00";

    fn clock() -> Psched {
        Psched::parse(CLOCK).unwrap()
    }

    fn shape(rate: &str) -> ClassShape {
        ClassShape::of(rate.parse().unwrap(), clock())
    }

    #[test]
    fn bursts_and_quanta_are_those_that_were_measured() {
        // 16 KiB at 125,000 bytes a second are 131,072 us, of 15.625 ticks each.
        let slow = shape("1M");
        assert_eq!(
            (slow.rate, slow.buffer, slow.quantum),
            (125_000, 2_048_000, 1514)
        );
        // From 8,192,000 bytes a second on, 2 ms are more than 16 KiB.
        let middle = shape("65536K");
        assert_eq!((middle.buffer, middle.quantum), (31_250, 60_000));
        assert_eq!(shape("20M").quantum, 25_000);
        assert_eq!(shape("10T").buffer, 31_250);
        assert_eq!((shape("1").rate, shape("1").buffer), (1, u32::MAX));
    }

    #[test]
    fn a_queue_holds_200_ms_but_two_gso_packets_at_least_and_three_at_slow_rates() {
        let limit = |rate: &str| leaf(rate.parse().unwrap(), false);
        assert_eq!(limit("1M"), Qdisc::bfifo(192 << 10));
        assert_eq!(limit("4.9M"), Qdisc::bfifo(192 << 10));
        assert_eq!(limit("5M"), Qdisc::bfifo(128 << 10));
        assert_eq!(limit("100M"), Qdisc::bfifo(2_500_000));
        assert_eq!(limit("10T"), Qdisc::bfifo(u32::MAX));
        assert_eq!(leaf("5M".parse().unwrap(), true).kind, "fq_codel");
    }

    #[test]
    fn a_nanosecond_clock_is_read_as_tc_reads_it() {
        let clock = Psched::parse("000003e8 00000001 3b9aca00 3b9aca00").unwrap();
        assert_eq!(clock.ticks(1_000, 1_000_000), 1_000_000);
    }

    proptest! {
        #[test]
        fn a_buffer_covers_its_burst(bits in 480_u64..=BitRate::MAX_BITS_PER_SECOND) {
            let shape = ClassShape::of(BitRate::from_bits_per_second(bits).unwrap(), clock());
            // A tick is 64 ns.
            let bytes = u128::from(shape.buffer) * 64 * u128::from(shape.rate) / 1_000_000_000;
            prop_assert!(bytes >= 16 << 10 && bytes >= u128::from(shape.rate / 500));
            prop_assert!((1514..=60_000).contains(&shape.quantum));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f \n]{0,40}", bytes in any::<u64>(), rate in any::<u64>()) {
            if let Some(clock) = Psched::parse(&text) {
                clock.ticks(bytes, rate);
            }
        }
    }
}
