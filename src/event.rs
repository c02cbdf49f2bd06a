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
mod refusal_reason;
#[cfg(feature = "tracing")]
mod sampling;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::error::StoreError;
use crate::secret::KeyId;

pub use self::alert::{Alert, AlertObserver, AlertState, AlertSubject, AlertThreshold};
#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
pub use self::refusal_reason::RefusalReason;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;

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
    /// The status of the handler's answer, where a layer or middleware saw one. `None` for a refusal, for a handler that
    /// panicked, and with an extractor alone.
    pub status: Option<StatusCode>,
    /// The webhook id that the request names, with control and non-ASCII characters escaped, cut to 128 bytes. The
    /// sender claims it: only an accepted or released outcome proves it.
    pub webhook_id: Option<&'e str>,
    /// Whether the Warden has keys for that webhook id. An unknown id is whatever a stranger wrote. Do not use it as a
    /// metric's label: their number is unbounded.
    pub known_id: bool,
    /// The address that the request came from, if the Warden knows it.
    pub peer: Option<IpAddr>,
    /// The key that matched.
    pub key_id: Option<KeyId>,
    /// The name of the header that caused a refusal, as the scheme spells it.
    pub header: Option<&'e str>,
    /// The receiver's clock minus the request's timestamp, in seconds. `None` if no timestamp was read.
    pub skew: Option<i64>,
    /// The number of body bytes that were received.
    pub body_bytes: u64,
    /// The time from the arrival of the head to the end of the request, including the handler.
    pub duration: Duration,
    /// The name of the scheme.
    pub scheme: &'e str,
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
            peer: None,
            key_id: None,
            header: None,
            skew: None,
            body_bytes: 0,
            duration: Duration::ZERO,
            scheme,
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The delivery was admitted and committed: the handler answered 2xx, or called `commit`.
    Accepted,
    /// The delivery was admitted and not committed: the handler answered another status, panicked or was dropped. The
    /// sender's retry runs the handler again.
    Released,
    /// The request was refused.
    Refused(RefusalReason),
    /// The client disconnected before the request was accepted or refused.
    Abandoned,
}

impl Outcome {
    /// The outcome in one word, for a log field or a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Released => "released",
            Self::Refused(_) => "refused",
            Self::Abandoned => "abandoned",
        }
    }

    /// Why the request was refused, if it was.
    #[must_use]
    pub const fn reason(self) -> Option<RefusalReason> {
        match self {
            Self::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A problem that an operator should know about and that does not belong to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Warning {
    /// The table that counts the refused requests of each peer is full: peers that are not in it are not blocked.
    RejectedTableFull,
    /// The table that counts the accepted requests of each webhook id is full: ids that are not in it are not limited.
    AcceptedTableFull,
    /// The shared limiter failed: this process counts its share of each quota until the limiter answers again.
    LimiterFellBack,
    /// A request has no peer address: refused requests cannot be counted by peer.
    PeerUnknown,
    /// All peers so far have private addresses. There may be a proxy that is not declared; the refused requests of one
    /// client would then count against all of them.
    PeersAllPrivate,
    /// A handler finished after its lease ended and another request had claimed the delivery: the handler may have run
    /// twice.
    LeaseOutlived,
    /// Keys could not be reloaded, and the keys from before stay in use. The Warden does not raise this: pass it to
    /// your observers in `FileKeysBuilder::on_error`.
    KeyReloadFailed,
}

impl Warning {
    /// Every warning.
    pub const ALL: &[Self] = &[
        Self::RejectedTableFull,
        Self::AcceptedTableFull,
        Self::LimiterFellBack,
        Self::PeerUnknown,
        Self::PeersAllPrivate,
        Self::LeaseOutlived,
        Self::KeyReloadFailed,
    ];

    /// The warning in snake case, for a log field or a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RejectedTableFull => "rejected_table_full",
            Self::AcceptedTableFull => "accepted_table_full",
            Self::LimiterFellBack => "limiter_fell_back",
            Self::PeerUnknown => "peer_unknown",
            Self::PeersAllPrivate => "peers_all_private",
            Self::LeaseOutlived => "lease_outlived",
            Self::KeyReloadFailed => "key_reload_failed",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::RejectedTableFull => "the table of refused requests is full, further peers are not turned away",
            Self::AcceptedTableFull => "the table of accepted requests is full",
            Self::LimiterFellBack => "the shared limiter does not answer, this process counts alone",
            Self::PeerUnknown => "a request came without a peer address, refused requests are not counted by peer",
            Self::PeersAllPrivate => "all peers have private addresses, a proxy may be undeclared",
            Self::LeaseOutlived => "a handler outlived its lease, its work may have been done twice",
            Self::KeyReloadFailed => "keys could not be read anew, those from before stay in force",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A store that a Warden depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreKind {
    /// The key store.
    Keys,
    /// The rate limiter.
    Limits,
    /// The replay store.
    Replay,
}

impl StoreKind {
    /// The store in one word, for a log field or a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Limits => "limits",
            Self::Replay => "replay",
        }
    }
}

/// Receives the event of every request.
///
/// Observers are called on the path of the request, so they must not block. A panic in an observer is caught and does
/// not affect the request. To share one observer between several Wardens, put it into an [`Arc`].
///
/// A closure over an event is an observer. Implement the trait to receive warnings and store failures as well:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use hookwarden::error::StoreError;
/// use hookwarden::event::{Observer, Outcome, SecurityEvent, StoreKind, Warning};
///
/// #[derive(Default)]
/// struct Health {
///     refused: AtomicU64,
///     store_failures: AtomicU64,
/// }
///
/// impl Observer for Health {
///     fn observe(&self, event: &SecurityEvent<'_>) {
///         if let Outcome::Refused(_) = event.outcome {
///             self.refused.fetch_add(1, Ordering::Relaxed);
///         }
///     }
///
///     fn warning(&self, warning: &Warning) {
///         eprintln!("{warning}");
///     }
///
///     fn store_failed(&self, store: StoreKind, error: &StoreError) {
///         self.store_failures.fetch_add(1, Ordering::Relaxed);
///         eprintln!("{}: {error}", store.as_str());
///     }
/// }
///
/// let health = Health::default();
/// health.observe(&SecurityEvent::new(Outcome::Accepted, "timestamped"));
/// assert_eq!(health.refused.into_inner(), 0);
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Called once for each request, when it ends.
    fn observe(&self, event: &SecurityEvent<'_>);

    /// Called for a problem that does not belong to one request. It is called again while the cause lasts.
    fn warning(&self, warning: &Warning) {
        let _ = warning;
    }

    /// Called when a store failed. The requests that were affected also have events.
    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        let _ = (store, error);
    }

    /// Called when a shared store of quotas or deliveries answers again after a failure. A denial by quota is not
    /// counted as an answer, because it may come from a local cache.
    fn store_recovered(&self, store: StoreKind) {
        let _ = store;
    }
}

impl<F: Fn(&SecurityEvent<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self(event);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &SecurityEvent<'_>) {
        (**self).observe(event);
    }

    fn warning(&self, warning: &Warning) {
        (**self).warning(warning);
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        (**self).store_failed(store, error);
    }

    fn store_recovered(&self, store: StoreKind) {
        (**self).store_recovered(store);
    }
}
