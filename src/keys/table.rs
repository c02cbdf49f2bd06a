//! Keys that the application provides.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use arrayvec::ArrayVec;

use super::KeyStore;
use crate::crypto::mac::PreparedKeys;
use crate::error::{ConfigError, StoreError};
use crate::scheme::Scheme;
use crate::secret::{Keyring, MAX_KEYS};

/// Keys by webhook id, in memory. Cheap to clone; all clones share the same keys, so that a clone kept aside changes
/// the keys of a running Warden.
///
/// Each change is atomic: a request sees the keys before it or after it. A lookup costs one hash and takes no lock. The
/// secrets themselves are not kept.
///
/// ```
/// use hookwarden::keys::StaticKeys;
/// use hookwarden::{Key, Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let old = Key::new("2026", scheme.secret("an-old-secret")?)?;
/// let keys = StaticKeys::new(&scheme, [("acme", Keyring::from_keys([old.clone()])?)])?;
/// let warden = Warden::builder(scheme.clone()).keys(keys.clone()).build()?;
///
/// // Later, while requests run: accept the new key beside the old one.
/// let new = Key::new("2027", scheme.secret("a-new-secret")?)?;
/// keys.replace_one("acme", Keyring::from_keys([new, old])?)?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct StaticKeys {
    inner: Arc<Inner>,
}

struct Inner {
    scheme: Scheme,
    shared_secrets: bool,
    fingerprints: RandomState,
    table: ArcSwap<Table>,
    /// Held while a changed table is built, so that no concurrent change is lost.
    changing: Mutex<()>,
}

impl StaticKeys {
    /// Prepares the keys of each sender for `scheme`.
    ///
    /// # Errors
    /// There is no sender; two senders have the same webhook id or the same secret; an id is empty; or the scheme
    /// decodes its secrets and one was not decoded.
    pub fn new(
        scheme: &Scheme,
        senders: impl IntoIterator<Item = (impl Into<String>, Keyring)>,
    ) -> Result<Self, ConfigError> {
        Self::with_senders(scheme, owned(senders), false).map_err(|fault| fault.error)
    }

    /// Like [`new`](Self::new), but one secret may belong to several webhook ids. A message signed for one of them is
    /// then valid for all of them.
    ///
    /// # Errors
    /// As for [`new`](Self::new), except for shared secrets.
    pub fn danger_allow_shared_secrets(
        scheme: &Scheme,
        senders: impl IntoIterator<Item = (impl Into<String>, Keyring)>,
    ) -> Result<Self, ConfigError> {
        Self::with_senders(scheme, owned(senders), true).map_err(|fault| fault.error)
    }

    pub(crate) fn with_senders(
        scheme: &Scheme,
        senders: Vec<(String, Keyring)>,
        shared_secrets: bool,
    ) -> Result<Self, SenderFault> {
        let inner = Inner {
            scheme: scheme.clone(),
            shared_secrets,
            fingerprints: RandomState::new(),
            table: ArcSwap::default(),
            changing: Mutex::default(),
        };
        inner.table.store(Arc::new(inner.table_of(senders)?));
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Replaces all senders.
    ///
    /// # Errors
    /// As for [`new`](Self::new). The present senders then stay.
    pub fn replace(&self, senders: impl IntoIterator<Item = (impl Into<String>, Keyring)>) -> Result<(), ConfigError> {
        self.replace_senders(owned(senders)).map_err(|fault| fault.error)
    }

    pub(super) fn replace_senders(&self, senders: Vec<(String, Keyring)>) -> Result<(), SenderFault> {
        self.change(|_| self.inner.table_of(senders))
    }

    /// Replaces the keys of one webhook id, or adds the id.
    ///
    /// # Errors
    /// The id is empty; another id has one of the secrets; or the scheme decodes its secrets and one was not decoded.
    /// Nothing changes then.
    pub fn replace_one(&self, webhook_id: impl Into<String>, keys: Keyring) -> Result<(), ConfigError> {
        let (id, sender) = self.inner.sender(webhook_id.into(), &keys)?;
        self.change(|table| {
            let mut senders = table.senders.clone();
            senders.insert(id, sender);
            self.inner.check(&senders)?;
            Ok(Table::new(senders))
        })
    }

    /// Removes a webhook id, so that its requests are refused from now on. Returns whether it was known.
    pub fn remove(&self, webhook_id: &str) -> bool {
        struct Unknown;
        let removed = self.change(|table| {
            let mut senders = table.senders.clone();
            senders.remove(webhook_id).ok_or(Unknown)?;
            Ok::<_, Unknown>(Table::new(senders))
        });
        removed.is_ok()
    }

    /// The number of webhook ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.table.load().senders.len()
    }

