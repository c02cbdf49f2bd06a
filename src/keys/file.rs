//! Keys from a TOML file or a directory of mounted secrets.

mod document;
mod error;
mod found;
mod loaded;
mod mounted;
mod source;

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::KeyStore;
use super::table::StaticKeys;
use crate::crypto::mac::PreparedKeys;
use crate::error::{ConfigError, StoreError};
use crate::scheme::Scheme;
use crate::secret::Keyring;

pub use error::KeyFileError;

use found::{FoundSender, Place};
use loaded::Loaded;
use source::Source;

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
    /// Reads `path` and watches it, with the defaults of [`FileKeysBuilder`].
    ///
    /// # Errors
    /// The path cannot be read, or its content is wrong. The error names the file, the line and the field.
    pub fn open(scheme: &Scheme, path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        Self::builder(path).open(scheme)
    }

    /// Starts a store with other settings.
    pub fn builder(path: impl Into<PathBuf>) -> FileKeysBuilder {
        FileKeysBuilder { path: path.into(), poll_every: POLL_EVERY, shared_secrets: false, on_error: None }
    }

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

/// Builds a [`FileKeys`] store.
///
/// ```no_run
/// use std::time::Duration;
///
/// use hookwarden::keys::FileKeys;
/// use hookwarden::{Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = FileKeys::builder("/run/secrets/webhooks")
///     .poll_every(Duration::from_secs(10))
///     .on_error(|error| eprintln!("webhook keys not reloaded: {error}"))
///     .open(&scheme)?;
/// let warden = Warden::builder(scheme).keys(keys).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct FileKeysBuilder {
    path: PathBuf,
    poll_every: Duration,
    shared_secrets: bool,
    on_error: Option<Box<OnError>>,
}

type OnError = dyn Fn(&KeyFileError) + Send + Sync;

impl FileKeysBuilder {
    /// Sets how often to check for a change. The default is one second.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.poll_every = interval;
        self
    }

    /// Calls `report` on the watching thread when a change is wrong, once for each different error.
    pub fn on_error(mut self, report: impl Fn(&KeyFileError) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Box::new(report));
        self
    }

    /// Allows one secret to belong to several webhook ids. A message signed for one of them is then valid for all of
    /// them.
    pub fn danger_allow_shared_secrets(mut self) -> Self {
        self.shared_secrets = true;
        self
    }

    /// Reads the files and starts to watch them.
    ///
    /// # Errors
    /// As for [`FileKeys::open`]; or the interval is zero, or the thread cannot be started.
    pub fn open(self, scheme: &Scheme) -> Result<FileKeys, KeyFileError> {
        let fault =
            |field: &'static str, problem| KeyFileError::new(&self.path, None, ConfigError::new(field, problem));
        if self.poll_every.is_zero() {
            return Err(fault("poll_every", "must be more than zero"));
        }
        let loaded = Loaded::read(&self.path)?;
        let senders = loaded.senders(scheme)?;
        let (places, senders) = apart(senders);
        let keys = StaticKeys::with_senders(scheme, senders, self.shared_secrets)
            .map_err(|fault| loaded.error(fault.index.and_then(|index| places.get(index)), fault.error))?;
        let hasher = RandomState::new();
        let seen = Seen {
            judged: Judged { content: hasher.hash_one(&loaded.files), error: None },
            error: None,
            warnings: loaded.source.warnings(),
            source: Some((loaded.source, loaded.when)),
        };
        let watched = Arc::new(Watched {
            path: self.path.clone(),
            scheme: scheme.clone(),
            keys,
            hasher,
            seen: Mutex::new(seen),
            on_error: self.on_error,
        });
        let (alive, ended) = channel();
        let watching = watched.clone();
        thread::Builder::new()
            .name("hookwarden-keys".into())
            .spawn(move || watching.watch(&ended, self.poll_every))
            .map_err(|_| KeyFileError::new(&watched.path, None, ConfigError::new("thread", "cannot be started")))?;
        Ok(FileKeys { watched, _alive: alive })
    }
}

impl fmt::Debug for FileKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeysBuilder").field("path", &self.path).finish_non_exhaustive()
    }
}

struct Watched {
    path: PathBuf,
    scheme: Scheme,
    keys: StaticKeys,
    hasher: RandomState,
    seen: Mutex<Seen>,
    on_error: Option<Box<OnError>>,
}

/// The result of the last check.
struct Seen {
    /// The files as they were, and when; `None` after a read error.
    source: Option<(Source, SystemTime)>,
    judged: Judged,
    error: Option<KeyFileError>,
    warnings: Vec<String>,
}

/// The result for the content that was read last.
struct Judged {
    content: u64,
    error: Option<KeyFileError>,
}

impl Watched {
    fn watch(&self, ended: &Receiver<()>, interval: Duration) {
        while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            if self.is_unchanged() || !self.is_at_rest(ended, interval) {
                continue;
            }
            let mut seen = self.seen();
            let before = seen.error.clone();
            let outcome = self.reload(&mut seen);
            drop(seen);
            if let (Err(error), Some(report)) = (outcome, &self.on_error)
                && before.as_ref() != Some(&error)
            {
                // A report that panics must not end the watch.
                let _ = catch_unwind(AssertUnwindSafe(|| report(&error)));
            }
        }
    }

    fn is_unchanged(&self) -> bool {
        self.seen().source.as_ref().is_some_and(|(source, when)| source.still_is(&self.path, *when))
    }

    /// Whether no write is in progress: an editor may truncate a file and fill it a moment later.
    fn is_at_rest(&self, ended: &Receiver<()>, interval: Duration) -> bool {
        let before = Source::look(&self.path);
        let waited = ended.recv_timeout(REST.min(interval));
        waited == Err(RecvTimeoutError::Timeout) && Source::look(&self.path) == before
    }

    fn reload(&self, seen: &mut Seen) -> Result<bool, KeyFileError> {
        let outcome = self.take_over(seen);
        seen.error = outcome.as_ref().err().cloned();
        outcome
    }

    fn take_over(&self, seen: &mut Seen) -> Result<bool, KeyFileError> {
        seen.source = None;
        let loaded = Loaded::read(&self.path)?;
        seen.warnings = loaded.source.warnings();
        let content = self.hasher.hash_one(&loaded.files);
        let outcome = if content == seen.judged.content {
            seen.judged.error.clone().map_or(Ok(false), Err)
        } else {
            self.replace(&loaded).map(|()| true)
        };
        seen.judged = Judged { content, error: outcome.as_ref().err().cloned() };
        seen.source = Some((loaded.source, loaded.when));
        outcome
    }

    fn replace(&self, loaded: &Loaded) -> Result<(), KeyFileError> {
        let (places, senders) = apart(loaded.senders(&self.scheme)?);
        self.keys
            .replace_senders(senders)
            .map_err(|fault| loaded.error(fault.index.and_then(|index| places.get(index)), fault.error))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apart(senders: Vec<FoundSender>) -> (Vec<Place>, Vec<(String, Keyring)>) {
    senders.into_iter().map(|sender| (sender.place, (sender.id, sender.keys))).unzip()
}

const POLL_EVERY: Duration = Duration::from_secs(1);

const REST: Duration = Duration::from_millis(50);
