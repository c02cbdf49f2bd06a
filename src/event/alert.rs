//! Alerts: a callback when the failures of a webhook id or a peer exceed a threshold, and another when they end.

mod watch;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use self::watch::Watch;
use super::RefusalReason;
use super::{Observer, SecurityEvent};
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::limit::Peer;

/// Calls back when too many requests of one webhook id or one peer fail, and again when that ends.
///
/// **What counts.** A failure is a refused request, except a duplicate, a copy of a delivery in progress, and a fault
/// of the receiver ([`RefusalReason::is_receiver_fault`]); [`with_failures`](Self::with_failures) changes that. By default 20
/// failures within a minute raise an alert, and fewer than 10 clear it. Webhook ids are counted only if the Warden has
/// keys for them. Anyone can send requests for such an id: an alert shows that something is wrong, not who is
/// responsible. A peer is an IPv4 address or an IPv6 /64 network.
///
/// **The callback runs on the path of the request that reaches the threshold, so it must not block**: send the alert to
/// a channel or a log. It is called without a lock, and from several threads at once. A panic in it does not affect the
/// request.
///
/// There is no background task. An alert is cleared by the next event of any request, or by [`tick`](Self::tick), which
/// an endpoint without steady traffic should call from a timer.
///
/// Memory is bounded: at most 16,384 webhook ids and 65,536 peers are counted at once, and 1,024 alerts of each kind
/// can be raised at once. Further ones are neither counted nor raised until there is room. If one observer serves
/// several Wardens, a webhook id that they share is counted as one.
///
/// ```
/// use std::time::Duration;
/// use hookwarden::event::{Alert, AlertObserver, AlertThreshold};
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let alerts = AlertObserver::new(|alert: &Alert| eprintln!("{alert}"))
///     .with_peer_threshold(AlertThreshold::new(50, Duration::from_secs(300))?.with_clear_below(5)?);
/// let scheme = Scheme::timestamped();
/// let secret = scheme.secret("a-subscription-secret")?;
/// let warden = Warden::builder(scheme).sender("acme", Keyring::new(secret)).observer(alerts).build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
pub struct AlertObserver {
    clock: Arc<dyn Clock>,
    callback: Box<dyn Fn(&Alert) + Send + Sync>,
    is_failure: Box<dyn Fn(RefusalReason) -> bool + Send + Sync>,
    webhooks: Watch,
    peers: Watch,
}

impl AlertObserver {
    /// Creates an observer with the default thresholds and the system's clock.
    #[must_use]
    pub fn new(callback: impl Fn(&Alert) + Send + Sync + 'static) -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            callback: Box::new(callback),
            is_failure: Box::new(is_failure),
            webhooks: Watch::new(AlertThreshold::DEFAULT, MAX_WEBHOOKS),
            peers: Watch::new(AlertThreshold::DEFAULT, MAX_PEERS),
        }
    }

    /// Sets the threshold for the failures of a webhook id.
    #[must_use]
    pub fn with_webhook_threshold(mut self, threshold: AlertThreshold) -> Self {
        self.webhooks = Watch::new(threshold, MAX_WEBHOOKS);
        self
    }

    /// Sets the threshold for the failures of a peer.
    #[must_use]
    pub fn with_peer_threshold(mut self, threshold: AlertThreshold) -> Self {
        self.peers = Watch::new(threshold, MAX_PEERS);
        self
    }

    /// Sets which refusals are counted as failures.
    #[must_use]
    pub fn with_failures(mut self, is_failure: impl Fn(RefusalReason) -> bool + Send + Sync + 'static) -> Self {
        self.is_failure = Box::new(is_failure);
        self
    }

    /// Sets the clock that measures the windows, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Clears the alerts whose failures have ended, as every event does.
    pub fn tick(&self) {
        self.clear_due(self.clock.monotonic());
    }

    fn clear_due(&self, now: Duration) {
        for watch in [&self.webhooks, &self.peers] {
            watch.clear_due(now, &self.callback);
        }
    }
}

