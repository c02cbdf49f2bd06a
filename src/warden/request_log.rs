//! What is known of a request so far, and the event that it ends with.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use arrayvec::ArrayString;

use super::{Warden, WebhookId};
use crate::clock::ClockReading;
use crate::error::{Reason, Rejection};
use crate::event::{Observer, Outcome, SecurityEvent, Warning};
use crate::limit::{Charge, Peer, Reservation};
use crate::secret::KeyId;

/// The record of one request. Dropping it raises the event, so that no end is without one.
pub(super) struct RequestLog {
    pub(super) warden: Warden,
    pub(super) began: ClockReading,
    pub(super) body_bytes: u64,
    pub(super) skew: Option<i64>,
    pub(super) key_id: Option<KeyId>,
    pub(super) known_id: bool,
    pub(super) webhook_id: Option<WebhookId>,
    /// Whether the request went on to the look-up of its keys.
    pub(super) identified: bool,
    /// When the work was settled, by the monotonic clock, if it was.
    pub(super) ended: Option<Duration>,
    reservation: Reservation,
    peer: Option<IpAddr>,
    outcome: Outcome,
    rejection: Option<Rejection>,
}

impl RequestLog {
    pub(super) fn begin(warden: &Warden, peer: Option<IpAddr>) -> Self {
        if let Some(warning) = warden.inner.peers.look_at(peer, warden.inner.proxies.are_everybody()) {
            warden.notify(warning);
        }
        Self {
            warden: warden.clone(),
            began: warden.inner.clock.now(),
            body_bytes: 0,
            skew: None,
            key_id: None,
            known_id: false,
            webhook_id: None,
            identified: false,
            ended: None,
            reservation: Reservation::None,
            peer,
            outcome: Outcome::Abandoned,
            rejection: None,
        }
    }

    pub(super) fn claimed_id(&self) -> Option<&str> {
        self.webhook_id.as_ref().map(WebhookId::as_str)
    }

    /// The present moment, by the wall clock of the request's beginning. It is enough for what this process remembers,
    /// which ends by both clocks.
    pub(super) fn moment(&self) -> ClockReading {
        self.began.carried_on_to(self.warden.inner.clock.monotonic())
    }

    /// Whether the request has taken longer than the deadline permits.
    pub(super) fn is_overdue(&self, now: ClockReading) -> bool {
        now.monotonic.saturating_sub(self.began.monotonic) > self.warden.inner.deadline
    }

    /// The time for which the peer is turned away, if it is.
    pub(super) fn blocked_for(&self) -> Option<Duration> {
        let rejected = self.warden.inner.rejected.as_ref()?;
        rejected.blocked_for(Peer::from(self.peer?), self.claimed_id(), self.began.monotonic)
    }

    /// Counts the request against its peer before a store is asked for its keys. `Err` is how long the peer is turned away.
    pub(super) fn reserve(&mut self) -> Result<(), Duration> {
        if let (Some(rejected), Some(peer), Some(id)) = (&self.warden.inner.rejected, self.peer, self.claimed_id()) {
            self.reservation = rejected.reserve(Peer::from(peer), id)?;
        }
        Ok(())
    }

    /// There are keys for the request, or a store that is to blame.
    pub(super) fn take_reservation_back(&mut self) {
        let reserved = std::mem::replace(&mut self.reservation, Reservation::None) == Reservation::Counted;
        if let (true, Some(rejected), Some(peer)) = (reserved, &self.warden.inner.rejected, self.peer) {
            rejected.take_back(Peer::from(peer));
        }
    }

    /// Notes that the peer sent a good request, so that what others send from its address is not laid to it.
    pub(super) fn note_success(&self) {
        if let (Some(rejected), Some(peer), Some(id)) = (&self.warden.inner.rejected, self.peer, self.claimed_id()) {
            rejected.note_success(Peer::from(peer), id, self.began.monotonic);
        }
    }

