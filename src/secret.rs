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

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::time::Timestamp;

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
    /// The text is empty or only white space, starts or ends with white space (such as the line break at the end of a
    /// file), or is the prefix `whsec_` alone.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        let problem = if text.is_empty() {
            "is empty"
        } else if text.trim().is_empty() {
            "is nothing but white space"
        } else if text.trim() != text {
            "has white space at an end; a secret that is meant to have it goes in as bytes"
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

/// The name of a key, for logs and metrics: 1 to 32 characters of `A-Z a-z 0-9 . _ -`. It is not secret.
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
    /// Zeros follow the name. No character of a name is zero, so the derived traits compare names.
    padded: [u8; MAX_KEY_ID],
}

impl KeyId {
    /// Checks and copies `name`.
    ///
    /// # Errors
    /// The name is empty, longer than 32 bytes, or contains another character.
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        let permitted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        match Self::padded(name) {
            Some(id) if !name.is_empty() && name.bytes().all(permitted) => Ok(id),
            _ => Err(ConfigError::new("key id", "takes 1 to 32 characters of A-Z a-z 0-9 . _ -")),
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
    const DEFAULT: Self = Self::padded("default").unwrap();
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

/// A secret with a name and a validity window.
///
/// The window has a resolution of one second and includes both ends. By default a key is always valid.
///
/// ```
/// use hookwarden::{Key, Scheme, Timestamp};
///
/// let secret = Scheme::timestamped().secret("a-subscription-secret")?;
/// let key = Key::new("2027", secret)?
///     .not_before(Timestamp::from_unix(1_798_761_600)) // 2027-01-01T00:00:00Z
///     .not_after(Timestamp::from_unix(1_830_297_599)); // 2027-12-31T23:59:59Z
/// assert_eq!(key.id().as_str(), "2027");
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Key {
    pub(crate) id: KeyId,
    pub(crate) secret: Secret,
    pub(crate) window: Window,
}

impl Key {
    /// Names a secret. The key is valid at any time.
    ///
    /// # Errors
    /// The id is not a valid [`KeyId`].
    pub fn new(id: &str, secret: Secret) -> Result<Self, ConfigError> {
        Ok(Self { id: KeyId::new(id)?, secret, window: Window { not_before: None, not_after: None } })
    }

    /// Sets the first second in which the key is valid.
    #[must_use]
    pub const fn not_before(mut self, time: Timestamp) -> Self {
        self.window.not_before = Some(time);
        self
    }

    /// Sets the last second in which the key is valid.
    #[must_use]
    pub const fn not_after(mut self, time: Timestamp) -> Self {
        self.window.not_after = Some(time);
        self
    }

    /// The key's name.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }
}

/// The seconds in which a key is valid, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

impl Window {
    pub(crate) fn contains(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|first| first <= now) && self.not_after.is_none_or(|last| now <= last)
    }

    fn is_empty(&self) -> bool {
        matches!((self.not_before, self.not_after), (Some(first), Some(last)) if last < first)
    }
}

/// The keys of one sender: one to eight, newest first.
///
/// Every key that is valid now verifies. The newest key that is valid now signs; see [`Signer`](crate::signer::Signer)
/// for schemes that carry several signatures.
///
/// ```
/// use hookwarden::{Key, Keyring, Scheme, Secret};
///
/// let scheme = Scheme::timestamped();
/// // One secret, under the key id `default`.
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
///
/// // A rotation adds the new key in front.
/// let keys = keys.add(Key::new("2027", scheme.secret("the-secret-of-next-year")?)?)?;
/// let ids: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
/// assert_eq!(ids, ["2027", "default"]);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<Key>,
}

