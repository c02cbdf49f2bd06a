//! Profiles from a fuzzer's bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use arbitrary::Arbitrary;
use hookwarden::ConfigError;
use hookwarden::crypto::Algorithm;
use hookwarden::message_signatures::{Parameter, Profile, StructuredType};

use super::draft::DrawnMessage;
use super::normalized;
use super::words::{COMPONENTS, FOREIGN, HOSTS, LABELS, TEXTS, pick};

/// A profile. Its settings are often such that a request can meet them.
#[derive(Debug, Clone, Hash, Arbitrary)]
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
    covers_with_body: Vec<u8>,
    /// The host, and whether the request arrives with it.
    received_as: Option<(u8, bool)>,
    preferred_label: Option<u8>,
    ignores_insufficient: bool,
    is_base64url: bool,
    is_normalized: bool,
}

#[derive(Debug, Clone, Hash, Arbitrary)]
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
#[derive(Debug, Clone, Hash, Arbitrary)]
pub struct DrawnComponents {
    usual: Vec<u8>,
    has_other: u8,
    other: DrawnOther,
}

#[derive(Debug, Clone, Hash, Arbitrary)]
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
    /// The origin as it is signed.
    pub origin: &'static str,
    /// The host of the request.
    pub host: &'static str,
    /// Another host for which requests are accepted.
    pub received_as: Option<&'static str>,
    /// The algorithms. The sender uses the first one.
    pub algorithms: &'static [Algorithm],
    /// The components that a signature must cover.
    pub covered: Vec<String>,
    /// Those that it must cover if the request has them.
    pub covered_if_present: Vec<&'static str>,
    /// Those that it must cover if the request has a body.
    pub covered_with_body: Vec<&'static str>,
    /// Whether the body can be unsigned.
    pub has_optional_body: bool,
    /// The parameters that a signature must have.
    pub required: Vec<Parameter>,
    /// The parameters that it must not have.
    pub forbidden: Vec<Parameter>,
    /// The maximum age in seconds. Without `created`, `expires` is at most so far ahead.
    pub max_age: i64,
    /// The maximum time from `created` to `expires`.
    pub max_validity: Option<u16>,
    /// `0` permits any nonce.
    pub min_nonce_bytes: usize,
    /// The tags that count.
    pub tag: TagRule,
    /// The label, if signatures need one.
    pub label: Option<&'static str>,
    /// The label that counts if there are several signatures.
    pub preferred_label: Option<&'static str>,
    /// Whether signatures that cover too little are ignored beside others.
    pub ignores_insufficient: bool,
    /// Whether signatures are in base64url.
    pub is_base64url: bool,
    /// Whether paths are normalized.
    pub is_normalized: bool,
    /// The types of headers.
    pub types: Vec<(&'static str, StructuredType)>,
}

