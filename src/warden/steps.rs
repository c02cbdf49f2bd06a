//! The steps as values: each consumes the one before it.

use std::fmt;
use std::future::{Future, pending};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};

use super::admission::Admission;
use super::admitted::Admitted;
use super::answer::RetryHint;
use super::id::{IdFault, WebhookId};
use super::refused::Refused;
use super::request_log::RequestLog;
use super::verified_delivery::VerifiedDelivery;
use super::{Inner, Warden};
use crate::clock::ClockReading;
use crate::error::{Reason, StoreError};
use crate::event::{RefusalReason, StoreKind};
use crate::headers::Head;
use crate::keys::{KeyAnswer, Lookup};
use crate::verifier::{Opening, Verification};

impl Warden {
    /// Checks method, content type, shape and freshness, from the head alone (steps 0 to 2). A head without a method passes
    /// as any method. `peer` is the address of the client, where it is known;
    /// [`Proxies::client`](crate::proxies::Proxies::client) finds it behind proxies.
    ///
    /// # Errors
    /// The request is refused.
    pub fn examine<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        peer: Option<IpAddr>,
    ) -> Result<Examined<'h, H>, Refused> {
        self.examine_for(head, peer, None)
    }

    /// [`examine`](Self::examine) with the webhook id that the route names, for the event of a refusal.
    pub(crate) fn examine_for<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        peer: Option<IpAddr>,
        route_id: Option<&Result<WebhookId, IdFault>>,
    ) -> Result<Examined<'h, H>, Refused> {
        let inner = &self.inner;
        if let Some(warning) = inner.peers.check(peer, inner.proxies.trust_every_connection()) {
            inner.monitor.warn(warning);
        }
        let mut log = RequestLog::new(Arc::clone(inner), peer, inner.monitor.clock.now());
        // For the event of a refusal based on the head alone.
        let name = |log: &mut RequestLog| {
            log.webhook_id = match route_id {
                Some(id) => id.as_ref().ok().cloned(),
                None => inner.id_source.in_path(head).and_then(Result::ok),
            };
            log.known_id = log.webhook_id.as_ref().is_some_and(|id| inner.keys.knows(id.as_str()));
        };
        if let Err(reason) = inner.accept.check(head) {
            name(&mut log);
            return Err(Refused::new(&mut log, reason, RetryHint::None));
        }
        match inner.rules.open(head, log.began.wall) {
            Ok(opening) => {
                log.skew = opening.skew();
                Ok(Examined { log, opening })
            }
            Err(fault) => {
                name(&mut log);
                Err(Refused::unverified(&mut log, fault))
            }
        }
    }
}

/// A request whose head is well-formed and fresh. Its keys are not looked up yet.
///
/// [`Warden::examine`] makes it. [`identify`](Self::identify) takes a webhook id that the caller knows;
/// [`identify_from_head`](Self::identify_from_head) reads it where the Warden's [`IdSource`](super::IdSource) says:
///
/// ```
/// use hookwarden::{IdSource, Keyring, Scheme, Signer, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let signed = Signer::new(scheme.clone(), keys.clone())?.sign_body(b"{}")?;
/// let warden = Warden::builder(scheme).sender("acme", keys).webhook_id(IdSource::header("X-Tenant")?).build()?;
///
/// let head: Vec<(&str, &str)> = signed.iter().chain([("X-Tenant", "acme")]).collect();
/// let examined = warden.examine(&head, None)?; // steps 0 to 2
/// let receiving = examined.identify_from_head(&head)?; // steps 3 and 4
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the request is not verified yet"]
pub struct Examined<'h, H: ?Sized> {
    log: RequestLog,
    opening: Opening<'h, H>,
}

