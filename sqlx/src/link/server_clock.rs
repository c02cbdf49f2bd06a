//! The clock of the database's server.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How far the server's clock is ahead of this process's, learnt from its replies.
///
/// A server that was stopped reads calls that were sent long ago. Such a claim would have no owner, so each call says
/// until when its answer is awaited.
#[derive(Debug)]
pub(crate) struct ServerClock {
    start: Instant,
    /// The server's clock minus the time since `start`, in microseconds.
    offset: AtomicI64,
}

impl Default for ServerClock {
    fn default() -> Self {
        Self { start: Instant::now(), offset: AtomicI64::new(UNKNOWN) }
    }
}

impl ServerClock {
    /// Returns the server's time at the end of `patience`, or 0 if it is unknown.
    pub(crate) fn deadline(&self, patience: Duration) -> i64 {
        match self.offset.load(Ordering::Relaxed) {
            UNKNOWN => 0,
            offset => offset.saturating_add(self.now()).saturating_add(micros(patience)),
        }
    }

    /// Stores the time of a reply. The reply took some time to arrive, so the server's clock is rather underestimated,
    /// and no claim is granted after its deadline.
    pub(crate) fn note(&self, time: i64) {
        if time > 0 {
            self.offset.store(time.saturating_sub(self.now()), Ordering::Relaxed);
        }
    }

    fn now(&self) -> i64 {
        micros(self.start.elapsed())
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

const UNKNOWN: i64 = i64::MIN;