impl Observer for AlertObserver {
    fn observe(&self, event: &SecurityEvent<'_>) {
        let now = self.clock.monotonic();
        self.clear_due(now);
        if !event.outcome.reason().is_some_and(&self.is_failure) {
            return;
        }
        let webhook = event.webhook_id.filter(|_| event.known_id).and_then(|id| {
            // The text is copied for an alert alone.
            self.webhooks.count(id, now, || AlertSubject::Webhook(id.into()))
        });
        let peer = event.peer.map(|peer| Peer::from(peer).address());
        let peer = peer.and_then(|peer| self.peers.count(peer, now, || AlertSubject::Peer(peer)));
        for alert in webhook.iter().chain(&peer) {
            (self.callback)(alert);
        }
    }
}

impl fmt::Debug for AlertObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertObserver")
            .field("webhooks", &self.webhooks)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

/// The failures of one webhook id or one peer crossed a threshold, upwards or downwards.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// Whose failures they are.
    pub subject: AlertSubject,
    /// Whether the alert was raised or cleared.
    pub state: AlertState,
    /// The number of failures within the window.
    pub count: u32,
    /// The window of the threshold.
    pub window: Duration,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            AlertState::Raised => "raised",
            AlertState::Cleared => "cleared",
        };
        write!(f, "alert {state}: {} failures of {} within {:?}", self.count, self.subject, self.window)
    }
}

/// Whose failures an [`Alert`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertSubject {
    /// A webhook id that the Warden has keys for, as in [`SecurityEvent::webhook_id`].
    Webhook(Box<str>),
    /// A peer: an IPv4 address, or the first address of an IPv6 /64 network.
    Peer(IpAddr),
}

impl fmt::Display for AlertSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(id) => write!(f, "webhook {id}"),
            Self::Peer(peer) => write!(f, "peer {peer}"),
        }
    }
}

/// Whether an [`Alert`] was raised or cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// The failures reached the threshold. The alert is not raised again before it is cleared.
    Raised,
    /// The failures fell below the lower threshold.
    Cleared,
}

/// How many failures within which window raise an [`Alert`], and how few clear it.
///
/// The window moves in steps of a tenth, so a count covers the last nine to ten tenths of the window. An alert is never
/// raised by fewer failures than the threshold within the window, and always by that many within nine tenths of it.
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::event::AlertThreshold;
///
/// // Raised by 50 failures within 5 minutes, cleared when there are fewer than 5.
/// let threshold = AlertThreshold::new(50, Duration::from_secs(300))?.with_clear_below(5)?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertThreshold {
    raise_at: u32,
    clear_below: u32,
    window: Duration,
}

impl AlertThreshold {
    /// An alert is raised by `raise_at` failures within `window`, and cleared when there are fewer than half as many.
    ///
    /// # Errors
    /// `raise_at` is 0, or `window` is shorter than a second or longer than a day.
    pub fn new(raise_at: u32, window: Duration) -> Result<Self, ConfigError> {
        if raise_at == 0 {
            return Err(ConfigError::new("alert threshold", "must be at least one failure"));
        }
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(ConfigError::new("alert window", "must be between a second and a day"));
        }
        Ok(Self { raise_at, clear_below: raise_at.div_ceil(2), window })
    }

    /// Sets the number of failures below which an alert is cleared. If it equals `raise_at`, there is no hysteresis.
    ///
    /// # Errors
    /// `clear_below` is 0 or more than `raise_at`.
    pub fn with_clear_below(self, clear_below: u32) -> Result<Self, ConfigError> {
        if !(1..=self.raise_at).contains(&clear_below) {
            return Err(ConfigError::new("alert clear_below", "must be between 1 and what raises an alert"));
        }
        Ok(Self { clear_below, ..self })
    }

    const DEFAULT: Self = Self { raise_at: 20, clear_below: 10, window: Duration::from_secs(60) };
}

/// Whether a refusal says something about its sender, and not about a retry or the receiver.
fn is_failure(reason: RefusalReason) -> bool {
    !reason.is_receiver_fault() && !matches!(reason, RefusalReason::Replayed | RefusalReason::InProgress)
}

const MAX_WEBHOOKS: usize = 16_384;
const MAX_PEERS: usize = 65_536;
const MIN_WINDOW: Duration = Duration::from_secs(1);
const MAX_WINDOW: Duration = Duration::from_secs(86_400);
