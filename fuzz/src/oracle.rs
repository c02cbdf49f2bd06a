//! An independent verifier that follows the documentation. It copies everything and optimizes nothing.
//!
//! It uses only the public readers of [`Scheme`] of the crate, and another implementation of HMAC and of signatures.

mod content;
mod signatures;
mod stamp;
pub(crate) mod text;

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::{DeliveryIdSource, Layout, SignedPart, TimestampSource};
use hookwarden::{Keyring, Scheme, Signer};
use ring::hmac;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::keys::{PlainKey, key_pair};
use crate::request::Request;

pub use content::content;
pub use signatures::{Signatures, signatures};
pub use stamp::write as write_stamp;

/// The result for an accepted request.
#[derive(Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The index of the newest key that matches.
    pub key: usize,
    /// The timestamp in seconds.
    pub stamp: Option<i64>,
    /// The number of different timestamps, or 1 without a timestamp.
    pub stamps: usize,
}

/// Verifies `request` at the time `now`.
pub fn verify(scheme: &Scheme, keys: &[PlainKey], request: &Request, now: i64) -> Option<Acceptance> {
    let read = signatures(scheme, request)?;
    let groups = if matches!(scheme.layout(), Layout::FieldGroups { .. }) { read.groups } else { vec![read] };
    if groups.iter().map(|group| group.texts.len()).sum::<usize>() > usize::from(scheme.max_signatures()) {
        return None;
    }
    let mut stamps: Vec<Stamped> = Vec::new();
    for group in groups {
        let (text, stamp) = timestamp(scheme, request, &group)?;
        if let Some(stamp) = stamp {
            let apart = (i128::from(now) - i128::from(stamp)).abs();
            if apart > i128::from(scheme.tolerance().as_duration().as_secs()) {
                return None;
            }
        }
        match stamps.iter_mut().find(|known| known.text == text) {
            Some(known) => known.signatures.extend(group.texts),
            None => stamps.push(Stamped { text, stamp, signatures: group.texts }),
        }
    }
    if stamps.len() > 2 {
        return None;
    }
    let used = if stamps.len() == 2 { 4 } else { 8 };
    let live: Vec<_> = keys.iter().enumerate().filter(|(_, key)| key.is_live(now)).take(used).collect();
    for (place, key) in live {
        for Stamped { text, stamp, signatures } in &stamps {
            let content = content(scheme, request, text)?;
            let is_right = match public_key(scheme, &key.secret) {
                Some(key) => signatures.iter().any(|text| is_signed(scheme, &key, &content, text)),
                None => {
                    let right = tag(scheme, &key.secret, &content);
                    signatures.iter().any(|text| is_same(scheme, text, &right))
                }
            };
            if is_right {
                return Some(Acceptance { key: place, stamp: *stamp, stamps: stamps.len() });
            }
        }
    }
    None
}

/// Returns what identifies the delivery of a signed request: the id that the scheme signs, or else the signed content.
///
/// # Panics
/// The request lacks a part that the scheme signs.
pub fn identity(scheme: &Scheme, request: &Request) -> Vec<u8> {
    let id = match scheme.delivery_id() {
        Some(DeliveryIdSource::Header(name)) => request.single(name.as_str()),
        _ => None,
    };
    match id.filter(|id| !id.is_empty()) {
        Some(id) => id.to_vec(),
        None => {
            let stamp = stamp_text(scheme, request).unwrap_or_default();
            content(scheme, request, &stamp).expect("the request is signed")
        }
    }
}

/// The signatures for one of the timestamps.
struct Stamped {
    text: Vec<u8>,
    stamp: Option<i64>,
    signatures: Vec<Vec<u8>>,
}

fn is_same(scheme: &Scheme, text: &[u8], right: &str) -> bool {
    match scheme.encoding() {
        Encoding::Hex => text.to_ascii_lowercase() == right.as_bytes(),
        _ => text == right.as_bytes(),
    }
}

