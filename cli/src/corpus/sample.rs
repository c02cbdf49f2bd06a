//! A valid message of a provider, with the places that near misses change.

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, RequestHead};
use hookwarden::providers::Vector;
use hookwarden::scheme::{Layout, NamesIn, SignedPart, TimestampSource};
use hookwarden::{ConfigError, Keyring, Scheme, Secret, Signer, Timestamp, Verifier};

use sha2::Digest as _;

use super::message::Message;
use crate::forgery::{self, Forgery};

/// A valid message with one signature. Near misses are derived from it.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) scheme: Scheme,
    pub(super) verifier: Verifier,
    pub(super) message: Message,
    /// The name of the header with the signature.
    pub(super) header: String,
    /// The value of that header before the signature.
    pub(super) before: String,
    /// The text of the signature, which is the rest of the value.
    pub(super) tag: String,
    /// The text of the timestamp, and the time that it means.
    pub(super) stamp: Option<(String, i64)>,
    pub(super) public_key: Option<String>,
    /// The key to sign with. `None` if only the public key is known, or if a signer would list other headers.
    keys: Option<Keyring>,
}

impl Sample {
    /// Signs the message of `vector` again, so that it has one signature and a timestamp in whole seconds. A message
    /// that cannot be signed again is used as it is.
    ///
    /// # Errors
    /// The keys are not of the scheme's form, or the message cannot be signed or does not verify.
    pub(super) fn new(scheme: &Scheme, vector: &Vector) -> Result<Self, Box<dyn std::error::Error>> {
        let verifier = Verifier::new(scheme.clone(), verifying_keys(scheme, vector)?)?;
        let lists_in_field = |part: &SignedPart| match part {
            SignedPart::ListedHeaders(listed) => matches!(listed.names_in, NamesIn::Field(_)),
            _ => false,
        };
        let keys = match &vector.secret {
            Some(text) if !scheme.signed().iter().any(lists_in_field) => Some(Keyring::new(scheme.secret(text)?)),
            _ => None,
        };
        let mut message = Message::of(vector);
        if let Some(keys) = &keys {
            let signer = Signer::new(scheme.clone(), keys.clone())?;
            let own: Vec<_> = message.headers.iter().filter(|(name, _)| !is_written(scheme, name)).cloned().collect();
            let head = RequestHead::new(&message.method, &message.path, &own);
            let signed = signer.sign_at(&head, &message.body, Timestamp::from_unix(message.now))?;
            let signed = signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            message.headers = own.iter().cloned().chain(signed).collect();
        }
        let skew = message.verify(&verifier)?.skew();
        let is_present = |name: &&FieldName| message.value(name.as_str()).is_some();
        let present: Vec<_> = scheme.signature_headers().iter().filter(is_present).collect();
        let header = present.first().map(|name| name.as_str().to_owned()).unwrap_or_default();
        let value = message.value(&header).unwrap_or_default().to_owned();
        let tag = forgery::tag(scheme.layout(), &value).unwrap_or_default().to_owned();
        let before = value.strip_suffix(&tag).unwrap_or_default().to_owned();
        let mut sample = Self {
            scheme: scheme.clone(),
            verifier,
            message,
            header,
            before,
            tag,
            stamp: None,
            public_key: vector.public_key.clone(),
            keys,
        };
        let time = skew.map(|skew| sample.message.now.saturating_sub(skew));
        sample.stamp = sample.stamp_text().zip(time);
        if present.len() > 1 || sample.raw().is_empty() || sample.stamp.is_some() != scheme.is_timestamped() {
            return Err("the signature and the timestamp cannot be found in the message".into());
        }
        Ok(sample)
    }

    /// Returns the text of the timestamp, as received.
    fn stamp_text(&self) -> Option<String> {
        let entries = |separator: char| self.before.split(separator).map(str::trim);
        let text = match (self.scheme.timestamp_source()?, self.scheme.layout()) {
            (TimestampSource::Header(name), _) => self.message.value(name.as_str()),
            (TimestampSource::Field(key), Layout::Positional { separator, fields }) => {
                let place = fields.iter().position(|field| field == key)?;
                entries(*separator).nth(place)
            }
            (TimestampSource::Field(key), _) => entries(self.separator()?)
                .find_map(|field| field.strip_prefix(&**key).and_then(|rest| rest.strip_prefix('='))),
            _ => None,
        };
        text.map(ToOwned::to_owned)
    }

    /// The character between two signatures or fields.
    pub(super) fn separator(&self) -> Option<char> {
        match self.scheme.layout() {
            Layout::List { separator, .. }
            | Layout::Fields { separator, .. }
            | Layout::FieldGroups { separator, .. }
            | Layout::Positional { separator, .. } => Some(*separator),
            _ => None,
        }
    }

