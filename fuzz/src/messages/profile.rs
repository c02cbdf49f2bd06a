//! Profiles from a fuzzer's bytes.

use std::time::Duration;

use arbitrary::Arbitrary;
use hookwarden::crypto::Algorithm;
use hookwarden::message_signatures::{Parameter, Profile, StructuredType};
use hookwarden::{ConfigError, Keyring, Secret, Verifier};

use super::words::{COMPONENTS, FOREIGN, LABELS, TEXTS, pick};

/// A profile for HMAC. Its settings are often such that a request can meet them.
#[derive(Debug, Clone, Arbitrary)]
pub struct DrawnProfile {
    origin: u8,
    covers: DrawnComponents,
    has_optional_body: bool,
    /// Bits of parameters.
    requires: (u8, u8),
    forbids: (u8, u8),
    max_age: Option<u16>,
    clock_skew: Option<u8>,
    max_validity: Option<u16>,
    min_nonce_bytes: Option<u8>,
    is_created_optional: bool,
    covers_if_present: Vec<u8>,
    tag: DrawnTag,
    label: Option<u8>,
    /// Bits of structured types.
    types: u8,
}

#[derive(Debug, Clone, Arbitrary)]
enum DrawnTag {
    None,
    Exactly(u8),
    Optional(u8),
    Any,
}

/// The tags that a signature may have.
#[derive(Debug, Clone, Copy)]
pub enum TagRule {
    /// None.
    Untagged,
    /// This one.
    Exactly(&'static str),
    /// This one or none.
    Optional(&'static str),
    /// Any or none.
    Any,
}

/// Components: most requests have them, but sometimes the last one is refused or rarely present.
#[derive(Debug, Clone, Arbitrary)]
pub struct DrawnComponents {
    usual: Vec<u8>,
    has_other: u8,
    other: DrawnOther,
}

#[derive(Debug, Clone, Arbitrary)]
enum DrawnOther {
    Foreign(u8),
    Any(String),
}

impl DrawnComponents {
    /// Returns them as in a profile.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> =
            self.usual.iter().take(8).map(|index| pick(COMPONENTS, *index).to_owned()).collect();
        match &self.other {
            _ if !self.has_other.is_multiple_of(8) => {}
            DrawnOther::Foreign(index) => texts.push(pick(FOREIGN, *index).to_owned()),
            DrawnOther::Any(text) => texts.push(text.clone()),
        }
        texts
    }
}

/// What a reader must know of a profile.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The origin.
    pub origin: &'static str,
    /// The components that a signature must cover.
    pub covered: Vec<String>,
    /// The parameters that a signature must have.
    pub required: Vec<Parameter>,
    /// The tags that count.
    pub tag: TagRule,
    /// The label, if signatures need one.
    pub label: Option<&'static str>,
    /// The types of headers.
    pub types: Vec<(&'static str, StructuredType)>,
}

impl DrawnProfile {
    /// Builds the profile.
    ///
    /// # Errors
    /// A setting is invalid.
    pub fn build(&self) -> Result<(Profile, Settings), ConfigError> {
        let is_set = |bits: u8, index: usize| bits >> index & 1 == 1;
        let of = |bits: u8| PARAMETERS.into_iter().enumerate().filter(move |(at, _)| is_set(bits, *at)).map(|(_, p)| p);
        let required = self.requires.0 & self.requires.1;
        let mut covered = self.covers.texts();
        if !self.has_optional_body && covered.iter().all(|component| component != "content-digest") {
            covered.push("content-digest".to_owned());
        }
        let settings = Settings {
            origin: pick(&["https://hooks.example.com", "http://a.example:8080"], self.origin),
            covered,
            required: of(required).collect(),
            tag: match self.tag {
                DrawnTag::None => TagRule::Untagged,
                DrawnTag::Exactly(index) => TagRule::Exactly(pick(TEXTS, index)),
                DrawnTag::Optional(index) => TagRule::Optional(pick(TEXTS, index)),
                DrawnTag::Any => TagRule::Any,
            },
            label: self.label.map(|index| pick(LABELS, index)),
            types: TYPES
                .into_iter()
                .enumerate()
                .filter(|(at, _)| is_set(self.types, *at))
                .map(|(_, known)| known)
                .collect(),
        };
        let of = |bits: u8| PARAMETERS.into_iter().enumerate().filter(move |(at, _)| is_set(bits, *at)).map(|(_, p)| p);
        let mut builder = Profile::builder(settings.origin)
            .algorithms([Algorithm::HmacSha256])
            .covers(&settings.covered)
            .requires(of(required))
            .forbids(of(self.forbids.0 & self.forbids.1 & !required & !1))
            .danger_unsigned_target();
        if self.has_optional_body {
            builder = builder.danger_unsigned_body();
        }
        if let Some(seconds) = self.max_age {
            builder = builder.max_age(Duration::from_secs(seconds.into()));
        }
        if let Some(seconds) = self.clock_skew {
            let seconds = u16::from(seconds).min(self.max_age.unwrap_or(u16::MAX));
            builder = builder.clock_skew(Duration::from_secs(seconds.into()));
        }
        for (name, known) in &settings.types {
            builder = builder.structured_field(name, *known);
        }
        let present = self.covers_if_present.iter().take(4).map(|index| pick(COMPONENTS, *index));
        builder = builder.covers_if_present(present.filter(|name| settings.covered.iter().all(|other| other != name)));
        if let Some(seconds) = self.max_validity {
            builder = builder.max_validity(Duration::from_secs(seconds.into()));
        }
        if let Some(bytes) = self.min_nonce_bytes {
            builder = builder.min_nonce_bytes((bytes % 12).into());
        }
        if self.is_created_optional {
            builder = builder.created_optional();
        }
        builder = match settings.tag {
            TagRule::Untagged => builder,
            TagRule::Exactly(tag) => builder.tag(tag),
            TagRule::Optional(tag) => builder.optional_tag(tag),
            TagRule::Any => builder.danger_any_tag(),
        };
        if let Some(label) = settings.label {
            builder = builder.label(label);
        }
        Ok((builder.build()?, settings))
    }
}

impl Settings {
    /// The host of the origin, with its port.
    pub fn authority(&self) -> &'static str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }
}

/// The keys of sender and receiver.
pub fn keys() -> Keyring {
    Keyring::new(Secret::from_bytes(SECRET).expect("the secret is not blank"))
}

/// The receiver.
pub fn verifier(profile: &Profile) -> Verifier {
    Verifier::new(profile.scheme("fuzz").expect("a valid name"), keys()).expect("a key for HMAC")
}

/// The HMAC of a signature base, by another implementation.
pub fn mac(base: &str) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
    ring::hmac::sign(&key, base.as_bytes()).as_ref().to_vec()
}

const SECRET: &[u8] = b"\x9c\x1f\xe4\x07\x53\xb8\x2d\xaa\x61\xf0\x8e\x35\xc9\x74\x1b\xd6";

const TYPES: [(&str, StructuredType); 4] = [
    ("x-list", StructuredType::List),
    ("x-dict", StructuredType::Dictionary),
    ("x-item", StructuredType::Item),
    ("x-text", StructuredType::List),
];

const PARAMETERS: [Parameter; 6] =
    [Parameter::Created, Parameter::Expires, Parameter::Nonce, Parameter::Alg, Parameter::Keyid, Parameter::Tag];