/// The public key of the private key that belongs to `secret`. `None` for an HMAC.
fn public_key(scheme: &Scheme, secret: &[u8]) -> Option<UnparsedPublicKey<Vec<u8>>> {
    let algorithm: &'static dyn VerificationAlgorithm = match scheme.algorithm() {
        Algorithm::Ed25519 => &signature::ED25519,
        Algorithm::EcdsaP256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP256Der => &signature::ECDSA_P256_SHA256_ASN1,
        Algorithm::RsaPkcs1 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RsaPss => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    };
    let private = key_pair(scheme, secret)?;
    Some(UnparsedPublicKey::new(algorithm, private.public_key()?.as_bytes().to_vec()))
}

fn is_signed(scheme: &Scheme, key: &UnparsedPublicKey<Vec<u8>>, content: &[u8], text: &[u8]) -> bool {
    let bytes = str::from_utf8(text).ok().and_then(|text| decode(scheme, text));
    bytes.is_some_and(|bytes| is_same(scheme, text, &encode(scheme, &bytes)) && key.verify(content, &bytes).is_ok())
}

/// Returns the signature of `content` as text. With public keys, only the verification is independent of the crate.
pub fn tag(scheme: &Scheme, secret: &[u8], content: &[u8]) -> String {
    if let Some(private) = key_pair(scheme, secret) {
        let bare = Scheme::builder("bare").algorithm(scheme.algorithm()).encoding(scheme.encoding());
        let bare = bare.signature_header("X-Sig").signed([SignedPart::Body]).build().expect("a consistent description");
        let signer = Signer::new(bare, Keyring::new(private)).expect("a private key");
        let signed = signer.sign_body(content).expect("a private key signs any body");
        return signed.iter().next().expect("one header").1.to_owned();
    }
    let algorithm = match scheme.algorithm() {
        Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::HmacSha512 => hmac::HMAC_SHA512,
        other => panic!("the oracle does not know {other:?}"),
    };
    encode(scheme, hmac::sign(&hmac::Key::new(algorithm, secret), content).as_ref())
}

/// Encodes `bytes` like a signature of the scheme.
pub fn encode(scheme: &Scheme, bytes: &[u8]) -> String {
    written(scheme.encoding(), bytes)
}

