//! Steps 3 and 4: whether the peer is blocked, and the keys of the webhook id.

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};

use super::Inner;
use super::answer::RetryHint;
use super::id::{IdFault, WebhookId};
use super::receiving::Receiving;
use super::refused::Refused;
use super::request_log::RequestLog;
use crate::crypto::PreparedKeys;
use crate::error::{Reason, StoreError};
use crate::event::{RefusalReason, StoreKind};
use crate::headers::Head;
use crate::keys::Lookup;
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
        let lookup = if is_immediate { self.find_keys(pending()).now_or_never() } else { None };
        self.receive(lookup)
    }

    /// Looks up the keys until `deadline` completes.
    pub(crate) async fn identify_by_until(
        mut self,
        id: Result<WebhookId, IdFault>,
        deadline: impl Future<Output = ()>,
    ) -> Result<Receiving, Refused> {
        self.name(id)?;
        let lookup = self.find_keys(deadline).await;
        self.receive(Some(lookup))
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
            return Err(self.log.refuse(RefusalReason::PeerBlocked, RetryHint::For(wait)));
        }
        if let Some(reason) = fault {
            return Err(self.log.refuse(reason, RetryHint::None));
        }
        self.log.identified = true;
        Ok(())
    }

    /// The store's answer, or how long the peer is blocked.
    async fn find_keys(&mut self, deadline: impl Future<Output = ()>) -> Lookup {
        let Some(id) = self.log.webhook_id.clone() else { return Lookup::Answered(Ok(None)) };
        let inner = Arc::clone(&self.log.inner);
        let answer = match inner.keys.look_up(id.as_str(), || self.log.reserve()) {
            Lookup::Pending(waiter) => match select(pin!(waiter.answer()), pin!(deadline)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(StoreError::new("no answer within the deadline")),
            },
            Lookup::Answered(answer) => answer,
            denied @ Lookup::Denied(_) => return denied,
        };
        if !matches!(answer, Ok(None)) {
            self.log.return_reservation();
        }
        Lookup::Answered(answer)
    }

    /// `lookup` is `None` if the keys have to be awaited and the caller cannot wait.
    fn receive(mut self, lookup: Option<Lookup>) -> Result<Receiving, Refused> {
        let (reason, hint) = match lookup {
            Some(Lookup::Answered(Ok(keys))) => return self.receive_with(keys),
            Some(Lookup::Answered(Err(error))) if error.is_panic() => (RefusalReason::LookupPanicked, RetryHint::None),
            Some(Lookup::Answered(Err(error))) => {
                self.log.inner.monitor.store_failed(StoreKind::Keys, &error);
                (RefusalReason::KeyStoreUnavailable, RetryHint::For(error.retry_after()))
            }
            Some(Lookup::Denied(wait)) => (RefusalReason::PeerBlocked, RetryHint::For(wait)),
            Some(Lookup::Pending(_)) | None => (RefusalReason::Misconfigured, RetryHint::None),
        };
        Err(self.log.refuse(reason, hint))
    }

    /// Begins the body under the keys, or under a decoy if the id is unknown or has no live key.
    fn receive_with(mut self, keys: Option<PreparedKeys>) -> Result<Receiving, Refused> {
        let Inner { decoys, keys: source, rules, monitor, .. } = &*self.log.inner;
        self.log.known_id = keys.is_some();
        let decoy_reason = if keys.is_some() { Reason::NoLiveKey.into() } else { RefusalReason::UnknownId };
        let live = keys.filter(|keys| keys.has_live(self.log.began.wall));
        let decoy = live.is_none().then_some(decoy_reason);
        // Cloned, as a lookup clones its keys: the same work.
        let keys = live.unwrap_or_else(|| decoys.of_size(source.common_size()).clone());
        // Decoys are checked too: the same work.
        if !keys.are_for(rules.scheme.algorithm()) {
            monitor.store_failed(StoreKind::Keys, &StoreError::new(WRONG_SCHEME));
            return Err(self.log.refuse(RefusalReason::Misconfigured, RetryHint::None));
        }
        Ok(Receiving { verification: self.opening.with_keys(&keys), decoy, log: self.log })
    }
}

impl<H: ?Sized> fmt::Debug for Examined<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Examined(…)")
    }
}

const WRONG_SCHEME: &str =
    "keys prepared for another scheme: prepare them with `Scheme::prepare` of the Warden's scheme";
