//! Reads the channels and refuses a name that two of them have: JSON would let the last one win.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{Channel, ChannelName};

pub(super) fn distinct<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<ChannelName, Channel>, D::Error> {
    struct Channels;

    impl<'de> Visitor<'de> for Channels {
        type Value = BTreeMap<ChannelName, Channel>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object from names to channels")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut channels = BTreeMap::new();
            while let Some(name) = map.next_key::<ChannelName>()? {
                if channels.contains_key(&name) {
                    let twice = super::NotifyError::ChannelTwice(name);
                    return Err(Error::custom(twice));
                }
                channels.insert(name, map.next_value()?);
            }
            Ok(channels)
        }
    }

    deserializer.deserialize_map(Channels)
}
