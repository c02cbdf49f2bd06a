//! The causes that a diagnosis reports.

use std::borrow::Cow;
use std::fmt;

/// One thing that is wrong with a request, or with how it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    kind: CauseKind,
    what: Cow<'static, str>,
    fix: Cow<'static, str>,
    proven: bool,
    header: Option<String>,
    seconds: Option<i64>,
    offset: Option<usize>,
}

impl Cause {
    pub(super) fn new(kind: CauseKind, what: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, what: what.into(), fix: fix.into(), proven: false, header: None, seconds: None, offset: None }
    }

    #[cfg(feature = "message-signatures")]
    pub(super) fn with_fix(self, fix: impl Into<Cow<'static, str>>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    pub(super) fn at_header(self, name: impl Into<String>) -> Self {
        Self { header: Some(name.into()), ..self }
    }

    pub(super) fn of_seconds(self, seconds: i64) -> Self {
        Self { seconds: Some(seconds), ..self }
    }

    pub(super) fn at_offset(self, offset: usize) -> Self {
        Self { offset: Some(offset), ..self }
    }

    pub(super) fn proven(self) -> Self {
        Self { proven: true, ..self }
    }

    /// Returns a cause of the same kind whose texts quote nothing of the request.
    pub(super) fn without_quotes(self) -> Self {
        let fix =
            "details are left out, because they would show a secret; compare the sender's and the receiver's settings";
        Self { what: self.kind.as_str().into(), fix: fix.into(), header: None, ..self }
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.what, &*self.fix].into_iter().chain(self.header.as_deref())
    }

    /// The kind of the cause. Its name is stable.
    #[must_use]
    pub const fn kind(&self) -> CauseKind {
        self.kind
    }

    /// What is wrong, in one sentence.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to change, and on which side, in one sentence.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.fix
    }

    /// Whether the received signature verifies once this and every other proven cause is corrected. The other causes
    /// are read from the head or suspected.
    #[must_use]
    pub const fn is_proven(&self) -> bool {
        self.proven
    }

    /// The header at fault, if there is one.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// The receiver's clock minus the timestamp, in seconds, for a cause about the timestamp: positive for a timestamp
    /// in the past, negative for one in the future.
    #[must_use]
    pub const fn seconds(&self) -> Option<i64> {
        self.seconds
    }

    /// The index of the first byte of the captured body that differs from the signed body.
    #[must_use]
    pub const fn offset(&self) -> Option<usize> {
        self.offset
    }
}

