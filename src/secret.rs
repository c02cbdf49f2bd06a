//! Secrets, public keys and keyrings.
//!
//! A [`Secret`] holds the key bytes of the MAC, or a private key; a [`PublicKey`] only verifies. A [`Key`] is one of
//! them with a name and an optional validity window. A
//! [`Keyring`] holds the one to eight keys of one sender. All keys whose window contains the current second verify; the
//! newest of them signs.
//!
//! To rotate a key without downtime, accept the old and the new one for a while:
//!
//! ```
//! use hookwarden::{Key, Keyring, Scheme, Timestamp};
//!
//! let scheme = Scheme::timestamped();
//! // The old key stays valid for one day after the sender starts to sign with the new one.
//! let old = Key::new("2026", scheme.secret("an-old-secret-of-fifty-characters-or-more-please")?)?
//!     .not_after(Timestamp::from_unix(1_800_086_400));
//! let new = Key::new("2027", scheme.secret("a-new-secret-of-fifty-characters-or-more-please")?)?;
//! let keys = Keyring::from_keys([new, old])?; // newest first
//! assert_eq!(keys.len(), 2);
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! A keyring is immutable. To rotate keys while requests run, replace the keyring in a store of the `keys` module.

mod key;
mod key_id;
mod key_pair_text;
mod keyring;
mod material;
mod public_key;

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::error::ConfigError;

pub use key::Key;
pub use key_id::KeyId;
pub use keyring::Keyring;
pub use material::KeyMaterial;
pub use public_key::PublicKey;

pub(crate) use key::Window;
pub(crate) use key_pair_text::{PEM, WHPK, WHSK};
pub(crate) use keyring::MAX_KEYS;
pub(crate) use public_key::KeyKind;

use key_pair_text::is_key_pair;

/// The bytes of a shared secret, or a private key.
///
/// For a secret from a provider, use [`Scheme::secret`](crate::scheme::Scheme::secret), which decodes the text if the
/// provider's secrets are base64 or hex. For key bytes, use [`from_bytes`](Self::from_bytes).
///
/// The bytes are wiped from memory on drop. `Debug` does not print them, and there is no `Display`, comparison or
/// serialization.
///
/// ```
/// use hookwarden::{Scheme, Secret};
///
/// let secret = Scheme::standard_webhooks().secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
///
/// // A line break at the end of a file would be part of the key, so it is an error.
/// let error = Secret::from_text("a-subscription-secret\n").unwrap_err();
/// assert_eq!(error.field(), "secret");
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    form: Form,
}

/// Where the bytes of a secret come from.
#[derive(Clone, PartialEq)]
enum Form {
    /// Text that was not decoded.
    Text,
    Bytes,
    /// A private key, with its public key.
    PrivateKey(PublicKey),
}