    /// Whether there is no webhook id, because all were removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change<E>(&self, make: impl FnOnce(&Table) -> Result<Table, E>) -> Result<(), E> {
        let _alone = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = make(&self.inner.table.load())?;
        self.inner.table.store(Arc::new(table));
        Ok(())
    }
}

impl KeyStore for StaticKeys {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        Ok(self.inner.table.load().senders.get(webhook_id).map(|sender| sender.keys.clone()))
    }

    fn common_size(&self) -> usize {
        self.inner.table.load().common_size
    }

    fn scheme(&self) -> Option<&Scheme> {
        Some(&self.inner.scheme)
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys")
            .field("scheme", &self.inner.scheme.name())
            .field("senders", &self.len())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn table_of(&self, senders: Vec<(String, Keyring)>) -> Result<Table, SenderFault> {
        if senders.is_empty() {
            return Err(SenderFault { index: None, error: ConfigError::new("senders", "there is none") });
        }
        let mut table: HashMap<Arc<str>, Sender> = HashMap::with_capacity(senders.len());
        let mut owners: HashMap<Fingerprint, Arc<str>> = HashMap::new();
        for (index, (id, keyring)) in senders.into_iter().enumerate() {
            let at_fault = |error| SenderFault { index: Some(index), error };
            let (id, sender) = self.sender(id, &keyring).map_err(at_fault)?;
            if table.contains_key(&id) {
                return Err(at_fault(ConfigError::new("senders", format!("two of the webhook id {id:?}"))));
            }
            self.claim(&mut owners, &id, &sender).map_err(at_fault)?;
            table.insert(id, sender);
        }
        Ok(Table::new(table))
    }

    fn sender(&self, id: String, keyring: &Keyring) -> Result<(Arc<str>, Sender), ConfigError> {
        if id.is_empty() {
            return Err(ConfigError::new("senders", "a webhook id is empty"));
        }
        let fingerprints = keyring.iter().map(|key| self.fingerprint(key.secret.expose())).collect();
        Ok((id.into(), Sender { keys: self.scheme.prepare(keyring)?, fingerprints }))
    }

    /// HMAC pads a key with zero bytes, so secrets that differ only in trailing zero bytes are equal.
    fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        let end = secret.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        self.fingerprints.hash_one(secret.get(..end))
    }

    fn check(&self, senders: &HashMap<Arc<str>, Sender>) -> Result<(), ConfigError> {
        let mut owners = HashMap::with_capacity(senders.len());
        senders.iter().try_for_each(|(id, sender)| self.claim(&mut owners, id, sender))
    }

    fn claim(
        &self,
        owners: &mut HashMap<Fingerprint, Arc<str>>,
        id: &Arc<str>,
        sender: &Sender,
    ) -> Result<(), ConfigError> {
        if self.shared_secrets {
            return Ok(());
        }
        for fingerprint in &sender.fingerprints {
            if let Some(owner) = owners.insert(*fingerprint, id.clone()).filter(|owner| owner != id) {
                let (first, second) = if owner < *id { (&owner, id) } else { (id, &owner) };
                return Err(ConfigError::new("senders", format!("{first:?} and {second:?} share a secret")));
            }
        }
        Ok(())
    }
}

/// A list of senders that is wrong, with the index of the one at fault.
pub(crate) struct SenderFault {
    #[cfg_attr(not(feature = "serde"), expect(dead_code, reason = "senders from code have no place in a file"))]
    pub(crate) index: Option<usize>,
    pub(crate) error: ConfigError,
}

/// It never changes; a rotation replaces it.
#[derive(Default)]
struct Table {
    senders: HashMap<Arc<str>, Sender>,
    common_size: usize,
}

impl Table {
    fn new(senders: HashMap<Arc<str>, Sender>) -> Self {
        let mut counts = [0_usize; MAX_KEYS];
        for sender in senders.values() {
            if let Some(count) = sender.keys.len().checked_sub(1).and_then(|index| counts.get_mut(index)) {
                *count = count.saturating_add(1);
            }
        }
        Self { senders, common_size: most_common(&counts) }
    }
}

