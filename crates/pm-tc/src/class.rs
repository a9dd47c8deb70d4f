//! HTB classes.
//!
//! Source: `include/uapi/linux/pkt_sched.h`, `struct tc_ratespec`, `struct tc_htb_opt`.

use pm_netlink::rtnetlink::*;
use pm_netlink::{Attributes, Malformed, attributes};

const OPTIONS_LENGTH: usize = 44;
// tc fills these two in for rate tables that a kernel with a link layer given does not read.
const CELL_LOG: u8 = 3;
const CELL_ALIGN: i16 = -1;

/// All that an HTB class is set to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClassShape {
    /// What it may always send, in bytes a second.
    pub rate: u64,
    /// What it may send with what others leave over, in bytes a second.
    pub ceil: u64,
    /// The burst at `rate`, in ticks of the packet scheduler.
    pub buffer: u32,
    /// The burst at `ceil`, in ticks.
    pub cbuffer: u32,
    /// Bytes that it sends in its turn.
    pub quantum: u32,
    /// Its priority among its siblings; 0 is the highest.
    pub prio: u32,
    /// `TC_LINKLAYER_*`.
    pub linklayer: u8,
    /// Bytes added to each packet.
    pub overhead: u16,
    /// The least size that a packet counts as.
    pub mpu: u16,
}

impl ClassShape {
    pub(crate) fn emit(&self, a: &mut Attributes<'_>) {
        a.string(TCA_KIND, "htb");
        a.nest_unflagged(TCA_OPTIONS, |options| {
            options.ne64(TCA_HTB_RATE64, self.rate);
            options.ne64(TCA_HTB_CEIL64, self.ceil);
            let mut parameters = Vec::with_capacity(OPTIONS_LENGTH);
            for rate in [self.rate, self.ceil] {
                parameters.extend_from_slice(&[CELL_LOG, self.linklayer]);
                parameters.extend_from_slice(&self.overhead.to_ne_bytes());
                parameters.extend_from_slice(&CELL_ALIGN.to_ne_bytes());
                parameters.extend_from_slice(&self.mpu.to_ne_bytes());
                let rate = u32::try_from(rate).unwrap_or(u32::MAX);
                parameters.extend_from_slice(&rate.to_ne_bytes());
            }
            // The last but one is the level, which the kernel sets.
            for field in [self.buffer, self.cbuffer, self.quantum, 0, self.prio] {
                parameters.extend_from_slice(&field.to_ne_bytes());
            }
            options.bytes(TCA_HTB_PARMS, &parameters);
        });
    }

    /// Reads the options of an HTB class.
    pub(crate) fn parse(options: &[u8]) -> Result<Self, Malformed> {
        let (mut parameters, mut rate64, mut ceil64) = (None, None, None);
        for attribute in attributes(options) {
            let attribute = attribute?;
            match attribute.kind {
                TCA_HTB_PARMS => parameters = attribute.payload.first_chunk::<OPTIONS_LENGTH>(),
                TCA_HTB_RATE64 => rate64 = Some(attribute.ne64()?),
                TCA_HTB_CEIL64 => ceil64 = Some(attribute.ne64()?),
                _ => {}
            }
        }
        let parameters = parameters.ok_or(Malformed("an HTB class without its parameters"))?;
        let short = |at: usize| u16::from_ne_bytes([parameters[at], parameters[at + 1]]);
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&parameters[at..at + 4]);
            u32::from_ne_bytes(bytes)
        };
        Ok(Self {
            rate: rate64.unwrap_or_else(|| word(8).into()),
            ceil: ceil64.unwrap_or_else(|| word(20).into()),
            buffer: word(24),
            cbuffer: word(28),
            quantum: word(32),
            prio: word(40),
            linklayer: parameters[1],
            overhead: short(2),
            mpu: short(6),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qdisc::{Found, Place};
    use pm_netlink::{NlmF, route_replies};
    use proptest::prelude::*;

    prop_compose! {
        fn any_shape()(
            rate in any::<u64>(), ceil in any::<u64>(), buffers in any::<(u32, u32)>(),
            quantum in any::<u32>(), prio in any::<u32>(), linklayer in any::<u8>(),
            overhead in any::<u16>(), mpu in any::<u16>(),
        ) -> ClassShape {
            let (buffer, cbuffer) = buffers;
            ClassShape { rate, ceil, buffer, cbuffer, quantum, prio, linklayer, overhead, mpu }
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_reads_back(shape in any_shape()) {
            let message = Place::default()
                .message(RTM_NEWTCLASS, NlmF::empty(), |a| shape.emit(a));
            let reply = route_replies(message.as_bytes()).next().unwrap().unwrap();
            let found = Found::parse(&reply, RTM_NEWTCLASS).unwrap().unwrap();
            prop_assert_eq!(ClassShape::parse(&found.qdisc.options), Ok(shape));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ClassShape::parse(&bytes);
            let _ = crate::qdisc::is_our_root(&bytes);
            let mut attribute = vec![48, 0, 1, 0];
            attribute.extend_from_slice(&bytes);
            let _ = ClassShape::parse(&attribute);
        }
    }
}
