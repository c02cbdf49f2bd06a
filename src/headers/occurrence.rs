//! How often a header occurs.

use crate::error::{Fault, Reason, Slot};

/// How often a header occurs. Only a header that occurs once has a usable value. If there are two, a proxy and a
/// receiver may each use a different one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence<'h> {
    /// The header does not occur.
    Absent,
    /// It occurs once, with this value.
    Once(&'h [u8]),
    /// It occurs twice or more.
    Repeated,
}

impl<'h> Occurrence<'h> {
    /// Counts the values of one header, in any order.
    pub fn from_values(mut values: impl Iterator<Item = &'h [u8]>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Once(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }

    /// Returns the value of a header that must occur once.
    ///
    /// # Errors
    /// [`Reason::MissingHeader`] or [`Reason::DuplicateHeader`].
    pub const fn required(self) -> Result<&'h [u8], Reason> {
        match self {
            Self::Once(value) => Ok(value),
            Self::Absent => Err(Reason::MissingHeader),
            Self::Repeated => Err(Reason::DuplicateHeader),
        }
    }

    /// Like [`required`](Self::required), for the header at `slot` of a scheme.
    pub(crate) fn once(self, slot: Slot) -> Result<&'h [u8], Fault> {
        self.required().map_err(|reason| Fault::at(reason, slot))
    }
}
