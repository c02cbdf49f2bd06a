//! Signing schemes as data: what is signed, with which MAC, and where it stands in the head.
//!
//! A preset describes a provider's published scheme; [`Scheme::builder`] describes any other. One description serves
//! verifying, signing, the command line and the tests.
//!
//! ```
//! use hookwarden::Scheme;
//! use hookwarden::encoding::Encoding;
//! use hookwarden::scheme::{Layout, SignedPart};
//! use hookwarden::time::TimestampFormat;
//!
//! let scheme = Scheme::builder("acme")
//!     .signature_header("Acme-Signature")
//!     .layout(Layout::plain("sha256="))
//!     .encoding(Encoding::Base64)
//!     .timestamp_header("Acme-Sent-At", TimestampFormat::Rfc3339)
//!     .signed([SignedPart::Timestamp, SignedPart::literal(":"), SignedPart::Body])
//!     .build()?;
//!
//! // A preset with one thing changed.
//! let prefixed = Scheme::timestamped().into_builder().layout(Layout::plain("sha256=")).build()?;
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```

mod builder;
mod check;
#[cfg(feature = "serde")]
mod document;
mod github;
mod layout;
mod reading;
mod slack;
mod standard_webhooks;
mod stripe;
mod template;
mod timestamped;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::crypto::mac::{Algorithm, PreparedKeys};
use crate::encoding::Encoding;
use crate::error::{ConfigError, Slot};
use crate::headers::FieldName;
use crate::secret::{Keyring, Secret, WHSEC};
use crate::time::{TimestampFormat, Tolerance};

pub use builder::SchemeBuilder;
pub use layout::Layout;
pub use template::{ListedHeaderForm, ListedHeaders, NamesIn, SignedPart};

#[cfg(feature = "diagnose")]
pub(crate) use layout::Entry;
#[cfg(feature = "diagnose")]
pub(crate) use reading::MAX_VALUE_BYTES;
pub(crate) use reading::{Candidates, Content, Reading};

/// A description of a signing scheme. One that exists is consistent: the body is signed exactly once, a timestamp
/// that is checked is signed, and every header it reads may occur only once.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "document::SchemeDocument"))]
pub struct Scheme {
    name: Cow<'static, str>,
    algorithm: Algorithm,
    signature_headers: Vec<FieldName>,
    layout: Layout,
    encoding: Encoding,
    timestamp: Option<TimestampPlace>,
    signed: Vec<SignedPart>,
    secret_format: SecretFormat,
    tolerance: Tolerance,
}

impl Scheme {
    /// `X-Webhook-Signature`: hex of HMAC-SHA-256 over `timestamp.body`; `X-Webhook-Timestamp`: Unix seconds.
    #[must_use]
    pub fn timestamped() -> Self {
        timestamped::scheme()
    }

    /// [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp`, and `v1,` + base64 in
    /// `webhook-signature`. Secrets are base64 behind `whsec_`.
    #[must_use]
    pub fn standard_webhooks() -> Self {
        standard_webhooks::scheme()
    }

    /// [Stripe](https://docs.stripe.com/webhooks#verify-manually): `Stripe-Signature: t=…,v1=…`.
    #[must_use]
    pub fn stripe() -> Self {
        stripe::scheme()
    }

    /// [GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries):
    /// `X-Hub-Signature-256: sha256=…`. It signs no timestamp, so nothing in it tells a replay from the original.
    #[must_use]
    pub fn github() -> Self {
        github::scheme()
    }

    /// [Slack](https://docs.slack.dev/authentication/verifying-requests-from-slack): `X-Slack-Signature: v0=…` and
    /// `X-Slack-Request-Timestamp`.
    #[must_use]
    pub fn slack() -> Self {
        slack::scheme()
    }

    /// Starts the description of another scheme: HMAC-SHA-256, hex, no prefix, no timestamp, literal secrets.
    pub fn builder(name: impl Into<Cow<'static, str>>) -> SchemeBuilder {
        SchemeBuilder::new(name.into())
    }

    /// Takes this scheme as the start of another one.
    pub fn into_builder(self) -> SchemeBuilder {
        SchemeBuilder::from_scheme(self)
    }

    /// The secret that a provider's text stands for.
    ///
    /// # Errors
    /// As for [`Secret::from_text`], and text that is not of the scheme's form.
    pub fn secret(&self, text: &str) -> Result<Secret, ConfigError> {
        // White space, emptiness and a bare prefix are faults in every form.
        let literal = Secret::from_text(text)?;
        let (encoding, text, form) = match self.secret_format {
            SecretFormat::Literal => return Ok(literal),
            SecretFormat::Hex => (Encoding::Hex, text, "hex"),
            SecretFormat::Base64 => (Encoding::Base64, text, "padded base64"),
            SecretFormat::Whsec => (Encoding::Base64, text.strip_prefix(WHSEC).unwrap_or(text), "padded base64"),
        };
        match encoding.decode_secret(text) {
            Some(bytes) => Secret::from_bytes(bytes),
            None => {
                Err(ConfigError::new("secret", alloc::format!("{} secrets are {form}, this one is not", self.name)))
            }
        }
    }

    /// Computes the HMAC states of `keyring` for this scheme, once, so that no request has to.
    ///
    /// # Errors
    /// The scheme decodes its secrets and a key holds a text that was not decoded: use [`secret`](Self::secret).
    pub fn prepare(&self, keyring: &Keyring) -> Result<PreparedKeys, ConfigError> {
        let decodes = self.secret_format != SecretFormat::Literal;
        match keyring.iter().find(|key| decodes && key.secret.is_literal_text()) {
            Some(key) => {
                let problem = alloc::format!(
                    "{} decodes its secrets, and key {} is plain text: make it with Scheme::secret",
                    self.name,
                    key.id
                );
                Err(ConfigError::new("secret", problem))
            }
            None => PreparedKeys::new(self.algorithm, keyring),
        }
    }

    /// The scheme's name, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tolerance that the provider asks for, 300 seconds unless it says otherwise.
    #[must_use]
    pub const fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Whether the scheme signs a timestamp, so that a message stops being valid by itself.
    #[must_use]
    pub const fn is_timestamped(&self) -> bool {
        self.timestamp.is_some()
    }

    /// The MAC.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How a signature is written.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    #[cfg(feature = "diagnose")]
    pub(crate) const fn secret_format(&self) -> SecretFormat {
        self.secret_format
    }

    /// How signatures stand in their header.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The headers that carry a signature each, at least one.
    #[must_use]
    pub fn signature_headers(&self) -> &[FieldName] {
        &self.signature_headers
    }

    /// What is signed, in its order.
    #[must_use]
    pub fn signed(&self) -> &[SignedPart] {
        &self.signed
    }

    /// Where the timestamp stands, where the scheme has one.
    #[must_use]
    pub const fn timestamp_source(&self) -> Option<&TimestampSource> {
        match &self.timestamp {
            Some(place) => Some(&place.source),
            None => None,
        }
    }

    /// How the timestamp is written, where the scheme has one.
    #[must_use]
    pub const fn timestamp_format(&self) -> Option<TimestampFormat> {
        match &self.timestamp {
            Some(place) => Some(place.format),
            None => None,
        }
    }

    pub(crate) const fn timestamp(&self) -> Option<&TimestampPlace> {
        self.timestamp.as_ref()
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = &ListedHeaders> {
        self.signed.iter().filter_map(|part| match part {
            SignedPart::ListedHeaders(listed) => Some(listed),
            _ => None,
        })
    }

    /// A signed field that holds neither the timestamp nor a list of names.
    pub(crate) fn unknown_field(&self) -> Option<&str> {
        let timestamp = self.timestamp.as_ref().map(|place| &place.source);
        self.signed.iter().find_map(|part| match part {
            SignedPart::Field(key)
                if timestamp != Some(&TimestampSource::Field(key.clone()))
                    && !self.lists().any(|listed| listed.names_in == NamesIn::Field(key.clone())) =>
            {
                Some(&**key)
            }
            _ => None,
        })
    }

    pub(crate) fn header_in(&self, slot: Slot) -> Option<&str> {
        let name = match slot {
            Slot::Signature(index) => self.signature_headers.get(usize::from(index)),
            Slot::Timestamp => match &self.timestamp.as_ref()?.source {
                TimestampSource::Header(name) => Some(name),
                TimestampSource::Field(_) => self.signature_headers.first(),
            },
            Slot::Part(index) => match self.signed.get(usize::from(index))? {
                SignedPart::Header(name)
                | SignedPart::ListedHeaders(ListedHeaders { names_in: NamesIn::Header(name), .. }) => Some(name),
                _ => self.signature_headers.first(),
            },
        };
        name.map(FieldName::as_str)
    }
}

/// What a provider's secret text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SecretFormat {
    /// The key is the text's own UTF-8 bytes.
    #[default]
    Literal,
    /// The key is the text decoded from padded base64.
    Base64,
    /// The key is the text decoded from hex.
    Hex,
    /// The key is the text decoded from padded base64, behind an optional `whsec_`.
    Whsec,
}

/// Where the timestamp stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimestampPlace {
    pub(crate) source: TimestampSource,
    pub(crate) format: TimestampFormat,
}

/// Where a timestamp stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampSource {
    /// A header of its own.
    Header(FieldName),
    /// A field of the signature header, in the layout `Fields`.
    Field(Cow<'static, str>),
}
