//! Watching files for changes.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::KeyFileError;
use super::found::{FoundSender, Place};
use super::loaded::Loaded;
use super::source::Source;
use crate::keys::table::StaticKeys;
use crate::scheme::Scheme;
use crate::secret::Keyring;

pub(super) type OnError = dyn Fn(&KeyFileError) + Send + Sync;

/// The files, the keys that were read from them, and the thread that checks for changes.
pub(super) struct Watched {
    pub(super) path: PathBuf,
    pub(super) scheme: Scheme,
    pub(super) keys: StaticKeys,
    hasher: RandomState,
    seen: Mutex<Seen>,
    on_error: Option<Box<OnError>>,
}

/// The result of the last check.
pub(super) struct Seen {
    /// The files as they were, and when; `None` after a read error.
    source: Option<(Source, SystemTime)>,
    judged: Judged,
    pub(super) error: Option<KeyFileError>,
    pub(super) warnings: Vec<String>,
}

/// The result for the content that was read last.
struct Judged {
    content: u64,
    error: Option<KeyFileError>,
}

impl Watched {
    /// Reads the files for the first time. Errors of later reads go to `on_error`.
    pub(super) fn open(
        path: PathBuf,
        scheme: &Scheme,
        shared_secrets: bool,
        on_error: Option<Box<OnError>>,
    ) -> Result<Self, KeyFileError> {
        let loaded = Loaded::read(&path)?;
        let (places, senders) = apart(loaded.senders(scheme)?);
        let keys = StaticKeys::with_senders(scheme, senders, shared_secrets)
            .map_err(|fault| loaded.error(fault.index.and_then(|index| places.get(index)), fault.error))?;
        let hasher = RandomState::new();
        let seen = Mutex::new(Seen {
            judged: Judged { content: hasher.hash_one(&loaded.files), error: None },
            error: None,
            warnings: loaded.source.warnings(),
            source: Some((loaded.source, loaded.when)),
        });
        Ok(Self { path, scheme: scheme.clone(), keys, hasher, seen, on_error })
    }

    /// Checks for changes until the other end of `ended` is gone.
    pub(super) fn watch(&self, ended: &Receiver<()>, interval: Duration) {
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

    pub(super) fn reload(&self, seen: &mut Seen) -> Result<bool, KeyFileError> {
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

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apart(senders: Vec<FoundSender>) -> (Vec<Place>, Vec<(String, Keyring)>) {
    senders.into_iter().map(|sender| (sender.place, (sender.id, sender.keys))).unzip()
}

const REST: Duration = Duration::from_millis(50);
