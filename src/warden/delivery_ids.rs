//! The ids that identify deliveries besides their signatures.

use smallvec::SmallVec;

use super::stores::{Holder, Stores};
use crate::error::{Fault, Reason, Slot, StoreError};
use crate::future::catch_panic;
use crate::headers::{FieldName, Head, Occurrence};
use crate::keyed_hash::HashedKey;
use crate::replay::LocalReplay;
use crate::scheme::{DeliveryIdSource, MAX_VALUE_BYTES};
use crate::verifier::ReplayKey;

/// Which ids a Warden uses.
#[derive(Debug)]
pub(super) struct DeliveryIds {
    /// Where the id is that the sender signs.
    pub(super) signed: Option<DeliveryIdSource>,
    /// How long a signed id is remembered, in seconds.
    pub(super) lifetime: u32,
    /// The header that distinguishes deliveries with equal bodies. The sender does not sign it.
    pub(super) unsigned: Option<FieldName>,
}

impl Stores {
    /// Returns the header that has an id, signed or unsigned.
    pub(super) fn id_header(&self) -> Option<&FieldName> {
        let ids = &self.replay.as_ref()?.ids;
        match &ids.signed {
            Some(DeliveryIdSource::Header(name)) => Some(name),
            _ => ids.unsigned.as_ref(),
        }
    }

    /// Returns where the signed id is.
    pub(super) fn signed_id(&self) -> Option<&DeliveryIdSource> {
        self.replay.as_ref()?.ids.signed.as_ref()
    }

    /// Forgets an id in every store that may have it.
    pub(super) async fn forget(&self, webhook_id: &str, id: &str) -> Result<bool, StoreError> {
        let Some(replay) = &self.replay else { return Ok(false) };
        let (key, now) = (ReplayKey::of_delivery_id(id), self.monitor.clock.now());
        let forget_here = |store: &LocalReplay| store.forget_now(HashedKey::of_id(webhook_id), key, now);
        let was_here = replay.fallback.as_ref().is_some_and(forget_here);
        match replay.holder(false) {
            Holder::Local(store) => Ok(forget_here(store)),
            Holder::Shared(store) => catch_panic(async { store.forget(webhook_id, key, now).await })
                .await
                .map(|was_there| was_there || was_here),
        }
    }
}

/// The value of the header that has an id.
pub(super) type HeaderId = Box<SmallVec<[u8; 36]>>;

/// Reads the header `name`. `None` if the request does not have it.
pub(super) fn read<H: Head + ?Sized>(name: &FieldName, head: &H) -> Result<Option<HeaderId>, Fault> {
    match head.header(name) {
        Occurrence::Absent => Ok(None),
        Occurrence::Repeated => Err(Fault::at(Reason::DuplicateHeader, Slot::DeliveryId)),
        Occurrence::Once(value) if value.len() > MAX_VALUE_BYTES => {
            Err(Fault::at(Reason::MalformedHeader, Slot::DeliveryId))
        }
        Occurrence::Once(value) => Ok(Some(Box::new(SmallVec::from_slice(value)))),
    }
}
