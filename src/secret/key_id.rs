//! The name of a key.

use core::fmt;

use crate::error::ConfigError;

/// The name of a key, for logs and metrics: 1 to 36 characters of `A-Z a-z 0-9 . _ -`. It is not secret.
///
/// ```
/// use hookwarden::secret::KeyId;
///
/// let id = KeyId::new("2027-01.primary")?;
/// assert_eq!(id.as_str(), "2027-01.primary");
/// assert!(KeyId::new("primary key").is_err());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    /// The name, padded with zeros. A name contains no zeros, so the derived traits compare names.
    padded: [u8; MAX_KEY_ID],
}

impl KeyId {
    /// Creates a key id from `name`.
    ///
    /// # Errors
    /// The name is empty, longer than 36 bytes, or contains another character.
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        let permitted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        match Self::padded(name) {
            Some(id) if !name.is_empty() && name.bytes().all(permitted) => Ok(id),
            _ => Err(ConfigError::new("key id", "must be 1 to 36 characters of A-Z a-z 0-9 . _ -")),
        }
    }

    const fn padded(name: &str) -> Option<Self> {
        let mut padded = [0; MAX_KEY_ID];
        let Some((start, _)) = padded.split_at_mut_checked(name.len()) else { return None };
        start.copy_from_slice(name.as_bytes());
        Some(Self { padded })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.padded).unwrap_or_default().trim_end_matches('\0')
    }

    /// The name of the key in a keyring of a single secret.
    pub(crate) const DEFAULT: Self = Self::padded("default").unwrap();
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyId").field(&self.as_str()).finish()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The maximum length of a key's name in bytes: that of a UUID, which a JWK often has.
const MAX_KEY_ID: usize = 36;

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn key_id_accepts_only_plain_names() {
        for name in ["", " ", "a b", "a\n", "é", "bfbd5111-8e33-4643-8ced-b2e642a72f3c0"] {
            assert_eq!(KeyId::new(name).unwrap_err().field(), "key id", "{name:?}");
        }
        for name in ["a", "2026-11.primary_A", "bfbd5111-8e33-4643-8ced-b2e642a72f3c"] {
            assert_eq!(KeyId::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn key_ids_compare_and_display_as_names() {
        let id = |name| KeyId::new(name).unwrap();
        assert!(id("a") < id("a.") && id("a.") < id("aa") && id("aa") < id("b"));
        assert_eq!(
            (format!("{:?}", id("a")), format!("{:>3}", id("a").as_str())),
            ("KeyId(\"a\")".into(), "  a".into())
        );
        assert_eq!(KeyId::DEFAULT, id("default"));
    }
}
