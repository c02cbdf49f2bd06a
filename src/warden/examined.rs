//! Steps 3 and 4: whether the peer is blocked, and the keys of the webhook id.

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};

use super::Inner;
use super::answer::RetryHint;
use super::id::{IdFault, WebhookId};
use super::receiving::Receiving;
use super::refused::Refused;
use super::request_log::RequestLog;
use crate::error::{Reason, StoreError};
use crate::event::{RefusalReason, StoreKind};
use crate::headers::Head;
use crate::keys::{KeyAnswer, Lookup};
use crate::verifier::Opening;

/// A request whose head is well-formed and fresh. Its keys are not looked up yet.
///
/// [`Warden::examine`](super::Warden::examine) makes it. [`identify`](Self::identify) takes a webhook id that the caller knows;
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
    pub(super) log: RequestLog,
    pub(super) opening: Opening<'h, H>,
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
            Some(Ok(Ok(Some(keys)))) if !keys.are_for(self.log.inner.rules.scheme.algorithm()) => {
                self.log.inner.monitor.store_failed(StoreKind::Keys, &StoreError::new(WRONG_SCHEME));
                (RefusalReason::Misconfigured, RetryHint::None)
            }
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

const WRONG_SCHEME: &str =
    "keys prepared for another scheme: prepare them with `Scheme::prepare` of the Warden's scheme";
