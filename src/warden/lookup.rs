//! Step 4: the keys of a webhook id.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::error::StoreError;
use crate::keys::{CachedKeys, Decoys, KeyAnswer, KeyStore, Lookup};

/// Where keys come from.
pub(super) enum KeySource {
    /// Answers at once.
    Ready(Box<dyn KeyStore>),
    /// May have to wait for the store behind the cache.
    Cached(CachedKeys),
}

impl KeySource {
    /// Begins a lookup. A store behind a cache is asked only if `permit` allows it.
    pub(super) fn look_up(&self, id: &str, permit: impl FnOnce() -> Result<(), Duration>) -> Lookup {
        match self {
            Self::Ready(store) => Lookup::Answered(find(&**store, id)),
            Self::Cached(cache) => cache.look_up(id, permit),
        }
    }

    pub(super) const fn is_immediate(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Whether there are keys for `id`, without asking a store behind a cache.
    pub(super) fn knows(&self, id: &str, decoys: &Decoys) -> bool {
        let found = match self.look_up(id, || Err(Duration::ZERO)) {
            Lookup::Answered(Ok(keys)) => keys,
            _ => None,
        };
        let is_known = found.is_some();
        // A miss clones a decoy, as a hit clones its keys: the same work.
        drop(found.unwrap_or_else(|| decoys.of_size(1).clone()));
        is_known
    }

    /// How many keys most senders have.
    pub(super) fn common_size(&self) -> usize {
        match self {
            Self::Ready(store) => catch_unwind(AssertUnwindSafe(|| store.common_size())).unwrap_or(1),
            Self::Cached(cache) => cache.common_size(),
        }
    }
}

/// A panic in an application's store is an error of the store.
fn find(store: &dyn KeyStore, id: &str) -> KeyAnswer {
    catch_unwind(AssertUnwindSafe(|| store.find(id))).unwrap_or_else(|_| Err(StoreError::panicked()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::StaticKeys;
    use crate::scheme::Scheme;
    use crate::secret::{Key, Keyring};

    #[test]
    fn decoy_is_as_large_as_most_rings() {
        let scheme = Scheme::timestamped();
        let ring = |id: &str, size: usize| {
            let key = |number: usize| {
                let secret = scheme.secret(&format!("secret {number} of the sender {id}")).expect("a secret");
                Key::new(&number.to_string(), secret).expect("a key")
            };
            Keyring::from_keys((0..size).map(key)).expect("a keyring")
        };
        let senders = [("a", ring("a", 3)), ("b", ring("b", 3)), ("c", ring("c", 1))];
        let store = StaticKeys::new(&scheme, senders).expect("keys");
        assert_eq!(KeySource::Ready(Box::new(store)).common_size(), 3);
    }
}
