//! Keys that the application provides.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use arrayvec::ArrayVec;

use super::KeyStore;
use super::live_counts::{LiveCounts, Schedule};
use crate::crypto::mac::PreparedKeys;
use crate::error::{ConfigError, StoreError};
use crate::keyed_hash::IdHasher;
use crate::scheme::Scheme;
use crate::secret::{Keyring, MAX_KEYS};
use crate::time::Timestamp;

/// Keys by webhook id, in memory. Cheap to clone; all clones share the same keys, so a clone can change the keys of a
/// running Warden.
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
/// // Later, while requests run: accept both the new key and the old one.
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
    /// There are no senders; two senders have the same webhook id, secret or public key; an id is empty; or the scheme
    /// decodes its secrets and one was not decoded.
    pub fn new(
        scheme: &Scheme,
        senders: impl IntoIterator<Item = (impl Into<String>, Keyring)>,
    ) -> Result<Self, ConfigError> {
        Self::with_senders(scheme, owned(senders), false)
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
        Self::with_senders(scheme, owned(senders), true)
    }

    pub(crate) fn with_senders(
        scheme: &Scheme,
        senders: Vec<(String, Keyring)>,
        shared_secrets: bool,
    ) -> Result<Self, ConfigError> {
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
    /// As for [`new`](Self::new). The senders then stay unchanged.
    pub fn replace(&self, senders: impl IntoIterator<Item = (impl Into<String>, Keyring)>) -> Result<(), ConfigError> {
        self.replace_senders(owned(senders))
    }

    pub(super) fn replace_senders(&self, senders: Vec<(String, Keyring)>) -> Result<(), ConfigError> {
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

    /// Removes a webhook id: its requests are refused from now on. Returns whether the id was known.
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

    /// Whether all webhook ids were removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change<E>(&self, make: impl FnOnce(&Table) -> Result<Table, E>) -> Result<(), E> {
        let _guard = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = make(&self.inner.table.load())?;
        self.inner.table.store(Arc::new(table));
        Ok(())
    }
}

impl KeyStore for StaticKeys {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        Ok(self.inner.table.load().senders.get(webhook_id).map(|sender| sender.keys.clone()))
    }

    fn knows(&self, webhook_id: &str) -> bool {
        self.inner.table.load().senders.contains_key(webhook_id)
    }

    fn common_live_keys(&self, now: Timestamp) -> usize {
        self.inner.table.load().common_live_keys.common_at(now)
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
    fn table_of(&self, senders: Vec<(String, Keyring)>) -> Result<Table, ConfigError> {
        if senders.is_empty() {
            return Err(ConfigError::new("senders", "must be at least one"));
        }
        let mut table = Senders::with_capacity_and_hasher(senders.len(), BuildHasherDefault::default());
        let mut owners: HashMap<Fingerprint, Arc<str>> = HashMap::new();
        for (id, keyring) in senders {
            let (id, sender) = self.sender(id, &keyring)?;
            if table.contains_key(&id) {
                return Err(ConfigError::new("senders", format!("must have different webhook ids: two have {id:?}")));
            }
            self.claim(&mut owners, &id, &sender)?;
            table.insert(id, sender);
        }
        Ok(Table::new(table))
    }

    fn sender(&self, id: String, keyring: &Keyring) -> Result<(Arc<str>, Sender), ConfigError> {
        if id.is_empty() {
            return Err(ConfigError::new("senders", "must not have an empty webhook id"));
        }
        let fingerprints =
            keyring.iter().map(|key| self.fingerprints.hash_one(key.material.without_padding())).collect();
        Ok((id.into(), Sender { keys: self.scheme.prepare(keyring)?, fingerprints }))
    }

    fn check(&self, senders: &Senders) -> Result<(), ConfigError> {
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
                return Err(ConfigError::new(
                    "senders",
                    format!("must not share a secret or public key, as {first:?} and {second:?} do"),
                ));
            }
        }
        Ok(())
    }
}

