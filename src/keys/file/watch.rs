//! Watching files for changes.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::KeyFileError;
use super::entries::Entries;
use super::loaded::Loaded;
use super::selection::Selection;
use super::source::Source;
use crate::keys::table::StaticKeys;
use crate::scheme::Scheme;
use crate::secret::Keyring;

pub(super) type OnError = dyn Fn(&KeyFileError) + Send + Sync;

/// The files, the keys that were read from them, and the thread that checks for changes.
pub(super) struct Watched {
    pub(super) selection: Selection,
    pub(super) scheme: Scheme,
    pub(super) keys: StaticKeys,
    shared_secrets: bool,
    hasher: RandomState,
    seen: Mutex<Seen>,
    on_error: Option<Box<OnError>>,
}

/// The result of the last check.
pub(super) struct Seen {
    /// The files at the last read, and its time. `None` if they must be read again.
    source: Option<(Source, SystemTime)>,
    last_read: LastRead,
    pub(super) error: Option<KeyFileError>,
    /// The faulty entries of the last read.
    pub(super) faults: Vec<KeyFileError>,
    pub(super) warnings: Vec<String>,
    /// The ids that have keys.
    pub(super) ids: Vec<String>,
}

/// The result of the last read.
struct LastRead {
    /// The hash of the content.
    content: u64,
    error: Option<KeyFileError>,
}

impl Watched {
    /// Reads the files for the first time. Faults of entries, and errors of later reads, are passed to `on_error`.
    pub(super) fn open(
        selection: Selection,
        scheme: &Scheme,
        shared_secrets: bool,
        on_error: Option<Box<OnError>>,
    ) -> Result<Self, KeyFileError> {
        let loaded = Loaded::read(&selection)?;
        let Entries { senders, faults } = loaded.entries(scheme, shared_secrets)?;
        for fault in &faults {
            report(fault, on_error.as_deref());
        }
        if senders.is_empty()
            && let Some(first) = faults.first()
        {
            return Err(first.clone());
        }
        let ids = ids(&senders);
        let keys = StaticKeys::with_senders(scheme, senders, shared_secrets)
            .map_err(|error| KeyFileError::new(&selection.path, None, error))?;
        let hasher = RandomState::new();
        let seen = Mutex::new(Seen {
            last_read: LastRead { content: hasher.hash_one(&loaded.files), error: None },
            error: None,
            faults,
            warnings: loaded.source.warnings(),
            ids,
            source: (!loaded.is_transient()).then_some((loaded.source, loaded.when)),
        });
        Ok(Self { selection, scheme: scheme.clone(), keys, shared_secrets, hasher, seen, on_error })
    }

    /// Checks for changes until the sender of `ended` is dropped.
    pub(super) fn watch(&self, ended: &Receiver<()>, interval: Duration) {
        while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            if self.is_unchanged() || !self.is_at_rest(ended, interval) {
                continue;
            }
            let before = self.seen().error.clone();
            if let Err(error) = self.reload()
                && before.as_ref() != Some(&error)
            {
                report(&error, self.on_error.as_deref());
            }
        }
    }

    fn is_unchanged(&self) -> bool {
        self.seen().source.as_ref().is_some_and(|(source, when)| source.is_unchanged(&self.selection, *when))
    }

    /// Whether the files stay unchanged for a short time. Otherwise a write may be in progress: an editor may truncate
    /// a file before it writes the new content.
    fn is_at_rest(&self, ended: &Receiver<()>, interval: Duration) -> bool {
        let before = Source::scan(&self.selection);
        let waited = ended.recv_timeout(REST.min(interval));
        waited == Err(RecvTimeoutError::Timeout) && Source::scan(&self.selection) == before
    }

    /// Reads the files, replaces the keys, and reports new faults of entries.
    pub(super) fn reload(&self) -> Result<bool, KeyFileError> {
        let mut seen = self.seen();
        let before: HashSet<_> = seen.faults.iter().map(ToString::to_string).collect();
        let outcome = self.take_over(&mut seen);
        seen.error = outcome.as_ref().err().cloned();
        let new: Vec<_> = seen.faults.iter().filter(|fault| !before.contains(&fault.to_string())).cloned().collect();
        // Unlock first, because a report may read the faults.
        drop(seen);
        for fault in &new {
            report(fault, self.on_error.as_deref());
        }
        outcome
    }

    fn take_over(&self, seen: &mut Seen) -> Result<bool, KeyFileError> {
        seen.source = None;
        let loaded = Loaded::read(&self.selection)?;
        seen.warnings = loaded.source.warnings();
        let content = self.hasher.hash_one(&loaded.files);
        let outcome = if content == seen.last_read.content {
            seen.last_read.error.clone().map_or(Ok(false), Err)
        } else {
            self.replace(&loaded, seen).map(|()| true)
        };
        seen.last_read = LastRead { content, error: outcome.as_ref().err().cloned() };
        seen.source = (!loaded.is_transient()).then_some((loaded.source, loaded.when));
        outcome
    }

    fn replace(&self, loaded: &Loaded, seen: &mut Seen) -> Result<(), KeyFileError> {
        let Entries { senders, faults } = loaded.entries(&self.scheme, self.shared_secrets)?;
        let ids = ids(&senders);
        if senders.is_empty() {
            // All entries are faulty, so disable all ids.
            for id in &seen.ids {
                self.keys.remove(id);
            }
        } else {
            self.keys.replace_senders(senders).map_err(|error| KeyFileError::new(&self.selection.path, None, error))?;
        }
        seen.ids = ids;
        seen.faults = faults;
        Ok(())
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ids(senders: &[(String, Keyring)]) -> Vec<String> {
    let mut ids: Vec<_> = senders.iter().map(|(id, _)| id.clone()).collect();
    ids.sort_unstable();
    ids
}

fn report(error: &KeyFileError, on_error: Option<&OnError>) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "hookwarden::keys", error = %error, "{}", error.warning());
    // A panic in a report must not end the thread.
    let _ = on_error.map(|on_error| catch_unwind(AssertUnwindSafe(|| on_error(error))));
}

const REST: Duration = Duration::from_millis(50);
