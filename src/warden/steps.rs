//! The steps of a judgement as values: each consumes the one before it.

use std::fmt;
use std::future::{Future, pending};
use std::net::IpAddr;
use std::pin::pin;

use futures_util::future::{Either, select};

use super::admitted::{Admitted, VerifiedDelivery};
use super::lookup::{Found, Looked};
use super::request_log::RequestLog;
use super::{IdFault, Refused, Warden, WebhookId};
use crate::clock::ClockReading;
use crate::error::{Reason, Rejection, StoreError};
use crate::event::StoreKind;
use crate::headers::Head;
use crate::verifier::{Opening, Verification};
use crate::warden::answer::RetryHint;

impl Warden {
    /// Judges kind, shape and freshness, from the head alone. A head that knows no method passes as one of any. `peer`
    /// is the address that the request comes from, where it is known; behind proxies, [`Warden::proxies`] and
    /// [`Proxies::client`](crate::proxies::Proxies::client) find it.
    ///
    /// # Errors
    /// The request is refused.
    pub fn examine<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        peer: Option<IpAddr>,
    ) -> Result<Examined<'h, H>, Refused> {
        let mut record = RequestLog::begin(self, peer);
        if let Err(reason) = self.inner.accept.judge(head) {
            return Err(Refused::new(&mut record, Rejection::new(reason), RetryHint::None));
        }
        match self.inner.rules.open(head, record.began.wall) {
            Ok(opening) => {
                record.skew = opening.skew();
                Ok(Examined { record, opening })
            }
            Err(rejection) => Err(Refused::new(&mut record, rejection, RetryHint::None)),
        }
    }
}

/// A request of good shape and fresh. Its keys are still to be found.
#[must_use = "the request is not judged yet"]
pub struct Examined<'h, H: ?Sized> {
    record: RequestLog,
    opening: Opening<'h, H>,
}

impl<H: Head + ?Sized> Examined<'_, H> {
    /// Finds the keys of the webhook `id`, unless the peer is turned away. An unknown id, or one without a live key, goes
    /// on with a decoy and is refused when its body is complete, at the same cost and with the same answer as a wrong
    /// signature.
    ///
    /// # Errors
    /// The request is refused. A Warden whose keys have to be waited for refuses everything here:
    /// [`identify_async`](Self::identify_async) is for it.
    pub fn identify(self, id: &str) -> Result<Receiving, Refused> {
        self.identify_by(Ok(id.into()))
    }

    /// [`identify`](Self::identify)s the request by the id that its head holds, where the Warden's
    /// [`IdSource`](crate::warden::IdSource) says.
    ///
    /// # Errors
    /// As there; the head has no id; the id is a path parameter, which only a framework knows.
    pub fn identify_from_head(self, head: &dyn Head) -> Result<Receiving, Refused> {
        let id = self.record.warden.inner.id_source.find(head);
        self.identify_by(id)
    }

    /// [`identify`](Self::identify) for keys that may have to be waited for.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn identify_async(self, id: &str) -> Result<Receiving, Refused> {
        self.identify_by_async(Ok(id.into())).await
    }

    /// [`identify_from_head`](Self::identify_from_head) for keys that may have to be waited for.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn identify_from_head_async(self, head: &(dyn Head + Sync)) -> Result<Receiving, Refused> {
        let id = self.record.warden.inner.id_source.find(head);
        self.identify_by_async(id).await
    }

    pub(crate) fn identify_by(mut self, id: Result<WebhookId, IdFault>) -> Result<Receiving, Refused> {
        let found = match self.claim(id)? {
            Some(id) => self.record.warden.inner.keys.find(id.as_str()),
            None => Found::Unknown,
        };
        self.receive(found)
    }

    async fn identify_by_async(self, id: Result<WebhookId, IdFault>) -> Result<Receiving, Refused> {
        self.identify_by_until(id, pending()).await
    }

    /// Finds the keys as long as `deadline` has not come.
    pub(crate) async fn identify_by_until(
        mut self,
        id: Result<WebhookId, IdFault>,
        deadline: impl Future<Output = ()>,
    ) -> Result<Receiving, Refused> {
        let found = match self.claim(id)? {
            Some(id) => {
                let inner = self.record.warden.inner.clone();
                match inner.keys.look(id.as_str(), || self.record.reserve()) {
                    Looked::Found(found) => found,
                    Looked::TurnedAway(wait) => {
                        let blocked = Rejection::new(Reason::PeerBlocked);
                        return Err(Refused::new(&mut self.record, blocked, RetryHint::For(wait)));
                    }
                    Looked::Awaited(waiter) => match select(pin!(waiter.answer()), pin!(deadline)).await {
                        Either::Left((answer, _)) => Found::from(answer),
                        Either::Right(_) => Found::Unavailable(StoreError::new("no answer within the deadline")),
                    },
                }
            }
            None => Found::Unknown,
        };
        if !matches!(found, Found::Unknown) {
            self.record.take_reservation_back();
        }
        self.receive(found)
    }

    /// Notes the id, and looks whether the peer may go on with it. What is no id is judged like one that nobody has.
    fn claim(&mut self, id: Result<WebhookId, IdFault>) -> Result<Option<WebhookId>, Refused> {
        let fault = match id {
            Ok(id) => {
                self.record.webhook_id = Some(id);
                None
            }
            Err(IdFault::Unreadable) => None,
            Err(IdFault::NoSuchParameter) => Some(Reason::Misconfigured),
            Err(IdFault::Panicked) => Some(Reason::LookupPanicked),
            Err(IdFault::Header(reason)) => Some(reason),
        };
        if let Some(wait) = self.record.blocked_for() {
            return Err(Refused::new(&mut self.record, Rejection::new(Reason::PeerBlocked), RetryHint::For(wait)));
        }
        match fault {
            Some(reason) => Err(Refused::new(&mut self.record, Rejection::new(reason), RetryHint::None)),
            None => {
                self.record.identified = true;
                Ok(self.record.webhook_id.clone())
            }
        }
    }

    fn receive(mut self, found: Found) -> Result<Receiving, Refused> {
        let keys = match found {
            Found::Known(keys) => Ok(Some(keys)),
            Found::Unknown => Ok(None),
            Found::Unavailable(error) => {
                self.record.warden.store_failed(StoreKind::Keys, &error);
                Err((Reason::KeyStoreUnavailable, RetryHint::For(error.retry_after())))
            }
            Found::Panicked => Err((Reason::LookupPanicked, RetryHint::None)),
            Found::NeedsWaiting => Err((Reason::Misconfigured, RetryHint::None)),
        };
        let keys = keys.map_err(|(reason, delay)| Refused::new(&mut self.record, Rejection::new(reason), delay))?;
        self.record.known_id = keys.is_some();
        let decoy_reason = if keys.is_some() { Reason::NoLiveKey } else { Reason::UnknownId };
        let live = keys.filter(|keys| keys.has_live(self.record.began.wall));
        let keys = live.unwrap_or_else(|| {
            let inner = &self.record.warden.inner;
            // A look-up gives a handle of its own as well, whose making and dropping take their time.
            inner.decoys.of_size(inner.keys.common_size()).clone()
        });
        Ok(Receiving { verification: self.opening.with_keys(&keys), decoy_reason, record: self.record })
    }
}

