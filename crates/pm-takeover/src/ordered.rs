//! JSON of somebody else's in which a few fields are changed: keys keep their order, and what is not touched its text.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A value: an object that was looked into, or anything as it was written.
#[derive(Debug)]
pub(crate) enum Ordered {
    Object(Vec<(String, Ordered)>),
    Text(Box<RawValue>),
}

impl Default for Ordered {
    fn default() -> Self {
        Self::Object(Vec::new())
    }
}

impl Ordered {
    /// Reads an object; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Fields(fields) = serde_json::from_str(text).ok()?;
        Some(Self::Object(fields))
    }

    /// Returns the object of this name; `None`: there is nothing of it, or something else.
    pub(crate) fn object(&mut self, name: &str) -> Option<&mut Self> {
        let found = self.field(name)?;
        if let Self::Text(text) = found {
            *found = Self::parse(text.get())?;
        }
        Some(found)
    }

    /// As [`object`](Self::object), made where there is nothing of the name.
    pub(crate) fn object_or_new(&mut self, name: &str) -> Option<&mut Self> {
        if self.field(name).is_none()
            && let Self::Object(fields) = self
        {
            fields.push((name.to_owned(), Self::default()));
        }
        self.object(name)
    }

    /// Returns the number of this name, if it is a whole one.
    pub(crate) fn number(&mut self, name: &str) -> Option<i64> {
        match self.field(name)? {
            Self::Text(text) => text.get().parse().ok(),
            Self::Object(_) => None,
        }
    }

    /// Sets a number; a new one comes last.
    pub(crate) fn set(&mut self, name: &str, number: impl Into<i128>) {
        // A number is JSON.
        let Ok(text) = RawValue::from_string(number.into().to_string()) else {
            return;
        };
        if let Some(found) = self.field(name) {
            *found = Self::Text(text);
        } else if let Self::Object(fields) = self {
            fields.push((name.to_owned(), Self::Text(text)));
        }
    }

    /// Returns it as a file.
    pub(crate) fn to_text(&self) -> String {
        // A value that was read can be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Of several fields of one name the last counts.
    fn field(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        let mut fields = fields.iter_mut().rev();
        let found = fields.find(|(other, _)| other == name);
        found.map(|(_, value)| value)
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// Objects only: what is in them stays a text until it is looked into.
struct Fields(Vec<(String, Ordered)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, text)) = map.next_entry::<String, Box<RawValue>>()? {
                    fields.push((name, Ordered::Text(text)));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_was_written() {
        let text = r#"{
  "z": {
    "b": 1,
    "a": 1.50
  },
  "a": [1, 2 ],
  "z2": "\u7aef"
}
"#;
        let mut all = Ordered::parse(text).unwrap();
        assert_eq!(all.to_text(), text);
        let inner = all.object("z").unwrap();
        assert_eq!((inner.number("b"), inner.number("a")), (Some(1), None));
        inner.set("b", 9);
        inner.set("c", u64::MAX);
        assert!(all.object("a").is_none() && all.object("none").is_none());
        all.object_or_new("new").unwrap().set("x", -1);
        let expected = text
            .replace("\"b\": 1", "\"b\": 9")
            .replace("1.50", "1.50,\n    \"c\": 18446744073709551615")
            .replace("u7aef\"", "u7aef\",\n  \"new\": {\n    \"x\": -1\n  }");
        assert_eq!(all.to_text(), expected);
        assert!(Ordered::parse("[]").is_none() && Ordered::parse("{").is_none());
    }

    #[test]
    fn of_two_of_one_name_the_last_counts() {
        let mut all = Ordered::parse(r#"{"a": 1, "a": 2}"#).unwrap();
        assert_eq!(all.number("a"), Some(2));
        all.set("a", 3);
        assert_eq!(all.to_text(), "{\n  \"a\": 1,\n  \"a\": 3\n}\n");
    }
}
