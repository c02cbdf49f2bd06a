//! The keys of one sender.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::key::{Key, Window};
use super::{KeyId, KeyMaterial};
use crate::error::ConfigError;

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
    pub(crate) webhook_id: Option<Arc<str>>,
}

impl Keyring {
    /// Creates a keyring of one [`Secret`](super::Secret) or [`PublicKey`](super::PublicKey). Its key id is `default`, and it is always valid.
    #[must_use]
    pub fn new(material: impl Into<KeyMaterial>) -> Self {
        let key = Key { id: KeyId::DEFAULT, material: material.into(), window: Window::ALWAYS };
        Self { keys: alloc::vec![key], webhook_id: None }
    }

    /// Creates a keyring of several keys, newest first.
    ///
    /// # Errors
    /// There are no keys or more than eight; two have the same id, secret or public key; or a key's `not_after` is
    /// before its `not_before`.
    pub fn from_keys(keys: impl IntoIterator<Item = Key>) -> Result<Self, ConfigError> {
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(|| ConfigError::new("keys", "must be at least one"))?;
        // The keys are given newest first, so append each one; `add` prepends.
        keys.try_fold(Self { keys: Vec::new(), webhook_id: None }.with(first, false)?, |ring, key| {
            ring.with(key, false)
        })
    }

    /// Adds a key in front, as the newest.
    ///
    /// # Errors
    /// As for [`from_keys`](Self::from_keys).
    #[expect(clippy::should_implement_trait, reason = "the name matches the operation, and the trait has no error")]
    pub fn add(self, key: Key) -> Result<Self, ConfigError> {
        self.with(key, true)
    }

    /// Adds a key at the end of a keyring, as the oldest, or creates a keyring with it.
    #[cfg(all(feature = "serde", feature = "warden"))]
    pub(crate) fn append_to(keyring: Option<Self>, key: Key) -> Result<Self, ConfigError> {
        keyring.unwrap_or(Self { keys: Vec::new(), webhook_id: None }).with(key, false)
    }

    fn with(mut self, key: Key, newest: bool) -> Result<Self, ConfigError> {
        let problem = if self.keys.len() >= MAX_KEYS {
            format!("must be at most {MAX_KEYS}")
        } else if key.window.is_empty() {
            format!("the not_after of {} must not be before its not_before", key.id)
        } else if self.keys.iter().any(|other| other.id == key.id) {
            format!("two keys have the id {}", key.id)
        } else if let Some(other) = self.keys.iter().find(|other| other.material.identity() == key.material.identity())
        {
            format!("{} and {} have the same secret or public key", other.id, key.id)
        } else {
            self.keys.insert(if newest { 0 } else { self.keys.len() }, key);
            return Ok(self);
        };
        Err(ConfigError::new("keys", problem))
    }

    /// Sets the canonical webhook id of the sender, for a key store that finds it under several spellings. See
    /// [`PreparedKeys::webhook_id`](crate::crypto::PreparedKeys::webhook_id).
    #[must_use]
    pub fn with_webhook_id(self, id: impl Into<Arc<str>>) -> Self {
        Self { webhook_id: Some(id.into()), ..self }
    }

    /// The number of keys, including those that are not valid now.
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

/// The maximum number of keys in a keyring.
pub(crate) const MAX_KEYS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::time::Timestamp;

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
    fn invalid_keyring_is_a_config_error() {
        let at = Timestamp::from_unix;
        assert_keys_refused(alloc::vec![], "must be at least one");
        let nine = (0..9).map(|n| key(&format!("k{n}"), &format!("secret-{n}"))).collect();
        assert_keys_refused(nine, "must be at most 8");
        assert_keys_refused(alloc::vec![key("a", "one"), key("a", "two")], "two keys have the id a");
        assert_keys_refused(
            alloc::vec![key("a", "one"), key("b", "one")],
            "a and b have the same secret or public key",
        );
        let empty_window = key("a", "one").not_before(at(2)).not_after(at(1));
        assert_keys_refused(alloc::vec![empty_window], "the not_after of a must not be before its not_before");
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
    fn key_of_a_single_secret_is_named_default() {
        let ring = Keyring::new(Secret::from_text("one").unwrap());
        assert_eq!(ring.iter().map(|key| key.id()).collect::<Vec<_>>(), [KeyId::new("default").unwrap()]);
    }
}
