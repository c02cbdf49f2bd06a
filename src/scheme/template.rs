//! The signed content, part by part.

use alloc::borrow::Cow;

use super::ListedHeaders;
use crate::headers::FieldName;

/// A part of the signed content.
///
/// The MAC is computed over the parts of [`Scheme::signed`](super::Scheme::signed) one after the other, with nothing
/// between them: a separator is a [`Literal`](Self::Literal).
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::scheme::SignedPart;
///
/// // `webhook-id.webhook-timestamp.body`
/// assert_eq!(Scheme::standard_webhooks().signed(), [
///     SignedPart::header("webhook-id")?,
///     SignedPart::literal("."),
///     SignedPart::Timestamp,
///     SignedPart::literal("."),
///     SignedPart::Body,
/// ]);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum SignedPart {
    /// A fixed text.
    Literal(Cow<'static, str>),
    /// The text of the timestamp, as received.
    Timestamp,
    /// The bytes of the body, as received. Every scheme has this part exactly once.
    Body,
    /// The method, as sent.
    Method,
    /// The path and query, as sent.
    Path,
    /// The value of a header, which must occur exactly once.
    Header(FieldName),
    /// The value of a field of the signature header, in the layout [`Layout::Fields`](super::Layout::Fields).
    Field(Cow<'static, str>),
    /// The request's public URL.
    Url {
        /// The scheme and host that senders use, without a slash at the end: `https://hooks.example.com`. It is fixed
        /// here because a sender can put anything into a `Host` header.
        base: Cow<'static, str>,
        /// ASCII characters whose percent-encoded form in the path and query is decoded before signing.
        #[cfg_attr(feature = "serde", serde(default))]
        decode: Cow<'static, str>,
    },
    /// The headers that another header or field lists by name.
    ListedHeaders(ListedHeaders),
}

impl SignedPart {
    /// A fixed text.
    #[must_use]
    pub fn literal(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Literal(text.into())
    }

    /// The value of the header `name`.
    ///
    /// # Errors
    /// The name is not a valid [`FieldName`].
    pub fn header(name: &str) -> Result<Self, crate::error::ConfigError> {
        FieldName::new(name).map(Self::Header)
    }

    /// The value of the field `key` of the signature header.
    #[must_use]
    pub fn field(key: impl Into<Cow<'static, str>>) -> Self {
        Self::Field(key.into())
    }

    /// The public URL: `base`, which is the scheme and host, followed by the path and query as sent.
    #[must_use]
    pub fn url(base: impl Into<Cow<'static, str>>) -> Self {
        Self::Url { base: base.into(), decode: Cow::Borrowed("") }
    }
}
