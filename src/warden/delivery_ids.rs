//! The ids that identify deliveries besides their signatures.

use smallvec::SmallVec;

use crate::error::{Fault, Reason, Slot};
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{DeliveryIdSource, MAX_VALUE_BYTES};

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
