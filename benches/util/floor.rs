//! The minimum work of any verifier of the scheme: a pre-keyed HMAC-SHA-256 over `timestamp.body`, decoding the hex
//! signature, and a comparison in constant time. It neither finds the headers nor parses the timestamp.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::sender::SECRET;

pub(crate) struct Floor {
    keyed: Hmac<Sha256>,
}

impl Floor {
    pub(crate) fn new() -> Self {
        Self { keyed: Hmac::new_from_slice(SECRET.as_bytes()).unwrap() }
    }

    pub(crate) fn verify(&self, head: &Signed<'_>, body: &[u8]) {
        let mut mac = self.keyed.clone();
        mac.update(head.timestamp);
        mac.update(b".");
        mac.update(body);
        let mut signature = [0; 32];
        const_hex::decode_to_slice(head.signature, &mut signature).unwrap();
        assert!(bool::from(mac.finalize().into_bytes().ct_eq(&signature)));
    }

    pub(crate) fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

/// The values of the headers, found beforehand.
pub(crate) struct Signed<'h> {
    timestamp: &'h [u8],
    signature: &'h [u8],
}

impl<'h> Signed<'h> {
    pub(crate) fn of(head: &'h HeaderMap) -> Self {
        Self { timestamp: head["x-webhook-timestamp"].as_bytes(), signature: head["x-webhook-signature"].as_bytes() }
    }
}
