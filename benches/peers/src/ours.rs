//! Hookwarden: a verifier that reads the clock, with a `HeaderMap`.

use std::hint::black_box;

use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
use http::HeaderMap;

use crate::Call;
use crate::sender;

pub(crate) fn timestamped(size: usize) -> Call {
    verify(Scheme::timestamped(), sender::SECRET, size)
}

pub(crate) fn standard_webhooks(size: usize) -> Call {
    verify(Scheme::standard_webhooks(), WHSEC, size)
}

pub(crate) fn stripe(size: usize) -> Call {
    verify(Scheme::stripe(), sender::SECRET, size)
}

fn verify(scheme: Scheme, secret: &str, size: usize) -> Call {
    let (head, body) = message(&scheme, secret, size);
    let keys = Keyring::new(scheme.secret(secret).unwrap());
    let verifier = Verifier::new(scheme, keys).unwrap();
    Box::new(move || {
        black_box(verifier.verify(black_box(&head), black_box(&body)).unwrap());
    })
}

pub(crate) fn verify_at(size: usize) -> Call {
    let (head, body) = message(&Scheme::timestamped(), sender::SECRET, size);
    let (verifier, now) = (sender::verifier(), Timestamp::now());
    Box::new(move || {
        black_box(verifier.verify_at(black_box(&head), black_box(&body), now).unwrap());
    })
}

/// Creates a message of the scheme, signed now.
pub(crate) fn message(scheme: &Scheme, secret: &str, size: usize) -> (HeaderMap, Vec<u8>) {
    let keys = Keyring::new(scheme.secret(secret).unwrap());
    sender::signed_by(scheme.clone(), keys, sender::body(0, size), Timestamp::now())
}

/// A secret in the format of Standard Webhooks.
pub(crate) const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
