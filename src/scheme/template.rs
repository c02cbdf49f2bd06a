//! What a scheme signs, part by part.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::headers::FieldName;

/// A part of the signed content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum SignedPart {
    /// Fixed text.
    Literal(Cow<'static, str>),
    /// The timestamp's text, as it was received.
    Timestamp,
    /// The body's bytes, as they were received.
    Body,
    /// The request's method, as sent.
    Method,
    /// The request's path and query, as sent.
    Path,
    /// The value of a header.
    Header(FieldName),
    /// The value of another field of the signature header, in the layout `Fields`.
    Field(Cow<'static, str>),
    /// The request's public URL.
    Url {
        /// The scheme and host that senders use, without a slash at the end: `https://hooks.example.com`. It is fixed
        /// here because a `Host` header is whatever a sender writes.
        base: Cow<'static, str>,
        /// The ASCII characters whose percent-encoded form in the path and query is decoded first.
        #[cfg_attr(feature = "serde", serde(default))]
        decode: Cow<'static, str>,
    },
    /// The headers that another header or field lists by name.
    ListedHeaders(ListedHeaders),
}

impl SignedPart {
    /// Fixed text.
    #[must_use]
    pub fn literal(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Literal(text.into())
    }

    /// The value of the header `name`.
    ///
    /// # Errors
    /// The name is not a token.
    pub fn header(name: &str) -> Result<Self, crate::error::ConfigError> {
        FieldName::new(name).map(Self::Header)
    }

    /// The value of the field `key` of the signature header.
    #[must_use]
    pub fn field(key: impl Into<Cow<'static, str>>) -> Self {
        Self::Field(key.into())
    }

    /// The public URL, at the scheme and host `base`, with the path and query as sent.
    #[must_use]
    pub fn url(base: impl Into<Cow<'static, str>>) -> Self {
        Self::Url { base: base.into(), decode: Cow::Borrowed("") }
    }
}

/// Headers that the sender chose to sign and lists by name. Each listed header must occur exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct ListedHeaders {
    /// Where the list of names stands.
    pub names_in: NamesIn,
    /// What stands between two names in the list.
    pub separator: char,
    /// What is signed of each header.
    pub pair: ListedHeaderForm,
    /// What stands between two headers in the signed content.
    pub join: Cow<'static, str>,
    /// Headers that must be in the list. They are what a signer lists, in this order.
    #[cfg_attr(feature = "serde", serde(default))]
    pub require: Vec<FieldName>,
}

/// Where a list of header names stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NamesIn {
    /// In a header of its own.
    Header(FieldName),
    /// In a field of the signature header, in the layout `Fields`.
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
    /// The value alone. The list of names must then be signed too. Even so, a value that contains the text between two
    /// headers, or between the last one and the body, can be cut in more than one way: the weakness is the format's.
    #[cfg_attr(feature = "serde", serde(rename = "value"))]
    Value,
}
