//! The sender that the audit imitates, and its deliveries.

use std::sync::atomic::{AtomicU64, Ordering};

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::headers::FieldName;
use hookwarden::scheme::{Layout, SignedPart, TimestampSource};
use hookwarden::{Keyring, PublicKey, Scheme, Secret, Timestamp};
use sha2::Digest as _;

use super::delivery::Delivery;
use super::key_texts;
use super::message::Message;
use crate::failure::Failure;
use crate::{forgery, random};

/// A sender with the receiver's secret.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) scheme: Scheme,
    keys: Keyring,
    /// The bytes of the public key as the secret of each HMAC, to try whether a receiver confuses the two. Empty for a
    /// scheme with a shared secret.
    pub(super) public_key: Vec<(Algorithm, Secret)>,
    /// The other forms of the public key, with their descriptions.
    pub(super) public_key_texts: Vec<(&'static str, Vec<u8>)>,
    own: Vec<(String, Vec<u8>)>,
    body: Body,
    path: String,
    run: String,
    count: AtomicU64,
}

/// The body of deliveries.
#[derive(Debug)]
pub(super) enum Body {
    /// The given bytes, with each [`PLACE`] replaced by a counter.
    Counted(String),
    /// The given JSON, followed by white space that encodes a counter.
    Json(Vec<u8>),
    /// The given bytes, unchanged.
    Fixed(Vec<u8>),
}

impl Body {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) if text.contains(PLACE) => Self::Counted(text),
            Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() => Self::Json(text.into()),
            Ok(text) => Self::Fixed(text.into()),
            Err(error) => Self::Fixed(error.into_bytes()),
        }
    }
}

impl Sender {
    /// A sender that posts to `path`, with the headers `own`.
    pub(super) fn new(
        scheme: Scheme,
        secret: &str,
        own: Vec<(String, Vec<u8>)>,
        body: Body,
        path: &str,
    ) -> Result<Self, Failure> {
        let wrong = |error: hookwarden::ConfigError| Failure::Input(error.to_string());
        let secret = scheme.secret(secret).map_err(wrong)?;
        let public_key = secret.public_key().map(hmac_secrets).transpose().map_err(wrong)?.unwrap_or_default();
        let public_key_texts =
            secret.public_key().map(|key| key_texts::all(scheme.algorithm(), key)).unwrap_or_default();
        let keys = Keyring::new(secret);
        let random = random::bytes::<6>()?;
        let run = const_hex::encode(*random);
        // Makes the deliveries differ from those of an earlier audit.
        let [first @ .., _, _] = *random;
        let count = AtomicU64::new(u32::from_be_bytes(first).into());
        let sender = Self { scheme, keys, public_key, public_key_texts, own, body, path: path.to_owned(), run, count };
        for (name, _) in &sender.own {
            if sender.signature_name().eq_ignore_ascii_case(name) || sender.is_timestamp_header(name) {
                return Err(Failure::input("--header", format!("must not have {name}, which the audit writes")));
            }
        }
        let varies = sender.scheme.signed().iter().any(|part| sender.fresh_id(part).is_some());
        if matches!(sender.body, Body::Fixed(_)) && !varies {
            let problem = format!("must be JSON, or contain {PLACE}, so that deliveries differ");
            return Err(Failure::input("--body", problem));
        }
        if sender.message().sign().is_none() {
            let problem = "must have every header that the scheme signs, and one is missing";
            return Err(Failure::input("--header", problem));
        }
        Ok(sender)
    }

    /// A new unsigned message with the current time.
    pub(super) fn message(&self) -> Message<'_> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut own = self.own.clone();
        for name in self.scheme.signed().iter().filter_map(|part| self.fresh_id(part)) {
            own.push((name.as_str().to_owned(), format!("audit_{}_{count}", self.run).into_bytes()));
        }
        let body = match &self.body {
            Body::Counted(text) => text.replace(PLACE, &count.to_string()).into_bytes(),
            Body::Json(text) => {
                let digits = format!("{count:b}");
                text.iter().copied().chain(digits.bytes().map(|bit| if bit == b'0' { b' ' } else { b'\n' })).collect()
            }
            Body::Fixed(bytes) => bytes.clone(),
        };
        Message {
            sender: self,
            method: "POST",
            path: self.path.clone(),
            own,
            body,
            stamp: self.stamp(0),
            keys: self.keys.clone(),
            algorithm: self.scheme.algorithm(),
            signed: self.scheme.signed().to_vec(),
        }
    }

    /// A valid new delivery.
    pub(super) fn delivery(&self) -> Delivery {
        self.message().signed()
    }

    /// The timestamp `offset` seconds from now, if the scheme has one.
    pub(super) fn stamp(&self, offset: i64) -> Option<String> {
        self.written(Timestamp::now().as_unix().saturating_add(offset))
    }

    /// The current timestamp and the one `offset` seconds from it, from one reading of the clock.
    pub(super) fn stamps(&self, offset: i64) -> Option<(String, String)> {
        let now = Timestamp::now().as_unix();
        Some((self.written(now)?, self.written(now.saturating_add(offset))?))
    }

    fn written(&self, time: i64) -> Option<String> {
        forgery::stamp(self.scheme.timestamp_format()?, time)
    }

    /// The name of the signature header.
    pub(super) fn signature_name(&self) -> &str {
        self.scheme.signature_headers().first().map(FieldName::as_str).unwrap_or_default()
    }

    /// The name of the timestamp header, if the scheme has one.
    pub(super) fn timestamp_name(&self) -> Option<&str> {
        match self.scheme.timestamp_source()? {
            TimestampSource::Header(name) => Some(name.as_str()),
            _ => None,
        }
    }

    /// The key of the timestamp, if it is a field of the signature header.
    pub(super) fn timestamp_field(&self) -> Option<&str> {
        match self.scheme.timestamp_source()? {
            TimestampSource::Field(key) => Some(key),
            _ => None,
        }
    }

    /// The separator of signatures or fields in a header.
    pub(super) fn separator(&self) -> char {
        match self.scheme.layout() {
            Layout::List { separator, .. }
            | Layout::Fields { separator, .. }
            | Layout::FieldGroups { separator, .. }
            | Layout::Positional { separator, .. } => *separator,
            _ => ',',
        }
    }

    pub(super) fn signs_more_than_the_body(&self) -> bool {
        !matches!(self.scheme.signed(), [SignedPart::Body | SignedPart::BodyDigest { .. }])
    }

    pub(super) fn is_hex(&self) -> bool {
        self.scheme.encoding() == Encoding::Hex
    }

    fn is_timestamp_header(&self, name: &str) -> bool {
        self.timestamp_name().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// The header of the message id, if it is signed and the caller did not set it.
    fn fresh_id<'p>(&self, part: &'p SignedPart) -> Option<&'p FieldName> {
        let is_own = |name: &FieldName| self.own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name.as_str()));
        match part {
            SignedPart::Header(name) if !self.is_timestamp_header(name.as_str()) && !is_own(name) => Some(name),
            _ => None,
        }
    }
}

