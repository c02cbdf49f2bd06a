//! The verified facts about an admitted request.

use std::sync::Arc;

use super::handler_claim::{HandlerClaim, TakenClaim};
use super::id::WebhookId;
use crate::secret::KeyId;
use crate::time::Timestamp;
use crate::verifier::{ReplayKey, Verified};

/// The verified facts about an admitted request: the webhook id, the key that matched, the timestamp.
///
/// A handler gets it from `Webhook::delivery`, from the request's extensions, or from
/// [`Admitted::delivery`](super::Admitted::delivery).
///
/// ```
/// use hookwarden::warden::VerifiedDelivery;
///
/// /// A line for the application's own log.
/// fn describe(delivery: &VerifiedDelivery) -> String {
///     let age = delivery.skew().unwrap_or(0);
///     format!("from {}, signed {age} s ago with key {}", delivery.webhook_id(), delivery.key_id())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct VerifiedDelivery {
    webhook_id: WebhookId,
    verified: Verified,
    /// The key of the id that the sender signed.
    id_key: Option<ReplayKey>,
    /// The claim, if a shared store holds it.
    claim: Option<Arc<HandlerClaim>>,
}

impl VerifiedDelivery {
    pub(super) const fn new(webhook_id: WebhookId, verified: Verified, id_key: Option<ReplayKey>) -> Self {
        Self { webhook_id, verified, id_key, claim: None }
    }

    /// Takes the claim on this delivery, so that a store in the application's database can commit it in the handler's own
    /// transaction: either the work and the commit are both there, or neither is. `None` if the claim is not in a shared
    /// store, or with [`Replay::danger_simultaneous_only`](super::Replay::danger_simultaneous_only), which stores no handled
    /// delivery.
    ///
    /// From then on the Warden never commits the delivery. When the handler has ended, it releases the delivery, which
    /// changes nothing if the transaction has committed it. If the handler answered 2xx although the delivery was not
    /// committed, adapters answer 503, and [`Admitted::commit_async`](super::Admitted::commit_async) returns an error.
    ///
    /// This is the interface of stores such as `hookwarden-sqlx`; a handler calls the store. Take the claim only to commit it.
    #[must_use]
    pub fn take_claim(&self) -> Option<TakenClaim<'_>> {
        self.claim.as_ref().map(|claim| claim.take(self.webhook_id(), self.replay_keys()))
    }

    pub(super) fn set_claim(&mut self, claim: HandlerClaim) {
        self.claim = Some(Arc::new(claim));
    }

    pub(super) fn is_claim_taken(&self) -> bool {
        self.claim.as_deref().is_some_and(HandlerClaim::is_taken)
    }

    pub(super) const fn id_key(&self) -> Option<ReplayKey> {
        self.id_key
    }

    /// Returns the webhook id whose keys signed the request: the canonical id if the key store [names
    /// one](crate::crypto::PreparedKeys::webhook_id), otherwise the id in the request.
    #[must_use]
    pub fn webhook_id(&self) -> &str {
        self.webhook_id.as_str()
    }

    /// Returns the id of the key that matched.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.verified.key_id()
    }

    /// Returns when the sender signed, by the sender's clock. `None` if the scheme signs no timestamp.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.verified.timestamp()
    }

    /// Returns the receiver's clock minus the timestamp, in seconds. `None` if the scheme signs no timestamp.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.verified.skew()
    }

    pub(super) const fn id(&self) -> &WebhookId {
        &self.webhook_id
    }

    pub(super) const fn latest_timestamp(&self) -> Option<Timestamp> {
        self.verified.latest_timestamp()
    }

    pub(super) fn replay_keys(&self) -> &[ReplayKey] {
        self.verified.replay_keys()
    }
}
