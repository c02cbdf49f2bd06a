//! Events as log lines, with sampling of floods.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Level;

use super::line::{Line, Subject};
use super::sampling::{Sampler, Suppressed};
use super::{Observer, Outcome, SecurityEvent, StoreKind, Warning};
use crate::clock::{Clock, SystemClock};
use crate::error::StoreError;
use crate::limit::Peer;

/// Writes events to [`tracing`](https://docs.rs/tracing), with the target `hookwarden`.
///
/// ```
/// use hookwarden::event::TracingObserver;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let secret = scheme.secret("a-subscription-secret")?;
/// let warden = Warden::builder(scheme).sender("acme", Keyring::new(secret)).observer(TracingObserver::new()).build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// | event | level |
/// | --- | --- |
/// | accepted | INFO |
/// | released | WARN |
/// | refused | WARN |
/// | refused because of a fault of the receiver ([`RefusalReason::is_receiver_fault`](crate::event::RefusalReason::is_receiver_fault)) | ERROR |
/// | handshake | INFO |
/// | abandoned | INFO |
/// | a [`Warning`] | WARN; ERROR for a failed reload of keys |
/// | a store failed | ERROR |
/// | a shared store answers again | INFO |
///
/// | field | value |
/// | --- | --- |
/// | `outcome` | `accepted`, `released`, `refused`, `handshake` or `abandoned` |
/// | `report_only` | `true` if a layer or middleware of a Warden that only reports passed the request on: also one with the outcome `refused` reached the handler |
/// | `status` | the status of the answer to an admitted request, usually the handler's |
/// | `reason` | why the request was refused, in snake case |
/// | `webhook_id` | the id of the request, escaped; unverified unless the request was accepted or released |
/// | `key_id` | the name of the key that matched |
/// | `peer` | the address that the request came from |
/// | `skew_s` | the receiver's clock minus the timestamp, in seconds |
/// | `body_bytes` | the number of body bytes that were received |
/// | `duration_us` | the time from the arrival of the head to the end, in microseconds |
/// | `scheme` | the name of the scheme |
/// | `header` | the name of the header that caused a refusal |
/// | `capture` | the name of the [capture](crate::warden::Captures) of a refused request |
/// | `suppressed` | the number of events of this kind that were not logged |
/// | `warning` | a warning, in snake case |
/// | `store` | the store that failed or recovered: `keys`, `limits` or `replay` |
/// | `shard` | the server of the store that failed or recovered, if the store is divided among several |
/// | `error` | the text of a store's error |
///
/// Unknown fields are left out. No field contains a secret, a MAC, a header value or a body.
///
/// # Floods
/// Attackers cannot fill a disk with log lines. Refused and abandoned requests and handshakes with the same peer (an
/// IPv6 peer by its /64 network), webhook id and reason get 5 lines; further ones within a minute of the first are
/// counted, and then one line with `suppressed` gives their number. All peers together get at most 10 such lines each
/// second; further events are counted together and logged once a minute, in a line with `suppressed` only. Faults of
/// the receiver, failures of stores and warnings have separate limits of the same size, by reason and by shard, so that a
/// flood does not hide an outage.
/// Every accepted or released request has a line.
///
/// The observer runs no background task. A count is logged with the first event after its minute, by
/// [`flush`](Self::flush), or when the observer is dropped.
pub struct TracingObserver {
    clock: Arc<dyn Clock>,
    /// Events that an attacker can cause.
    refusals: Mutex<Sampler<Subject<'static>>>,
    /// Events that the receiver causes.
    faults: Mutex<Sampler<Subject<'static>>>,
}

impl TracingObserver {
    /// Creates an observer with the default limits and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        let sampler = || Mutex::new(Sampler::new(LINES_PER_KEY, LINES_PER_SECOND));
        Self { clock: Arc::new(SystemClock::default()), refusals: sampler(), faults: sampler() }
    }

    /// Sets the clock of the limits, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how many events with the same peer, webhook id and reason are logged in a minute. The default is 5.
    #[must_use]
    pub fn with_lines_per_peer(self, lines: NonZeroU32) -> Self {
        self.lock_all(|sampler| sampler.burst = lines.get());
        self
    }

    /// Sets how many lines are logged each second for all peers together, without accepted and released requests. The
    /// default is 10.
    #[must_use]
    pub fn with_lines_per_second(self, lines: NonZeroU32) -> Self {
        self.lock_all(|sampler| sampler.per_second = lines.get());
        self
    }

    /// Logs the counts of suppressed events now.
    pub fn flush(&self) {
        self.log_counts(Sampler::next);
    }

    fn log_due_counts(&self, now: Duration) {
        self.log_counts(|sampler| sampler.next_due(now));
    }

    fn log_counts(&self, mut next: impl FnMut(&mut Sampler<Subject<'static>>) -> Option<Suppressed<Subject<'static>>>) {
        for (sampler, level) in [(&self.refusals, Level::WARN), (&self.faults, Level::ERROR)] {
            // The lock is released before each line is written, because the log may be slow.
            let mut take = || next(&mut lock(sampler));
            while let Some(suppressed) = take() {
                Line::of_suppressed(&suppressed, level).write();
            }
        }
    }

    fn sample(&self, sampler: &Mutex<Sampler<Subject<'static>>>, subject: Subject<'_>, line: &Line<'_>) {
        let now = self.clock.monotonic();
        self.log_due_counts(now);
        let admitted = lock(sampler).admits(&subject, now, || subject.to_owned());
        if admitted {
            line.write();
        }
    }

    fn lock_all(&self, set: impl Fn(&mut Sampler<Subject<'static>>)) {
        for sampler in [&self.refusals, &self.faults] {
            set(&mut lock(sampler));
        }
    }
}

impl Observer for TracingObserver {
    fn observe(&self, event: &SecurityEvent<'_>) {
        let line = Line::of_event(event);
        let (outcome, scheme, report_only) = (event.outcome, Cow::Borrowed(event.scheme), event.report_only);
        match outcome {
            Outcome::Accepted | Outcome::Released => {
                self.log_due_counts(self.clock.monotonic());
                line.write();
            }
            Outcome::Refused(reason) if reason.is_receiver_fault() => {
                let subject = Subject::Request { outcome, scheme, webhook_id: None, peer: None, report_only };
                self.sample(&self.faults, subject, &line);
            }
            Outcome::Refused(_) | Outcome::Handshake | Outcome::Abandoned => {
                let (webhook_id, peer) = (event.webhook_id.map(Cow::Borrowed), event.peer.map(network));
                let subject = Subject::Request { outcome, scheme, webhook_id, peer, report_only };
                self.sample(&self.refusals, subject, &line);
            }
        }
    }

    fn warning(&self, warning: &Warning) {
        self.sample(&self.faults, Subject::Warning(*warning), &Line::of_warning(*warning));
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        let shard = error.shard();
        let line = Line::of_failed(store, shard, Some(error));
        self.sample(&self.faults, Subject::StoreFailed(store, shard.map(Cow::Borrowed)), &line);
    }

    fn store_recovered(&self, store: StoreKind, shard: Option<&str>) {
        let line = Line::of_recovered(store, shard);
        self.sample(&self.faults, Subject::StoreRecovered(store, shard.map(Cow::Borrowed)), &line);
    }
}

impl Default for TracingObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TracingObserver {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for TracingObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracingObserver")
            .field("refusals", &self.refusals)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// The address that identifies a peer in its quotas.
fn network(peer: IpAddr) -> IpAddr {
    Peer::from(peer).address()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const LINES_PER_KEY: u32 = 5;
const LINES_PER_SECOND: u32 = 10;
