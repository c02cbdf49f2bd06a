//! Signing schemes as data: what is signed, with which MAC, and where the signature is in the head.
//!
//! A [`Scheme`] describes one provider. Use a preset, such as [`Scheme::stripe`]; describe another provider with
//! [`Scheme::builder`]; or, with the feature `serde`, load a description from TOML or JSON. The same description is
//! used to verify, to sign and to diagnose.
//!
//! A scheme that cannot be described is verified by the application: see [`CustomScheme`].
//!
//! A description has these pieces:
//!
//! * the signature headers, and the [`Layout`] of a signature inside them;
//! * the signature algorithm ([`Algorithm`]) and how a signature is written ([`Encoding`]);
//! * the timestamp, if there is one: where it is, its [`TimestampFormat`], and the tolerance in seconds;
//! * the signed content, a list of [`SignedPart`]s;
//! * what the provider's secrets look like ([`SecretFormat`]);
//! * the id of a delivery that stays the same when a retry is signed again ([`DeliveryIdSource`]), if there is one.
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

mod ambiguity;
mod builder;
mod check;
mod constructors;
mod content;
mod coverage;
mod custom;
mod delivery_id;
#[cfg(feature = "serde")]
mod document;
mod keys;
mod layout;
mod limits;
mod listed_headers;
mod presets;
mod reading;
mod secret_format;
mod template;
mod timestamp_place;
mod token_header;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::error::Slot;
use crate::headers::FieldName;
use crate::time::{TimestampFormat, Tolerance};

pub use builder::SchemeBuilder;
pub use coverage::Coverage;
pub use custom::{CustomCheck, CustomHead, CustomScheme};
pub use delivery_id::DeliveryIdSource;
pub use layout::Layout;
pub use listed_headers::{ListedHeaderForm, ListedHeaders, NamesIn};
pub use secret_format::SecretFormat;
pub use template::SignedPart;
pub use timestamp_place::TimestampSource;

pub(crate) use content::{Content, Rest};
use custom::Custom;
pub(crate) use custom::RunningCheck;
#[cfg(feature = "providers")]
pub(crate) use document::SchemeDocument;
#[cfg(all(feature = "diagnose", feature = "message-signatures"))]
pub(crate) use keys::MAX_KEY_PAIRS;
#[cfg(feature = "diagnose")]
pub(crate) use layout::Entry;
#[cfg(any(feature = "diagnose", feature = "warden"))]
pub(crate) use limits::MAX_VALUE_BYTES;
use limits::{MAX_CANDIDATES, MAX_PUBLIC_KEY_SIGNATURES};
pub(crate) use reading::{Candidates, Reading, Times};
pub(crate) use timestamp_place::TimestampPlace;

/// A description of a signing scheme, or a [`CustomScheme`].
///
/// Every description is consistent: the body is signed exactly once, a timestamp that is checked is also signed, and the
/// signed content can be split into its parts in only one way, unless
/// [`danger_ambiguous_content`](SchemeBuilder::danger_ambiguous_content) permits more. A request is refused if a header
/// that the scheme reads occurs twice, except for the signature headers of a scheme that
/// [permits it](SchemeBuilder::repeated_signature_headers).
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
    delivery_id: Option<DeliveryIdSource>,
    /// `None` is the default of the algorithm.
    max_signatures: Option<u8>,
    repeated_signature_headers: bool,
    danger_ambiguous_content: bool,
    custom: Option<Custom>,
}

impl Scheme {
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

    /// Whether the scheme signs a timestamp. If not, a signed message never expires.
    #[must_use]
    pub const fn is_timestamped(&self) -> bool {
        match &self.custom {
            Some(custom) => custom.coverage.timestamp,
            None => self.timestamp.is_some(),
        }
    }

    /// For how many seconds a request can be valid that has a timestamp although it needs none.
    #[cfg(feature = "warden")]
    pub(crate) fn min_replay_lifetime(&self) -> Option<u32> {
        self.custom.as_ref()?.min_lifetime
    }

    /// The signature algorithm. If there are several, it is the first one.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature algorithms. Only a scheme for HTTP Message Signatures can have several: one for each kind of key, and
    /// the kind of a key decides for which one it is used.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        match &self.custom {
            Some(custom) if !custom.algorithms.is_empty() => &custom.algorithms,
            _ => core::slice::from_ref(&self.algorithm),
        }
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

    /// The headers that may carry a signature: at least one, except for a custom scheme that names none.
    #[must_use]
    pub fn signature_headers(&self) -> &[FieldName] {
        &self.signature_headers
    }

    /// The maximum number of signatures in a request.
    #[must_use]
    pub const fn max_signatures(&self) -> u8 {
        match self.max_signatures {
            Some(count) => count,
            None if self.algorithm.uses_public_keys() => MAX_PUBLIC_KEY_SIGNATURES,
            None => MAX_CANDIDATES,
        }
    }

    /// Whether a signature header may occur more than once.
    #[must_use]
    pub const fn repeats_signature_headers(&self) -> bool {
        self.repeated_signature_headers
    }

    /// The signed content, in order.
    #[must_use]
    pub fn signed(&self) -> &[SignedPart] {
        &self.signed
    }

    /// Whether two different messages can have the same signed content, so that one signature fits both. It is possible
    /// only with [`danger_ambiguous_content`](SchemeBuilder::danger_ambiguous_content). [`SignedPart`] documents the
    /// rule.
    #[must_use]
    pub fn has_ambiguous_content(&self) -> bool {
        self.check_unambiguous().is_err()
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

    /// Where a message carries the id of its delivery, if the scheme names it.
    #[must_use]
    pub const fn delivery_id(&self) -> Option<&DeliveryIdSource> {
        self.delivery_id.as_ref()
    }

    pub(crate) const fn timestamp(&self) -> Option<&TimestampPlace> {
        self.timestamp.as_ref()
    }

    /// Returns the setting that makes keys prepared for `other` unusable for this scheme, if there is one.
    #[cfg(feature = "warden")]
    pub(crate) fn key_difference(&self, other: &Self) -> Option<&'static str> {
        let differences = [
            (self.name != other.name, "name"),
            (self.algorithms() != other.algorithms(), "algorithm"),
            (self.secret_format != other.secret_format, "secret format"),
            (self.uses_tokens() != other.uses_tokens(), "use of its keys"),
        ];
        differences.into_iter().find_map(|(differs, what)| differs.then_some(what))
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = &ListedHeaders> {
        self.signed.iter().filter_map(|part| match part {
            SignedPart::ListedHeaders(listed) => Some(listed),
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
            #[cfg(feature = "warden")]
            Slot::DeliveryId => None,
        };
        name.map(FieldName::as_str)
    }
}
