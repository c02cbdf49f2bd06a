//! Where the Warden's keys come from.
//!
//! * [`StaticKeys`]: from the application itself, replaced atomically while requests run.
//! * [`FileKeys`]: from a TOML file or a directory of mounted secrets, read again when they change.
//! * [`CachedKeys`]: from a secrets manager, an [`AsyncKeyStore`] behind a bounded cache.
//! * Anything else that answers at once is a [`KeyStore`].
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
use crate::secret::Keyring;

pub use cached::{CachedKeys, CachedKeysBuilder};
#[cfg(feature = "serde")]
pub use file::{FileKeys, FileKeysBuilder, KeyFileError};
pub use table::StaticKeys;

pub(crate) use cached::{Look, Waiter};
pub(crate) use decoy::Decoys;

/// Finds keys by webhook id, at once: it neither waits nor does I/O.
///
/// The keys come prepared for the scheme, by [`Scheme::prepare`](crate::scheme::Scheme::prepare), so that no request has to
/// schedule them. Whether a key counts at the time of a request is judged anew at each request and is not the store's
/// concern.
pub trait KeyStore: Send + Sync + 'static {
    /// The keys of `webhook_id`, or `None` if there is no such id.
    ///
    /// Ids are compared byte for byte, here as everywhere else. A store that knows `ACME` as `acme`, or passes over a space
    /// at the end, gives one sender many ids, each with a quota of its own, and a delivery to one can be replayed to the
    /// others.
    ///
    /// # Errors
    /// The store cannot tell now. The sender is asked to come back.
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError>;

    /// How many keys most ids have, 1 to 8. A request for an unknown id is judged by a decoy of this size, so that its
    /// answer takes as long as another's.
    fn common_size(&self) -> usize {
        1
    }
}

impl<K: KeyStore + ?Sized> KeyStore for Arc<K> {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        (**self).find(webhook_id)
    }

    fn common_size(&self) -> usize {
        (**self).common_size()
    }
}

/// Finds keys by webhook id in a place that has to be asked: a secrets manager, a database. [`CachedKeys`] stands
/// before it.
///
/// ```
/// use hookwarden::error::StoreError;
/// use hookwarden::keys::{AsyncKeyStore, CachedKeys};
/// use hookwarden::{BoxFuture, Keyring, Scheme};
///
/// struct Vault { scheme: Scheme }
///
/// impl AsyncKeyStore for Vault {
///     fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
///         Box::pin(async move {
///             let text = match webhook_id { "acme" => "a-subscription-secret", _ => return Ok(None) }; // ask the vault
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
    /// The keys of `webhook_id`, or `None` if there is no such id.
    ///
    /// The id is what a stranger wrote: it must not become part of a path or a query unescaped. Ids are compared byte for
    /// byte: a database whose collation knows `ACME` as `acme`, or passes over a space at the end, gives one sender many
    /// ids, each with a quota of its own, and a delivery to one can be replayed to the others. The store sets itself a
    /// time-out, and bounds how much it asks at once.
    ///
    /// # Errors
    /// The store cannot tell now. The sender is asked to come back.
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>>;
}

impl<K: AsyncKeyStore + ?Sized> AsyncKeyStore for Arc<K> {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        (**self).find(webhook_id)
    }
}
