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
mod content;
#[cfg(feature = "serde")]
mod document;
mod layout;
mod limits;
mod listed_headers;
mod presets;
mod reading;
mod secret_format;
mod template;
mod timestamp_place;

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
pub use listed_headers::{ListedHeaderForm, ListedHeaders, NamesIn};
pub use secret_format::SecretFormat;
pub use template::SignedPart;
pub use timestamp_place::TimestampSource;

pub(crate) use content::Content;
#[cfg(feature = "diagnose")]
pub(crate) use layout::Entry;
#[cfg(feature = "diagnose")]
pub(crate) use limits::MAX_VALUE_BYTES;
pub(crate) use reading::{Candidates, Reading};
pub(crate) use timestamp_place::TimestampPlace;

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
#[cfg_attr(feature = "serde", doc = include_str!("scheme/document.md"))]
#[derive(Debug, Clone)]
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
