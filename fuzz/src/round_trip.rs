//! Requests signed by the crate's signer.

use hookwarden::crypto::Algorithm;
use hookwarden::scheme::{Layout, TimestampSource};
use hookwarden::{Keyring, Scheme, Signer, Timestamp, Verifier};

use crate::oracle::{decode, encode};
use crate::request::Request;
use crate::verdict::verdict;

/// Signs `request` at `now` and verifies the result. Returns `None` if the signer refuses the message.
///
/// # Panics
/// The signed request is refused.
pub fn round_trip(scheme: &Scheme, ring: &Keyring, request: &Request, sizes: &[u8], now: i64) -> Option<Request> {
    let signer = Signer::new(scheme.clone(), ring.clone()).ok()?;
    let at = Timestamp::from_unix(now);
    let signed = request.with_head(|head| signer.sign_at(head, &request.body, at)).ok()?;
    let mut sent = request.clone();
    // Remove older signatures: the signer may have fewer keys than there are signature headers.
    for name in scheme.signature_headers() {
        sent.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name.as_str()));
    }
    for (name, value) in signed.iter() {
        if scheme.signature_headers().iter().any(|other| other.as_str() == name) {
            sent.headers.push((name.to_owned(), value.into()));
        } else {
            sent.set(name, value);
        }
    }
    let verifier = Verifier::new(scheme.clone(), ring.clone()).expect("the signer took the keys");
    if let Err(rejection) = verdict(&verifier, &sent, sizes, now) {
        panic!("the signed {sent:?} is refused: {rejection:?} under {scheme:?}");
    }
    Some(sent)
}

/// Returns the request with the bit `bit` of the signature flipped. It must be the only signature.
pub fn with_flipped_tag(scheme: &Scheme, sent: &Request, bit: usize) -> Option<Request> {
    let name = scheme.signature_headers().first()?.as_str();
    let value = String::from_utf8(sent.single(name)?.to_vec()).ok()?;
    let tag_size = tag_size(scheme)?;
    let size = encode(scheme, &vec![0; tag_size]).len();
    let (before, tag) = value.split_at_checked(value.len().checked_sub(size)?)?;
    let mut bytes = decode(scheme, tag)?;
    if bytes.len() != tag_size {
        return None;
    }
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    let mut flipped = sent.clone();
    flipped.set(name, format!("{before}{}", encode(scheme, &bytes)));
    Some(flipped)
}

/// Returns the request with a bit of the timestamp's text flipped. It must be the only timestamp: each group has one.
pub fn with_flipped_stamp(scheme: &Scheme, sent: &Request, bit: usize) -> Option<Request> {
    let (name, from, length) = match scheme.timestamp_source()? {
        TimestampSource::Header(name) => (name.as_str(), 0, sent.single(name.as_str())?.len()),
        TimestampSource::Field(key) => {
            // The signer writes the timestamp first.
            let name = scheme.signature_headers().first()?.as_str();
            let value = sent.single(name)?;
            let (separator, start) = match scheme.layout() {
                Layout::FieldGroups { group_separator, .. } if is_in(*group_separator, value) => return None,
                Layout::Fields { separator, .. } | Layout::FieldGroups { separator, .. } => (separator, key.len() + 1),
                Layout::Positional { separator, fields } if fields.first() == Some(key) => (separator, 0),
                _ => return None,
            };
            let end = value.iter().position(|byte| u32::from(*byte) == u32::from(*separator))?;
            (name, start, end - start)
        }
        _ => return None,
    };
    let mut value = sent.single(name)?.to_vec();
    let bit = bit % (length * 8);
    value[from + bit / 8] ^= 1 << (bit % 8);
    let mut flipped = sent.clone();
    flipped.set(name, value);
    Some(flipped)
}

fn is_in(character: char, value: &[u8]) -> bool {
    value.iter().any(|byte| u32::from(*byte) == u32::from(character))
}

/// Returns the request with a bit of the body flipped.
pub fn with_flipped_body(sent: &Request, bit: usize) -> Option<Request> {
    let mut flipped = sent.clone();
    let bit = bit.checked_rem(flipped.body.len() * 8)?;
    flipped.body[bit / 8] ^= 1 << (bit % 8);
    Some(flipped)
}

/// The size of a signature, or `None` if it varies.
fn tag_size(scheme: &Scheme) -> Option<usize> {
    match scheme.algorithm() {
        Algorithm::HmacSha1 => Some(20),
        Algorithm::HmacSha256 => Some(32),
        Algorithm::HmacSha512 | Algorithm::Ed25519 | Algorithm::EcdsaP256 => Some(64),
        Algorithm::RsaPkcs1 | Algorithm::RsaPss | Algorithm::RsaPssSha512 => Some(256),
        _ => None,
    }
}
