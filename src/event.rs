//! Security events: what happened to each request, for operators.
//!
//! A Warden makes one [`SecurityEvent`] for each request, when it ends, and passes it to its observers. An [`Observer`]
//! also receives [`Warning`]s, which are not about one request, and failures of stores. Events contain no secret, MAC,
//! header value or body.
//!
//! | observer | does |
//! | --- | --- |
//! | `TracingObserver` (feature `tracing`) | writes log lines, and samples floods |
//! | `MetricsObserver` (feature `metrics`) | counts and measures |
//! | [`AlertObserver`] | calls back when a sender or a peer has too many failures |
//! | a closure, or any [`Observer`] | what you write |
//!
//! ```
//! use hookwarden::event::{Outcome, SecurityEvent};
//! use hookwarden::{Keyring, Scheme, Warden};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let warden = Warden::builder(scheme)
//!     .sender("acme", keys)
//!     .observer(|event: &SecurityEvent<'_>| {
//!         if let Outcome::Refused(reason) = event.outcome {
//!             eprintln!("refused {reason} id={:?} skew={:?}s", event.webhook_id, event.skew);
//!         }
//!     })
//!     .build()?;
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```

mod alert;
#[cfg(feature = "tracing")]
mod line;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
mod outcome;
mod refusal_reason;
#[cfg(feature = "tracing")]
mod sampling;
mod store_kind;
#[cfg(feature = "tracing")]
mod tracing;
mod warning;

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;

use crate::secret::KeyId;

pub use self::alert::{Alert, AlertObserver, AlertState, AlertSubject, AlertThreshold};
#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
pub use self::observer::Observer;
pub use self::outcome::Outcome;
pub use self::refusal_reason::RefusalReason;
pub use self::store_kind::StoreKind;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;
pub use self::warning::Warning;

/// What happened to one request at a guarded endpoint. It contains no secret, MAC, header value or body.
///
/// Only the Warden makes the real events. To test an observer, make one with [`new`](Self::new) and set the fields that
/// the test needs:
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::event::{Outcome, SecurityEvent};
///
/// /// The observer under test: a label for slow handlers.
/// fn is_slow(event: &SecurityEvent<'_>) -> bool {
///     event.outcome == Outcome::Accepted && event.duration > Duration::from_secs(5)
/// }
///
/// let mut event = SecurityEvent::new(Outcome::Accepted, "timestamped");
/// event.webhook_id = Some("acme");
/// event.known_id = true;
/// event.duration = Duration::from_secs(6);
/// assert!(is_slow(&event));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecurityEvent<'e> {
    /// How the request ended.
    pub outcome: Outcome,
    /// The status of the answer to an admitted request, if a layer or middleware saw one, or to a signed handshake. `None`
    /// for a refusal, for an unsigned handshake, for a handler that panicked or was not called, and if there is only an
    /// extractor.
    pub status: Option<StatusCode>,
    /// The webhook id of the request, with control and non-ASCII characters escaped, cut to 128 bytes. It is unverified
    /// unless the outcome is accepted or released. After key lookup it is the canonical id, if the key store
    /// [returns one](crate::crypto::PreparedKeys::webhook_id).
    pub webhook_id: Option<&'e str>,
    /// Whether the Warden has keys for that webhook id. An unknown id is arbitrary text from the client. Do not use
    /// unknown ids as metric labels: their number is unbounded.
    ///
    /// A refusal that is based only on the head does not query the application's key store. In such a refusal an id
    /// counts as unknown if its keys are not cached in [`CachedKeys`](crate::keys::CachedKeys), if its
    /// [`KeyStore`](crate::keys::KeyStore) does not implement [`knows`](crate::keys::KeyStore::knows), if the peer is
    /// blocked, or if the method is wrong.
    pub known_id: bool,
    /// For a peer that is blocked ([`RefusalReason::PeerBlocked`]) for all webhook ids: the id that caused most of its
    /// refused requests, escaped, cut to 64 bytes. `None` if the peer is blocked only for this request's webhook id.
    pub most_charged_id: Option<&'e str>,
    /// The address that the request came from, if the Warden knows it.
    pub peer: Option<IpAddr>,
    /// The key that matched.
    pub key_id: Option<KeyId>,
    /// The name of the header that caused a refusal, as the scheme spells it.
    pub header: Option<&'e str>,
    /// The name of the request's capture, if it was refused and [captured](crate::warden::Captures). In a directory it is
    /// the name of the file, which may be written after the event. Do not use it as a metric label.
    pub capture: Option<&'e str>,
    /// The receiver's clock minus the request's timestamp, in seconds. `None` if no timestamp was read.
    pub skew: Option<i64>,
    /// The number of body bytes that were received.
    pub body_bytes: u64,
    /// The time from the arrival of the head to the end of the request, including the handler.
    pub duration: Duration,
    /// The name of the scheme.
    pub scheme: &'e str,
    /// Whether a layer or middleware passed the request on to the handler although it is not enforced, also if it is
    /// [`Refused`](Outcome::Refused): its Warden only reports
    /// ([`danger_report_only`](crate::warden::WardenBuilder::danger_report_only)). It is `false` for a request that such a
    /// Warden answers or refuses itself: a handshake, and every request without a layer or middleware.
    pub report_only: bool,
}

impl<'e> SecurityEvent<'e> {
    /// Creates an event with an outcome and the name of a scheme, for the tests of an observer. All other fields are
    /// empty.
    #[must_use]
    pub const fn new(outcome: Outcome, scheme: &'e str) -> Self {
        Self {
            outcome,
            status: None,
            webhook_id: None,
            known_id: false,
            most_charged_id: None,
            peer: None,
            key_id: None,
            header: None,
            capture: None,
            skew: None,
            body_bytes: 0,
            duration: Duration::ZERO,
            scheme,
            report_only: false,
        }
    }
}