impl Secret {
    /// Uses the UTF-8 bytes of `text` as the key, without decoding. [`Scheme::prepare`](crate::scheme::Scheme::prepare)
    /// refuses such a secret if the scheme decodes its secrets: use [`Scheme::secret`](crate::scheme::Scheme::secret)
    /// there.
    ///
    /// # Errors
    /// * The text is empty or only white space.
    /// * It starts or ends with white space, such as the line break at the end of a file.
    /// * It starts or ends with an invisible character, such as NUL or the byte order mark that some editors write.
    /// * It is only the prefix `whsec_`.
    /// * It is a public or private key: PEM, the base64 or hex of DER, JWK, or a text with one of the prefixes `ssh-`,
    ///   `ecdsa-sha2-`, `whpk_` and `whsk_`. Anyone could sign with an HMAC secret that is a public key.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        let problem = if text.is_empty() {
            "must not be empty"
        } else if text.trim().is_empty() {
            "must not be only white space"
        } else if text.trim() != text {
            "must not start or end with white space; if the secret has it, use Secret::from_bytes"
        } else if text.starts_with(is_invisible) || text.ends_with(is_invisible) {
            "must not start or end with an invisible character, such as a byte order mark: save it as UTF-8 without it"
        } else if text == WHSEC {
            "must have a secret after the prefix whsec_"
        } else if is_key_pair(text.as_bytes()) {
            KEY_PAIR_TEXT
        } else {
            return Ok(Self { bytes: Zeroizing::new(text.as_bytes().to_vec()), form: Form::Text });
        };
        Err(ConfigError::new("secret", problem))
    }

    /// Uses `bytes` as the key, for any scheme.
    ///
    /// # Errors
    /// There are no bytes, only ASCII white space, or only zero bytes. HMAC pads its key with zeros, so a key of zeros
    /// equals the empty key (RFC 2104 section 2). Or they are a public or private key: DER, or a text as for
    /// [`from_text`](Self::from_text), also after white space or a byte order mark. The bytes of a public key without
    /// structure, such as the 32 bytes of an Ed25519 key, look like a secret and are accepted.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, ConfigError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.is_empty() {
            Err(ConfigError::new("secret", "must not be empty"))
        } else if bytes.iter().all(u8::is_ascii_whitespace) {
            Err(ConfigError::new("secret", "must not be only white space"))
        } else if bytes.iter().all(|byte| *byte == 0) {
            Err(ConfigError::new("secret", "must not be only zero bytes, which equal an empty key in HMAC"))
        } else if is_key_pair(&bytes) {
            Err(ConfigError::new("secret", KEY_PAIR_TEXT))
        } else {
            Ok(Self { bytes, form: Form::Bytes })
        }
    }

    /// Generates a secret of 32 bytes from the operating system's random number generator.
    ///
    /// # Errors
    /// The operating system returned no random bytes.
    #[cfg(feature = "generate")]
    pub fn generate() -> Result<Self, ConfigError> {
        let mut bytes = Zeroizing::new(alloc::vec![0_u8; 32]);
        getrandom::fill(&mut bytes).map_err(|_| {
            ConfigError::new("secret", "must come from random bytes, but the operating system returned none: try again")
        })?;
        Ok(Self { bytes, form: Form::Bytes })
    }

    pub(crate) const fn private_key(bytes: Zeroizing<Vec<u8>>, public_key: PublicKey) -> Self {
        Self { bytes, form: Form::PrivateKey(public_key) }
    }

    /// The public key, if this is a private key. An HMAC secret has none.
    #[must_use]
    pub const fn public_key(&self) -> Option<&PublicKey> {
        match &self.form {
            Form::PrivateKey(key) => Some(key),
            Form::Text | Form::Bytes => None,
        }
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the bytes are text that was not decoded.
    pub(crate) const fn is_literal_text(&self) -> bool {
        matches!(self.form, Form::Text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The prefix of a base64 secret in Standard Webhooks and Svix.
pub(crate) const WHSEC: &str = "whsec_";

const KEY_PAIR_TEXT: &str = "must be an HMAC secret, not a public or private key: this scheme does not use key pairs";

/// Whether editors hide the character. A secret never starts or ends with such a character on purpose.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\0' | '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn blank_or_padded_secret_is_a_config_error() {
        for text in [
            "",
            " ",
            "\t\r\n",
            "\u{a0}\u{3000}",
            "whsec_",
            " secret",
            "secret\n",
            "\u{feff}secret",
            "secret\u{200b}",
            "secret\0",
            "\0",
        ] {
            assert_eq!(Secret::from_text(text).unwrap_err().field(), "secret", "{text:?}");
        }
        for bytes in [&b""[..], b"  ", b"\r\n", b"\0", &[0; 32]] {
            assert_eq!(Secret::from_bytes(bytes).unwrap_err().field(), "secret", "{bytes:?}");
        }
    }

    #[test]
    fn decoded_secret_of_zero_bytes_is_refused() {
        use crate::scheme::{Scheme, SecretFormat};

        let hex = Scheme::timestamped().into_builder().secret_format(SecretFormat::Hex).build().unwrap();
        for (scheme, text) in
            [(Scheme::standard_webhooks(), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), (hex, "0000000000000000")]
        {
            let refused = scheme.secret(text).unwrap_err();
            assert!(format!("{refused}").contains("zero bytes"), "{refused}");
        }
    }

    #[test]
    fn debug_output_does_not_reveal_the_secret() {
        let ring = Keyring::new(Secret::from_text("canary-5b1c").unwrap());
        let debug = format!("{ring:?}");
        assert!(debug.contains("Secret(…)"), "{debug}");
        assert!(!debug.contains("canary") && !debug.contains("99, 97, 110"), "{debug}");
    }
}
