//! ECDSA on P-256 with SHA-256 ([FIPS 186-5](https://doi.org/10.6028/NIST.FIPS.186-5)). Both values of `s` are valid.
//! Signing is deterministic ([RFC 6979](https://www.rfc-editor.org/rfc/rfc6979)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use super::interface::{PrivateKey, SigningKey, VerifyingKey};
use crate::crypto::Algorithm;

pub(super) fn public(bytes: &[u8]) -> Option<Vec<u8>> {
    let key = if is_point(bytes) {
        p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok()?
    } else {
        let spki = SubjectPublicKeyInfoRef::try_from(bytes).ok()?;
        spki.subject_public_key.as_bytes().filter(|point| is_point(point))?;
        p256::ecdsa::VerifyingKey::from_public_key_der(bytes).ok()?
    };
    Some(key.to_sec1_point(false).as_bytes().to_vec())
}

/// Whether the bytes are a point with both coordinates, or with `x` and the parity of `y` (SEC 1 section 2.3.3). The
/// curve's crate also reads compact points, which have another convention for `y`.
const fn is_point(bytes: &[u8]) -> bool {
    matches!((bytes.len(), bytes), (33, [2 | 3, ..]) | (65, [4, ..]))
}

pub(super) fn private(bytes: &[u8]) -> Option<PrivateKey> {
    let key = match bytes.len() {
        32 => p256::SecretKey::from_slice(bytes).ok()?,
        _ => p256::SecretKey::from_pkcs8_der(bytes).or_else(|_| p256::SecretKey::from_sec1_der(bytes)).ok()?,
    };
    let key = p256::ecdsa::SigningKey::from(key);
    let public = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    let scalar = Zeroizing::new(key.to_bytes());
    Some(PrivateKey { private: Zeroizing::new(scalar.to_vec()), public })
}

pub(super) fn verifying(algorithm: Algorithm, public: &[u8]) -> Option<Arc<dyn VerifyingKey>> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public).ok()?;
    Some(Arc::new(Key { key, is_der: algorithm == Algorithm::EcdsaP256Der }))
}

pub(super) fn signing(algorithm: Algorithm, private: &[u8]) -> Option<Arc<dyn SigningKey>> {
    let key = p256::ecdsa::SigningKey::from_slice(private).ok()?;
    Some(Arc::new(Key { key, is_der: algorithm == Algorithm::EcdsaP256Der }))
}

/// A key, and whether its signatures are ASN.1 DER.
struct Key<K> {
    key: K,
    is_der: bool,
}

impl VerifyingKey for Key<p256::ecdsa::VerifyingKey> {
    fn verifies(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        let signature = if self.is_der { Signature::from_der(signature) } else { Signature::from_slice(signature) };
        signature.is_ok_and(|signature| self.key.verify_prehash(digest, &signature).is_ok())
    }
}

impl SigningKey for Key<p256::ecdsa::SigningKey> {
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature: Signature = self.key.try_sign(message).ok()?;
        Some(if self.is_der { signature.to_der().as_bytes().to_vec() } else { signature.to_bytes().to_vec() })
    }
}

/// A key that was generated for this purpose. Its private key was dropped: a signature for the decoy would stop the
/// verification early, and so show that the webhook id is unknown.
#[cfg(any(feature = "message-signatures", feature = "warden"))]
pub(super) const DECOY: &[u8] = &[
    0x04, 0xec, 0x09, 0x64, 0x28, 0x0a, 0xe5, 0xb8, 0xe9, 0x5c, 0x7e, 0x12, 0xa4, 0x09, 0x1c, 0x6e, 0x6d, 0x9b, 0x46,
    0x12, 0x09, 0x35, 0xeb, 0x1d, 0xc0, 0x35, 0x0a, 0x43, 0xb4, 0x9d, 0x1b, 0xfa, 0xda, 0xd6, 0xb3, 0xa1, 0xad, 0xe4,
    0x7a, 0x0c, 0x14, 0xff, 0x47, 0x58, 0xf1, 0x6b, 0x7f, 0x90, 0xde, 0x9a, 0x65, 0x7b, 0x6d, 0x0d, 0x12, 0x7f, 0x0c,
    0xec, 0x3a, 0xbb, 0x81, 0x42, 0x64, 0xcc, 0x05,
];