#[derive(Clone)]
struct Sender {
    keys: PreparedKeys,
    fingerprints: ArrayVec<Fingerprint, MAX_KEYS>,
}

/// A secret's hash under a random key of this process, to compare secrets without keeping them.
type Fingerprint = u64;

/// The most common keyring size, given the number of keyrings of each size; the larger of two that are equally common.
pub(super) fn most_common(counts: &[usize; MAX_KEYS]) -> usize {
    let sizes = (1..).zip(counts).filter(|(_, count)| **count > 0);
    sizes.max_by_key(|(_, count)| **count).map_or(1, |(size, _)| size)
}

fn owned(senders: impl IntoIterator<Item = (impl Into<String>, Keyring)>) -> Vec<(String, Keyring)> {
    senders.into_iter().map(|(id, keys)| (id.into(), keys)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Key, Secret};

    fn keyring(secrets: &[&str]) -> Keyring {
        let keys = secrets.iter().enumerate();
        let keys = keys.map(|(n, text)| Key::new(&format!("k{n}"), Secret::from_bytes(*text).unwrap()).unwrap());
        Keyring::from_keys(keys).unwrap()
    }

    fn senders(senders: &[(&'static str, &[&str])]) -> Vec<(&'static str, Keyring)> {
        senders.iter().map(|(id, secrets)| (*id, keyring(secrets))).collect()
    }

    #[track_caller]
    fn assert_refused(list: &[(&'static str, &[&str])], problem: &str) {
        let refused = StaticKeys::new(&Scheme::timestamped(), senders(list)).unwrap_err();
        assert_eq!(refused.to_string(), format!("senders: {problem}"));
    }

    #[test]
    fn senders_that_cannot_be_right_are_a_config_error() {
        assert_refused(&[], "there is none");
        assert_refused(&[("", &["one"])], "a webhook id is empty");
        assert_refused(&[("a", &["one"]), ("a", &["two"])], "two of the webhook id \"a\"");
        assert_refused(&[("a", &["one", "two"]), ("b", &["three", "two"])], "\"a\" and \"b\" share a secret");
    }

    #[test]
    fn secrets_that_hmac_cannot_tell_apart_are_one() {
        assert_refused(&[("b", &["one\0\0"]), ("a", &["one"])], "\"a\" and \"b\" share a secret");
    }

    #[test]
    fn shared_secret_needs_the_danger_constructor() {
        let list: &[(&str, &[&str])] = &[("a", &["one"]), ("b", &["one"])];
        assert_refused(list, "\"a\" and \"b\" share a secret");
        let keys = StaticKeys::danger_allow_shared_secrets(&Scheme::timestamped(), senders(list)).unwrap();
        keys.replace_one("c", keyring(&["one"])).unwrap();
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn common_size_follows_the_senders() {
        let list: &[(&str, &[&str])] =
            &[("a", &["1", "2"]), ("b", &["3"]), ("c", &["4", "5"]), ("d", &["6", "7", "8"])];
        let keys = StaticKeys::new(&Scheme::timestamped(), senders(list)).unwrap();
        assert_eq!(keys.common_size(), 2);
        assert!(keys.remove("a") && keys.remove("c") && keys.remove("b"));
        assert_eq!(keys.common_size(), 3);
        assert!(keys.remove("d") && keys.is_empty());
        assert_eq!(keys.common_size(), 1);
    }

    #[test]
    fn change_that_cannot_be_right_leaves_everything() {
        let keys = StaticKeys::new(&Scheme::timestamped(), senders(&[("a", &["one"]), ("b", &["two"])])).unwrap();
        assert!(keys.replace(senders(&[])).is_err());
        assert!(keys.replace(senders(&[("c", &["three"]), ("c", &["four"])])).is_err());
        let shared = keys.replace_one("a", keyring(&["three", "two"])).unwrap_err();
        assert_eq!(shared.to_string(), "senders: \"a\" and \"b\" share a secret");
        assert!(keys.replace_one("", keyring(&["three"])).is_err());
        assert!(!keys.remove("c"));
        assert_eq!(keys.len(), 2);
        // A secret that `a` gave up is free again.
        keys.replace_one("a", keyring(&["three"])).unwrap();
        keys.replace_one("c", keyring(&["one"])).unwrap();
        assert_eq!(keys.len(), 3);
    }
}
