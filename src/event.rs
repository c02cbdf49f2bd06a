//! What operators learn: one event for each request, whatever its end.
//!
//! ```
//! use hookwarden::{Outcome, SecurityEvent};
//!
//! // Any closure over an event is an observer.
//! let observer = |event: &SecurityEvent<'_>| {
//!     if let Outcome::Refused(reason) = event.outcome {
//!         eprintln!("refused {reason} id={:?} skew={:?}s", event.webhook_id, event.skew);
//!     }
//! };
//! # let _ = hookwarden::Warden::builder(hookwarden::Scheme::timestamped()).observer(observer);
//! ```

use std::fmt;
use std::time::Duration;

use crate::error::Reason;
use crate::secret::KeyId;

/// What became of one request to a guarded endpoint. It never holds a secret, a MAC, a header's value or a body.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecurityEvent<'e> {
    /// How the request ended.
    pub outcome: Outcome,
    /// The webhook id that the request gave, with control and non-ASCII characters escaped, cut to 128 bytes. It is the
    /// sender's claim: only an accepted or released outcome proves it.
    pub webhook_id: Option<&'e str>,
    /// The key that matched.
    pub key_id: Option<KeyId>,
    /// The name of the header that a refusal is about, as the scheme spells it.
    pub header: Option<&'e str>,
    /// The receiver's clock minus the request's timestamp, in seconds, once a timestamp was read.
    pub skew: Option<i64>,
    /// How many bytes of the body were taken.
    pub body_bytes: u64,
    /// From the head's arrival to the end, the handler included.
    pub duration: Duration,
    /// The scheme's name.
    pub scheme: &'e str,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was admitted and its handler finished the work.
    Accepted,
    /// It was admitted and its handler did not finish: it failed, or was dropped. The sender's retry is welcome.
    Released,
    /// It was refused.
    Refused(Reason),
    /// It was dropped before there was a verdict: the client went away.
    Abandoned,
}

impl Outcome {
    /// The outcome in one word, for a log field or a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Released => "released",
            Self::Refused(_) => "refused",
            Self::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Receives the event of every request. It is called on the request's own path, so it must not block; a panic in it is
/// caught and harms no request.
pub trait Observer: Send + Sync + 'static {
    /// Called once for each request, at its end.
    fn observe(&self, event: &SecurityEvent<'_>);
}

impl<F: Fn(&SecurityEvent<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self(event);
    }
}
