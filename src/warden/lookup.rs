//! Step 4: the keys of a webhook id.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::StoreError;
use crate::keys::{CachedKeys, KeyAnswer, KeyStore, Lookup};
use crate::time::Timestamp;

/// Where keys come from.
pub(super) enum KeySource {
    /// Answers without waiting.
    Ready(Box<dyn KeyStore>),
    /// May have to wait for the store behind the cache.
    Cached(CachedKeys),
}

impl KeySource {
    /// Starts a lookup.
    pub(super) fn look_up(&self, id: &str) -> Lookup {
        match self {
            Self::Ready(store) => Lookup::Answered(find(&**store, id)),
            Self::Cached(cache) => cache.look_up(id),
        }
    }

    pub(super) const fn is_immediate(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Returns whether there are keys for `id`, as far as is known without waiting for a store.
    pub(super) fn knows(&self, id: &str) -> bool {
        match self {
            Self::Ready(store) => catch_unwind(AssertUnwindSafe(|| store.knows(id))).unwrap_or(false),
            Self::Cached(cache) => cache.knows(id),
        }
    }

    /// Returns how many live keys most senders have at `now`.
    pub(super) fn common_live_keys(&self, now: Timestamp) -> usize {
        match self {
            Self::Ready(store) => catch_unwind(AssertUnwindSafe(|| store.common_live_keys(now))).unwrap_or(1),
            Self::Cached(cache) => cache.common_live_keys(now),
        }
    }
}

/// Looks up the keys of `id`. A panic in an application's store becomes an error.
fn find(store: &dyn KeyStore, id: &str) -> KeyAnswer {
    catch_unwind(AssertUnwindSafe(|| store.find(id))).unwrap_or_else(|_| Err(StoreError::panicked()))
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::future::BoxFuture;
    use crate::keys::{AsyncKeyStore, StaticKeys};
    use crate::scheme::Scheme;
    use crate::secret::{Key, Keyring};

    #[test]
    fn decoy_has_the_common_number_of_live_keys() {
        let scheme = Scheme::timestamped();
        let at = Timestamp::from_unix;
        // All keys of a sender but the newest expire after second 99.
        let ring = |id: &str, size: usize| {
            let key = |number: usize| {
                let secret = scheme.secret(&format!("secret {number} of the sender {id}")).expect("a secret");
                let key = Key::new(&number.to_string(), secret).expect("a key");
                if number == 0 { key } else { key.not_after(at(99)) }
            };
            Keyring::from_keys((0..size).map(key)).expect("a keyring")
        };
        let senders = [("a", ring("a", 3)), ("b", ring("b", 3)), ("c", ring("c", 1))];
        let store = StaticKeys::new(&scheme, senders).expect("keys");
        let source = KeySource::Ready(Box::new(store));
        assert_eq!([0, 99, 100].map(|second| source.common_live_keys(at(second))), [3, 3, 1]);
    }

    /// A store with two keys for each id.
    struct InRotation(Scheme);

    impl AsyncKeyStore for InRotation {
        fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
            let key = |name: &str| {
                let secret = self.0.secret(&format!("the {name} secret of the sender {id}")).expect("a secret");
                Key::new(name, secret).expect("a key")
            };
            Box::pin(ready(Ok(Some(Keyring::from_keys(["new", "old"].map(key)).expect("a keyring")))))
        }
    }

    #[test]
    fn decoy_has_the_size_of_cached_keys() {
        let scheme = Scheme::timestamped();
        let keys = CachedKeys::new(&scheme, InRotation(scheme.clone()));
        let source = KeySource::Cached(keys.clone());
        assert!(keys.find("acme").now_or_never().expect("an answer").expect("no failure").is_some());
        assert_eq!(source.common_live_keys(Timestamp::from_unix(0)), 2);
    }
}
