//! Key stores: the keys of each sender, by webhook id.
//!
//! | store | keys come from | changes |
//! | --- | --- | --- |
//! | [`StaticKeys`] | the application | replaced by the application while requests run |
//! | `FileKeys` (feature `serde`) | a TOML file, or a directory of mounted secrets | reloaded when a file changes |
//! | [`CachedKeys`] | a secrets manager or a database, through an [`AsyncKeyStore`] | looked up again when a cached entry expires |
//! | [`KeyStore`] | anything that answers at once | as you implement it |
//!
//! Keys are prepared for one scheme, so that no request pays for the key setup. Each key's validity window is checked
//! at each request, whatever the store.
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
mod table;

use std::sync::Arc;

use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::scheme::Scheme;
use crate::secret::Keyring;

pub use cached::{CachedKeys, CachedKeysBuilder};
#[cfg(feature = "serde")]
pub use file::{FileKeys, FileKeysBuilder, KeyFileError};
pub use table::StaticKeys;

pub(crate) use cached::{KeyAnswer, Lookup};
pub(crate) use decoy::Decoys;

/// Looks up keys by webhook id without waiting: an implementation must neither block nor do I/O. For a store that has
/// to be asked over the network, implement [`AsyncKeyStore`].
///
/// The keys are prepared for the scheme by [`Scheme::prepare`](crate::scheme::Scheme::prepare), so that no request pays
/// for the key setup. Return all keys of the id: the Warden checks their validity windows at each request.
///
/// Implement [`scheme`](Self::scheme) if all keys are prepared for one scheme:
/// [`WardenBuilder::build`](crate::warden::WardenBuilder::build) then checks it. Without it, keys for another algorithm are found
/// only when they are used: each request of their sender is answered 500, with the reason `misconfigured`.
///
/// ```
/// use hookwarden::Scheme;
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
///     fn common_size(&self) -> usize {
///         self.us.common_size()
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
    /// Compare ids byte for byte. A store that treats `ACME` and `acme` as one id, or ignores a trailing space, gives
    /// one sender many ids: each has a quota, and a delivery to one can be replayed to the others.
    ///
    /// # Errors
    /// The store cannot answer now. The request is answered with 503, and the sender retries.
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError>;

    /// The number of keys that most ids have, 1 to 8. An unknown id is verified against a decoy with this many keys, so
    /// that the answer takes as long as for a wrong signature.
    fn common_size(&self) -> usize {
        1
    }

    /// The scheme that the keys are prepared for, if it is one scheme. The default is `None`, which skips the check.
    ///
    /// [`build`](crate::warden::WardenBuilder::build) refuses a store whose keys cannot verify under the Warden's scheme. If it
    /// cannot check and a key is for another algorithm, requests of that sender are answered 500 from the first one on.
    fn scheme(&self) -> Option<&Scheme> {
        None
    }
}

impl<K: KeyStore + ?Sized> KeyStore for Arc<K> {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        (**self).find(webhook_id)
    }

    fn common_size(&self) -> usize {
        (**self).common_size()
    }

    fn scheme(&self) -> Option<&Scheme> {
        (**self).scheme()
    }
}

/// Looks up keys by webhook id in a store that has to be asked, such as a secrets manager or a database. [`CachedKeys`]
/// caches its answers.
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
    /// for byte, as for [`KeyStore::find`]; a database collation that ignores case or trailing spaces does not. The
    /// store must limit how long a lookup takes and how many run at once.
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