    /// The text directly before each signature: a prefix, or a key and `=`.
    pub(super) fn prefix(&self) -> String {
        match self.scheme.layout() {
            Layout::Plain { prefix } | Layout::List { prefix, .. } => prefix.clone().into_owned(),
            Layout::Fields { signature, .. } | Layout::FieldGroups { signature, .. } => format!("{signature}="),
            _ => String::new(),
        }
    }

    pub(super) fn is_hex(&self) -> bool {
        self.scheme.encoding() == Encoding::Hex
    }

    /// The bytes of the signature.
    pub(super) fn raw(&self) -> Vec<u8> {
        self.scheme.encoding().decode(self.tag.as_bytes()).unwrap_or_default()
    }

    /// The text of a signature with the bit `mask` of one byte flipped.
    pub(super) fn flipped(&self, place: usize, mask: u8) -> String {
        let mut raw = self.raw();
        if let Some(byte) = raw.get_mut(place) {
            *byte ^= mask;
        }
        self.scheme.encoding().encode(&raw)
    }

    /// A signature of the right form that is wrong.
    pub(super) fn wrong(&self) -> String {
        self.flipped(0, 1)
    }

    /// The message with another value of the signature header.
    pub(super) fn with_value(&self, value: impl Into<String>) -> Message {
        self.message.clone().with(&self.header, value)
    }

    /// The message with another signature.
    pub(super) fn with_tag(&self, tag: &str) -> Message {
        self.with_value(format!("{}{tag}", self.before))
    }

    /// The message with another text directly before the signature.
    pub(super) fn with_prefix(&self, prefix: &str) -> Option<Message> {
        let old = self.prefix();
        let start = self.before.strip_suffix(&old).filter(|_| !old.is_empty() && old != prefix)?;
        Some(self.with_value(format!("{start}{prefix}{}", self.tag)))
    }

    /// The message with several signatures, if the scheme permits them.
    pub(super) fn with_tags<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> Option<Message> {
        let mut tags = tags.into_iter();
        let mut message = self.with_tag(tags.next()?);
        if self.scheme.repeats_signature_headers() {
            return Some(tags.fold(message, |message, tag| message.and(&self.header, format!("{}{tag}", self.before))));
        }
        let (separator, prefix) = (self.separator()?, self.prefix());
        let (_, value) = message.headers.iter_mut().find(|(name, _)| *name == self.header)?;
        tags.for_each(|tag| value.push_str(&format!("{separator}{prefix}{tag}")));
        Some(message)
    }

    /// The message with other texts in place of the timestamp: several are a repeated header or field. The signature is
    /// that of the original.
    pub(super) fn with_stamps(&self, texts: &[&str]) -> Option<Message> {
        let (old, _) = self.stamp.as_ref()?;
        match (self.scheme.timestamp_source()?, self.scheme.layout()) {
            (TimestampSource::Header(name), _) => {
                let place =
                    self.message.headers.iter().position(|(other, _)| name.as_str().eq_ignore_ascii_case(other))?;
                let mut message = self.message.clone();
                let (name, _) = message.headers.remove(place);
                texts.iter().rev().for_each(|text| message.headers.insert(place, (name.clone(), (*text).to_owned())));
                Some(message)
            }
            (TimestampSource::Field(_), Layout::Positional { separator, .. }) => {
                let rest = self.before.strip_prefix(old.as_str())?.strip_prefix(*separator)?;
                let values = texts.iter().map(|text| format!("{text}{separator}")).collect::<String>();
                (texts.len() < 2).then(|| self.with_value(format!("{values}{rest}{}", self.tag)))
            }
            (TimestampSource::Field(key), _) => {
                let separator = self.separator()?;
                let (start, rest) = self.before.split_once(&format!("{key}={old}{separator}"))?;
                let values = texts.iter().map(|text| format!("{key}={text}{separator}")).collect::<String>();
                Some(self.with_value(format!("{start}{values}{rest}{}", self.tag)))
            }
            _ => None,
        }
    }

    /// The text of the timestamp `seconds` after the sample's.
    pub(super) fn later(&self, seconds: i64) -> Option<String> {
        forgery::stamp(self.scheme.timestamp_format()?, self.stamp.as_ref()?.1.saturating_add(seconds))
    }

    /// The message `seconds` after the time of its timestamp.
    pub(super) fn aged(&self, seconds: i64) -> Option<Message> {
        Some(self.message.clone().at(self.stamp.as_ref()?.1.saturating_add(seconds)))
    }

    /// The tolerance of the scheme in seconds.
    pub(super) fn tolerance(&self) -> i64 {
        self.scheme.tolerance().as_duration().as_secs().try_into().unwrap_or(i64::MAX)
    }

