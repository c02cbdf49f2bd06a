//! The timestamped scheme without a webhook crate. The floor gets the values of the headers; the others find the two
//! headers themselves. None of them reads a clock.

use std::hint::black_box;

use hmac::{Hmac, KeyInit as _, Mac as _};
use hookwarden::Scheme;
use http::HeaderMap;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::Call;
use crate::floor::{Floor, Signed};
use crate::ours;
use crate::sender;

pub(crate) fn floor(size: usize) -> Call {
    let (head, body) = message(size);
    let floor = Floor::new();
    // Leak the head, so that the call can borrow from it.
    let signed = Signed::of(Box::leak(Box::new(head)));
    Box::new(move || floor.verify(black_box(&signed), black_box(&body)))
}

pub(crate) fn keyed_anew(size: usize) -> Call {
    verify(size, |timestamp, body| {
        let mut mac = Hmac::<Sha256>::new_from_slice(black_box(sender::SECRET.as_bytes())).unwrap();
        mac.update(timestamp);
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes()
    })
}

pub(crate) fn ring(size: usize) -> Call {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, sender::SECRET.as_bytes());
    verify(size, move |timestamp, body| {
        let mut context = ring::hmac::Context::with_key(&key);
        context.update(timestamp);
        context.update(b".");
        context.update(body);
        context.sign()
    })
}

pub(crate) fn aws_lc_rs(size: usize) -> Call {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, sender::SECRET.as_bytes());
    verify(size, move |timestamp, body| {
        let mut context = aws_lc_rs::hmac::Context::with_key(&key);
        context.update(timestamp);
        context.update(b".");
        context.update(body);
        context.sign()
    })
}

fn verify<T: AsRef<[u8]>>(size: usize, mac: impl Fn(&[u8], &[u8]) -> T + 'static) -> Call {
    let (head, body) = message(size);
    Box::new(move || {
        let head = black_box(&head);
        let timestamp = head.get("x-webhook-timestamp").unwrap().as_bytes();
        let mut signature = [0; 32];
        const_hex::decode_to_slice(head.get("x-webhook-signature").unwrap(), &mut signature).unwrap();
        assert!(bool::from(mac(timestamp, black_box(&body)).as_ref().ct_eq(&signature)));
    })
}

fn message(size: usize) -> (HeaderMap, Vec<u8>) {
    ours::message(&Scheme::timestamped(), sender::SECRET, size)
}
