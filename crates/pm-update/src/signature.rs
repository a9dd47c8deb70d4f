//! Whether a manifest is from who may make releases.
//!
//! Signatures are minisign's, of the manifest's BLAKE2b hash (`ED`); its older kind, of the bytes
//! themselves, is refused. A pm knows two keys, the one that signs now and the one that will sign
//! next, so that keys can change without a release that nobody can check.
//!
//! Source: <https://jedisct1.github.io/minisign/#signature-format>

use minisign_verify::{Error, PublicKey, Signature};

/// The most bytes that a signature has.
pub const MAX_BYTES: usize = 4 << 10;

/// The public keys that are believed.
#[derive(Clone, Debug)]
pub struct Keys(Vec<PublicKey>);

/// A text is no public key of minisign's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no public key of minisign's")]
pub struct NotAKey(pub String);

/// Why a manifest is not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignatureError {
    /// The file beside it is no signature.
    #[error("the signature is no signature of minisign's")]
    Malformed,
    /// It was signed with a key that this pm does not know.
    #[error("it is signed with a key that this pm does not know")]
    UnknownKey,
    /// It is not what was signed.
    #[error("the signature does not fit: it was changed after it was signed")]
    Wrong,
}

impl Keys {
    /// Returns the keys that `texts` are, each in base64 as minisign prints it. Empty ones are
    /// none, as of a variable that is set to nothing.
    ///
    /// # Errors
    ///
    /// With the first that is no key.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAKey> {
        let texts = texts.into_iter().filter(|text| !text.is_empty());
        let key = |text: &str| PublicKey::from_base64(text).map_err(|_| NotAKey(text.to_owned()));
        texts.map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that `signature`, the text of a `.minisig` file, is one of `bytes` by one of the keys.
    ///
    /// # Errors
    ///
    /// With the reason why it is not.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), SignatureError> {
        let signature = Signature::decode(signature).map_err(|_| SignatureError::Malformed)?;
        let mut verdict = SignatureError::UnknownKey;
        for key in &self.0 {
            match key.verify(bytes, &signature, false) {
                Ok(()) => return Ok(()),
                Err(Error::UnexpectedKeyId) => {}
                Err(Error::InvalidSignature) => verdict = SignatureError::Wrong,
                Err(_) => verdict = SignatureError::Malformed,
            }
        }
        Err(verdict)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use minisign::KeyPair;
    use proptest::prelude::*;

    use super::*;

    const RELEASE: &[u8] = b"pm-release 1\nversion 0.2.0\nminimum 0.1.0\n";

    fn signed(pair: &KeyPair, bytes: &[u8]) -> String {
        let signature = minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(bytes), None, None);
        signature.unwrap().into_string()
    }

    fn pair() -> KeyPair {
        KeyPair::generate_unencrypted_keypair().unwrap()
    }

    fn keys(pairs: &[&KeyPair]) -> Keys {
        let texts: Vec<String> = pairs.iter().map(|pair| pair.pk.to_base64()).collect();
        Keys::parse(texts.iter().map(String::as_str)).unwrap()
    }

    #[test]
    fn the_present_key_and_the_next_one_are_believed_and_no_other() {
        let (now, next, other) = (pair(), pair(), pair());
        let keys = keys(&[&now, &next]);
        assert_eq!(keys.verify(RELEASE, &signed(&now, RELEASE)), Ok(()));
        assert_eq!(keys.verify(RELEASE, &signed(&next, RELEASE)), Ok(()));
        assert_eq!(
            keys.verify(RELEASE, &signed(&other, RELEASE)),
            Err(SignatureError::UnknownKey)
        );
    }

    #[test]
    fn without_a_key_nothing_is_believed() {
        let keys = Keys::parse(["", ""]).unwrap();
        assert!(keys.is_empty());
        let signature = signed(&pair(), RELEASE);
        assert_eq!(
            keys.verify(RELEASE, &signature),
            Err(SignatureError::UnknownKey)
        );
    }

    #[test]
    fn what_is_no_key_is_named() {
        let error = Keys::parse(["RWQ"]).unwrap_err();
        assert_eq!(error, NotAKey("RWQ".to_owned()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn one_changed_bit_is_found(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let pair = pair();
            let signature = signed(&pair, RELEASE);
            let mut changed = RELEASE.to_vec();
            changed[at.index(RELEASE.len())] ^= 1 << bit;
            prop_assert_eq!(keys(&[&pair]).verify(&changed, &signature), Err(SignatureError::Wrong));
        }

        #[test]
        fn a_changed_signature_is_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let pair = pair();
            let signature = signed(&pair, RELEASE);
            let mut changed = signature.clone().into_bytes();
            // The first line is a comment that nobody signs.
            let signed_part = signature.find('\n').unwrap() + 1;
            let at = signed_part + at.index(changed.len() - signed_part - 1);
            changed[at] = byte;
            let changed = String::from_utf8_lossy(&changed);
            let verdict = keys(&[&pair]).verify(RELEASE, &changed);
            prop_assert!(changed == signature || verdict.is_err() || changed.trim() == signature.trim());
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,300}(\n\\PC{0,300}){0,4}") {
            let _ = keys(&[&pair()]).verify(RELEASE, &text);
            let _ = Keys::parse([text.as_str()]);
        }
    }
}
