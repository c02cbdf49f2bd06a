//! The signed content, part by part.

use alloc::borrow::Cow;

use super::ListedHeaders;
use crate::crypto::body_hash::HashAlgorithm;
use crate::encoding::Encoding;
use crate::headers::FieldName;

/// A part of the signed content.
///
/// The MAC is computed over the parts of [`Scheme::signed`](super::Scheme::signed) one after the other, with nothing
/// between them: a separator is a [`Literal`](Self::Literal).
///
/// # Separators
///
/// Two messages that differ in a signed part must not have the same content. Otherwise one signature fits both, and
/// anyone who has one message can create the other. So a part of variable length must be followed by a literal (before
/// the body or its digest) or preceded by one (after it) that contains a byte which the part cannot contain:
///
/// | part | what it can contain |
/// | --- | --- |
/// | [`Method`](Self::Method) | the characters of a [token](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2) |
/// | [`Path`](Self::Path), [`Url`](Self::Url) | all but control characters and spaces. The `base` of a URL counts as a literal before its path. Its `decode` must be empty, because two paths can have the same decoded content |
/// | [`Field`](Self::Field) | all but control characters and the separator of the layout |
/// | [`Header`](Self::Header) | all but control characters. A request whose value contains the literal is refused, so any literal works |
/// | [`ListedHeaders`](Self::ListedHeaders) | all but control characters, and its `join`. [`ListedHeaders`] documents further requirements |
/// | [`Timestamp`](Self::Timestamp) | needs no literal: the start and end of RFC 3339 text are fixed, an HTTP date has 29 characters, and from the year 2001 to 2286 every fresh number has the same count of digits, 10 or 13 |
/// | [`Literal`](Self::Literal), [`Body`](Self::Body) | need no literal: a literal is fixed, and the body is the remaining content |
/// | [`BodyDigest`](Self::BodyDigest) | needs no literal, because its length is fixed. If it takes the place of the body, a single other part of variable length needs none either: it is the remaining content |
///
/// Any other template is a [`ConfigError`](crate::ConfigError) unless
/// [`danger_ambiguous_content`](super::SchemeBuilder::danger_ambiguous_content) accepts it.
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
    /// The bytes of the body, as received. Every scheme has either this part or [`BodyDigest`](Self::BodyDigest),
    /// exactly once.
    Body,
    /// A digest of the body's bytes, as text. The body is hashed while it arrives, as for [`Body`](Self::Body).
    BodyDigest {
        /// The hash function.
        hash: HashAlgorithm,
        /// How the digest is written. Hex is in lower case.
        encoding: Encoding,
    },
    /// The method, as sent.
    Method,
    /// The path and query, as sent.
    Path,
    /// The value of a header, which must occur exactly once.
    Header(FieldName),
    /// The value of a field of the signature header, in the layout [`Layout::Fields`](super::Layout::Fields) or
    /// [`Layout::Positional`](super::Layout::Positional).
    Field(Cow<'static, str>),
    /// The request's public URL.
    Url {
        /// The scheme and host that senders use, without a slash at the end: `https://hooks.example.com`. It is fixed
        /// here because a sender can put anything into a `Host` header.
        base: Cow<'static, str>,
        /// ASCII characters whose percent-encoded form in the path and query is decoded before signing. Any character
        /// here needs [`danger_ambiguous_content`](super::SchemeBuilder::danger_ambiguous_content).
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

    /// A digest of the body, as text.
    ///
    /// ```
    /// use hookwarden::Scheme;
    /// use hookwarden::crypto::HashAlgorithm;
    /// use hookwarden::encoding::Encoding;
    /// use hookwarden::scheme::SignedPart;
    /// use hookwarden::time::TimestampFormat;
    ///
    /// // Signs `1800000000.<hex of the SHA-256 of the body>`.
    /// let scheme = Scheme::builder("acme")
    ///     .signature_header("Acme-Signature")
    ///     .timestamp_header("Acme-Timestamp", TimestampFormat::Seconds)
    ///     .signed([
    ///         SignedPart::Timestamp,
    ///         SignedPart::literal("."),
    ///         SignedPart::body_digest(HashAlgorithm::Sha256, Encoding::Hex),
    ///     ])
    ///     .build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn body_digest(hash: HashAlgorithm, encoding: Encoding) -> Self {
        Self::BodyDigest { hash, encoding }
    }

    /// Whether the part is the body or its digest.
    pub(crate) const fn is_body(&self) -> bool {
        matches!(self, Self::Body | Self::BodyDigest { .. })
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
