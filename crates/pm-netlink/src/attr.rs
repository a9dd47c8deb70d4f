//! Netlink attributes: a writer into a growing buffer, a checked reader that copies nothing.
//!
//! nf_tables integers are big-endian, those of rtnetlink native; lengths and types of the
//! attributes themselves are native everywhere.
//!
//! Source: `include/uapi/linux/netlink.h`, `struct nlattr`.

use crate::error::Malformed;

const HEADER: usize = 4;
const NLA_F_NESTED: u16 = 1 << 15;
const NLA_F_NET_BYTEORDER: u16 = 1 << 14;

/// Rounds up to the four bytes that messages and attributes are aligned to.
pub(crate) const fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// Appends attributes to a message.
///
/// An attribute over 65,535 bytes cannot be expressed; it makes the whole batch unsendable
/// ([`crate::Error::TooLong`]) rather than each call fallible.
pub struct Attributes<'a> {
    buffer: &'a mut Vec<u8>,
    overflow: &'a mut bool,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(buffer: &'a mut Vec<u8>, overflow: &'a mut bool) -> Self {
        Self { buffer, overflow }
    }

    /// Appends raw bytes.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.buffer.extend_from_slice(value);
        self.close(start);
    }

    /// Appends a string and the NUL that ends it.
    pub fn string(&mut self, kind: u16, value: &str) {
        let start = self.open(kind);
        self.buffer.extend_from_slice(value.as_bytes());
        self.buffer.push(0);
        self.close(start);
    }

    /// Appends a big-endian 16-bit integer.
    pub fn be16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Appends a big-endian 32-bit integer.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Appends a big-endian 64-bit integer.
    pub fn be64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Appends a 32-bit integer in the machine's byte order.
    pub fn ne32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Appends a 64-bit integer in the machine's byte order.
    pub fn ne64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Appends an attribute that holds what `fill` appends, without the flag that says so: what
    /// is older than the flag, such as traffic control, neither sends nor asks for it.
    pub fn nest_unflagged(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.open(kind);
        fill(&mut Attributes::new(self.buffer, self.overflow));
        self.close(start);
    }

    /// Appends an attribute that holds what `fill` appends.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.open(kind | NLA_F_NESTED);
        fill(&mut Attributes::new(self.buffer, self.overflow));
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0, 0]);
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        match u16::try_from(self.buffer.len() - start) {
            Ok(length) => {
                if let Some(field) = self.buffer.get_mut(start..start + 2) {
                    field.copy_from_slice(&length.to_ne_bytes());
                }
            }
            Err(_) => *self.overflow = true,
        }
        self.buffer.resize(align(self.buffer.len()), 0);
    }
}

/// One attribute of a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attribute<'a> {
    /// The attribute's type, without the flag bits.
    pub kind: u16,
    /// Its value, without header and padding.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Reads a big-endian 16-bit integer.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the value has another length; so for its siblings.
    pub fn be16(&self) -> Result<u16, Malformed> {
        self.exact().map(u16::from_be_bytes)
    }

    /// Reads a big-endian 32-bit integer.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the value has another length.
    pub fn be32(&self) -> Result<u32, Malformed> {
        self.exact().map(u32::from_be_bytes)
    }

    /// Reads a big-endian 64-bit integer.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the value has another length.
    pub fn be64(&self) -> Result<u64, Malformed> {
        self.exact().map(u64::from_be_bytes)
    }

    /// Reads a 32-bit integer in the machine's byte order.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the value has another length.
    pub fn ne32(&self) -> Result<u32, Malformed> {
        self.exact().map(u32::from_ne_bytes)
    }

    /// Reads a 64-bit integer in the machine's byte order.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the value has another length.
    pub fn ne64(&self) -> Result<u64, Malformed> {
        self.exact().map(u64::from_ne_bytes)
    }

    /// Reads a string up to its NUL, or to its end where it has none.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is not UTF-8.
    pub fn str(&self) -> Result<&'a str, Malformed> {
        let end = self.payload.iter().position(|&byte| byte == 0);
        let text = end.map_or(self.payload, |end| &self.payload[..end]);
        str::from_utf8(text).map_err(|_| Malformed("a name is not UTF-8"))
    }

    /// Returns the attributes inside this one.
    pub fn nested(&self) -> AttributeIter<'a> {
        attributes(self.payload)
    }

    fn exact<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.payload
            .try_into()
            .map_err(|_| Malformed("an integer has the wrong length"))
    }
}

/// Walks the attributes in `bytes`. A broken one yields an error and ends the walk.
pub fn attributes(bytes: &[u8]) -> AttributeIter<'_> {
    AttributeIter { rest: bytes }
}

/// The iterator behind [`attributes`].
#[derive(Clone, Debug)]
pub struct AttributeIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for AttributeIter<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let Some((&[l0, l1, k0, k1], _)) = bytes.split_first_chunk::<HEADER>() else {
            return Some(Err(Malformed("an attribute header is cut off")));
        };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(payload) = bytes.get(HEADER..length) else {
            return Some(Err(Malformed("an attribute has an impossible length")));
        };
        self.rest = bytes.get(align(length)..).unwrap_or_default();
        let kind = u16::from_ne_bytes([k0, k1]) & !(NLA_F_NESTED | NLA_F_NET_BYTEORDER);
        Some(Ok(Attribute { kind, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(fill: impl FnOnce(&mut Attributes<'_>)) -> (Vec<u8>, bool) {
        let (mut buffer, mut overflow) = (Vec::new(), false);
        fill(&mut Attributes::new(&mut buffer, &mut overflow));
        (buffer, overflow)
    }

    #[test]
    fn what_is_written_reads_back() {
        let (bytes, overflow) = written(|a| {
            a.string(1, "input");
            a.nest(4, |hook| {
                hook.be32(1, 1);
                hook.be64(2, u64::MAX);
            });
        });
        assert!(!overflow);
        let all: Vec<_> = attributes(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(all[0].str(), Ok("input"));
        let inner: Vec<_> = all[1].nested().collect::<Result<_, _>>().unwrap();
        assert_eq!(
            (all[1].kind, inner[0].be32(), inner[1].be64()),
            (4, Ok(1), Ok(u64::MAX))
        );
        assert!(inner[0].be64().is_err());
    }

    #[test]
    fn a_nest_over_64_kib_is_reported() {
        let (_, overflow) = written(|a| {
            a.nest(1, |n| {
                for _ in 0..3 {
                    n.bytes(1, &[0; 30_000]);
                }
            });
        });
        assert!(overflow);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for attribute in attributes(&bytes).flatten() {
                let _ = (attribute.str(), attribute.be16(), attribute.be32(), attribute.be64());
                for inner in attribute.nested() {
                    let _ = inner.map(|a| a.str().is_ok());
                }
            }
        }

        #[test]
        fn any_values_survive(values in proptest::collection::vec(
            (1_u16..100, proptest::collection::vec(any::<u8>(), 0..50)), 0..20)
        ) {
            let (bytes, _) = written(|a| for (kind, value) in &values { a.bytes(*kind, value) });
            let back: Vec<_> = attributes(&bytes)
                .map(|a| a.map(|a| (a.kind, a.payload.to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            prop_assert_eq!(back, values);
        }
    }
}
