//! The verified facts about an admitted request.

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
}

impl VerifiedDelivery {
    pub(super) const fn new(webhook_id: WebhookId, verified: Verified) -> Self {
        Self { webhook_id, verified }
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
