//! The unsigned id that distinguishes deliveries with equal bodies.

use smallvec::SmallVec;

use crate::error::{Fault, Reason, Slot};
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::MAX_VALUE_BYTES;

/// The id from a header that the sender does not sign.
pub(super) type UnsignedId = Box<SmallVec<[u8; 36]>>;

/// Reads the header `name`. `None` if the request does not have it.
pub(super) fn read<H: Head + ?Sized>(name: &FieldName, head: &H) -> Result<Option<UnsignedId>, Fault> {
    match head.header(name) {
        Occurrence::Absent => Ok(None),
        Occurrence::Repeated => Err(Fault::at(Reason::DuplicateHeader, Slot::UnsignedId)),
        Occurrence::Once(value) if value.len() > MAX_VALUE_BYTES => {
            Err(Fault::at(Reason::MalformedHeader, Slot::UnsignedId))
        }
        Occurrence::Once(value) => Ok(Some(Box::new(SmallVec::from_slice(value)))),
    }
}
