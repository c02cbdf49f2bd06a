//! Describing a scheme in code.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::custom::Custom;
use super::{DeliveryIdSource, Layout, Scheme, SecretFormat, SignedPart, TimestampPlace, TimestampSource};
use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::error::ConfigError;
use crate::headers::FieldName;
use crate::time::{TimestampFormat, Tolerance};

/// Describes a scheme in code. Errors are reported by [`build`](Self::build), so that a description is one chain of
/// calls.
///
/// ```
/// use core::time::Duration;
/// use hookwarden::crypto::Algorithm;
/// use hookwarden::encoding::Encoding;
/// use hookwarden::scheme::{Layout, SecretFormat, SignedPart};
/// use hookwarden::time::TimestampFormat;
/// use hookwarden::{Scheme, Tolerance};
///
/// // Acme-Signature: sha512=<base64>
/// // Acme-Sent-At: 2027-01-15T08:00:00Z
/// let scheme = Scheme::builder("acme")
///     .signature_header("Acme-Signature")
///     .layout(Layout::plain("sha512="))
///     .algorithm(Algorithm::HmacSha512)
///     .encoding(Encoding::Base64)
///     .secret_format(SecretFormat::Base64)
///     .timestamp_header("Acme-Sent-At", TimestampFormat::Rfc3339)
///     .tolerance(Tolerance::new(Duration::from_secs(600))?)
///     .signed([SignedPart::Timestamp, SignedPart::literal(":"), SignedPart::Body])
///     .build()?;
///
/// // A timestamp that is checked must be signed.
/// let error = Scheme::builder("acme")
///     .signature_header("Acme-Signature")
///     .timestamp_header("Acme-Sent-At", TimestampFormat::Rfc3339)
///     .signed([SignedPart::Body])
///     .build()
///     .unwrap_err();
/// assert_eq!(error.field(), "timestamp");
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SchemeBuilder {
    scheme: Scheme,
    fault: Option<ConfigError>,
}

impl Scheme {
    /// Starts the description of a scheme. The defaults are HMAC-SHA-256, hex, no prefix, no timestamp and literal
    /// secrets.
    pub fn builder(name: impl Into<Cow<'static, str>>) -> SchemeBuilder {
        let scheme = Self {
            name: name.into(),
            algorithm: Algorithm::default(),
            signature_headers: Vec::new(),
            layout: Layout::plain(""),
            encoding: Encoding::default(),
            timestamp: None,
            signed: Vec::new(),
            secret_format: SecretFormat::default(),
            tolerance: Tolerance::DEFAULT,
            delivery_id: None,
            max_signatures: None,
            repeated_signature_headers: false,
            danger_ambiguous_content: false,
            custom: None,
        };
        scheme.into_builder()
    }

    /// Starts the description of a new scheme with the settings of this one.
    pub fn into_builder(self) -> SchemeBuilder {
        SchemeBuilder { scheme: self, fault: None }
    }
}

