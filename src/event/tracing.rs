//! Events as log lines, under a flood too.

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

/// Writes events to [`tracing`](https://docs.rs/tracing), under the target `hookwarden`.
///
/// | outcome | level |
/// | --- | --- |
/// | accepted | INFO |
/// | released | WARN |
/// | refused | WARN |
/// | refused because the receiver is at fault ([`RefusalReason::is_receiver_fault`](crate::event::RefusalReason::is_receiver_fault)) | ERROR |
/// | abandoned | INFO |
/// | a [`Warning`] | WARN; ERROR for keys that could not be read anew |
/// | a store failed | ERROR |
/// | a shared store answers again | INFO |
///
/// | field | what |
/// | --- | --- |
/// | `outcome` | `accepted`, `released`, `refused` or `abandoned` |
/// | `reason` | why it was refused, in snake case |
/// | `webhook_id` | the id that the request gave, escaped; the sender's claim unless it was accepted or released |
/// | `key_id` | the name of the key that matched |
/// | `peer` | the address that the request came from |
/// | `skew_s` | the receiver's clock minus the timestamp, in seconds |
/// | `body_bytes` | how many bytes of the body were taken |
/// | `duration_us` | from the head's arrival to the end, in microseconds |
/// | `scheme` | the scheme's name |
/// | `header` | the name of the header that a refusal is about |
/// | `suppressed` | how many events of this kind got no line |
/// | `warning` | a warning, in snake case |
///
/// A field that is not known is left out. Secrets, MACs, header values and bodies are in none.
///
/// # Floods
/// Strangers cannot fill a disk. Refused and abandoned requests of one peer (an IPv6 one by its /64 network), webhook id
/// and reason get 5 lines; those that follow within a minute of the first are counted, and one line with `suppressed`
/// tells how many there were. Over all peers there are at most 10 such lines each second; what has no room is counted
/// together and told once a minute in a line of `suppressed` alone. Where the receiver is at fault, and for warnings, the
/// same holds apart from that, by reason: a flood does not hide an outage. Accepted and released requests proved
/// themselves, and each has its line.
///
/// Nothing runs in the background: a count is told with the first event after its minute, by [`flush`](Self::flush), or
/// when the observer is dropped.
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
pub struct TracingObserver {
    clock: Arc<dyn Clock>,
    /// What strangers cause.
    refusals: Mutex<Sampler<Subject<'static>>>,
    /// What the receiver's side causes.
    faults: Mutex<Sampler<Subject<'static>>>,
}

impl TracingObserver {
    /// With the limits above and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        let sampler = || Mutex::new(Sampler::new(LINES_PER_KEY, LINES_PER_SECOND));
        Self { clock: Arc::new(SystemClock::default()), refusals: sampler(), faults: sampler() }
    }

    /// Sets the clock that the limits follow.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how many like events get a line each before they are only counted, for a minute. 5 by default.
    #[must_use]
    pub fn with_lines_per_peer(self, lines: NonZeroU32) -> Self {
        self.lock_all(|sampler| sampler.burst = lines.get());
        self
    }

    /// Sets how many lines there are each second over all peers, accepted and released requests aside. 10 by default.
    #[must_use]
    pub fn with_lines_per_second(self, lines: NonZeroU32) -> Self {
        self.lock_all(|sampler| sampler.per_second = lines.get());
        self
    }

    /// Tells the counts that there are, without waiting for their minute to end.
    pub fn flush(&self) {
        self.tell(Sampler::next);
    }

    fn tell_due(&self, now: Duration) {
        self.tell(|sampler| sampler.next_due(now));
    }

    fn tell(&self, mut next: impl FnMut(&mut Sampler<Subject<'static>>) -> Option<Suppressed<Subject<'static>>>) {
        for (sampler, level) in [(&self.refusals, Level::WARN), (&self.faults, Level::ERROR)] {
            // Each time the lock is let go of again: a line is written without it, as a slow log may take its time.
            let mut take = || next(&mut lock(sampler));
            while let Some(suppressed) = take() {
                Line::of_suppressed(&suppressed, level).write();
            }
        }
    }

    fn sample(&self, sampler: &Mutex<Sampler<Subject<'static>>>, subject: Subject<'_>, line: &Line<'_>) {
        let now = self.clock.monotonic();
        self.tell_due(now);
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
        let (outcome, scheme) = (event.outcome, Cow::Borrowed(event.scheme));
        match outcome {
            Outcome::Accepted | Outcome::Released => {
                self.tell_due(self.clock.monotonic());
                line.write();
            }
            Outcome::Refused(reason) if reason.is_receiver_fault() => {
                let subject = Subject::Request { outcome, scheme, webhook_id: None, peer: None };
                self.sample(&self.faults, subject, &line);
            }
            Outcome::Refused(_) | Outcome::Abandoned => {
                let (webhook_id, peer) = (event.webhook_id.map(Cow::Borrowed), event.peer.map(network));
                self.sample(&self.refusals, Subject::Request { outcome, scheme, webhook_id, peer }, &line);
            }
        }
    }

    fn warning(&self, warning: &Warning) {
        self.sample(&self.faults, Subject::Warning(*warning), &Line::of_warning(*warning));
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        self.sample(&self.faults, Subject::Store(store), &Line::of_store(store, Some(error)));
    }

    fn store_recovered(&self, store: StoreKind) {
        self.sample(&self.faults, Subject::Store(store), &Line::of_recovered(store));
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

/// The address by which a peer is known, and its quotas are counted.
fn network(peer: IpAddr) -> IpAddr {
    Peer::from(peer).address()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const LINES_PER_KEY: u32 = 5;
const LINES_PER_SECOND: u32 = 10;
