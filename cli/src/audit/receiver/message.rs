//! Messages with arbitrary content, signed or unsigned.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use hookwarden::crypto::{Algorithm, HashAlgorithm};
use hookwarden::encoding::Encoding;
use hookwarden::headers::RequestHead;
use hookwarden::scheme::{Layout, SignedPart, TimestampSource};
use hookwarden::{Keyring, Secret};
use sha2::Digest as _;

use super::delivery::Delivery;
use super::sender::Sender;
use crate::forgery::Forgery;

/// A message before it is signed. Its timestamp may be any text.
#[derive(Debug, Clone)]
pub(super) struct Message<'s> {
    pub(super) sender: &'s Sender,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) own: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) stamp: Option<String>,
    pub(super) keys: Keyring,
    pub(super) algorithm: Algorithm,
    pub(super) signed: Vec<SignedPart>,
}

impl Message<'_> {
    /// Replaces the text of the timestamp, which is then signed.
    pub(super) fn at(mut self, stamp: impl Into<String>) -> Self {
        self.stamp = Some(stamp.into());
        self
    }

    pub(super) fn carrying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Replaces the algorithm. In place of a private key, an HMAC gets the public key as its secret.
    pub(super) fn by(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        let public_key = self.sender.public_key.iter().find(|(known, _)| *known == algorithm);
        match public_key.map(|(_, key)| key.clone()) {
            Some(key) => self.under(key),
            None => self,
        }
    }

    /// Replaces the secret to sign with.
    pub(super) fn under(mut self, secret: Secret) -> Self {
        self.keys = Keyring::new(secret);
        self
    }

    /// Signs the message.
    pub(super) fn signed(self) -> Delivery {
        // `Sender::new` has signed a message, and the other parts cannot make signing fail.
        self.sign().unwrap_or_default()
    }

    /// The delivery, signed by an HMAC with these bytes as its key. `None` for another algorithm, or if the audit
    /// cannot compute the signed content.
    ///
    /// The library refuses some keys, such as the empty one and the DER of a public key, so the MAC is computed here.
    pub(super) fn signed_by_mac(self, algorithm: Algorithm, key: &[u8]) -> Option<Delivery> {
        let content = self.content()?;
        let mac = match algorithm {
            Algorithm::HmacSha256 => mac_of::<Hmac<sha2::Sha256>>(key, &content)?,
            Algorithm::HmacSha1 => mac_of::<Hmac<sha1::Sha1>>(key, &content)?,
            Algorithm::HmacSha512 => mac_of::<Hmac<sha2::Sha512>>(key, &content)?,
            _ => return None,
        };
        Some(self.sign()?.with_tag(&encoded(self.sender.scheme.encoding(), &mac)?))
    }

    /// The bytes that are signed.
    pub(super) fn content(&self) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        for part in self.forgery().parts() {
            match &part {
                SignedPart::Literal(text) => content.extend_from_slice(text.as_bytes()),
                SignedPart::Body => content.extend_from_slice(&self.body),
                SignedPart::BodyDigest { hash, encoding } => {
                    let digest = match hash {
                        HashAlgorithm::Sha256 => sha2::Sha256::digest(&self.body).to_vec(),
                        HashAlgorithm::Sha512 => sha2::Sha512::digest(&self.body).to_vec(),
                        _ => return None,
                    };
                    content.extend_from_slice(encoded(*encoding, &digest)?.as_bytes());
                }
                SignedPart::Method => content.extend_from_slice(self.method.as_bytes()),
                SignedPart::Path => content.extend_from_slice(self.path.as_bytes()),
                SignedPart::Header(name) => {
                    let (_, value) = self.own.iter().find(|(own, _)| own.eq_ignore_ascii_case(name.as_str()))?;
                    content.extend_from_slice(value);
                }
                SignedPart::Url { base, decode } if decode.is_empty() => {
                    content.extend_from_slice(base.as_bytes());
                    content.extend_from_slice(self.path.as_bytes());
                }
                _ => return None,
            }
        }
        Some(content)
    }

    /// What is signed.
    fn forgery(&self) -> Forgery<'_> {
        Forgery {
            scheme: &self.sender.scheme,
            algorithm: self.algorithm,
            signed: &self.signed,
            stamp: self.stamp.as_deref().unwrap_or_default(),
        }
    }

    /// The delivery, if it can be signed.
    pub(super) fn sign(&self) -> Option<Delivery> {
        let scheme = &self.sender.scheme;
        let source = scheme.timestamp_source();
        let stamp = self.stamp.clone().unwrap_or_default();
        let head = RequestHead::new(self.method, &self.path, &self.own);
        let (added, tag) = self.forgery().sign(&self.keys, &head, &self.body)?;
        let mut delivery = Delivery {
            method: self.method,
            path: self.path.clone(),
            headers: self.own.clone(),
            body: self.body.clone(),
            tag,
        };
        for (name, value) in added.iter() {
            let mut value = value.to_owned();
            if name.eq_ignore_ascii_case(self.sender.signature_name()) {
                value = match (source, scheme.layout()) {
                    (
                        Some(TimestampSource::Field(key)),
                        Layout::Fields { separator, .. } | Layout::FieldGroups { separator, .. },
                    ) => {
                        format!("{key}={stamp}{separator}{value}")
                    }
                    (Some(TimestampSource::Field(_)), Layout::Positional { separator, .. }) => {
                        format!("{stamp}{separator}{value}")
                    }
                    _ => value,
                };
            }
            delivery.headers.push((name.to_owned(), value.into_bytes()));
        }
        if let Some(TimestampSource::Header(name)) = source {
            delivery.headers.push((name.as_str().to_owned(), stamp.into_bytes()));
        }
        Some(delivery)
    }
}

fn mac_of<M: Mac + KeyInit>(key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let mac = <M as KeyInit>::new_from_slice(key).ok()?;
    Some(mac.chain_update(content).finalize().into_bytes().to_vec())
}

fn encoded(encoding: Encoding, bytes: &[u8]) -> Option<String> {
    Some(match encoding {
        Encoding::Hex => const_hex::encode(bytes),
        Encoding::Base64 => STANDARD.encode(bytes),
        Encoding::Base64Url => URL_SAFE.encode(bytes),
        Encoding::Base64UrlUnpadded => URL_SAFE_NO_PAD.encode(bytes),
        _ => return None,
    })
}