impl DrawnProfile {
    /// Builds the profile for a message.
    ///
    /// # Errors
    /// A setting is invalid.
    pub fn build(&self, message: &DrawnMessage) -> Result<(Profile, Settings), ConfigError> {
        let settings = self.settings(message);
        let mut builder = Profile::builder(pick(ORIGINS, self.origin))
            .algorithms(settings.algorithms.iter().copied())
            .covers(&settings.covered)
            .covers_if_present(&settings.covered_if_present)
            .covers_with_body(&settings.covered_with_body)
            .requires(settings.required.iter().copied())
            .forbids(settings.forbidden.iter().copied())
            .received_as(settings.received_as)
            .danger_unsigned_target();
        if settings.has_optional_body {
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
        if let Some(seconds) = settings.max_validity {
            builder = builder.max_validity(Duration::from_secs(seconds.into()));
        }
        if self.min_nonce_bytes.is_some() {
            builder = builder.min_nonce_bytes(settings.min_nonce_bytes);
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
        if let Some(label) = settings.preferred_label {
            builder = builder.preferred_label(label);
        }
        if settings.ignores_insufficient {
            builder = builder.ignores_insufficient_signatures();
        }
        if settings.is_base64url {
            builder = builder.base64url_signatures();
        }
        if settings.is_normalized {
            builder = builder.normalized_target();
        }
        Ok((builder.build()?, settings))
    }

    /// Public keys are slow, so few inputs have them. The hash has no pattern, so the inputs that a fuzzer derives from these
    /// do not all have them.
    fn algorithms(&self, message: &DrawnMessage) -> &'static [Algorithm] {
        let mut hasher = DefaultHasher::new();
        (self, message).hash(&mut hasher);
        match hasher.finish() % 64 {
            0 => &[Algorithm::Ed25519],
            1 => &[Algorithm::EcdsaP256],
            2 => &[Algorithm::Ed25519, Algorithm::EcdsaP256],
            3 => &[Algorithm::EcdsaP256, Algorithm::Ed25519],
            _ => &[Algorithm::HmacSha256],
        }
    }

    fn settings(&self, message: &DrawnMessage) -> Settings {
        let is_set = |bits: u8, index: usize| bits >> index & 1 == 1;
        let of = |bits: u8| PARAMETERS.into_iter().enumerate().filter(move |(at, _)| is_set(bits, *at)).map(|(_, p)| p);
        let required = self.requires.0 & self.requires.1 | 1;
        let required = if self.is_created_optional { required & !1 } else { required };
        let covered_with_body: Vec<&str> =
            self.covers_with_body.iter().take(4).map(|index| pick(COMPONENTS, *index)).collect();
        let mut covered = self.covers.texts();
        let covers_digest = covered.iter().map(String::as_str).chain(covered_with_body.iter().copied());
        if !self.has_optional_body && covers_digest.into_iter().all(|component| component != "content-digest") {
            covered.push("content-digest".to_owned());
        }
        let present = self.covers_if_present.iter().take(4).map(|index| pick(COMPONENTS, *index));
        let covered_if_present = present.filter(|name| covered.iter().all(|other| other != name)).collect();
        let drawn = pick(ORIGINS, self.origin);
        let origin = match drawn {
            "https://dot.example.:8443" if self.is_normalized => "https://dot.example:8443",
            drawn => drawn,
        };
        let authority = drawn.split_once("://").map_or("", |(_, authority)| authority);
        let received_as = self.received_as.map(|(index, _)| pick(HOSTS, index));
        Settings {
            origin,
            host: received_as.filter(|_| self.received_as.is_some_and(|(_, arrives)| arrives)).unwrap_or(authority),
            received_as,
            algorithms: self.algorithms(message),
            covered,
            covered_if_present,
            covered_with_body,
            has_optional_body: self.has_optional_body,
            required: of(required).collect(),
            forbidden: of(self.forbids.0 & self.forbids.1 & !required & !1).collect(),
            max_age: self.max_age.map_or(300, i64::from),
            max_validity: self.max_validity,
            min_nonce_bytes: self.min_nonce_bytes.map_or(0, |bytes| (bytes % 12).into()),
            tag: match self.tag {
                DrawnTag::None => TagRule::Untagged,
                DrawnTag::Exactly(index) => TagRule::Exactly(pick(TEXTS, index)),
                DrawnTag::Optional(index) => TagRule::Optional(pick(TEXTS, index)),
                DrawnTag::Any => TagRule::Any,
            },
            label: self.label.map(|index| pick(LABELS, index)),
            preferred_label: self.preferred_label.map(|index| pick(LABELS, index)),
            ignores_insufficient: self.ignores_insufficient,
            is_base64url: self.is_base64url,
            is_normalized: self.is_normalized,
            types: TYPES
                .into_iter()
                .enumerate()
                .filter(|(at, _)| is_set(self.types, *at))
                .map(|(_, known)| known)
                .collect(),
        }
    }
}

impl Settings {
    /// The host of the origin, with its port, as it is signed.
    pub fn authority(&self) -> &'static str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether requests for this host are accepted.
    pub fn permits_host(&self, host: &str) -> bool {
        let scheme = self.origin.split_once("://").map_or("", |(scheme, _)| scheme);
        let host = normalized::host(scheme, host);
        [Some(self.authority()), self.received_as]
            .into_iter()
            .flatten()
            .any(|known| normalized::host(scheme, known) == host)
    }

    /// Returns the path as it is signed.
    pub fn path(&self, path: &str) -> String {
        let path = if path.is_empty() { "/" } else { path };
        if self.is_normalized { normalized::path(path) } else { path.to_owned() }
    }
}

const ORIGINS: &[&str] = &["https://hooks.example.com", "http://a.example:8080", "https://dot.example.:8443"];

const TYPES: [(&str, StructuredType); 4] = [
    ("x-list", StructuredType::List),
    ("x-dict", StructuredType::Dictionary),
    ("x-item", StructuredType::Item),
    ("x-text", StructuredType::List),
];

const PARAMETERS: [Parameter; 6] =
    [Parameter::Created, Parameter::Expires, Parameter::Nonce, Parameter::Alg, Parameter::Keyid, Parameter::Tag];
