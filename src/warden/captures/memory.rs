//! Captures in memory.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::name::CaptureName;
use super::retention::{Entry, Limits};
use super::writer::Place;
use crate::time::Timestamp;

/// The captures, the oldest first. Requests never wait for this lock: only the thread and the operator's call take it.
#[derive(Clone)]
pub(super) struct Memory {
    kept: Arc<Mutex<Kept>>,
    limits: Limits,
}

type Kept = Vec<Entry<Arc<[u8]>>>;

impl Memory {
    pub(super) fn new(limits: Limits) -> Self {
        Self { kept: Arc::default(), limits }
    }

    /// Returns the names and messages of the captures, the newest first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<(Arc<CaptureName>, Arc<[u8]>)> {
        let mut kept = self.lock();
        drop(self.limits.take_expired(&mut kept, now));
        kept.iter().rev().map(|entry| (Arc::clone(&entry.name), Arc::clone(&entry.content))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for Memory {
    fn keep(&self, name: CaptureName, message: Vec<u8>, now: Timestamp) -> io::Result<()> {
        let mut kept = self.lock();
        drop(self.limits.make_room(&mut kept, &name, message.len(), now));
        kept.push(Entry { name: Arc::new(name), bytes: message.len(), content: message.into() });
        Ok(())
    }

    fn sweep(&self, now: Timestamp) -> io::Result<()> {
        drop(self.limits.take_expired(&mut self.lock(), now));
        Ok(())
    }
}
