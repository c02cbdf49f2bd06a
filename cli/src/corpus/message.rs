//! A request as a receiver gets it, and changes to it.

use hookwarden::headers::RequestHead;
use hookwarden::providers::Vector;
use hookwarden::verifier::Verified;
use hookwarden::{Rejection, Timestamp, Verifier};

/// A request, and the time at which it arrives in Unix seconds.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) now: i64,
}

impl Message {
    pub(super) fn of(vector: &Vector) -> Self {
        Self {
            method: vector.method.clone().unwrap_or_else(|| "POST".into()),
            path: vector.path.clone().unwrap_or_else(|| "/".into()),
            headers: vector.headers.clone(),
            body: vector.body(),
            now: vector.now,
        }
    }

    pub(super) fn verify(&self, verifier: &Verifier) -> Result<Verified, Rejection> {
        let head = RequestHead::new(&self.method, &self.path, &self.headers);
        verifier.verify_at(&head, &self.body, Timestamp::from_unix(self.now))
    }

    pub(super) fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Changes the time of arrival.
    pub(super) fn at(mut self, now: i64) -> Self {
        self.now = now;
        self
    }

    /// Replaces the value of a header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Some((_, old)) = self.headers.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            *old = value.into();
        }
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Adds a header after all others.
    pub(super) fn and(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a header before all others.
    pub(super) fn after(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(0, (name.to_owned(), value.into()));
        self
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
