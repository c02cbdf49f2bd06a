//! Opening a store of keys from files.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

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
}

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
        let watched = Arc::new(Watched::open(self.path, scheme, self.shared_secrets, self.on_error)?);
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

const POLL_EVERY: Duration = Duration::from_secs(1);
