//! Opening a store of keys from files.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::entries::{Entries, File};
use super::selection::Selection;
use super::watch::{OnError, Watched};
use super::{FileKeys, KeyFileError};
use crate::error::ConfigError;
use crate::scheme::Scheme;

/// Builds a [`FileKeys`] store.
///
/// ```no_run
/// use std::time::Duration;
///
/// use hookwarden::keys::FileKeys;
/// use hookwarden::{Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = FileKeys::builder("/run/secrets")
///     .pattern("webhook-*") // the file webhook-acme has the secrets of `acme`
///     .poll_every(Duration::from_secs(10))
///     .on_error(|error| eprintln!("webhook keys: {error}"))
///     .open(&scheme)?;
/// let warden = Warden::builder(scheme).keys(keys).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct FileKeysBuilder {
    selection: Selection,
    poll_every: Duration,
    shared_secrets: bool,
    on_error: Option<Box<OnError>>,
}

impl FileKeys {
    /// Reads `path` and watches it, with the defaults of [`FileKeysBuilder`].
    ///
    /// # Errors
    /// The path cannot be read, or has no valid entry. The error names the file, the line and the field. If only some
    /// entries are faulty, the others are loaded: see [`faults`](Self::faults).
    pub fn open(scheme: &Scheme, path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        Self::builder(path).open(scheme)
    }

    /// Starts to configure a store of the keys at `path`.
    pub fn builder(path: impl Into<PathBuf>) -> FileKeysBuilder {
        let selection = Selection { path: path.into(), named: Vec::new(), pattern: None };
        FileKeysBuilder { selection, poll_every: POLL_EVERY, shared_secrets: false, on_error: None }
    }
}

impl FileKeysBuilder {
    /// Sets the interval between two checks for changes. The default is one second.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.poll_every = interval;
        self
    }

    /// Loads the file `name` of the directory as the secrets of `webhook_id`: each line is a secret, newest first. Call
    /// it once for each file. No other files are loaded, except those of a [`pattern`](Self::pattern).
    ///
    /// ```no_run
    /// use hookwarden::Scheme;
    /// use hookwarden::keys::FileKeys;
    ///
    /// // Docker mounts all secrets of a service side by side; this one is a webhook's.
    /// let keys = FileKeys::builder("/run/secrets").file("acme", "acme_webhook_secret").open(&Scheme::timestamped())?;
    /// # Ok::<(), hookwarden::keys::KeyFileError>(())
    /// ```
    pub fn file(mut self, webhook_id: impl Into<String>, name: impl Into<String>) -> Self {
        self.selection.named.push((webhook_id.into(), name.into()));
        self
    }

    /// Loads the files of the directory whose names match `pattern`, a file name with one `*`. The webhook id is the
    /// text that the `*` matches: with `webhook-*`, the file `webhook-acme` has the secrets of `acme`. Names that begin
    /// with a dot never match, and files that [`file`](Self::file) names have only the webhook id that it gives.
    ///
    /// Without `pattern` and [`file`](Self::file), all files of the directory are loaded, as with `*`, and
    /// [`FileKeys::warnings`] reports it.
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.selection.pattern = Some(pattern.into());
        self
    }

    /// Calls `report` once for each different error. The opening thread calls it for each faulty entry. Later, the
    /// thread that reads the files calls it for each new faulty entry, and when the files cannot be read as a whole.
    ///
    /// Pass [`KeyFileError::warning`] to observers. With the feature `tracing`, the errors are also logged.
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

    /// Checks `text` as the content of a TOML file at the path, without reading or watching the path. Use it to check a
    /// file before you write it.
    ///
    /// # Errors
    /// All faults of the text, each with its line. [`open`](Self::open) would load the other entries.
    pub fn check(&self, scheme: &Scheme, text: &str) -> Result<(), Vec<KeyFileError>> {
        let path = &self.selection.path;
        let file = File { id: None, path, content: Ok(text.as_bytes()) };
        let faults = match Entries::of(path, &[file], scheme, self.shared_secrets) {
            Ok(entries) => entries.faults,
            Err(error) => vec![error],
        };
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Reads the files and starts to watch them.
    ///
    /// # Errors
    /// * As for [`FileKeys::open`].
    /// * The interval is zero.
    /// * `file` or `pattern` is set, and the path is not a directory or they name a file outside of it.
    /// * The thread cannot be started.
    pub fn open(self, scheme: &Scheme) -> Result<FileKeys, KeyFileError> {
        let fault = |problem| KeyFileError::new(&self.selection.path, None, problem);
        if self.poll_every.is_zero() {
            return Err(fault(ConfigError::new("poll_every", "must be more than zero")));
        }
        self.selection.check().map_err(fault)?;
        let watched = Arc::new(Watched::open(self.selection, scheme, self.shared_secrets, self.on_error)?);
        let (alive, ended) = channel();
        let watching = watched.clone();
        thread::Builder::new()
            .name("hookwarden-keys".into())
            .spawn(move || watching.watch(&ended, self.poll_every))
            .map_err(|_| {
                KeyFileError::new(
                    &watched.selection.path,
                    None,
                    ConfigError::new("poll_every", "must have a thread, and the operating system cannot start one"),
                )
            })?;
        Ok(FileKeys { watched, _alive: alive })
    }
}

impl fmt::Debug for FileKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeysBuilder").field("path", &self.selection.path).finish_non_exhaustive()
    }
}

const POLL_EVERY: Duration = Duration::from_secs(1);
