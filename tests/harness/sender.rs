//! A sender: signed requests that tests then modify.

use hookwarden::headers::RequestHead;
use hookwarden::warden::{Quotas, Replay, WardenBuilder};
use hookwarden::{Keyring, Scheme, Signer, Timestamp, Warden};
use hyper::Request;

/// The webhook id of the sender.
pub(crate) const ID: &str = "acme";
/// The path for that id.
pub(crate) const PATH: &str = "/webhooks/acme";
/// The sender's secret under the scheme `timestamped`.
pub(crate) const SECRET: &str = "a-secret-of-the-tests-and-of-no-one-else";

pub(crate) fn keyring(scheme: &Scheme, secret: &str) -> Keyring {
    Keyring::new(scheme.secret(secret).expect("a secret"))
}

pub(crate) fn signer(scheme: Scheme, secret: &str) -> Signer {
    let keys = keyring(&scheme, secret);
    Signer::new(scheme, keys).expect("a signer")
}

/// A Warden of the scheme `timestamped` with the sender.
pub(crate) fn warden() -> WardenBuilder {
    unlimited().sender(ID, keyring(&Scheme::timestamped(), SECRET))
}

/// A Warden of the scheme `timestamped` without quotas and replay protection, because most tests repeat requests.
pub(crate) fn unlimited() -> WardenBuilder {
    Warden::builder(Scheme::timestamped())
        .quotas(Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected())
        .replay(Replay::danger_off())
}

/// The current time plus `offset` seconds.
pub(crate) fn now(offset: i64) -> Timestamp {
    Timestamp::from_unix(Timestamp::now().as_unix().saturating_add(offset))
}

/// A POST request that can be modified.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Post {
    /// Creates a request that the sender signs now.
    pub(crate) fn signed(body: impl Into<Vec<u8>>) -> Self {
        Self::signed_at(body, now(0))
    }

    pub(crate) fn signed_at(body: impl Into<Vec<u8>>, time: Timestamp) -> Self {
        Self::signed_by(&signer(Scheme::timestamped(), SECRET), PATH, &[], body, time)
    }

    /// Creates a request that the sender signs now under another scheme.
    pub(crate) fn under(scheme: Scheme, body: impl Into<Vec<u8>>) -> Self {
        Self::signed_by(&signer(scheme, SECRET), PATH, &[], body, now(0))
    }

    /// Creates a request for `path` with the headers `own`, signed by `signer`.
    pub(crate) fn signed_by(
        signer: &Signer,
        path: &str,
        own: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
        time: Timestamp,
    ) -> Self {
        let body = body.into();
        let signed = signer.sign_at(&RequestHead::new("POST", path, own), &body, time).expect("a signed message");
        let headers = own.iter().copied().chain(signed.iter());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
        Self { path: path.to_owned(), headers, body }
    }

    /// Replaces the path.
    pub(crate) fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces the value of a header.
    pub(crate) fn replacing(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.without(name).with(name, value)
    }

    /// Replaces the body and keeps the signature.
    pub(crate) fn carrying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn value(&self, name: &str) -> Vec<u8> {
        let header = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        header.expect("the header").1.clone()
    }

    /// The request's head on the wire, with `framing` as its last header lines.
    pub(crate) fn head(&self, framing: &str) -> Vec<u8> {
        self.head_of("POST", framing)
    }

    /// The head of a request of another method. The host is localhost unless a header names another.
    pub(crate) fn head_of(&self, method: &str, framing: &str) -> Vec<u8> {
        let mut bytes = format!("{method} {} HTTP/1.1\r\n", self.path).into_bytes();
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            bytes.extend_from_slice(b"Host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(framing.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// The request on the wire, with `Content-Length`.
    pub(crate) fn sized(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("Content-Length: {}\r\n", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The request on the wire in chunks of `size` bytes, with `trailers` as lines.
    pub(crate) fn chunked(&self, size: usize, trailers: &str) -> Vec<u8> {
        let mut bytes = self.head("Transfer-Encoding: chunked\r\n");
        for chunk in self.body.chunks(size) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n");
        bytes.extend_from_slice(trailers.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// The request as a value with another body.
    pub(crate) fn request<B>(&self, body: B) -> Request<B> {
        let mut request = Request::post(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        request.body(body).expect("a request")
    }

    /// The request as a value.
    pub(crate) fn into_request(self) -> Request<axum::body::Body> {
        self.request(axum::body::Body::from(self.body.clone()))
    }
}
