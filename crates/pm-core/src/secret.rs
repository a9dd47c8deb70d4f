//! Texts that nobody is shown: tokens, passwords, keys, addresses that hold one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest secret, in bytes.
pub const MAX_SECRET_BYTES: usize = 2048;

/// A text that is written to `config.json` and to the peer that it is for, and never shown: its
/// `Display` and `Debug` say only that it is set, and no error repeats it.
///
/// 1 to [`MAX_SECRET_BYTES`] bytes without control characters, and no white space at either end.
///
/// # Examples
///
/// ```
/// use pm_core::secret::{Secret, presence};
///
/// let secret: Secret = "hunter2".parse()?;
/// assert_eq!(format!("{secret} {secret:?}"), "set Secret(set)");
/// assert_eq!(secret.expose(), "hunter2");
/// assert_eq!(presence(Some(&secret)), "set");
/// assert_eq!(presence(None), "not set");
/// # Ok::<(), pm_core::secret::SecretError>(())
/// ```
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Secret(String);

/// Why a text cannot be a secret; what it says is not repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretError {
    /// Nothing, or white space.
    #[error("it is empty: write it")]
    Empty,
    /// More than a secret has.
    #[error("the secret has {0} bytes: the most is {MAX_SECRET_BYTES}")]
    TooLong(usize),
    /// A line break, say, which would end a header.
    #[error("the secret holds a line break or another control character: leave it out")]
    Control,
    /// White space that was copied along.
    #[error("the secret begins or ends with a space: leave it out")]
    Spaces,
    /// A number, where quotes were forgotten.
    #[error("a secret is a text: write it in quotes")]
    NotText,
}

impl Secret {
    /// Returns what stands in the place of a secret where it is shown.
    pub(crate) fn hidden() -> Self {
        Self("set".to_owned())
    }

    /// Returns the text itself, for the peer that it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Returns what a view says of a secret.
pub fn presence(secret: Option<&Secret>) -> &'static str {
    match secret {
        Some(_) => "set",
        None => "not set",
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if text.trim().is_empty() {
            return Err(SecretError::Empty);
        }
        if text.len() > MAX_SECRET_BYTES {
            return Err(SecretError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(SecretError::Control);
        }
        if text.trim() != text {
            return Err(SecretError::Spaces);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(presence(Some(self)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(set)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        // serde's own errors repeat a value of the wrong type.
        impl de::Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(E::custom(SecretError::NotText))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom(SecretError::NotText))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(E::custom(SecretError::NotText))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_secret_is_refused_without_repeating_it() {
        for (text, error) in [
            ("", SecretError::Empty),
            (" \t", SecretError::Empty),
            ("planted ", SecretError::Spaces),
            ("planted\r\nHost: evil", SecretError::Control),
            ("planted\0", SecretError::Control),
            (&"planted".repeat(400), SecretError::TooLong(2800)),
        ] {
            assert_eq!(text.parse::<Secret>(), Err(error));
            let json = serde_json::to_string(text).unwrap();
            let said = serde_json::from_str::<Secret>(&json).unwrap_err();
            assert!(said.to_string().starts_with(&error.to_string()), "{said}");
            assert!(!said.to_string().contains("planted"), "{said}");
        }
        for json in ["42424242", "-42424242", "4242.4242", "[\"42424242\"]"] {
            let said = serde_json::from_str::<Secret>(json).unwrap_err();
            assert!(!said.to_string().contains("4242"), "{said}");
        }
    }

    /// Fault 17 of the scripts pm replaces: secrets where others read them.
    #[test]
    fn a_secret_is_written_and_never_shown() {
        let secret: Secret = "p läñted & 密".parse().unwrap();
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, "\"p läñted & 密\"");
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
        for shown in [
            format!("{secret}"),
            format!("{secret:?}"),
            format!("{secret:#?}"),
        ] {
            assert!(!shown.contains("läñ"), "{shown}");
        }
    }
}
