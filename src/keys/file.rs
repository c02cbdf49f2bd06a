//! Keys from a TOML file or a directory of mounted secrets.

mod builder;
mod document;
mod error;
mod found;
mod loaded;
mod mounted;
mod source;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::KeyStore;
use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::scheme::Scheme;

pub use builder::FileKeysBuilder;
pub use error::KeyFileError;

use watch::Watched;

/// Keys from files, reloaded when the files change. Cheap to clone; all clones share the same keys.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::keys::{FileKeys, KeyStore};
///
/// # let path = std::env::temp_dir().join(format!("hookwarden-senders-{}.toml", std::process::id()));
/// # std::fs::write(&path, r#"
/// #     [[sender]]
/// #     id = "acme"
/// #     [[sender.key]]
/// #     id = "2026-11"
/// #     secret = "a-subscription-secret"
/// #     not_before = 2026-11-01T00:00:00Z
/// #     not_after = "2027-11-01T00:00:00Z"
/// # "#)?;
/// let keys = FileKeys::open(&Scheme::timestamped(), &path)?; // `senders.toml`, see below
/// assert!(keys.find("acme")?.is_some());
/// for warning in keys.warnings() {
///     eprintln!("{warning}"); // the file is readable by every user, for example
/// }
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The TOML file
/// ```toml
/// [[sender]]
/// id = "acme"                          # the webhook id
///
/// [[sender.key]]                       # newest first, 1 to 8
/// id = "2026-11"                       # for logs and metrics, see KeyId
/// secret = "a-subscription-secret"     # as the provider shows it, see Scheme::secret
/// not_before = 2026-11-01T00:00:00Z    # optional: the first second in which the key is valid
/// not_after = "2027-11-01T00:00:00Z"   # optional: the last second; RFC 3339, as a date-time or a string
///
/// [[sender.key]]
/// id = "2025-11"
/// secret = "the-secret-before-it"
/// ```
/// There is at least one sender. Other fields are errors. Times have seconds and an offset.
///
/// # The directory
/// A directory of secrets, as Kubernetes and Docker mount them. A file's name is the webhook id, and each line of the
/// file is a secret, newest first:
/// ```text
/// secrets/
///     acme        a-subscription-secret
///                 the-secret-before-it
///     globex      another-secret
/// ```
/// The key ids are `line-1`, `line-2` and so on. An empty line is an error; a line break at the end of the file is not.
/// Names that begin with a dot are ignored, except that the files of `..data` are read instead if it exists, because
/// Kubernetes swaps that link to change all files at once.
///
/// # Changes
/// A thread checks once a second whether anything changed, and ends with the last clone. If the new content is wrong,
/// the keys from before stay in use, and the error goes to [`last_error`](Self::last_error) and
/// [`on_error`](FileKeysBuilder::on_error).
///
/// Write a new file beside the old one and rename it into place. A file that is read while it is being written may be
/// valid and incomplete. A file has at most 16 MiB.
#[derive(Clone)]
pub struct FileKeys {
    watched: Arc<Watched>,
    /// The thread ends when the last of these is dropped.
    _alive: Sender<()>,
}

impl FileKeys {
    /// Reads the files now, for example on a signal. Returns whether the keys changed.
    ///
    /// # Errors
    /// As for [`open`](Self::open). The keys from before stay in use.
    pub fn reload(&self) -> Result<bool, KeyFileError> {
        self.watched.reload(&mut self.watched.seen())
    }

    /// The error of the last read, if it failed. The keys in use are then from an earlier read.
    #[must_use]
    pub fn last_error(&self) -> Option<KeyFileError> {
        self.watched.seen().error.clone()
    }

    /// Problems of the files that do not prevent their use, one line each: for example, that every user of the machine
    /// can read them.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.watched.seen().warnings.clone()
    }
}

impl KeyStore for FileKeys {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        self.watched.keys.find(webhook_id)
    }

    fn common_size(&self) -> usize {
        self.watched.keys.common_size()
    }

    fn scheme(&self) -> Option<&Scheme> {
        Some(&self.watched.scheme)
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys")
            .field("path", &self.watched.path)
            .field("senders", &self.watched.keys.len())
            .finish_non_exhaustive()
    }
}
