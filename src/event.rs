//! What operators learn: one event for each request, whatever its end.
//!
//! ```
//! use hookwarden::event::{Outcome, SecurityEvent};
//!
//! // Any closure over an event is an observer.
//! let observer = |event: &SecurityEvent<'_>| {
//!     if let Outcome::Refused(reason) = event.outcome {
//!         eprintln!("refused {reason} id={:?} skew={:?}s", event.webhook_id, event.skew);
//!     }
//! };
//! # let _ = hookwarden::Warden::builder(hookwarden::Scheme::timestamped()).observer(observer);
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

/// What became of one request to a guarded endpoint. It never holds a secret, a MAC, a header's value or a body.
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
    /// The address that the request came from, as far as the Warden was told.
    pub peer: Option<IpAddr>,
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

impl<'e> SecurityEvent<'e> {
    /// An event that tells nothing but its outcome and the scheme's name. The Warden makes the real ones; this one is for
    /// the tests of an observer, which set the fields that they need.
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

/// Something that an operator should know and that is not about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Warning {
    /// The table that counts the refused requests of each peer is full: peers that are not in it are not turned away.
    RejectedTableFull,
    /// The table that counts the accepted requests of each webhook id is full.
    AcceptedTableFull,
    /// The shared limiter did not answer; this process counts its own share alone until it does.
    LimiterFellBack,
    /// A request came without the address of its peer: refused requests are not counted by peer.
    PeerUnknown,
    /// Every peer so far has a private address. There may be a proxy in front that was not declared, and then one
    /// stranger's refused requests count against everybody.
    PeersAllPrivate,
    /// A handler finished after its lease, when another request had taken the delivery: the work may have been done twice.
    LeaseOutlived,
    /// Keys could not be read anew; those from before stay in force. A Warden does not learn of it: give this to the
    /// observers from `FileKeysBuilder::on_error`.
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

    /// The warning in snake case, for a log field or a metric's label.
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
    /// Where keys are looked up.
    Keys,
    /// Where accepted requests are counted.
    Limits,
    /// Where deliveries are remembered.
    Replay,
}

impl StoreKind {
    /// The store in one word, for a log field or a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Limits => "limits",
            Self::Replay => "replay",
        }
    }
}

/// Receives the event of every request. It is called on the request's own path, so it must not block; a panic in it is
/// caught and harms no request.
///
/// An observer in an [`Arc`] can be given to several Wardens.
pub trait Observer: Send + Sync + 'static {
    /// Called once for each request, at its end.
    fn observe(&self, event: &SecurityEvent<'_>);

    /// Called when there is something to know that is not about one request. It can come again and again while the cause
    /// lasts.
    fn warning(&self, warning: &Warning) {
        let _ = warning;
    }

    /// Called when a store of keys, quotas or deliveries failed. The requests that this concerns have events of their own.
    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        let _ = (store, error);
    }

    /// Called when a shared store of quotas or deliveries that had failed answered a request. A denial for the quota does not
    /// count, as it may be a remembered one.
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
