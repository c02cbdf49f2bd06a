//! The signed content, part by part.

use alloc::borrow::Cow;
use alloc::vec::Vec;

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

/// Signed headers that the sender chooses and lists by name in another header or field.
///
/// Each listed header must occur exactly once, and a list has at most 32 names.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::headers::FieldName;
/// use hookwarden::scheme::{ListedHeaderForm, ListedHeaders, NamesIn, SignedPart};
/// use hookwarden::time::TimestampFormat;
///
/// // Acme-Signed-Headers: acme-signed-headers,acme-sent-at,acme-topic
/// let names = FieldName::new("Acme-Signed-Headers")?;
/// let listed = ListedHeaders {
///     names_in: NamesIn::Header(names.clone()),
///     separator: ',',
///     pair: ListedHeaderForm::NameAndValue,
///     join: ";".into(),
///     require: vec![names, FieldName::new("Acme-Sent-At")?],
/// };
/// // Signs `acme-signed-headers:…;acme-sent-at:…;acme-topic:…`, a line break and the body.
/// let scheme = Scheme::builder("acme")
///     .signature_header("Acme-Signature")
///     .timestamp_header("Acme-Sent-At", TimestampFormat::Milliseconds)
///     .signed([SignedPart::ListedHeaders(listed), SignedPart::literal("\n"), SignedPart::Body])
///     .build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct ListedHeaders {
    /// Where the list of names is.
    pub names_in: NamesIn,
    /// The character between two names: ASCII, but not a letter, a digit or `-`. White space around a name is ignored.
    pub separator: char,
    /// What is signed of each header.
    pub pair: ListedHeaderForm,
    /// The text between two headers in the signed content.
    pub join: Cow<'static, str>,
    /// Headers that must be in the list. A signer lists them in this order, unless the sender sets the list itself.
    #[cfg_attr(feature = "serde", serde(default))]
    pub require: Vec<FieldName>,
}

/// Where a list of header names is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NamesIn {
    /// In a header.
    Header(FieldName),
    /// In a field of the signature header, in the layout [`Layout::Fields`](super::Layout::Fields).
    Field(Cow<'static, str>),
}

/// What is signed of a listed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[non_exhaustive]
pub enum ListedHeaderForm {
    /// The name in lower case, a colon and the value.
    #[cfg_attr(feature = "serde", serde(rename = "name:value"))]
    NameAndValue,
    /// The value alone. The list of names must then be signed by another part. A value that contains
    /// [`join`](ListedHeaders::join), or the text between the last header and the body, can still be split in more than
    /// one way; this is a weakness of such formats.
    #[cfg_attr(feature = "serde", serde(rename = "value"))]
    Value,
}