impl<H: Head + ?Sized> Examined<'_, H> {
    /// Looks up the keys of the webhook `id`, unless the peer is blocked (steps 3 and 4).
    ///
    /// An unknown id, or one without a live key, continues with a decoy. It is refused when its body is complete, after the
    /// same work and with the same answer as a wrong signature.
    ///
    /// # Errors
    /// The request is refused. A Warden with [`cached_keys`](super::WardenBuilder::cached_keys) refuses every request here:
    /// use [`identify_async`](Self::identify_async).
    pub fn identify(self, id: &str) -> Result<Receiving, Refused> {
        self.identify_by(Ok(id.into()))
    }

    /// [`identify`](Self::identify)s the request by the id in its head, at the place that the Warden's
    /// [`IdSource`](super::IdSource) names.
    ///
    /// # Errors
    /// As for [`identify`](Self::identify); the head has no id; the id is a path parameter, which only a framework knows.
    pub fn identify_from_head(self, head: &dyn Head) -> Result<Receiving, Refused> {
        let id = self.log.inner.id_source.find(head);
        self.identify_by(id)
    }

    /// [`identify`](Self::identify) that waits for keys.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn identify_async(self, id: &str) -> Result<Receiving, Refused> {
        self.identify_by_until(Ok(id.into()), pending()).await
    }

    /// [`identify_from_head`](Self::identify_from_head) that waits for keys.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn identify_from_head_async(self, head: &(dyn Head + Sync)) -> Result<Receiving, Refused> {
        let id = self.log.inner.id_source.find(head);
        self.identify_by_until(id, pending()).await
    }

    pub(crate) fn identify_by(mut self, id: Result<WebhookId, IdFault>) -> Result<Receiving, Refused> {
        self.name(id)?;
        let is_immediate = self.log.inner.keys.is_immediate();
        let answer = if is_immediate { self.find_keys(pending()).now_or_never() } else { None };
        self.receive(answer)
    }

    /// Looks up the keys until `deadline` completes.
    pub(crate) async fn identify_by_until(
        mut self,
        id: Result<WebhookId, IdFault>,
        deadline: impl Future<Output = ()>,
    ) -> Result<Receiving, Refused> {
        self.name(id)?;
        let answer = self.find_keys(deadline).await;
        self.receive(Some(answer))
    }

    /// Notes the id, and checks whether the peer is blocked. An id that cannot be read continues like an unknown one.
    fn name(&mut self, id: Result<WebhookId, IdFault>) -> Result<(), Refused> {
        let fault = match id {
            Ok(id) => {
                self.log.webhook_id = Some(id);
                None
            }
            Err(IdFault::Unreadable) => None,
            Err(IdFault::NoSuchParameter) => Some(RefusalReason::Misconfigured),
            Err(IdFault::Panicked) => Some(RefusalReason::LookupPanicked),
            Err(IdFault::Header(reason)) => Some(reason.into()),
        };
        if let Some(wait) = self.log.blocked_for(self.log.webhook_id.as_ref().map(WebhookId::as_str)) {
            return Err(Refused::new(&mut self.log, RefusalReason::PeerBlocked, RetryHint::For(wait)));
        }
        if let Some(reason) = fault {
            return Err(Refused::new(&mut self.log, reason, RetryHint::None));
        }
        self.log.identified = true;
        Ok(())
    }

    /// The store's answer, or how long the peer is blocked.
    async fn find_keys(&mut self, deadline: impl Future<Output = ()>) -> Result<KeyAnswer, Duration> {
        let Some(id) = self.log.webhook_id.clone() else { return Ok(Ok(None)) };
        let inner = Arc::clone(&self.log.inner);
        let answer = match inner.keys.look_up(id.as_str(), || self.log.reserve()) {
            Lookup::Answered(answer) => answer,
            Lookup::Denied(wait) => return Err(wait),
            Lookup::Pending(waiter) => match select(pin!(waiter.answer()), pin!(deadline)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(StoreError::new("no answer within the deadline")),
            },
        };
        if !matches!(answer, Ok(None)) {
            self.log.return_reservation();
        }
        Ok(answer)
    }

    /// `answer` is `None` if the keys have to be awaited and the caller cannot wait.
    fn receive(mut self, answer: Option<Result<KeyAnswer, Duration>>) -> Result<Receiving, Refused> {
        let (reason, hint) = match answer {
            Some(Ok(Ok(keys))) => {
                self.log.known_id = keys.is_some();
                let decoy_reason = if keys.is_some() { Reason::NoLiveKey.into() } else { RefusalReason::UnknownId };
                let live = keys.filter(|keys| keys.has_live(self.log.began.wall));
                let decoy = live.is_none().then_some(decoy_reason);
                let keys = live.unwrap_or_else(|| {
                    let Inner { decoys, keys, .. } = &*self.log.inner;
                    // Cloned, as a lookup clones its keys: the same work.
                    decoys.of_size(keys.common_size()).clone()
                });
                return Ok(Receiving { verification: self.opening.with_keys(&keys), decoy, log: self.log });
            }
            Some(Ok(Err(error))) if error.is_panic() => (RefusalReason::LookupPanicked, RetryHint::None),
            Some(Ok(Err(error))) => {
                self.log.inner.monitor.store_failed(StoreKind::Keys, &error);
                (RefusalReason::KeyStoreUnavailable, RetryHint::For(error.retry_after()))
            }
            Some(Err(wait)) => (RefusalReason::PeerBlocked, RetryHint::For(wait)),
            None => (RefusalReason::Misconfigured, RetryHint::None),
        };
        Err(Refused::new(&mut self.log, reason, hint))
    }
}