impl Keyring {
    /// Creates a keyring of one secret. Its key id is `default`, and it is always valid.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        let window = Window { not_before: None, not_after: None };
        Self { keys: alloc::vec![Key { id: KeyId::DEFAULT, secret, window }] }
    }

    /// Creates a keyring of several keys, newest first.
    ///
    /// # Errors
    /// There is no key; there are more than eight; two have the same id or the same secret; or a key's `not_after` is
    /// before its `not_before`.
    pub fn from_keys(keys: impl IntoIterator<Item = Key>) -> Result<Self, ConfigError> {
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(|| ConfigError::new("keys", "there is none"))?;
        // Oldest last: each further key is appended, unlike in `add`.
        keys.try_fold(Self { keys: Vec::new() }.with(first, false)?, |ring, key| ring.with(key, false))
    }

    /// Adds a key in front, as the newest.
    ///
    /// # Errors
    /// As for [`from_keys`](Self::from_keys).
    #[expect(
        clippy::should_implement_trait,
        reason = "a keyring plus a key reads as intended, and the trait cannot fail"
    )]
    pub fn add(self, key: Key) -> Result<Self, ConfigError> {
        self.with(key, true)
    }

    fn with(mut self, key: Key, newest: bool) -> Result<Self, ConfigError> {
        let problem = if self.keys.len() >= MAX_KEYS {
            format!("more than {MAX_KEYS}")
        } else if key.window.is_empty() {
            format!("{} ends before it begins", key.id)
        } else if self.keys.iter().any(|other| other.id == key.id) {
            format!("two of the id {}", key.id)
        } else if let Some(other) = self.keys.iter().find(|other| other.secret.expose() == key.secret.expose()) {
            format!("{} and {} are one secret", other.id, key.id)
        } else {
            self.keys.insert(if newest { 0 } else { self.keys.len() }, key);
            return Ok(self);
        };
        Err(ConfigError::new("keys", problem))
    }

    /// The number of keys, valid now or not.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a keyring is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys, newest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.keys.iter()
    }
}

/// The most keys that a keyring holds.
pub(crate) const MAX_KEYS: usize = 8;

/// The longest name of a key, in bytes.
const MAX_KEY_ID: usize = 32;

/// The prefix that Standard Webhooks and Svix put before a base64 secret.
pub(crate) const WHSEC: &str = "whsec_";

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, text: &str) -> Key {
        Key::new(id, Secret::from_text(text).unwrap()).unwrap()
    }

    #[track_caller]
    fn assert_keys_refused(keys: Vec<Key>, problem: &str) {
        assert_eq!(
            Keyring::from_keys(keys).unwrap_err(),
            ConfigError::new("keys", alloc::string::String::from(problem))
        );
    }

    #[test]
    fn secret_without_substance_is_a_config_error() {
        for text in ["", " ", "\t\r\n", "\u{a0}\u{3000}", "whsec_", " secret", "secret\n"] {
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

    #[test]
    fn keyring_that_cannot_be_right_is_a_config_error() {
        let at = Timestamp::from_unix;
        assert_keys_refused(alloc::vec![], "there is none");
        assert_keys_refused((0..9).map(|n| key(&format!("k{n}"), &format!("secret-{n}"))).collect(), "more than 8");
        assert_keys_refused(alloc::vec![key("a", "one"), key("a", "two")], "two of the id a");
        assert_keys_refused(alloc::vec![key("a", "one"), key("b", "one")], "a and b are one secret");
        assert_keys_refused(alloc::vec![key("a", "one").not_before(at(2)).not_after(at(1))], "a ends before it begins");
        assert!(Keyring::from_keys((0..8).map(|n| key(&format!("k{n}"), &format!("secret-{n}")))).is_ok());
    }

    #[test]
    fn keyring_order_is_newest_first() {
        let ids =
            |ring: &Keyring| ring.iter().map(|key| alloc::string::ToString::to_string(&key.id())).collect::<Vec<_>>();
        let ring = Keyring::from_keys([key("b", "two"), key("a", "one")]).unwrap();
        assert_eq!(ids(&ring), ["b", "a"]);
        assert_eq!(ids(&ring.add(key("c", "three")).unwrap()), ["c", "b", "a"]);
    }

    #[test]
    fn key_counts_in_its_window_with_both_ends() {
        let at = Timestamp::from_unix;
        let window = key("a", "one").not_before(at(10)).not_after(at(20)).window;
        assert_eq!([9, 10, 20, 21].map(|second| window.contains(at(second))), [false, true, true, false]);
    }

    #[test]
    fn key_id_takes_only_plain_names() {
        for name in ["", " ", "a b", "a\n", "é", "123456789012345678901234567890123"] {
            assert_eq!(KeyId::new(name).unwrap_err().field(), "key id", "{name:?}");
        }
        for name in ["a", "2026-11.primary_A", "12345678901234567890123456789012"] {
            assert_eq!(KeyId::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn key_ids_compare_and_show_as_names() {
        let id = |name| KeyId::new(name).unwrap();
        assert!(id("a") < id("a.") && id("a.") < id("aa") && id("aa") < id("b"));
        assert_eq!(
            (format!("{:?}", id("a")), format!("{:>3}", id("a").as_str())),
            ("KeyId(\"a\")".into(), "  a".into())
        );
        assert_eq!(Keyring::new(Secret::from_text("one").unwrap()).iter().next().unwrap().id(), id("default"));
    }
}
