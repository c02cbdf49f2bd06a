//! Signed messages for the benchmarks.

use hookwarden::scheme::SignedPart;
use hookwarden::{Keyring, Scheme, Signer, Timestamp, Verifier};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const SECRET: &str = "a-secret-of-fifty-characters-or-more-for-benchmarks";
pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

pub(crate) fn keys() -> Keyring {
    Keyring::new(Scheme::timestamped().secret(SECRET).unwrap())
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(Scheme::timestamped(), keys()).unwrap()
}

/// Creates a message with a body of `size` bytes and the usual headers.
pub(crate) fn message(size: usize) -> (HeaderMap, Vec<u8>) {
    signed(body(0, size), NOW)
}

/// Creates one of many different messages, signed now.
pub(crate) fn numbered(number: usize, size: usize) -> (HeaderMap, Vec<u8>) {
    signed(body(number, size), Timestamp::now())
}

pub(crate) fn without_signature(head: &HeaderMap) -> HeaderMap {
    let mut head = head.clone();
    head.remove("x-webhook-signature");
    head
}

pub(crate) fn malformed(head: &HeaderMap) -> HeaderMap {
    let mut head = head.clone();
    head.insert("x-webhook-signature", HeaderValue::from_static("sha256=0"));
    head
}

pub(crate) fn stale() -> HeaderMap {
    signed(body(0, 1 << 10), Timestamp::from_unix(NOW.as_unix() - 301)).0
}

pub(crate) fn signed(body: Vec<u8>, time: Timestamp) -> (HeaderMap, Vec<u8>) {
    signed_by(Scheme::timestamped(), keys(), body, time)
}

/// Creates a message of any scheme, with a value for each header that the scheme signs.
pub(crate) fn signed_by(scheme: Scheme, keys: Keyring, body: Vec<u8>, time: Timestamp) -> (HeaderMap, Vec<u8>) {
    let mut head = HeaderMap::new();
    for (name, value) in [
        ("host", "hooks.example.com"),
        ("user-agent", "Sender/2.4 (+https://example.com/webhooks)"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate"),
        ("content-type", "application/json"),
        ("x-request-id", "0d5d2e0b-3f55-4f3c-9a53-a0f8ad5c0b3e"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ] {
        head.insert(name, HeaderValue::from_static(value));
    }
    head.insert("content-length", HeaderValue::from(body.len()));
    for part in scheme.signed() {
        if let SignedPart::Header(name) = part {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            head.insert(name, HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek"));
        }
    }
    let signer = Signer::new(scheme, keys).unwrap();
    for (name, value) in signer.sign_at(&head, &body, time).unwrap().iter() {
        head.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    (head, body)
}

pub(crate) fn body(number: usize, size: usize) -> Vec<u8> {
    let text = format!("{{\"number\":{number:>8},\"text\":\"");
    text.bytes().chain(std::iter::repeat(b'x')).take(size).collect()
}
