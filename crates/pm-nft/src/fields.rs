//! Attributes of one level, sorted by their types.

use pm_netlink::nf_tables::NFTA_DATA_VALUE;
use pm_netlink::{Attribute, Malformed};

// No expression and no object that pm knows has an attribute of a higher type.
const MOST: usize = 8;

/// The attributes inside one attribute; of several of one type, the last.
pub(crate) struct Fields<'a>([Option<Attribute<'a>>; MOST]);

impl<'a> Fields<'a> {
    /// Takes in what `outer` holds.
    pub(crate) fn of(outer: &Attribute<'a>) -> Result<Self, Malformed> {
        let mut fields = [None; MOST];
        for attribute in outer.nested() {
            let attribute = attribute?;
            if let Some(field) = fields.get_mut(usize::from(attribute.kind)) {
                *field = Some(attribute);
            }
        }
        Ok(Self(fields))
    }

    /// Returns the attribute of type `kind`.
    pub(crate) fn find(&self, kind: u16) -> Option<Attribute<'a>> {
        self.0.get(usize::from(kind)).copied().flatten()
    }

    /// Returns a big-endian 32-bit integer.
    pub(crate) fn be32(&self, kind: u16) -> Result<Option<u32>, Malformed> {
        self.find(kind).map(|field| field.be32()).transpose()
    }

    /// Returns a big-endian 64-bit integer.
    pub(crate) fn be64(&self, kind: u16) -> Result<Option<u64>, Malformed> {
        self.find(kind).map(|field| field.be64()).transpose()
    }

    /// Returns a string.
    pub(crate) fn str(&self, kind: u16) -> Result<Option<&'a str>, Malformed> {
        self.find(kind).map(|field| field.str()).transpose()
    }

    /// Returns the bytes of `nft_data_attributes`; `None` where they hold something else.
    pub(crate) fn data(&self, kind: u16) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(field) = self.find(kind) else {
            return Ok(None);
        };
        let value = Self::of(&field)?.find(NFTA_DATA_VALUE);
        Ok(value.map(|value| value.payload))
    }

    /// Returns the one register's worth of bytes of `nft_data_attributes`.
    pub(crate) fn word(&self, kind: u16) -> Result<Option<[u8; 4]>, Malformed> {
        Ok(self.data(kind)?.and_then(|bytes| bytes.try_into().ok()))
    }
}
