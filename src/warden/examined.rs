//! Steps 3 and 4: checks whether the peer is blocked, and looks up the keys of the webhook id.

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;

use futures_util::future::{Either, select};

use super::Inner;
use super::answer::RetryHint;
use super::delivery_ids::HeaderId;
use super::id::{IdFault, WebhookId};
use super::receiving::Receiving;
use super::refused::Refused;
use super::request_log::RequestLog;
use crate::crypto::PreparedKeys;
use crate::error::{Reason, StoreError};
use crate::event::RefusalReason;
use crate::headers::Head;
use crate::keys::Lookup;
use crate::verifier::Opening;

/// A request whose head is well-formed and fresh. Its keys are not looked up yet.
///
/// [`Warden::examine`](super::Warden::examine) returns it. [`identify`](Self::identify) takes the webhook id from the
/// caller. [`identify_from_head`](Self::identify_from_head) reads it with the Warden's [`IdSource`](super::IdSource):
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
    pub(super) header_id: Option<HeaderId>,
}

impl<H: Head + ?Sized> Examined<'_, H> {
    /// Looks up the keys of the webhook `id`, unless the peer is blocked (steps 3 and 4).
    ///
    /// A request with an unknown id, or with an id without a live key, continues with a decoy key. It is refused when
    /// its body is complete, after the same work and with the same answer as one with a wrong signature.
    ///
    /// # Errors
    /// Returns an error if the request is refused. A Warden with [`cached_keys`](super::WardenBuilder::cached_keys)
    /// refuses every request here: use [`identify_async`](Self::identify_async).
    pub fn identify(self, id: &str) -> Result<Receiving, Refused> {
        self.identify_by(Ok(id.into()))
    }

    /// Like [`identify`](Self::identify), with the id that the Warden's [`IdSource`](super::IdSource) finds in the
    /// head.
    ///
    /// # Errors
    /// As for [`identify`](Self::identify). The request is also refused if the head has no id, or if the id is a path
    /// parameter, which only a framework knows.
    pub fn identify_from_head(self, head: &dyn Head) -> Result<Receiving, Refused> {
        let id = self.log.inner.id_source.find(head);
        self.identify_by(id)
    }

    /// Like [`identify`](Self::identify), but waits for keys.
    ///
    /// # Errors
    /// Returns an error if the request is refused.
    pub async fn identify_async(self, id: &str) -> Result<Receiving, Refused> {
        self.identify_by_until(Ok(id.into()), pending()).await
    }

    /// Like [`identify_from_head`](Self::identify_from_head), but waits for keys.
    ///
    /// # Errors
    /// Returns an error if the request is refused.
    pub async fn identify_from_head_async(self, head: &(dyn Head + Sync)) -> Result<Receiving, Refused> {
        let id = self.log.inner.id_source.find(head);
        self.identify_by_until(id, pending()).await
    }

    /// Refuses the request if the byte budget has no room for a body of `bytes` bytes, or of the body limit if that is
    /// less. Called before the key lookup: this refusal does not count against the peer, so it must not cause a lookup.
    #[cfg(feature = "tower")]
    pub(crate) fn check_room_for(&mut self, bytes: u64) -> Result<(), Refused> {
        let largest = u64::try_from(self.log.inner.body_limit).unwrap_or(u64::MAX);
        if self.log.could_hold(bytes.clamp(1, largest)) {
            return Ok(());
        }
        Err(self.log.refuse(RefusalReason::BodyBudgetExceeded, RetryHint::For(super::body_budget::RETRY)))
    }

    pub(crate) fn identify_by(mut self, id: Result<WebhookId, IdFault>) -> Result<Receiving, Refused> {
        self.start(id)?;
        let lookup = self.log.find_keys_now();
        let (keys, decoy) = self.log.take_keys(lookup)?;
        Ok(self.receive(keys, decoy))
    }

    /// Like [`identify_by`](Self::identify_by). It starts the verification in the box, where no copy of it is left behind.
    #[cfg(feature = "tower")]
    pub(crate) fn identify_boxed(mut self, id: Result<WebhookId, IdFault>) -> Result<Box<Receiving>, Refused> {
        self.start(id)?;
        let lookup = self.log.find_keys_now();
        let (keys, decoy) = self.log.take_keys(lookup)?;
        let Self { log, opening, header_id } = self;
        let mut receiving = Box::new(Receiving { verification: opening.waiting(keys), header_id, decoy, log });
        opening.start(&mut receiving.verification);
        Ok(receiving)
    }

    /// Looks up the keys until `deadline` completes.
    pub(crate) async fn identify_by_until(
        mut self,
        id: Result<WebhookId, IdFault>,
        deadline: impl Future<Output = ()>,
    ) -> Result<Receiving, Refused> {
        self.start(id)?;
        let lookup = self.log.find_keys(deadline).await;
        let (keys, decoy) = self.log.take_keys(Some(lookup))?;
        Ok(self.receive(keys, decoy))
    }

    /// Stores the id, and counts the request against its peer's quotas until it is verified.
    fn start(&mut self, id: Result<WebhookId, IdFault>) -> Result<(), Refused> {
        if let Err(refused) = self.log.set_id(id) {
            self.log.capture(refused.reason(), self.opening.head(), None);
            return Err(refused);
        }
        let reserved = self.log.reserve();
        reserved.map_err(|wait| self.log.refuse(RefusalReason::PeerBlocked, RetryHint::For(wait)))
    }

    /// Starts the verification.
    #[inline]
    fn receive(self, keys: PreparedKeys, decoy: Option<RefusalReason>) -> Receiving {
        let Self { log, opening, header_id } = self;
        let mut receiving = Receiving { verification: opening.waiting(keys), header_id, decoy, log };
        opening.start(&mut receiving.verification);
        receiving
    }
}

