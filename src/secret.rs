//! Secrets, keys and keyrings.
//!
//! A [`Secret`] holds the bytes that key the MAC. A [`Key`] is a secret with a name and an optional validity window. A
//! [`Keyring`] holds the one to eight keys of one sender. All keys whose window contains the present second verify; the
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
//! A keyring never changes. To rotate while requests run, replace the keyring: the `keys` module has stores for that.

mod key;
mod key_id;
mod keyring;

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::error::ConfigError;

pub use key::Key;
pub use key_id::KeyId;
pub use keyring::Keyring;

pub(crate) use key::Window;
pub(crate) use keyring::MAX_KEYS;

/// The bytes of a shared secret.
///
/// [`Scheme::secret`](crate::scheme::Scheme::secret) makes one from the text that a provider shows, which it decodes if
/// the provider's secrets are base64 or hex. Use it whenever the secret comes from a provider; use
/// [`from_bytes`](Self::from_bytes) for key bytes.
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
    literal_text: bool,
}

impl Secret {
    /// Uses the UTF-8 bytes of `text` as the key, without decoding. [`Scheme::prepare`](crate::scheme::Scheme::prepare)
    /// refuses such a secret if the scheme decodes its secrets: use [`Scheme::secret`](crate::scheme::Scheme::secret)
    /// there.
    ///
    /// # Errors
    /// The text is empty or only white space; it starts or ends with white space (such as the line break at the end of a
    /// file) or with an invisible character (such as the byte order mark that some editors write, or NUL); or it is the
    /// prefix `whsec_` alone.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        let problem = if text.is_empty() {
            "is empty"
        } else if text.trim().is_empty() {
            "is nothing but white space"
        } else if text.trim() != text {
            "has white space at an end; a secret that is meant to have it goes in as bytes"
        } else if text.starts_with(is_invisible) || text.ends_with(is_invisible) {
            "starts or ends with an invisible character, such as a byte order mark: save it without, as UTF-8"
        } else if text == WHSEC {
            "is a prefix without a secret behind it"
        } else {
            return Ok(Self { bytes: Zeroizing::new(text.as_bytes().to_vec()), literal_text: true });
        };
        Err(ConfigError::new("secret", problem))
    }

    /// Uses `bytes` as the key, for any scheme.
    ///
    /// # Errors
    /// There are no bytes, or only ASCII white space.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, ConfigError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.is_empty() {
            Err(ConfigError::new("secret", "is empty"))
        } else if bytes.iter().all(u8::is_ascii_whitespace) {
            Err(ConfigError::new("secret", "is nothing but white space"))
        } else {
            Ok(Self { bytes, literal_text: false })
        }
    }

    /// Generates a secret of 32 bytes from the operating system's random number generator.
    ///
    /// # Errors
    /// The operating system returned no random bytes.
    #[cfg(feature = "generate")]
    pub fn generate() -> Result<Self, ConfigError> {
        let mut bytes = Zeroizing::new(alloc::vec![0_u8; 32]);
        getrandom::fill(&mut bytes)
            .map_err(|_| ConfigError::new("secret", "the operating system gave no random bytes"))?;
        Ok(Self { bytes, literal_text: false })
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the bytes are text that was not decoded.
    pub(crate) const fn is_literal_text(&self) -> bool {
        self.literal_text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The prefix that Standard Webhooks and Svix put before a base64 secret.
pub(crate) const WHSEC: &str = "whsec_";

/// A character that editors do not show, and that is never part of a secret on purpose.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\0' | '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn secret_without_substance_is_a_config_error() {
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
        for bytes in [&b""[..], b"  ", b"\r\n"] {
            assert_eq!(Secret::from_bytes(bytes).unwrap_err().field(), "secret", "{bytes:?}");
        }
    }

    #[test]
    fn secret_debug_shows_nothing_of_it() {
        let ring = Keyring::new(Secret::from_text("canary-5b1c").unwrap());
        let debug = format!("{ring:?}");
        assert!(debug.contains("Secret(…)"), "{debug}");
        assert!(!debug.contains("canary") && !debug.contains("99, 97, 110"), "{debug}");
    }
}