fn written(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => text::hex(bytes),
        Encoding::Base64 => text::base64(bytes),
        Encoding::Base64Url => text::base64url(bytes),
        Encoding::Base64UrlUnpadded => text::base64url_unpadded(bytes),
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// Decodes the output of [`encode`].
pub fn decode(scheme: &Scheme, tag: &str) -> Option<Vec<u8>> {
    match scheme.encoding() {
        Encoding::Hex => text::from_hex(tag),
        Encoding::Base64 => text::from_base64(tag),
        Encoding::Base64Url | Encoding::Base64UrlUnpadded => text::from_base64url(tag),
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// Returns the timestamp's text. It is empty if the scheme has no timestamp.
pub fn stamp_text(scheme: &Scheme, request: &Request) -> Option<Vec<u8>> {
    Some(timestamp(scheme, request, &first(scheme, request)?)?.0)
}

/// Returns the timestamp in seconds, even if it is not fresh.
pub fn stamp(scheme: &Scheme, request: &Request) -> Option<i64> {
    timestamp(scheme, request, &first(scheme, request)?)?.1
}

/// Returns the signatures and fields, in a layout with groups those of the first group.
fn first(scheme: &Scheme, request: &Request) -> Option<Signatures> {
    let read = signatures(scheme, request)?;
    if matches!(scheme.layout(), Layout::FieldGroups { .. }) { read.groups.into_iter().next() } else { Some(read) }
}

/// Returns the timestamp's text and its seconds.
fn timestamp(scheme: &Scheme, request: &Request, signatures: &Signatures) -> Option<(Vec<u8>, Option<i64>)> {
    let Some(source) = scheme.timestamp_source() else { return Some((Vec::new(), None)) };
    let text = match source {
        TimestampSource::Header(name) => request.single(name.as_str())?.to_vec(),
        TimestampSource::Field(key) => signatures.field(key)?,
        other => panic!("the oracle does not know {other:?}"),
    };
    if text.len() > 64 {
        return None;
    }
    let seconds = stamp::read(scheme.timestamp_format()?, &text)?;
    Some((text, Some(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example from the crate's front page.
    fn published() -> Request {
        Request {
            line: None,
            headers: vec![
                ("x-webhook-timestamp".to_owned(), b"1800000000".to_vec()),
                (
                    "X-Webhook-Signature".to_owned(),
                    b"d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe".to_vec(),
                ),
            ],
            body: br#"{"event":"user.created"}"#.to_vec(),
        }
    }

    fn verified(request: &Request, now: i64) -> Option<Acceptance> {
        let keys = [PlainKey::new(b"another-secret"), PlainKey::new(b"a-subscription-secret")];
        verify(&Scheme::timestamped(), &keys, request, now)
    }

    #[test]
    fn published_vector_is_accepted_only_within_tolerance() {
        let accepted = Some(Acceptance { key: 1, stamp: Some(1_800_000_000), stamps: 1 });
        for (now, verdict) in [(0, &None), (-300, &accepted), (-301, &None), (300, &accepted), (301, &None)] {
            let now = if now == 0 { 0 } else { 1_800_000_000 + now };
            assert_eq!(&verified(&published(), now), verdict, "{now}");
        }
    }

    #[test]
    fn signature_belongs_to_the_timestamp_of_its_group() {
        let scheme = Scheme::timestamped().into_builder().layout(Layout::field_groups(' ', ',', "v1"));
        let scheme = scheme.timestamp_field("t", hookwarden::time::TimestampFormat::Seconds).build().unwrap();
        let tag = String::from_utf8(published().headers[1].1.clone()).unwrap();
        let accepted = Some(Acceptance { key: 1, stamp: Some(1_800_000_000), stamps: 2 });
        let keys = [PlainKey::new(b"another-secret"), PlainKey::new(b"a-subscription-secret")];
        for (value, expected) in [
            (format!("t=1800000001,v1=00 v1={tag},t=1800000000"), &accepted),
            (format!("t=1800000001,v1={tag} t=1800000000,v1=00"), &None),
            (format!("t=1800000001,v1=00  t=1800000000,v1={tag} t=1800000002"), &None),
            (format!("t=1800000000,v1={tag} v1=00"), &None),
            (format!("t=1800000000,v1={tag} t=1700000000"), &None),
        ] {
            let mut request = published();
            request.set("X-Webhook-Signature", value.clone());
            assert_eq!(&verify(&scheme, &keys, &request, 1_800_000_000), expected, "{value}");
        }
    }

    #[test]
    fn changed_published_vector_is_refused() {
        let now = 1_800_000_000;
        let mut body = published();
        body.body[0] ^= 1;
        assert_eq!(verified(&body, now), None);
        for header in 0..2 {
            for at in 0..published().headers[header].1.len() {
                let mut request = published();
                request.headers[header].1[at] ^= 1;
                assert_eq!(verified(&request, now), None, "{header} {at}");
            }
            let mut twice = published();
            twice.headers.push(twice.headers[header].clone());
            assert_eq!(verified(&twice, now), None);
        }
    }

    #[test]
    fn standard_webhooks_vector_is_accepted() {
        // The secret of the signer's example, `MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`, decoded.
        let secret =
            b"\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6\x48\xa3\x62\xda\x2d\xa4\xb0";
        let mut request = Request { body: br#"{"test": 2432232314}"#.to_vec(), ..Request::default() };
        request.set("webhook-id", *b"msg_p5jXN8AQM9LWM0D4loKWxJek");
        request.set("webhook-timestamp", *b"1614265330");
        request.set("webhook-signature", *b"v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let verdict = verify(&Scheme::standard_webhooks(), &[PlainKey::new(secret)], &request, 1_614_265_330);
        assert_eq!(verdict, Some(Acceptance { key: 0, stamp: Some(1_614_265_330), stamps: 1 }));
    }
}