/// The placeholder for a counter in a given body.
pub(super) const PLACE: &str = "{number}";

/// Returns the secret of each HMAC that equals the public key.
///
/// HMAC hashes a key that is longer than a block (RFC 2104 section 2). This is done here, because the library refuses
/// the DER of a public key as a secret.
fn hmac_secrets(key: &PublicKey) -> Result<Vec<(Algorithm, Secret)>, hookwarden::ConfigError> {
    let bytes = key.as_bytes();
    let hashed =
        |block: usize, hash: fn(&[u8]) -> Vec<u8>| if bytes.len() > block { hash(bytes) } else { bytes.into() };
    [
        (Algorithm::HmacSha1, hashed(64, |bytes| sha1::Sha1::digest(bytes).to_vec())),
        (Algorithm::HmacSha256, hashed(64, |bytes| sha2::Sha256::digest(bytes).to_vec())),
        (Algorithm::HmacSha512, hashed(128, |bytes| sha2::Sha512::digest(bytes).to_vec())),
    ]
    .into_iter()
    .map(|(algorithm, bytes)| Ok((algorithm, Secret::from_bytes(bytes)?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use hookwarden::time::TimestampFormat;

    use super::*;

    #[test]
    fn every_public_key_is_tried_as_a_secret() {
        for (algorithm, pem) in [
            (Algorithm::Ed25519, include_str!("../../../../tests/public_keys/keys/ed25519.pem")),
            (Algorithm::EcdsaP256, include_str!("../../../../tests/public_keys/keys/p256.pem")),
            (Algorithm::RsaPss, include_str!("../../../../tests/public_keys/keys/rsa_a.pem")),
        ] {
            let scheme = Scheme::builder("bare").algorithm(algorithm).signature_header("X-Signature");
            let scheme = scheme.signed([SignedPart::Body]).build().unwrap();
            let secret = scheme.secret(pem).unwrap();
            let key = secret.public_key().unwrap();
            for (mac, secret) in hmac_secrets(key).unwrap() {
                let mut scheme = Scheme::builder("bare").algorithm(mac).signature_header("X-Signature");
                scheme = scheme.signed([SignedPart::Body]);
                let signer = hookwarden::Signer::new(scheme.build().unwrap(), Keyring::new(secret)).unwrap();
                let signed = signer.sign_body(b"{}").unwrap();
                let expected = match mac {
                    Algorithm::HmacSha1 => mac_under::<Hmac<sha1::Sha1>>(key.as_bytes()),
                    Algorithm::HmacSha256 => mac_under::<Hmac<sha2::Sha256>>(key.as_bytes()),
                    _ => mac_under::<Hmac<sha2::Sha512>>(key.as_bytes()),
                };
                assert_eq!(signed.iter().next().unwrap().1, expected, "{algorithm:?} {mac:?}");
            }
        }
    }

    fn mac_under<M: Mac + KeyInit>(key: &[u8]) -> String {
        const_hex::encode(<M as KeyInit>::new_from_slice(key).unwrap().chain_update(b"{}").finalize().into_bytes())
    }

    #[test]
    fn stamps_differ_by_the_requested_offset() {
        let number = |text: &str| text.parse::<i64>().unwrap();
        use TimestampFormat::{HttpDate, Milliseconds, Rfc3339, Seconds};
        for format in [Seconds, Milliseconds, Rfc3339, HttpDate] {
            let scheme = Scheme::timestamped().into_builder().timestamp_format(format).build().unwrap();
            let sender = Sender::new(scheme, "a-secret", Vec::new(), Body::new(b"{}".to_vec()), "/").unwrap();
            let seconds = |text: &str| match format {
                TimestampFormat::Seconds => number(text),
                TimestampFormat::Milliseconds => number(text) / 1000,
                TimestampFormat::HttpDate => jiff::fmt::rfc2822::parse(text).unwrap().timestamp().as_second(),
                _ => text.parse::<jiff::Timestamp>().unwrap().as_second(),
            };
            for offset in [-1, 1] {
                let (now, other) = sender.stamps(offset).unwrap();
                assert_eq!(seconds(&other) - seconds(&now), offset, "{format:?}: {now} and {other}");
            }
        }
    }
}