    pub(super) fn conclude(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    pub(super) fn refuse(&mut self, rejection: Rejection) {
        // A request is refused once; asking again must not charge its peer again.
        if self.rejection.is_none() && is_charged(rejection.reason()) {
            self.charge();
        }
        self.skew = self.skew.or(rejection.skew());
        self.rejection = Some(rejection);
        self.conclude(Outcome::Refused(rejection.reason()));
    }

    fn charge(&self) {
        if let (Some(rejected), Some(peer)) = (&self.warden.inner.rejected, self.peer)
            && rejected.charge(Peer::from(peer), self.claimed_id(), self.reservation) == Charge::TableFull
        {
            self.warden.notify(Warning::RejectedTableFull);
        }
    }

    pub(super) const fn refused(&self) -> Option<Rejection> {
        self.rejection
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        // It cost a look-up and has proven nothing. For nothing, one could have any number of them by hanging up early.
        if self.outcome == Outcome::Abandoned && self.identified && self.key_id.is_none() {
            self.charge();
        }
        let scheme = self.warden.scheme();
        let mut buffer = ArrayString::new();
        let webhook_id = self.claimed_id().map(|id| label(id, &mut buffer));
        let ended = self.ended.unwrap_or_else(|| self.warden.inner.clock.monotonic());
        let event = SecurityEvent {
            outcome: self.outcome,
            webhook_id,
            known_id: self.known_id,
            peer: self.peer,
            key_id: self.key_id,
            header: self.rejection.as_ref().and_then(|rejection| rejection.header(scheme)),
            skew: self.skew,
            body_bytes: self.body_bytes,
            duration: ended.saturating_sub(self.began.monotonic),
            scheme: scheme.name(),
        };
        notify(&self.warden.inner.observers, |observer| observer.observe(&event));
    }
}

/// Tells every observer. One that panics must not take the request with it, nor abort while another panic unwinds.
pub(super) fn notify(observers: &[Box<dyn Observer>], tell: impl Fn(&dyn Observer)) {
    for observer in observers {
        let _ = catch_unwind(AssertUnwindSafe(|| tell(&**observer)));
    }
}

/// What a refused peer has to answer for: not a request of another kind, which costs less than its turning away and is
/// what a browser or a probe sends from the sender's own address; not what its own quota or another request of the same
/// delivery caused, and not the endpoint's own trouble.
const fn is_charged(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::MethodNotAllowed
            | Reason::UnsupportedMediaType
            | Reason::QuotaExceeded
            | Reason::PeerBlocked
            | Reason::InProgress
            | Reason::KeyStoreUnavailable
            | Reason::ReplayStoreUnavailable
            | Reason::NoRequestLine
            | Reason::LookupPanicked
            | Reason::Misconfigured
    )
}

/// The id as it may stand in a log: escaped, because it is whatever a stranger wrote, and cut.
fn label<'l>(id: &'l str, buffer: &'l mut ArrayString<LABEL_BYTES>) -> &'l str {
    let is_plain = |byte: u8| (byte.is_ascii_graphic() && byte != b'\\') || byte == b' ';
    if id.len() <= LABEL_BYTES && id.bytes().all(is_plain) {
        return id;
    }
    for character in id.chars() {
        let mut escaped = ArrayString::<12>::new();
        let written = if u8::try_from(character).is_ok_and(is_plain) {
            escaped.try_push(character).is_ok()
        } else {
            write!(escaped, "{}", character.escape_default()).is_ok()
        };
        if !written || buffer.try_push_str(&escaped).is_err() {
            break;
        }
    }
    buffer
}

/// Watches for a deployment in which quotas by peer cannot work, and says so once.
#[derive(Debug, Default)]
pub(super) struct PeerWatch {
    unknown_told: AtomicBool,
    /// How many requests in a row came from private addresses alone; it stops counting when another is seen.
    private_streak: AtomicU32,
}

impl PeerWatch {
    fn look_at(&self, peer: Option<IpAddr>, all_are_proxies: bool) -> Option<Warning> {
        let Some(peer) = peer else {
            return (!self.unknown_told.swap(true, Ordering::Relaxed)).then_some(Warning::PeerUnknown);
        };
        if all_are_proxies || self.private_streak.load(Ordering::Relaxed) > PRIVATE_STREAK {
            return None;
        }
        if !is_private(peer) {
            self.private_streak.store(u32::MAX, Ordering::Relaxed);
            return None;
        }
        let more = |streak: u32| streak.checked_add(1);
        let before = self.private_streak.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        (before == Ok(PRIVATE_STREAK)).then_some(Warning::PeersAllPrivate)
    }
}

fn is_private(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local(),
    }
}

/// The most bytes of a webhook id in an event.
const LABEL_BYTES: usize = 128;

/// How many requests from private addresses alone look like an undeclared proxy.
const PRIVATE_STREAK: u32 = 1_000;
