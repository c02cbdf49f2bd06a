//! Signed deliveries as bytes of HTTP/1.1 requests. No two are the same.

use std::io::Write as _;

use hookwarden::{Keyring, Scheme, Signer};

/// Secrets of the run. The Standard Webhooks secret is base64 after its prefix.
pub(crate) const SECRET: &str = "a-secret-of-fifty-characters-or-more-for-benchmarks";
pub(crate) const STANDARD_SECRET: &str = "whsec_YS1zZWNyZXQtb2YtdGhpcnR5LXR3by1ieXRlcy4=";

/// The webhook id of all deliveries.
pub(crate) const WEBHOOK_ID: &str = "acme";

/// Requests that are ready to be sent.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) requests: Vec<Vec<u8>>,
    /// The answer of a handler that has read the body.
    pub(crate) answer: String,
}

/// A sender of the timestamped scheme or of Standard Webhooks.
#[derive(Debug)]
pub(crate) struct Sender {
    signer: Signer,
    sent: u64,
}

impl Sender {
    pub(crate) fn timestamped() -> Self {
        Self::of(Scheme::timestamped(), SECRET)
    }

    pub(crate) fn standard_webhooks() -> Self {
        Self::of(Scheme::standard_webhooks(), STANDARD_SECRET)
    }

    fn of(scheme: Scheme, secret: &str) -> Self {
        let keys = Keyring::new(scheme.secret(secret).unwrap());
        Self { signer: Signer::new(scheme, keys).unwrap(), sent: 0 }
    }

    pub(crate) fn batch(&mut self, count: usize, bytes: usize) -> Batch {
        Batch { requests: (0..count).map(|_| self.request(bytes)).collect(), answer: bytes.to_string() }
    }

    fn request(&mut self, bytes: usize) -> Vec<u8> {
        self.sent += 1;
        let body = body(self.sent, bytes);
        let message_id = format!("msg_{:024}", self.sent);
        let signed = self.signer.sign(&[("webhook-id", &*message_id)], &body).unwrap();
        let mut request = Vec::with_capacity(bytes + 1024);
        write!(request, "POST /webhooks/{WEBHOOK_ID} HTTP/1.1\r\n{HEAD}webhook-id: {message_id}\r\n").unwrap();
        write!(request, "content-length: {bytes}\r\n").unwrap();
        for (name, value) in signed.iter() {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(&body);
        request
    }
}

/// Creates a body that begins with a number, so that no two have a common prefix.
pub(crate) fn body(number: u64, bytes: usize) -> Vec<u8> {
    let mut body = format!("{{\"number\":{number:>8},\"text\":\"").into_bytes();
    body.resize(bytes.saturating_sub(2), b'x');
    body.extend_from_slice(b"\"}");
    body
}

/// The usual headers of senders.
const HEAD: &str = "host: hooks.example.com\r\n\
    user-agent: Sender/2.4 (+https://example.com/webhooks)\r\n\
    accept: */*\r\n\
    accept-encoding: gzip, deflate\r\n\
    content-type: application/json\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
