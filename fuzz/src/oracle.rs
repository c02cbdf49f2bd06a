//! A verifier that reads the documented rules in its own way: everything is copied, nothing is clever.
//!
//! It shares with the crate only the public readers of [`Scheme`], and its HMAC is another one.

mod content;
mod signatures;
mod stamp;
mod text;

use hookwarden::Scheme;
use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::TimestampSource;
use ring::hmac;

use crate::keys::PlainKey;
use crate::request::Request;

pub use content::content;
pub use signatures::{Signatures, signatures};
pub use stamp::write as write_stamp;

/// What makes a request acceptable.
#[derive(Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The place of the newest key that fits.
    pub key: usize,
    /// The seconds of the timestamp.
    pub stamp: Option<i64>,
}

/// Judges `request` at the time `now`.
pub fn judge(scheme: &Scheme, keys: &[PlainKey], request: &Request, now: i64) -> Option<Acceptance> {
    let signatures = signatures(scheme, request)?;
    if signatures.texts.len() > 32 {
        return None;
    }
    let (stamp_text, stamp) = timestamp(scheme, request, &signatures)?;
    if let Some(stamp) = stamp {
        let apart = (i128::from(now) - i128::from(stamp)).abs();
        if apart > i128::from(scheme.tolerance().as_duration().as_secs()) {
            return None;
        }
    }
    let content = content(scheme, request, &stamp_text)?;
    for (place, key) in keys.iter().enumerate() {
        if !key.is_live(now) {
            continue;
        }
        let right = tag(scheme, &key.secret, &content);
        for text in &signatures.texts {
            let read = match scheme.encoding() {
                Encoding::Hex => text.to_ascii_lowercase(),
                _ => text.clone(),
            };
            if read == right.as_bytes() {
                return Some(Acceptance { key: place, stamp });
            }
        }
    }
    None
}

/// The signature of `content`, as it is written.
pub fn tag(scheme: &Scheme, secret: &[u8], content: &[u8]) -> String {
    let algorithm = match scheme.algorithm() {
        Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::HmacSha512 => hmac::HMAC_SHA512,
        other => panic!("the oracle does not know {other:?}"),
    };
    encode(scheme, hmac::sign(&hmac::Key::new(algorithm, secret), content).as_ref())
}

/// `bytes` as the scheme writes a signature.
pub fn encode(scheme: &Scheme, bytes: &[u8]) -> String {
    match scheme.encoding() {
        Encoding::Hex => text::hex(bytes),
        Encoding::Base64 => text::base64(bytes),
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// The bytes that `encode` wrote.
pub fn decode(scheme: &Scheme, tag: &str) -> Option<Vec<u8>> {
    match scheme.encoding() {
        Encoding::Hex => text::from_hex(tag),
        Encoding::Base64 => text::from_base64(tag),
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// The timestamp's text, empty where the scheme has none.
pub fn stamp_text(scheme: &Scheme, request: &Request) -> Option<Vec<u8>> {
    Some(timestamp(scheme, request, &signatures(scheme, request)?)?.0)
}

/// The seconds of the timestamp, whether they are fresh or not.
pub fn stamp(scheme: &Scheme, request: &Request) -> Option<i64> {
    timestamp(scheme, request, &signatures(scheme, request)?)?.1
}

/// The timestamp's text and seconds.
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

    /// The example of the crate's front page.
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

    fn judged(request: &Request, now: i64) -> Option<Acceptance> {
        let keys = [PlainKey::new(b"another-secret"), PlainKey::new(b"a-subscription-secret")];
        judge(&Scheme::timestamped(), &keys, request, now)
    }

    #[test]
    fn published_vector_is_accepted_within_the_tolerance_alone() {
        let accepted = Some(Acceptance { key: 1, stamp: Some(1_800_000_000) });
        for (now, verdict) in [(0, &None), (-300, &accepted), (-301, &None), (300, &accepted), (301, &None)] {
            let now = if now == 0 { 0 } else { 1_800_000_000 + now };
            assert_eq!(&judged(&published(), now), verdict, "{now}");
        }
    }

    #[test]
    fn published_vector_that_is_changed_is_refused() {
        let now = 1_800_000_000;
        let mut body = published();
        body.body[0] ^= 1;
        assert_eq!(judged(&body, now), None);
        for header in 0..2 {
            for at in 0..published().headers[header].1.len() {
                let mut request = published();
                request.headers[header].1[at] ^= 1;
                assert_eq!(judged(&request, now), None, "{header} {at}");
            }
            let mut twice = published();
            twice.headers.push(twice.headers[header].clone());
            assert_eq!(judged(&twice, now), None);
        }
    }

    #[test]
    fn standard_webhooks_vector_is_accepted() {
        // The signer's example: `MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw` in bytes.
        let secret =
            b"\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6\x48\xa3\x62\xda\x2d\xa4\xb0";
        let mut request = Request { body: br#"{"test": 2432232314}"#.to_vec(), ..Request::default() };
        request.set("webhook-id", *b"msg_p5jXN8AQM9LWM0D4loKWxJek");
        request.set("webhook-timestamp", *b"1614265330");
        request.set("webhook-signature", *b"v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let verdict = judge(&Scheme::standard_webhooks(), &[PlainKey::new(secret)], &request, 1_614_265_330);
        assert_eq!(verdict, Some(Acceptance { key: 0, stamp: Some(1_614_265_330) }));
    }
}
