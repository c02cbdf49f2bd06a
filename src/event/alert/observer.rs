//! The observer that counts failures and raises alerts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::watch::Watch;
use super::{Alert, AlertSubject, AlertThreshold};
use crate::clock::{Clock, SystemClock};
use crate::event::{Observer, RefusalReason, SecurityEvent};
use crate::limit::Peer;

/// Calls back when too many requests of one webhook id or one peer fail, and again when that ends.
///
/// **What counts.** A failure is a refused request, except a duplicate, a copy of a delivery in progress, and a fault
/// of the receiver ([`RefusalReason::is_receiver_fault`]); [`with_failures`](Self::with_failures) changes that. Requests to
/// a Warden that [only reports](crate::warden::WardenBuilder::danger_report_only) do not count. By default 20 failures
/// within a minute raise an alert, and fewer than 10 clear it. Webhook ids are counted only if the Warden has keys for
/// them. Anyone can send requests for such an id: an alert shows that something is wrong, not who is responsible. A peer
/// is an IPv4 address or an IPv6 /64 network.
///
/// **The callback runs on the path of the request that reaches the threshold, so it must not block**: send the alert to
/// a channel or a log. It is called without a lock, and from several threads at once. A panic in it does not affect the
/// request.
///
/// The observer runs no background task. An alert is cleared by the next event of any request, or by
/// [`tick`](Self::tick), which an endpoint without steady traffic should call from a timer.
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
        if event.report_only || !event.outcome.reason().is_some_and(&self.is_failure) {
            return;
        }
        let webhook = event.webhook_id.filter(|_| event.known_id).and_then(|id| {
            // Copies the id only if an alert is raised.
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

/// Whether a refusal is a failure of its sender, and neither a retry nor a fault of the receiver.
fn is_failure(reason: RefusalReason) -> bool {
    !reason.is_receiver_fault() && !matches!(reason, RefusalReason::Replayed | RefusalReason::InProgress)
}

const MAX_WEBHOOKS: usize = 16_384;
const MAX_PEERS: usize = 65_536;
