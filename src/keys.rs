//! Key stores: the keys of each sender, by webhook id.
//!
//! | store | keys come from | changes |
//! | --- | --- | --- |
//! | [`StaticKeys`] | the application | replaced by the application while requests run |
//! | `FileKeys` (feature `serde`) | a TOML file, or a directory of mounted secrets | reloaded when a file changes |
//! | [`CachedKeys`] | a secrets manager or a database, through an [`AsyncKeyStore`] | looked up again when a cached entry expires |
//! | `JwksKeys` ([`hookwarden-jwks`](https://docs.rs/hookwarden-jwks)) | the JWK Sets of senders, over HTTPS | fetched again when they expire, or for an unknown `keyid` |
//! | [`KeyStore`] | your own source that answers without waiting | as you implement it |
//!
//! Keys are prepared for one scheme, so that requests do not repeat the key setup. The Warden checks each key's
//! validity window at each request, for every store.
//!
//! ```
//! use hookwarden::keys::{KeyStore, StaticKeys};
//! use hookwarden::{Keyring, Scheme};
//!
//! let scheme = Scheme::timestamped();
//! let keys = StaticKeys::new(&scheme, [("acme", Keyring::new(scheme.secret("a-subscription-secret")?))])?;
//! keys.replace_one("acme", Keyring::new(scheme.secret("the-secret-after-it")?))?; // while requests run
//! assert!(keys.find("acme")?.is_some());
//! keys.remove("acme");
//! assert!(keys.find("acme")?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cached;
mod decoy;
#[cfg(feature = "serde")]
mod file;
mod live_counts;
mod table;

use std::sync::Arc;

use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::time::Timestamp;

pub use cached::{CachedKeys, CachedKeysBuilder};
#[cfg(feature = "serde")]
pub use file::{FileKeys, FileKeysBuilder, KeyFileError};
pub use table::StaticKeys;

pub(crate) use cached::{KeyAnswer, Lookup};
pub(crate) use decoy::Decoys;

/// Looks up keys by webhook id without waiting. An implementation must neither block nor do I/O. For a store on the
/// network, implement [`AsyncKeyStore`].
///
/// Prepare the keys with [`Scheme::prepare`](crate::scheme::Scheme::prepare) before requests need them. Return all keys
/// of the id: the Warden checks their validity windows at each request.
///
/// Implement [`scheme`](Self::scheme) if all keys are prepared for one scheme:
/// [`WardenBuilder::build`](crate::warden::WardenBuilder::build) then checks it. Otherwise keys for another algorithm
/// are found only when they are used: each request of their sender is answered 500, with the reason `misconfigured`.
///
/// ```
/// use hookwarden::{Scheme, Timestamp};
/// use hookwarden::crypto::PreparedKeys;
/// use hookwarden::error::StoreError;
/// use hookwarden::keys::{KeyStore, StaticKeys};
///
/// /// One table for each region, reloaded independently.
/// struct ByRegion {
///     eu: StaticKeys,
///     us: StaticKeys,
/// }
///
/// impl KeyStore for ByRegion {
///     fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
///         if webhook_id.starts_with("eu-") { self.eu.find(webhook_id) } else { self.us.find(webhook_id) }
///     }
///
///     fn common_live_keys(&self, now: Timestamp) -> usize {
///         self.us.common_live_keys(now)
///     }
///
///     fn scheme(&self) -> Option<&Scheme> {
///         self.us.scheme() // `eu` has the same
///     }
/// }
/// ```
pub trait KeyStore: Send + Sync + 'static {
    /// Returns the keys of `webhook_id`, or `None` if the id is unknown.
    ///
    /// Compare ids byte for byte, or name the canonical id of the sender with [`PreparedKeys::with_webhook_id`].
    /// Without it, a store that treats `ACME` and `acme` as one id, or ignores a trailing space, gives one sender many
    /// ids: each has a quota, and a delivery to one can be replayed to the others.
    ///
    /// ```
    /// use hookwarden::crypto::PreparedKeys;
    /// use hookwarden::error::StoreError;
    /// use hookwarden::keys::{KeyStore, StaticKeys};
    /// use hookwarden::{Keyring, Scheme};
    ///
    /// /// Ignores case. Each keyring names its id in lower case, so a lookup allocates only the folded id.
    /// struct IgnoringCase(StaticKeys);
    ///
    /// impl KeyStore for IgnoringCase {
    ///     fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
    ///         self.0.find(&webhook_id.to_lowercase())
    ///     }
    /// }
    ///
    /// let scheme = Scheme::timestamped();
    /// let acme = Keyring::new(scheme.secret("a-subscription-secret")?).with_webhook_id("acme");
    /// let keys = IgnoringCase(StaticKeys::new(&scheme, [("acme", acme)])?);
    /// assert_eq!(keys.find("ACME")?.and_then(|keys| keys.webhook_id().map(str::to_owned)).as_deref(), Some("acme"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store cannot answer now. The request is answered with 503, and the sender retries.
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError>;

    /// Whether there are keys for `webhook_id`. It is called for the [event](crate::event::SecurityEvent::known_id) of
    /// a request that is refused before key lookup. Such requests are not rate limited, so a store that cannot answer
    /// from memory should keep the default, `false`.
    fn knows(&self, webhook_id: &str) -> bool {
        let _ = webhook_id;
        false
    }

    /// The number of keys, 1 to 8, that are valid at `now` for most ids. A request for an unknown id, or for an id
    /// without a valid key, is verified against a decoy with this many keys, so that it takes as long as one with a
    /// wrong signature.
    ///
    /// It is called only for such requests, and must be as fast as [`find`](Self::find). The default is 1, for a store
    /// whose ids have one key each.
    fn common_live_keys(&self, now: Timestamp) -> usize {
        let _ = now;
        1
    }

    /// The scheme that all keys are prepared for. The default is `None`, which skips the check.
    ///
    /// [`build`](crate::warden::WardenBuilder::build) refuses a store whose keys cannot verify under the Warden's
    /// scheme. If the check is skipped and a key is for another algorithm, every request of that sender is answered
    /// 500.
    fn scheme(&self) -> Option<&Scheme> {
        None
    }
}