/// Writes the kind, what is wrong and the fix on one line.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.what)?;
        if let Some(offset) = self.offset {
            write!(f, " (from byte {offset} of the body on)")?;
        }
        write!(f, "; {}", self.fix)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The kind of a [`Cause`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CauseKind {
            $($(#[$doc])* $kind,)*
        }

        impl CauseKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The kind's stable name, in kebab case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A header that the scheme needs is missing, and no header has a similar name.
    HeaderMissing = "header-missing",
    /// A header that the scheme needs is missing, but a header with a similar name is present.
    HeaderRenamed = "header-renamed",
    /// A header that must occur once occurs more than once.
    HeaderDuplicated = "header-duplicated",
    /// A signed header is too long, or contains the text that separates it from the next part.
    HeaderMalformed = "header-malformed",
    /// The signature header lacks a field, such as `t=`.
    FieldMissing = "field-missing",
    /// The signature header has more signatures than a verifier accepts.
    SignatureCount = "signature-count",
    /// The scheme signs the method, the path or the URL, and the capture has no request line.
    RequestLineMissing = "request-line-missing",
    /// The request follows the scheme of another provider.
    OtherScheme = "other-scheme",
    /// The signature header contains nothing that could be a signature.
    SignatureMalformed = "signature-malformed",
    /// The signature has an encoding other than the scheme's.
    SignatureEncoding = "signature-encoding",
    /// The signature lacks the scheme's prefix.
    SignaturePrefixMissing = "signature-prefix-missing",
    /// The signature has a prefix, and the scheme has none.
    SignaturePrefixExtra = "signature-prefix-extra",
    /// The signature has a prefix other than the scheme's.
    SignaturePrefixDiffers = "signature-prefix-differs",
    /// The signature is in quotes.
    SignatureQuoted = "signature-quoted",
    /// The signature is truncated.
    SignatureTruncated = "signature-truncated",
    /// The sender sends the secret itself.
    SignatureIsSecret = "signature-is-secret",
    /// No signature has the label of the profile, or `Signature` and `Signature-Input` have different labels.
    SignatureLabel = "signature-label",
    /// No signature has the tag of the profile.
    SignatureTag = "signature-tag",
    /// The time in the parameter `expires` has passed.
    SignatureExpired = "signature-expired",
    /// A parameter of the signature is forbidden, malformed or out of the limits of the profile.
    SignatureParameter = "signature-parameter",
    /// The signature covers a component that cannot be verified.
    ComponentUnsupported = "component-unsupported",
    /// The timestamp is in milliseconds or finer units, and the scheme's is not.
    TimestampMilliseconds = "timestamp-milliseconds",
    /// The timestamp is in seconds, and the scheme's is not.
    TimestampSeconds = "timestamp-seconds",
    /// The timestamp is a date of RFC 3339 or ISO 8601 in a form that the scheme does not accept.
    TimestampRfc3339 = "timestamp-rfc3339",
    /// The timestamp is an HTTP date, or a date in a similar form that the scheme does not accept.
    TimestampHttpDate = "timestamp-http-date",
    /// The timestamp has no known format.
    TimestampMalformed = "timestamp-malformed",
    /// The timestamp is too old.
    TimestampStale = "timestamp-stale",
    /// The timestamp is too far in the future.
    TimestampEarly = "timestamp-early",
    /// The timestamp is off by the offset of a time zone.
    TimestampTimeZone = "timestamp-time-zone",
    /// The timestamp was signed in a format other than the one in its header.
    TimestampSignedForm = "timestamp-signed-form",
    /// The signature is an HMAC with another hash function.
    AlgorithmDiffers = "algorithm-differs",
    /// The signature is a plain hash, not an HMAC.
    AlgorithmNotHmac = "algorithm-not-hmac",
    /// The signature is an HMAC with key and message swapped.
    AlgorithmSwapped = "algorithm-swapped",
    /// The secret has extra white space, or lacks some.
    SecretWhiteSpace = "secret-white-space",
    /// The secret is in quotes.
    SecretQuoted = "secret-quoted",
    /// The secret's text is more of a settings file: it has the name of a variable before it, or a comment after it.
    SecretAssignment = "secret-assignment",
    /// The secret must be decoded from base64.
    SecretBase64 = "secret-base64",
    /// The secret must be decoded from URL-safe or unpadded base64.
    SecretBase64Url = "secret-base64url",
    /// The secret must be decoded from hex.
    SecretHex = "secret-hex",
    /// The secret's text is the key and must not be decoded.
    SecretLiteral = "secret-literal",
    /// The prefix `whsec_` of the secret was kept and must be removed, or was removed and must be kept.
    SecretPrefix = "secret-prefix",
    /// The secret's letters have the wrong case.
    SecretCase = "secret-case",
    /// Characters of the secret are escaped and should not be, or the reverse: `$$` for `$`, a written-out `\n`, `%2F`,
    /// `&amp;`, or a space for the `+` of base64.
    SecretEscaped = "secret-escaped",
    /// The sender's key is the secret in another character encoding, such as Latin-1.
    SecretCharset = "secret-charset",
    /// The text contains several secrets, or there are more secrets than a verifier uses.
    SecretList = "secret-list",
    /// The secret does not have the form of the scheme.
    SecretMalformed = "secret-malformed",
    /// The signature names a key that is not configured.
    KeyUnknown = "key-unknown",
    /// The signed parts have another separator.
    TemplateSeparator = "template-separator",
    /// The signed parts are in another order.
    TemplateOrder = "template-order",
    /// Only the body is signed.
    TemplateBodyAlone = "template-body-alone",
    /// A digest of the body is signed in place of the body, or the reverse, or another digest is signed.
    TemplateBodyDigest = "template-body-digest",
    /// A part that the scheme signs is not signed.
    TemplatePartMissing = "template-part-missing",
    /// A fixed text of the scheme is not signed, or a different one is.
    TemplateLiteral = "template-literal",
    /// The sender signed more than the scheme does, such as a timestamp.
    TemplatePartExtra = "template-part-extra",
    /// The signature covers an empty body.
    BodyNotSigned = "body-not-signed",
    /// A signed header had another value.
    HeaderValueDiffers = "header-value-differs",
    /// Another method is signed.
    MethodDiffers = "method-differs",
    /// The request was sent to another host than that of the origin of the profile.
    HostDiffers = "host-differs",
    /// The query is signed and should not be, or the reverse.
    UrlQuery = "url-query",
    /// The URL is signed with `http` instead of `https`, or the reverse.
    UrlScheme = "url-scheme",
    /// The URL is signed with another host or port.
    UrlHost = "url-host",
    /// The path is signed with a slash at the end and should not be, or the reverse.
    UrlTrailingSlash = "url-trailing-slash",
    /// The URL is signed in another form: only the path, the whole URL, or the URL before a proxy changed it.
    UrlForm = "url-form",
    /// A line break was added to the body.
    BodyNewlineAdded = "body-newline-added",
    /// The line break at the end of the body was lost.
    BodyNewlineLost = "body-newline-lost",
    /// The body has extra white space at its start or end, or lacks some.
    BodyWhiteSpace = "body-white-space",
    /// The body's line ends became LF.
    BodyCrlfLost = "body-crlf-lost",
    /// The body's line ends became CRLF.
    BodyCrlfAdded = "body-crlf-added",
    /// A byte order mark was added to the body.
    BodyBomAdded = "body-bom-added",
    /// The byte order mark of the body was lost.
    BodyBomLost = "body-bom-lost",
    /// The body's JSON was parsed and serialized again.
    BodyJsonRewritten = "body-json-rewritten",
    /// Numbers of the body's JSON were written in another form: `136` for `136.0`, or rounded beyond 2^53.
    BodyJsonNumbers = "body-json-numbers",
    /// The body is JSON inside a JSON string and should not be, or the reverse.
    BodyJsonString = "body-json-string",
    /// The body was decoded with one character encoding and encoded with another.
    BodyCharset = "body-charset",
    /// Characters of the body were replaced by U+FFFD.
    BodyLossy = "body-lossy",
    /// The body is base64 or hex of the signed bytes, or the reverse.
    BodyEncoded = "body-encoded",
    /// The body is compressed, and was signed before compression.
    BodyCompressed = "body-compressed",
    /// The body was decompressed, and was signed in its compressed form.
    BodyDecompressed = "body-decompressed",
    /// The form encoding of the body was decoded, or encoded again in another way.
    BodyFormEncoding = "body-form-encoding",
    /// Only one field of a form was captured, or only one was signed.
    BodyFormField = "body-form-field",
    /// The body is JSON that was made from the fields of a form, and the form was signed.
    BodyFormParsed = "body-form-parsed",
    /// The digest of the body is made with an algorithm that proves nothing.
    DigestUnsupported = "digest-unsupported",
    /// The signed digest is that of another body.
    BodyDiffers = "body-differs",
    /// The captured body is empty, or a text such as `[object Object]`: something else read the body first.
    BodyNotCaptured = "body-not-captured",
    /// The captured body is shorter than the one that was sent.
    BodyTruncated = "body-truncated",
    /// The captured body is longer than the one that was sent.
    BodyTooLong = "body-too-long",
    /// The capture of a Warden lacks the body or the values of headers, so the signature cannot be checked.
    CaptureIncomplete = "capture-incomplete",
    /// No known mistake explains the request.
    Unexplained = "unexplained",
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