impl RequestLog {
    /// Stores the id. A request whose id is unreadable continues like one with an unknown id.
    pub(super) fn set_id(&mut self, id: Result<WebhookId, IdFault>) -> Result<(), Refused> {
        let reason = match id {
            Ok(id) => {
                self.webhook_id = Some(id);
                return Ok(());
            }
            Err(IdFault::Unreadable) => return Ok(()),
            Err(IdFault::NoSuchParameter) => RefusalReason::Misconfigured,
            Err(IdFault::Panicked) => RefusalReason::LookupPanicked,
            Err(IdFault::Header(reason)) => reason.into(),
        };
        Err(self.refuse(reason, RetryHint::None))
    }

    /// Looks up the keys. `None` if they must be awaited.
    pub(super) fn find_keys_now(&self) -> Option<Lookup> {
        self.inner.keys.is_immediate().then(|| self.look_up())
    }

    fn look_up(&self) -> Lookup {
        match &self.webhook_id {
            Some(id) => self.inner.keys.look_up(id.as_str()),
            None => Lookup::Answered(Ok(None)),
        }
    }

    pub(super) async fn find_keys(&self, deadline: impl Future<Output = ()>) -> Lookup {
        match self.look_up() {
            Lookup::Pending(waiter) => match select(pin!(waiter.answer()), pin!(deadline)).await {
                Either::Left((answer, _)) => Lookup::Answered(answer),
                Either::Right(_) => Lookup::Answered(Err(StoreError::new("no answer within the deadline"))),
            },
            answered => answered,
        }
    }

    /// Returns the keys of the request, or a decoy and the reason for it if the id is unknown or has no live key.
    /// `lookup` is `None` if the keys must be awaited and the caller cannot wait.
    pub(super) fn take_keys(
        &mut self,
        lookup: Option<Lookup>,
    ) -> Result<(PreparedKeys, Option<RefusalReason>), Refused> {
        let (reason, hint) = match lookup {
            Some(Lookup::Answered(Ok(keys))) => return self.live_keys(keys),
            Some(Lookup::Answered(Err(error))) if error.is_panic() => (RefusalReason::LookupPanicked, RetryHint::None),
            Some(Lookup::Answered(Err(error))) => {
                self.inner.monitor.key_store_failed(&error);
                (RefusalReason::KeyStoreUnavailable, RetryHint::For(error.retry_after()))
            }
            Some(Lookup::Pending(_)) | None => (RefusalReason::Misconfigured, RetryHint::None),
        };
        Err(self.refuse(reason, hint))
    }

    fn live_keys(&mut self, keys: Option<PreparedKeys>) -> Result<(PreparedKeys, Option<RefusalReason>), Refused> {
        self.note_keys(keys.as_ref());
        let Inner { decoys, keys: source, rules, monitor, .. } = &*self.inner;
        let decoy_reason = if keys.is_some() { Reason::NoLiveKey.into() } else { RefusalReason::UnknownId };
        let live = keys.filter(|keys| keys.has_live(self.began.wall));
        let decoy = live.is_none().then_some(decoy_reason);
        // Clone the decoy, because a lookup clones its keys: both must take the same time.
        let keys = live.unwrap_or_else(|| decoys.of_size(source.common_live_keys(self.began.wall)).clone());
        // Check decoys too: both must take the same time.
        let scheme = &rules.scheme;
        // Few schemes have several algorithms.
        if !keys.are_for(scheme.algorithm(), scheme.uses_tokens())
            && !keys.are_for_any(scheme.algorithms(), scheme.uses_tokens())
        {
            monitor.key_store_failed(&StoreError::new(WRONG_SCHEME));
            return Err(self.refuse(RefusalReason::Misconfigured, RetryHint::None));
        }
        Ok((keys, decoy))
    }
}

impl<H: ?Sized> fmt::Debug for Examined<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Examined(…)")
    }
}

const WRONG_SCHEME: &str =
    "keys prepared for another scheme: prepare them with `Scheme::prepare` of the Warden's scheme";