impl<K: KeyStore + ?Sized> KeyStore for Arc<K> {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        (**self).find(webhook_id)
    }

    fn knows(&self, webhook_id: &str) -> bool {
        (**self).knows(webhook_id)
    }

    fn common_live_keys(&self, now: Timestamp) -> usize {
        (**self).common_live_keys(now)
    }

    fn scheme(&self) -> Option<&Scheme> {
        (**self).scheme()
    }
}

/// Looks up keys by webhook id asynchronously, for example in a secrets manager or a database. [`CachedKeys`] caches
/// the answers.
///
/// ```
/// use hookwarden::error::StoreError;
/// use hookwarden::keys::{AsyncKeyStore, CachedKeys};
/// use hookwarden::{BoxFuture, Keyring, Scheme};
///
/// struct Vault {
///     scheme: Scheme,
/// }
///
/// impl AsyncKeyStore for Vault {
///     fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
///         Box::pin(async move {
///             // Ask the vault here, with a timeout.
///             let text = match webhook_id {
///                 "acme" => "a-subscription-secret",
///                 _ => return Ok(None),
///             };
///             let secret = self.scheme.secret(text).map_err(|error| StoreError::new(error.to_string()))?;
///             Ok(Some(Keyring::new(secret)))
///         })
///     }
/// }
///
/// let scheme = Scheme::timestamped();
/// let keys = CachedKeys::new(&scheme, Vault { scheme: scheme.clone() });
/// ```
pub trait AsyncKeyStore: Send + Sync + 'static {
    /// Returns the keys of `webhook_id`, or `None` if the id is unknown.
    ///
    /// The id comes from an unverified request: never put it into a path or a query without escaping. Compare ids byte
    /// for byte, as for [`KeyStore::find`]. If a database collation ignores case or trailing spaces, return the id of
    /// the found row with [`Keyring::with_webhook_id`]. The store must limit the duration of a lookup and the number of
    /// concurrent lookups.
    ///
    /// # Errors
    /// The store cannot answer now. The request is answered with 503, and the sender retries.
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>>;
}

impl<K: AsyncKeyStore + ?Sized> AsyncKeyStore for Arc<K> {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        (**self).find(webhook_id)
    }
}
