//! Ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032)), strict: keys and signatures have exactly one encoding,
//! and points of small order are refused.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use ed25519_dalek::{Signature, Signer as _, StreamVerifier};
use zeroize::Zeroizing;

use super::interface::{PrivateKey, SigningKey, Stream, VerifyingKey};
use crate::crypto::Algorithm;

pub(super) fn public(bytes: &[u8]) -> Option<Vec<u8>> {
    let raw = match bytes.try_into() {
        Ok(raw) => raw,
        Err(_) => ed25519_dalek::VerifyingKey::from_public_key_der(bytes).ok()?.to_bytes(),
    };
    strict(&raw).map(|_| raw.to_vec())
}

pub(super) fn private(bytes: &[u8]) -> Option<PrivateKey> {
    let key = match bytes.len() {
        32 => ed25519_dalek::SigningKey::from_bytes(bytes.try_into().ok()?),
        // A seed and its public key, which must fit.
        64 => ed25519_dalek::SigningKey::from_keypair_bytes(bytes.try_into().ok()?).ok()?,
        _ => ed25519_dalek::SigningKey::from_pkcs8_der(bytes).ok()?,
    };
    let public = key.verifying_key().to_bytes().to_vec();
    Some(PrivateKey { private: Zeroizing::new(key.as_bytes().to_vec()), public })
}

pub(super) fn verifying(_: Algorithm, public: &[u8]) -> Option<Arc<dyn VerifyingKey>> {
    Some(Arc::new(strict(public.try_into().ok()?)?))
}

pub(super) fn signing(_: Algorithm, private: &[u8]) -> Option<Arc<dyn SigningKey>> {
    Some(Arc::new(ed25519_dalek::SigningKey::from_bytes(private.try_into().ok()?)))
}

/// Returns the key unless its encoding is not canonical or its point has a small order.
fn strict(bytes: &[u8; 32]) -> Option<ed25519_dalek::VerifyingKey> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
    let is_canonical = key.to_edwards().compress().to_bytes() == *bytes;
    if is_canonical && !key.is_weak() { Some(key) } else { None }
}

impl VerifyingKey for ed25519_dalek::VerifyingKey {
    fn stream(&self, signature: &[u8]) -> Option<Box<dyn Stream>> {
        let signature = Signature::from_slice(signature).ok()?;
        // The streaming verifier omits the check of `verify_strict` that `R` has no small order.
        if Self::from_bytes(signature.r_bytes()).ok()?.is_weak() {
            return None;
        }
        Some(Box::new(self.verify_stream(&signature).ok()?))
    }
}

impl Stream for StreamVerifier {
    fn update(&mut self, bytes: &[u8]) {
        Self::update(self, bytes);
    }

    fn verifies(self: Box<Self>) -> bool {
        self.finalize_and_verify().is_ok()
    }
}

impl SigningKey for ed25519_dalek::SigningKey {
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some(self.try_sign(message).ok()?.to_bytes().to_vec())
    }
}

/// A key that was generated for this purpose. Its private key was dropped: a signature for the decoy would stop the
/// verification early, and so show that the webhook id is unknown.
#[cfg(any(feature = "message-signatures", feature = "warden"))]
pub(super) const DECOY: &[u8] = &[
    0xfd, 0xbf, 0x0b, 0x8d, 0x2d, 0xd0, 0xb3, 0x47, 0xa3, 0x89, 0xa6, 0x10, 0x5d, 0x92, 0x5b, 0x13, 0x9f, 0xd1, 0xcb,
    0x13, 0xba, 0xb2, 0xd2, 0xb9, 0x27, 0x44, 0x3d, 0x11, 0x51, 0xf8, 0x82, 0x4b,
];
