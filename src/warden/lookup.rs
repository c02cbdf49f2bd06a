//! Step 4: the keys of a webhook id.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::keys::{CachedKeys, KeyStore, Look, Waiter};

/// Where keys come from.
pub(super) enum KeySource {
    Ready(Box<dyn KeyStore>),
    Cached(CachedKeys),
}

/// What a look-up finds.
pub(super) enum Found {
    Known(PreparedKeys),
    Unknown,
    Unavailable(StoreError),
    Panicked,
    /// The store has to be waited for, and the caller cannot.
    NeedsWaiting,
}

/// What becomes of a look-up at once.
pub(super) enum Looked {
    Found(Found),
    Awaited(Waiter),
    /// It was not permitted, for so long.
    TurnedAway(Duration),
}

impl KeySource {
    pub(super) fn find(&self, id: &str) -> Found {
        match self {
            Self::Ready(store) => match catch_unwind(AssertUnwindSafe(|| store.find(id))) {
                Ok(found) => Found::from(found),
                Err(_) => Found::Panicked,
            },
            Self::Cached(_) => Found::NeedsWaiting,
        }
    }

    /// Begins what may have to be waited for. A store is asked only if `permit` permits it.
    pub(super) fn look(&self, id: &str, permit: impl FnOnce() -> Result<(), Duration>) -> Looked {
        match self {
            Self::Ready(_) => Looked::Found(self.find(id)),
            Self::Cached(cache) => match cache.look(id, permit) {
                Look::Answered(answer) => Looked::Found(Found::from(answer)),
                Look::Awaited(waiter) => Looked::Awaited(waiter),
                Look::TurnedAway(wait) => Looked::TurnedAway(wait),
            },
        }
    }

    /// How many keys most senders have.
    pub(super) fn common_size(&self) -> usize {
        match self {
            Self::Ready(store) => catch_unwind(AssertUnwindSafe(|| store.common_size())).unwrap_or(1),
            Self::Cached(cache) => cache.common_size(),
        }
    }
}

impl From<Result<Option<PreparedKeys>, StoreError>> for Found {
    fn from(found: Result<Option<PreparedKeys>, StoreError>) -> Self {
        match found {
            Ok(Some(keys)) => Self::Known(keys),
            Ok(None) => Self::Unknown,
            Err(error) if error.is_panic() => Self::Panicked,
            Err(error) => Self::Unavailable(error),
        }
    }
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