    /// The message with a valid signature over the text `stamp` as its timestamp.
    pub(super) fn stamped(&self, stamp: &str) -> Option<Message> {
        let in_field = matches!(self.scheme.timestamp_source()?, TimestampSource::Field(_));
        if in_field && stamp.contains(self.separator()?) {
            return None;
        }
        let message = self.with_stamps(&[stamp])?;
        let tag = self.sign(&message, stamp, self.scheme.algorithm(), self.scheme.signed(), self.keys.as_ref()?)?;
        let value = message.value(&self.header)?.strip_suffix(&self.tag)?.to_owned();
        Some(message.with(&self.header, format!("{value}{tag}")))
    }

    /// The signature of a message that differs from the sample in its headers or its body.
    pub(super) fn tag_of(&self, message: &Message) -> Option<String> {
        self.tag_over(message, self.scheme.signed())
    }

    /// The signature over other parts.
    pub(super) fn tag_over(&self, message: &Message, signed: &[SignedPart]) -> Option<String> {
        self.sign(message, self.own_stamp(), self.scheme.algorithm(), signed, self.keys.as_ref()?)
    }

    /// The signature by another algorithm with the same secret.
    pub(super) fn tag_by(&self, algorithm: Algorithm) -> Option<String> {
        let is_shared = !self.scheme.algorithm().uses_public_keys();
        let keys = self.keys.as_ref().filter(|_| is_shared)?;
        self.sign(&self.message, self.own_stamp(), algorithm, self.scheme.signed(), keys)
    }

    /// The signature under another key of the same kind.
    pub(super) fn tag_under_another_key(&self) -> Option<String> {
        // Without `keys`, a signer would list other headers, or no private key of this kind is known.
        self.keys.as_ref()?;
        let secret = match self.scheme.algorithm() {
            Algorithm::HmacSha256 | Algorithm::HmacSha1 | Algorithm::HmacSha512 => Secret::from_text(ANOTHER_SECRET),
            Algorithm::Ed25519 => self.scheme.secret(ANOTHER_ED25519_KEY),
            _ => return None,
        };
        let keys = Keyring::new(secret.ok()?);
        self.sign(&self.message, self.own_stamp(), self.scheme.algorithm(), self.scheme.signed(), &keys)
    }

    /// The HMAC whose secret is the text of the public key.
    pub(super) fn hmac_of_public_key(&self) -> Option<String> {
        let text = self.public_key.as_ref()?.as_bytes();
        // HMAC hashes a key that is longer than a block (RFC 2104 section 2). The library refuses such a public key as a
        // secret.
        let is_long = text.len() > 64;
        let secret =
            if is_long { Secret::from_bytes(sha2::Sha256::digest(text).to_vec()) } else { Secret::from_bytes(text) };
        let secret = secret.ok()?;
        self.sign(&self.message, self.own_stamp(), Algorithm::HmacSha256, self.scheme.signed(), &Keyring::new(secret))
    }

    fn sign(
        &self,
        message: &Message,
        stamp: &str,
        algorithm: Algorithm,
        signed: &[SignedPart],
        keys: &Keyring,
    ) -> Option<String> {
        let is_signature =
            |name: &str| self.scheme.signature_headers().iter().any(|own| own.as_str().eq_ignore_ascii_case(name));
        let own: Vec<_> = message.headers.iter().filter(|(name, _)| !is_signature(name)).cloned().collect();
        let head = RequestHead::new(&message.method, &message.path, &own);
        let forgery = Forgery { scheme: &self.scheme, algorithm, signed, stamp };
        forgery.sign(keys, &head, &message.body).map(|(_, tag)| tag)
    }

    fn own_stamp(&self) -> &str {
        self.stamp.as_ref().map(|(text, _)| text.as_str()).unwrap_or_default()
    }
}

/// The keys with which a receiver verifies.
fn verifying_keys(scheme: &Scheme, vector: &Vector) -> Result<Keyring, ConfigError> {
    match &vector.public_key {
        Some(text) => scheme.public_key(text).map(Keyring::new),
        None => scheme.secret(vector.secret.as_deref().unwrap_or_default()).map(Keyring::new),
    }
}

/// Whether a signer writes the header.
fn is_written(scheme: &Scheme, name: &str) -> bool {
    let is = |own: &FieldName| own.as_str().eq_ignore_ascii_case(name);
    scheme.signature_headers().iter().any(is)
        || matches!(scheme.timestamp_source(), Some(TimestampSource::Header(own)) if is(own))
}

const ANOTHER_SECRET: &str = "another-secret-than-the-receivers";

/// The private key of [RFC 8032 section 7.1](https://www.rfc-editor.org/rfc/rfc8032#section-7.1), test 2.
const ANOTHER_ED25519_KEY: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