type Senders = HashMap<Arc<str>, Sender, BuildHasherDefault<IdHasher>>;

/// An immutable table. Each change replaces it as a whole.
#[derive(Default)]
struct Table {
    senders: Senders,
    common_live_keys: Schedule,
}

impl Table {
    fn new(senders: Senders) -> Self {
        let mut counts = LiveCounts::default();
        senders.values().for_each(|sender| counts.add(&sender.keys));
        Self { senders, common_live_keys: counts.into_schedule() }
    }
}

#[derive(Clone)]
struct Sender {
    keys: PreparedKeys,
    fingerprints: ArrayVec<Fingerprint, MAX_KEYS>,
}

/// A keyed hash of a secret, to compare secrets without storing them.
type Fingerprint = u64;

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
    fn invalid_senders_are_a_config_error() {
        assert_refused(&[], "must be at least one");
        assert_refused(&[("", &["one"])], "must not have an empty webhook id");
        assert_refused(&[("a", &["one"]), ("a", &["two"])], "must have different webhook ids: two have \"a\"");
        assert_refused(
            &[("a", &["one", "two"]), ("b", &["three", "two"])],
            "must not share a secret or public key, as \"a\" and \"b\" do",
        );
    }

    #[test]
    fn secrets_differing_in_trailing_zeros_are_equal() {
        assert_refused(
            &[("b", &["one\0\0"]), ("a", &["one"])],
            "must not share a secret or public key, as \"a\" and \"b\" do",
        );
    }

    #[test]
    fn shared_secret_needs_the_danger_constructor() {
        let list: &[(&str, &[&str])] = &[("a", &["one"]), ("b", &["one"])];
        assert_refused(list, "must not share a secret or public key, as \"a\" and \"b\" do");
        let keys = StaticKeys::danger_allow_shared_secrets(&Scheme::timestamped(), senders(list)).unwrap();
        keys.replace_one("c", keyring(&["one"])).unwrap();
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn common_live_keys_follows_changes_of_senders() {
        let list: &[(&str, &[&str])] =
            &[("a", &["1", "2"]), ("b", &["3"]), ("c", &["4", "5"]), ("d", &["6", "7", "8"])];
        let keys = StaticKeys::new(&Scheme::timestamped(), senders(list)).unwrap();
        let common = || keys.common_live_keys(Timestamp::from_unix(0));
        assert_eq!(common(), 2);
        assert!(keys.remove("a") && keys.remove("c") && keys.remove("b"));
        assert_eq!(common(), 3);
        assert!(keys.remove("d") && keys.is_empty());
        assert_eq!(common(), 1);
    }

    #[test]
    fn refused_change_keeps_all_senders() {
        let keys = StaticKeys::new(&Scheme::timestamped(), senders(&[("a", &["one"]), ("b", &["two"])])).unwrap();
        assert_eq!(keys.replace(senders(&[])).unwrap_err().to_string(), "senders: must be at least one");
        let twice = keys.replace(senders(&[("c", &["three"]), ("c", &["four"])])).unwrap_err();
        assert_eq!(twice.to_string(), "senders: must have different webhook ids: two have \"c\"");
        let shared = keys.replace_one("a", keyring(&["three", "two"])).unwrap_err();
        assert_eq!(shared.to_string(), "senders: must not share a secret or public key, as \"a\" and \"b\" do");
        let unnamed = keys.replace_one("", keyring(&["three"])).unwrap_err();
        assert_eq!(unnamed.to_string(), "senders: must not have an empty webhook id");
        assert!(!keys.remove("c"));
        assert_eq!(keys.len(), 2);
        // `a` no longer has the secret `one`, so another id may use it.
        keys.replace_one("a", keyring(&["three"])).unwrap();
        keys.replace_one("c", keyring(&["one"])).unwrap();
        assert_eq!(keys.len(), 3);
    }
}
