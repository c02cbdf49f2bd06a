//! Signing schemes as data: what is signed, with which MAC, and where the signature is in the head.
//!
//! A [`Scheme`] describes one provider. Use a preset, such as [`Scheme::stripe`]; describe another provider with
//! [`Scheme::builder`]; or, with the feature `serde`, load a description from TOML or JSON. The same description is
//! used to verify, to sign and to diagnose.
//!
//! A description has these pieces:
//!
//! * the signature headers, and the [`Layout`] of a signature inside them;
//! * the MAC ([`Algorithm`]) and how a signature is written ([`Encoding`]);
//! * the timestamp, if there is one: where it is, its [`TimestampFormat`], and the tolerance in seconds;
//! * the signed content, a list of [`SignedPart`]s;
//! * what the provider's secrets look like ([`SecretFormat`]).
//!
//! ```
//! use hookwarden::Scheme;
//! use hookwarden::scheme::Layout;
//!
//! // A preset with one thing changed: the provider writes `sha256=` in front of the signature.
//! let scheme = Scheme::timestamped().into_builder().layout(Layout::plain("sha256=")).build()?;
//! assert!(scheme.is_timestamped());
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

/// A description of a signing scheme.
///
/// Every value of this type is consistent: the body is signed exactly once, and a timestamp that is checked is also
/// signed. A request in which a header that the scheme reads occurs twice is refused.
///
/// ```
/// use hookwarden::{Keyring, Scheme, Verifier};
///
/// let scheme = Scheme::stripe();
/// let keys = Keyring::new(scheme.secret("whsec_a-secret-as-stripe-shows-it")?);
/// let verifier = Verifier::new(scheme, keys)?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// # Schemes in TOML
///
/// With the feature `serde`, a scheme can be read from TOML, JSON or any other serde format. It is checked like one
/// from [`SchemeBuilder::build`].
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// use hookwarden::Scheme;
///
/// let scheme: Scheme = toml::from_str(r#"
///     name = "acme"
///     signature_headers = ["Acme-Signature"]
///     algorithm = "hmac-sha512"
///     layout = { plain = { prefix = "sha512=" } }
///     encoding = "base64"
///     secret = "hex"
///     timestamp = { header = "Acme-Sent-At", format = "rfc3339" }
///     tolerance = 60
///     signed = ["method", { literal = "\n" }, "path", { literal = "\n" }, "timestamp", { literal = "\n" }, "body"]
/// "#)?;
/// assert_eq!(scheme.tolerance().as_duration().as_secs(), 60);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | key | value | default |
/// | --- | --- | --- |
/// | `name` | 1 to 64 characters of `A-Z a-z 0-9 . _ -`, for logs and metrics | required |
/// | `signature_headers` | 1 to 32 different header names; each may carry a signature, and at least one must be present. The layout `fields` takes one name | required |
/// | `signed` | the signed content: 1 to 16 parts in order, see below; `"body"` exactly once | required |
/// | `algorithm` | `"hmac-sha256"`, `"hmac-sha1"`, `"hmac-sha512"` | `"hmac-sha256"` |
/// | `layout` | how a signature is written inside its header, see below | `{ plain = { prefix = "" } }` |
/// | `encoding` | `"hex"` or `"base64"` | `"hex"` |
/// | `secret` | what a secret's text means, see below | `"literal"` |
/// | `timestamp` | where the timestamp is and how it is written, see below; it must also be signed | none |
/// | `tolerance` | 1 to 86400 seconds; only with a `timestamp` | 300 |
///
/// An unknown key or value is an error at every level.
///
/// **`layout`** is one of the following. A separator is one character: a space, or a visible ASCII character that
/// cannot be part of a signature (not a letter, a digit, `+`, `/` or `=`). White space around the entries of a list and
/// around fields is ignored.
///
/// | layout | the header's value |
/// | --- | --- |
/// | `{ plain = { prefix = "sha256=" } }` | one signature after a prefix of visible ASCII. `prefix` may be left out |
/// | `{ list = { separator = " ", prefix = "v1," } }` | entries with a separator between them. Those that start with the prefix are signatures; others are ignored. The prefix must not contain the separator |
/// | `{ fields = { separator = ",", signature = "v1" } }` | `key=value` fields with a separator between them. `signature` is the key of a signature, and may occur several times; other fields are ignored unless the scheme names them |
///
/// **`timestamp`** is `{ header = "Acme-Sent-At", format = "seconds" }`, or `{ field = "t", format = "seconds" }` for a
/// field of the signature header in the layout `fields`. The format is `"seconds"`, `"milliseconds"` or `"rfc3339"`:
/// see [`TimestampFormat`]. The timestamp is signed by the part `"timestamp"`, by a part that names its header or
/// field, or by a `listed_headers` part that requires its header.
///
/// **`secret`** says what the text that the provider shows means: see [`SecretFormat`].
///
/// | value | the key is |
/// | --- | --- |
/// | `"literal"` | the UTF-8 bytes of the text |
/// | `"base64"` | the text decoded from padded base64 |
/// | `"hex"` | the text decoded from hex |
/// | `"whsec"` | the text decoded from padded base64, after the prefix `whsec_` if it has one |
///
/// **`signed`** has parts of these forms:
///
/// | part | what is signed |
/// | --- | --- |
/// | `"body"` | the bytes of the body as received |
/// | `"timestamp"` | the text of the timestamp as received |
/// | `{ literal = "." }` | a fixed text |
/// | `"method"` | the method as sent |
/// | `"path"` | the path and query as sent |
/// | `{ url = { base = "https://hooks.example.com", decode = "" } }` | `base` followed by the path and query. `base` is the scheme and host that senders use, without a slash at the end. `decode` lists ASCII characters whose percent-encoded form in the path and query is decoded first; it may be left out |
/// | `{ header = "Acme-Id" }` | the value of a header that is not a signature header |
/// | `{ field = "h" }` | the value of a field of the signature header, in the layout `fields` |
/// | `{ listed_headers = { … } }` | the headers that another header or field lists by name, see below |
///
/// A value taken from the head has at most 8,192 bytes. Where a literal separates a signed header from the parts next
/// to it, a request is refused if the header's value contains that literal: the same MAC would otherwise fit two
/// messages.
///
/// **`listed_headers`** has these keys:
///
/// | key | value | default |
/// | --- | --- | --- |
/// | `names_in` | `{ header = "Acme-Signed" }` or `{ field = "h" }`: where the list of names is. Not a signature header, and not the header or field of the timestamp | required |
/// | `separator` | the character between two names: ASCII, but not a letter, a digit or `-`; in a field, not the separator of the fields | required |
/// | `pair` | `"name:value"` for the name in lower case, a colon and the value; `"value"` for the value alone, which requires that the list of names is signed by another part | required |
/// | `join` | the text between two headers in the signed content | required |
/// | `require` | names that must be in the list; a signer lists them in this order. Two parts that read the same list must require the same names | `[]` |
///
/// A list has at most 32 names, and each listed header must occur exactly once. See [`ListedHeaders`].
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
    /// The default scheme: `X-Webhook-Signature` is the hex of HMAC-SHA-256 over `timestamp.body`, and
    /// `X-Webhook-Timestamp` is in Unix seconds.
    #[must_use]
    pub fn timestamped() -> Self {
        timestamped::scheme()
    }

    /// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
    /// `webhook-id`, `webhook-timestamp`, and one or more `v1,` + base64 in `webhook-signature`. A secret is base64,
    /// with or without the prefix `whsec_`.
    #[must_use]
    pub fn standard_webhooks() -> Self {
        standard_webhooks::scheme()
    }

    /// [Stripe](https://docs.stripe.com/webhooks#verify-manually): `Stripe-Signature: t=…,v1=…`. The whole text of a
    /// secret is the key, `whsec_` included.
    #[must_use]
    pub fn stripe() -> Self {
        stripe::scheme()
    }

    /// [GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries):
    /// `X-Hub-Signature-256: sha256=…`. It signs the body alone, so a message never expires, and a replay cannot be
    /// distinguished from a second delivery with the same body.
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

    /// Starts the description of another scheme. The defaults are HMAC-SHA-256, hex, no prefix, no timestamp and
    /// literal secrets.
    pub fn builder(name: impl Into<Cow<'static, str>>) -> SchemeBuilder {
        SchemeBuilder::new(name.into())
    }

    /// Starts the description of another scheme with the settings of this one.
    pub fn into_builder(self) -> SchemeBuilder {
        SchemeBuilder::from_scheme(self)
    }

    /// Turns the text that a provider shows into the secret that it means, by the scheme's [`SecretFormat`].
    ///
    /// # Errors
    /// As for [`Secret::from_text`], and text that cannot be decoded.
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

    /// Computes the HMAC states of a keyring for this scheme, so that requests don't have to.
    ///
    /// # Errors
    /// The scheme decodes its secrets and a key holds text that was not decoded: use [`secret`](Self::secret).
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

    /// The tolerance of the scheme: 300 seconds unless the description sets another.
    #[must_use]
    pub const fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Whether the scheme signs a timestamp. If not, a signed message is valid forever.
    #[must_use]
    pub const fn is_timestamped(&self) -> bool {
        self.timestamp.is_some()
    }

    /// The MAC algorithm.
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

    /// How signatures are written inside their header.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The headers that may carry a signature, at least one.
    #[must_use]
    pub fn signature_headers(&self) -> &[FieldName] {
        &self.signature_headers
    }

    /// The signed content, in order.
    #[must_use]
    pub fn signed(&self) -> &[SignedPart] {
        &self.signed
    }

    /// Where the timestamp is, if the scheme has one.
    #[must_use]
    pub const fn timestamp_source(&self) -> Option<&TimestampSource> {
        match &self.timestamp {
            Some(place) => Some(&place.source),
            None => None,
        }
    }

    /// How the timestamp is written, if the scheme has one.
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

    /// What makes keys that were prepared for `other` unfit for this scheme, if anything does.
    #[cfg(feature = "warden")]
    pub(crate) fn key_difference(&self, other: &Self) -> Option<&'static str> {
        let differences = [
            (self.name != other.name, "name"),
            (self.algorithm != other.algorithm, "algorithm"),
            (self.secret_format != other.secret_format, "secret format"),
        ];
        differences.into_iter().find_map(|(differs, what)| differs.then_some(what))
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

/// What the text of a provider's secret means.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::scheme::{SecretFormat, SignedPart};
///
/// let scheme = Scheme::builder("acme")
///     .signature_header("Acme-Signature")
///     .secret_format(SecretFormat::Hex)
///     .signed([SignedPart::Body])
///     .build()?;
/// assert!(scheme.secret("00ff10").is_ok());
/// assert!(scheme.secret("not hex").is_err());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SecretFormat {
    /// The key is the text's UTF-8 bytes.
    #[default]
    Literal,
    /// The key is the text decoded from padded base64.
    Base64,
    /// The key is the text decoded from hex.
    Hex,
    /// The key is the text decoded from padded base64, after the prefix `whsec_` if it has one.
    Whsec,
}

/// Where the timestamp is and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimestampPlace {
    pub(crate) source: TimestampSource,
    pub(crate) format: TimestampFormat,
}

/// Where a timestamp is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampSource {
    /// In a header.
    Header(FieldName),
    /// In a field of the signature header, in the layout [`Layout::Fields`].
    Field(Cow<'static, str>),
}
