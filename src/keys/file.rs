//! Keys from a TOML file or a directory of mounted secrets.

mod builder;
mod document;
mod entries;
mod error;
mod found;
mod loaded;
mod mounted;
mod selection;
mod source;
mod strength;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::KeyStore;
use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::scheme::Scheme;
use crate::time::Timestamp;

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
/// for fault in keys.faults() {
///     eprintln!("{fault}"); // an entry that was not loaded, and why
/// }
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
/// If the scheme uses public keys, a key has a `public_key` in place of the `secret`, as text or as PEM in a string of
/// several lines: see [`Scheme::public_key`](crate::scheme::Scheme::public_key). A `secret` is then always a private key,
/// which only a sender has:
/// ```toml
/// [[sender]]
/// id = "globex"
///
/// [[sender.key]]
/// id = "2026-11"
/// public_key = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
/// ```
///
/// At least one sender is required. Unknown fields are errors. Times must have seconds and an offset.
///
/// # The directory
/// The path can be a directory of secrets, as Kubernetes and Docker mount them. Each file has the secrets of one
/// webhook id, one on each line, newest first:
/// ```text
/// secrets/
///     webhook-acme      a-subscription-secret
///                       the-secret-before-it
///     webhook-globex    another-secret
///     tls.key           not loaded
/// ```
/// Choose the files by [`pattern`](FileKeysBuilder::pattern), here `webhook-*`, or by their names with
/// [`file`](FileKeysBuilder::file). Otherwise all files are loaded, and their names are the webhook ids. Do this only
/// with a directory that contains only webhook secrets.
///
/// If the scheme uses public keys, each line or block of PEM is a public key. One whose text shows that it is private is
/// read as a private key: PEM, `whsk_`, or a JWK with the member `d`. A line of hex or base64 is always a public key.
///
/// The key ids are `line-1`, `line-2` and so on. An empty line is an error; a line break at the end of the file is not.
///
/// Names that begin with a dot are ignored. If the directory has a link `..data`, the files are read from its target,
/// because Kubernetes swaps that link to change all files at once. Backup copies, such as `acme~`, `acme.bak` and
/// `acme.dpkg-old`, are refused: they may contain a secret that was replaced.
///
/// # Refused entries
/// [`Scheme::secret`](crate::scheme::Scheme::secret) must accept each secret in a file, and it must have at least 12
/// characters, 5 of them different. A PEM line (`-----BEGIN …`) is refused as a secret: its text is public, and anyone who
/// knows a secret can sign. `hookwarden secret check` reports secrets that are weak in other ways.
///
/// A fault in an entry disables the webhook id of that entry, and only this id. Its earlier keys are not used any more.
/// This applies at the start and after a change. If two entries have the same webhook id, or two ids have the same
/// secret, all of them are disabled. [`faults`](Self::faults) lists the faults, [`on_error`](FileKeysBuilder::on_error)
/// reports them, and with the feature `tracing` they are logged as errors. If no entry is valid, [`open`](Self::open)
/// fails.
///
/// # Changes
/// A thread checks for changes once a second. It ends when the last clone is dropped.
///
/// If the files cannot be read as a whole, all earlier keys stay in use, even a key that the change removes. Examples
/// are a syntax error in the TOML, and a field that occurs twice in a table. The error names the line, and is reported
/// by [`last_error`](Self::last_error) and [`on_error`](FileKeysBuilder::on_error). Opening such a file fails, so check
/// a file before you deploy it.
///
/// Write a new file in the same directory, with a name that begins with a dot, and rename it into place. A file that is
/// read while it is being written may be valid but incomplete. A file can have at most 16 MiB.
#[derive(Clone)]
pub struct FileKeys {
    watched: Arc<Watched>,
    /// The thread ends when the last of these is dropped.
    _alive: Sender<()>,
}

impl FileKeys {
    /// Reads the files now, for example on a signal. Returns whether anything changed. Faulty entries are not an error:
    /// see [`faults`](Self::faults).
    ///
    /// # Errors
    /// The files cannot be read as a whole, or have no entries. The earlier keys stay in use.
    pub fn reload(&self) -> Result<bool, KeyFileError> {
        self.watched.reload()
    }

    /// The error of the last read, if it failed as a whole. The keys in use are then from an earlier read.
    #[must_use]
    pub fn last_error(&self) -> Option<KeyFileError> {
        self.watched.seen().error.clone()
    }

    /// The faulty entries of the files in the last successful read. Each disables its
    /// [`webhook_id`](KeyFileError::webhook_id); all other entries are in use.
    #[must_use]
    pub fn faults(&self) -> Vec<KeyFileError> {
        self.watched.seen().faults.clone()
    }

    /// The webhook ids that have keys, sorted.
    #[must_use]
    pub fn webhook_ids(&self) -> Vec<String> {
        self.watched.seen().ids.clone()
    }

    /// Problems of the files that do not prevent their use, one line each. An example is a file that every user of the
    /// machine can read.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.watched.seen().warnings.clone()
    }
}

impl KeyStore for FileKeys {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        self.watched.keys.find(webhook_id)
    }

    fn knows(&self, webhook_id: &str) -> bool {
        self.watched.keys.knows(webhook_id)
    }

    fn common_live_keys(&self, now: Timestamp) -> usize {
        self.watched.keys.common_live_keys(now)
    }

    fn scheme(&self) -> Option<&Scheme> {
        Some(&self.watched.scheme)
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys")
            .field("path", &self.watched.selection.path)
            .field("senders", &self.watched.keys.len())
            .finish_non_exhaustive()
    }
}