impl SchemeBuilder {
    /// Sets the name of the scheme, for logs and metrics: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.scheme.name = name.into();
        self
    }

    /// Sets the signature algorithm. The default is HMAC-SHA-256.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.scheme.algorithm = algorithm;
        self
    }

    /// Sets the header that carries the signature.
    pub fn signature_header(self, name: impl Into<String>) -> Self {
        self.signature_headers([name])
    }

    /// Sets headers that may each carry a signature, for example under the old and the new key. A request must
    /// have at least one of them, and none twice without
    /// [`repeated_signature_headers`](Self::repeated_signature_headers).
    pub fn signature_headers<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.scheme.signature_headers.clear();
        for name in names {
            if let Some(name) = self.parsed("signature_headers", FieldName::new(name)) {
                self.scheme.signature_headers.push(name);
            }
        }
        self
    }

    /// Sets the maximum number of signatures in a request, valid or not, of signature headers in the scheme, and of values
    /// of a repeated one: 8 to 128. The default is 32. A request with more is refused. More than 32 are allocated. With
    /// public keys the maximum is always 4, because verifying a signature takes long.
    pub fn max_signatures(mut self, count: u8) -> Self {
        self.scheme.max_signatures = Some(count);
        self
    }

    /// Permits that a signature header occurs more than once, for a provider that sends it once for each of its keys
    /// while it rotates them. One of the signatures must match. Every other header must still occur once. It needs the
    /// layout [`Layout::Plain`] or [`Layout::List`].
    ///
    /// ```
    /// use hookwarden::scheme::{Layout, SignedPart};
    /// use hookwarden::{Keyring, Scheme, Signer, Timestamp, Verifier};
    ///
    /// let scheme = Scheme::builder("acme")
    ///     .signature_header("Acme-Signature")
    ///     .repeated_signature_headers()
    ///     .layout(Layout::plain("sha256="))
    ///     .signed([SignedPart::Body])
    ///     .build()?;
    /// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
    /// let now = Timestamp::from_unix(1_800_000_000);
    /// let signed = Signer::new(scheme.clone(), keys.clone())?.sign_body_at(b"{}", now)?;
    ///
    /// let other = ("Acme-Signature", "sha256=0000000000000000000000000000000000000000000000000000000000000000");
    /// let headers: Vec<(&str, &str)> = [other].into_iter().chain(signed.iter()).collect();
    /// Verifier::new(scheme, keys)?.verify_at(&headers, b"{}", now)?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn repeated_signature_headers(mut self) -> Self {
        self.scheme.repeated_signature_headers = true;
        self
    }

    /// Sets how signatures are written inside their header. The default is one signature without a prefix.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.scheme.layout = layout;
        self
    }

    /// Sets how a signature is encoded. The default is hex.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.scheme.encoding = encoding;
        self
    }

    /// Sets the header that carries the timestamp. By default a message has no timestamp.
    pub fn timestamp_header(mut self, name: impl Into<String>, format: TimestampFormat) -> Self {
        if let Some(name) = self.parsed("timestamp.header", FieldName::new(name)) {
            self.scheme.timestamp = Some(TimestampPlace { source: TimestampSource::Header(name), format });
        }
        self
    }

    /// Sets the field of the signature header that carries the timestamp, in the layout [`Layout::Fields`],
    /// [`Layout::FieldGroups`] or [`Layout::Positional`].
    pub fn timestamp_field(mut self, key: impl Into<Cow<'static, str>>, format: TimestampFormat) -> Self {
        self.scheme.timestamp = Some(TimestampPlace { source: TimestampSource::Field(key.into()), format });
        self
    }

    /// Changes how the timestamp is written. The scheme must already have one.
    pub fn timestamp_format(mut self, format: TimestampFormat) -> Self {
        match &mut self.scheme.timestamp {
            Some(place) => place.format = format,
            None => {
                self.keep(ConfigError::new("timestamp.format", "must follow `timestamp_header` or `timestamp_field`"))
            }
        }
        self
    }

    /// Sets the signed content: 1 to 16 parts in order, with the body exactly once. It must be possible to split the
    /// content into its parts in only one way; [`SignedPart`] documents the rule.
    pub fn signed(mut self, parts: impl IntoIterator<Item = SignedPart>) -> Self {
        self.scheme.signed = parts.into_iter().collect();
        self
    }

    /// Accepts signed content that can be split into its parts in more than one way, for a provider that signs that
    /// way. One signature then fits several messages: anyone who has a signed message can move bytes from one part to
    /// the next, for example from the body to the URL, and the message still verifies.
    ///
    /// ```
    /// use hookwarden::Scheme;
    /// use hookwarden::scheme::SignedPart;
    ///
    /// let square = Scheme::builder("square")
    ///     .signature_header("x-square-hmacsha256-signature")
    ///     .signed([SignedPart::url("https://hooks.example.com"), SignedPart::Body]);
    /// assert_eq!(square.clone().build().unwrap_err().field(), "signed");
    /// assert!(square.danger_ambiguous_content().build().is_ok());
    /// ```
    pub fn danger_ambiguous_content(mut self) -> Self {
        self.scheme.danger_ambiguous_content = true;
        self
    }

    /// Sets how a secret's text is converted to a key. The default is the text's UTF-8 bytes.
    pub fn secret_format(mut self, format: SecretFormat) -> Self {
        self.scheme.secret_format = format;
        self
    }

    /// Sets how far a timestamp may be from the clock. The default is 300 seconds.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.scheme.tolerance = tolerance;
        self
    }

    /// Sets the signed header whose value is the id of a delivery. A `Warden` then recognizes a retry that
    /// the sender signs again.
    ///
    /// The value must be different for different events, and the same for every attempt to deliver one: two events with
    /// one id are one delivery, and **the second is lost**. The provider's page says what its ids identify.
    pub fn delivery_id_header(mut self, name: impl Into<String>) -> Self {
        if let Some(name) = self.parsed("delivery_id.header", FieldName::new(name)) {
            self.scheme.delivery_id = Some(DeliveryIdSource::Header(name));
        }
        self
    }

    /// Sets the place of the delivery's id in the JSON body, a JSON pointer
    /// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) such as `/id`. A `Warden` uses it with
    /// `Replay::body_delivery_id`. What [`delivery_id_header`](Self::delivery_id_header) requires applies here too.
    pub fn delivery_id_in_body(mut self, pointer: impl Into<Cow<'static, str>>) -> Self {
        self.scheme.delivery_id = Some(DeliveryIdSource::Body(pointer.into()));
        self
    }

    /// Lets the application verify.
    pub(super) fn custom(mut self, custom: Custom) -> Self {
        self.scheme.custom = Some(custom);
        self
    }

    /// Checks the description as a whole.
    ///
    /// # Errors
    /// A setting is missing, malformed or contradicts another. [`ConfigError::field`] names the first one found.
    pub fn build(self) -> Result<Scheme, ConfigError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.scheme.checked(),
        }
    }

    fn parsed(&mut self, field: &'static str, name: Result<FieldName, ConfigError>) -> Option<FieldName> {
        name.map_err(|fault| self.keep(ConfigError::new(field, alloc::format!("{fault}")))).ok()
    }

    fn keep(&mut self, fault: ConfigError) {
        self.fault.get_or_insert(fault);
    }
}
