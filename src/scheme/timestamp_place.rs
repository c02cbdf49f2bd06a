//! Where a timestamp is and how it is written.

use alloc::borrow::Cow;

use crate::headers::FieldName;
use crate::time::TimestampFormat;

/// Where a timestamp is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampSource {
    /// In a header.
    Header(FieldName),
    /// In a field of the signature header, in the layout [`Layout::Fields`](super::Layout::Fields) or
    /// [`Layout::Positional`](super::Layout::Positional).
    Field(Cow<'static, str>),
}

/// Where the timestamp is and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimestampPlace {
    pub(crate) source: TimestampSource,
    pub(crate) format: TimestampFormat,
}
