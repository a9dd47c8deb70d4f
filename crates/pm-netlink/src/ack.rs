//! `NLMSG_ERROR`: acknowledgements and errors, with the kernel's extended text.
//!
//! neli refuses a successful acknowledgement that carries a text, and does not know
//! `NLM_F_CAPPED`; hence our own reader.
//!
//! Source: `include/uapi/linux/netlink.h`, `struct nlmsgerr`, `enum nlmsgerr_attrs`.

use neli::consts::nl::{NlmF, NlmsgerrAttr};
use nix::errno::Errno;

use crate::attr::{align, attributes};
use crate::error::Malformed;
use crate::message::{HEADER, Raw};

/// What an `NLMSG_ERROR` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ack {
    /// `None` for a plain acknowledgement.
    pub(crate) errno: Option<Errno>,
    pub(crate) text: Option<String>,
    pub(crate) offset: Option<u32>,
}

impl Ack {
    pub(crate) fn parse(raw: &Raw<'_>) -> Result<Self, Malformed> {
        let (&code, original) = raw
            .payload
            .split_first_chunk::<4>()
            .ok_or(Malformed("an acknowledgement is cut off"))?;
        let code = i32::from_ne_bytes(code);
        let mut ack = Self {
            errno: (code != 0).then(|| Errno::from_raw(code.saturating_neg())),
            text: None,
            offset: None,
        };
        if raw.has(NlmF::ACK_TLVS) {
            let (&length, _) = original
                .split_first_chunk::<4>()
                .ok_or(Malformed("an acknowledgement is cut off"))?;
            let length = usize::try_from(u32::from_ne_bytes(length)).unwrap_or(usize::MAX);
            let skip = if raw.has(NlmF::CAPPED) {
                HEADER
            } else {
                align(length)
            };
            ack.read_extension(original.get(skip..).unwrap_or_default())?;
        }
        Ok(ack)
    }

    fn read_extension(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for attribute in attributes(bytes) {
            let attribute = attribute?;
            match NlmsgerrAttr::from(attribute.kind) {
                NlmsgerrAttr::Msg => self.text = attribute.str().ok().map(str::to_owned),
                NlmsgerrAttr::Offset => self.offset = attribute.ne32().ok(),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::messages;
    use proptest::prelude::*;

    /// Made by hand after `struct nlmsgerr`: error 0, the request's header, then a text, as HTB
    /// sends it with "quantum of class is big". neli 0.7.5 does not parse it.
    #[test]
    fn a_successful_acknowledgement_may_carry_a_text() {
        let mut bytes = Vec::new();
        for field in [0_u32, 0x0300_0002, 7, 0, 0, 36, 0x0505_0028, 7, 0] {
            bytes.extend_from_slice(&field.to_ne_bytes());
        }
        bytes.extend_from_slice(&[8, 0, 1, 0, b'b', b'i', b'g', 0]);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let raw = messages(&bytes).next().unwrap().unwrap();
        let ack = Ack::parse(&raw).unwrap();
        assert_eq!((ack.errno, ack.text.as_deref()), (None, Some("big")));
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            for raw in messages(&bytes).flatten() {
                let _ = Ack::parse(&raw);
            }
            let _ = Ack::parse(&Raw { kind: 2, flags: 0x200, sequence: 0, payload: &bytes });
            let _ = Ack::parse(&Raw { kind: 2, flags: 0x300, sequence: 0, payload: &bytes });
        }
    }
}