impl<H: ?Sized> fmt::Debug for Examined<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Examined(…)")
    }
}

/// A request whose body is arriving.
///
/// [`Examined::identify`] makes it. The body is hashed in chunks of any size:
///
/// ```
/// use hookwarden::warden::{Admitted, Receiving, Refused};
///
/// fn receive<'b>(
///     mut receiving: Receiving,
///     content_length: Option<u64>,
///     chunks: impl Iterator<Item = &'b [u8]>,
/// ) -> Result<Admitted, Refused> {
///     if let Some(bytes) = content_length {
///         receiving.expect(bytes)?; // 413 before the body is read
///     }
///     for chunk in chunks {
///         receiving.update(chunk)?;
///     }
///     receiving.finish()
/// }
/// ```
///
/// Don't parse the body before [`finish`](Self::finish) returned `Ok`: until then it is not verified.
#[must_use = "the request is not verified yet"]
pub struct Receiving {
    verification: Verification,
    /// Why the request is refused if it is verified against a decoy.
    decoy: Option<RefusalReason>,
    log: RequestLog,
}

impl Receiving {
    /// Checks that a body of `bytes` bytes, as `Content-Length` announces, is within the body limit.
    ///
    /// # Errors
    /// It is larger.
    pub fn expect(&mut self, bytes: u64) -> Result<(), Refused> {
        let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.log.inner.body_limit);
        if fits { Ok(()) } else { Err(self.refuse(RefusalReason::BodyTooLarge)) }
    }

    /// Hashes the next bytes of the raw body (step 5).
    ///
    /// # Errors
    /// The body is larger than the body limit.
    pub fn update(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let total = self.log.body_bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.expect(total)?;
        self.log.body_bytes = total;
        self.verification.update(chunk);
        Ok(())
    }

    /// Checks the signature of the complete body, then claims the delivery and counts it against its quota (steps 6 and 7).
    ///
    /// # Errors
    /// The request is refused. A request that was refused for its size stays refused. A request past its deadline is refused
    /// as too slow, because the replay store may already have dropped an earlier copy of it. A Warden with a shared store
    /// refuses every request here: use [`finish_async`](Self::finish_async).
    pub fn finish(self) -> Result<Admitted, Refused> {
        let (log, delivery, now) = self.verify()?;
        let stores = &log.inner.stores;
        let admission = if stores.are_local() { stores.admit(&delivery, now).now_or_never() } else { None };
        Admitted::new(log, delivery, admission)
    }

    /// [`finish`](Self::finish) that waits for shared stores.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn finish_async(self) -> Result<Admitted, Refused> {
        self.finish_until(pending()).await
    }

    /// Waits for the stores until `deadline` completes. A store that has not answered by then counts as unavailable.
    pub(crate) async fn finish_until(self, deadline: impl Future<Output = ()>) -> Result<Admitted, Refused> {
        let (log, delivery, _) = self.verify()?;
        let admission = {
            let Inner { stores, monitor, .. } = &*log.inner;
            // Shared stores compute how long to remember from the wall clock, which may have been set meanwhile.
            let now = monitor.clock.now();
            match select(pin!(stores.admit(&delivery, now)), pin!(deadline)).await {
                Either::Left((admission, _)) => admission,
                Either::Right(_) => Admission::timed_out(stores),
            }
        };
        Admitted::new(log, delivery, Some(admission))
    }

    #[inline]
    fn verify(mut self) -> Result<(RequestLog, VerifiedDelivery, ClockReading), Refused> {
        let now = self.log.now();
        if let Some(reason) = self.log.refused() {
            return Err(self.refuse(reason));
        }
        if self.log.is_overdue(now) {
            return Err(self.refuse(RefusalReason::BodyTooSlow));
        }
        match (self.verification.verdict(), self.log.webhook_id.clone(), self.decoy) {
            (Ok(verified), Some(webhook_id), None) => {
                self.log.key_id = Some(verified.key_id());
                Ok((self.log, VerifiedDelivery::new(webhook_id, verified), now))
            }
            (Err(fault), _, None) => Err(Refused::unverified(&mut self.log, fault)),
            (_, _, decoy) => Err(self.refuse(decoy.unwrap_or(RefusalReason::UnknownId))),
        }
    }

    /// Refuses the request for a reason that only the reader of its body knows.
    pub(crate) fn refuse(&mut self, reason: RefusalReason) -> Refused {
        Refused::new(&mut self.log, reason, RetryHint::None)
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("body_bytes", &self.log.body_bytes).finish_non_exhaustive()
    }
}