impl<H: ?Sized> fmt::Debug for Examined<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Examined(…)")
    }
}

/// A request whose body is arriving.
#[must_use = "the request is not judged yet"]
pub struct Receiving {
    verification: Verification,
    /// What a refusal under the decoy means.
    decoy_reason: Reason,
    record: RequestLog,
}

impl Receiving {
    /// Notes that the body will have `bytes` bytes, as `Content-Length` says.
    ///
    /// # Errors
    /// That is more than the cap.
    pub fn expect(&mut self, bytes: u64) -> Result<(), Refused> {
        let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.record.warden.body_limit());
        if fits { Ok(()) } else { Err(self.refuse(Reason::BodyTooLarge)) }
    }

    /// Takes the next bytes of the raw body.
    ///
    /// # Errors
    /// The body has outgrown the cap.
    pub fn update(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let total = self.record.body_bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.expect(total)?;
        self.record.body_bytes = total;
        self.verification.update(chunk);
        Ok(())
    }

    /// Judges the signature, once the body is complete, then whether the delivery is new and within the quota.
    ///
    /// # Errors
    /// The request is refused. One that was refused before, for its size, stays refused. One that took longer than the
    /// deadline is too slow, whoever read its body: what is remembered of its copies may have lapsed meanwhile. A Warden
    /// whose stores have to be waited for refuses everything here: [`finish_async`](Self::finish_async) is for it.
    pub fn finish(self) -> Result<Admitted, Refused> {
        let (record, facts, now) = self.verify()?;
        Admitted::admit(record, facts, now)
    }

    /// [`finish`](Self::finish) for stores that may have to be waited for.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn finish_async(self) -> Result<Admitted, Refused> {
        self.finish_until(pending()).await
    }

    /// Judges as long as `deadline` has not come.
    pub(crate) async fn finish_until(self, deadline: impl Future<Output = ()>) -> Result<Admitted, Refused> {
        let (record, facts, _) = self.verify()?;
        Admitted::admit_until(record, facts, deadline).await
    }

    #[inline]
    fn verify(mut self) -> Result<(RequestLog, VerifiedDelivery, ClockReading), Refused> {
        let now = self.record.moment();
        let rejection = match self.record.refused() {
            Some(rejection) => rejection,
            None if self.record.is_overdue(now) => Rejection::new(Reason::BodyTooSlow),
            None => match (self.verification.judge(), self.record.webhook_id.clone()) {
                (Ok(verified), Some(webhook_id)) => {
                    self.record.key_id = Some(verified.key_id());
                    return Ok((self.record, VerifiedDelivery::new(webhook_id, verified), now));
                }
                (Err(rejection), _) if rejection.reason() != Reason::UnknownId => rejection,
                _ => Rejection::new(self.decoy_reason),
            },
        };
        Err(Refused::new(&mut self.record, rejection, RetryHint::None))
    }

    /// Gives the request up, for a reason that only the reader of its body knows.
    pub(crate) fn refuse(&mut self, reason: Reason) -> Refused {
        Refused::new(&mut self.record, Rejection::new(reason), RetryHint::None)
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("body_bytes", &self.record.body_bytes).finish_non_exhaustive()
    }
}
