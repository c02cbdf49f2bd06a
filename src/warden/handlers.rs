//! Counts running handlers, so that a shutdown can wait for them.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// The number of running handlers. Unless a shutdown waits, each handler costs two atomic operations.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    /// The number of running handlers, plus [`WAITED`] once a shutdown has waited.
    running: AtomicUsize,
    idle: Notify,
}

impl Handlers {
    /// Counts a handler until its [`end`](Self::end).
    pub(crate) fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the count of a handler.
    pub(crate) fn end(&self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == WAITED + 1 {
            self.idle.notify_waiters();
        }
    }

    /// Waits for at most `limit` until no handler runs. Returns how many still run.
    pub(super) async fn wait(&self, limit: Duration) -> usize {
        let ended = async {
            loop {
                let mut idle = pin!(self.idle.notified());
                // Register before reading the count; otherwise a handler that ends in between is missed.
                idle.as_mut().enable();
                if self.running.fetch_or(WAITED, Ordering::AcqRel) & !WAITED == 0 {
                    return;
                }
                idle.await;
            }
        };
        match timeout(limit, ended).await {
            Ok(()) => 0,
            Err(_) => self.running.load(Ordering::Acquire) & !WAITED,
        }
    }
}

/// The highest bit. The count never reaches it.
const WAITED: usize = 1 << (usize::BITS - 1);
