//! Allows a deliberate resend of a handled delivery.

use super::Warden;
use crate::error::StoreError;

impl Warden {
    /// Forgets the id of a finished delivery, so that the sender can deliver it again on purpose, for example with the
    /// provider's button to resend an event. Returns whether the id was stored. `delivery_id` is the id as the sender
    /// writes it, such as `msg_2KWPBgLlAfxdpx2AI54pPJ85f4W`.
    ///
    /// Only a request that the sender signs again is handled then. An exact copy of the handled request is still a
    /// duplicate, as is a request while the delivery is being handled.
    ///
    /// ```
    /// use hookwarden::Warden;
    /// use hookwarden::error::StoreError;
    ///
    /// async fn allow_resend(warden: &Warden, webhook_id: &str, delivery_id: &str) -> Result<(), StoreError> {
    ///     let was_handled = warden.forget(webhook_id, delivery_id).await?;
    ///     println!("{webhook_id}: {delivery_id} {}", if was_handled { "can be sent again" } else { "is not stored" });
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Returns an error if a shared store is unavailable.
    pub async fn forget(&self, webhook_id: &str, delivery_id: &str) -> Result<bool, StoreError> {
        self.inner.stores.forget(webhook_id, delivery_id).await
    }
}
