//! RSA ([RFC 8017](https://www.rfc-editor.org/rfc/rfc8017)): PKCS#1 v1.5 with SHA-256, and PSS with SHA-256 or SHA-512.
//! The salt of PSS is as long as the hash.
//!
//! Signing does not take constant time ([RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071)): do not
//! sign with RSA where others can measure the time precisely. Verification uses no secret and is not affected.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rsa::pkcs1::{
    DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _,
};
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use rsa::signature::RandomizedSigner;
use rsa::signature::hazmat::PrehashVerifier as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{pkcs1v15, pss};
use sha2::{Digest, Sha256, Sha512};

use super::interface::{PrivateKey, SigningKey, Stream, VerifyingKey};
use crate::crypto::Algorithm;

pub(super) fn public(bytes: &[u8]) -> Option<Vec<u8>> {
    let key = rsa::PublicKey::from_public_key_der(bytes).or_else(|_| rsa::PublicKey::from_pkcs1_der(bytes));
    key_bytes(&key.ok()?)
}

pub(super) fn private(bytes: &[u8]) -> Option<PrivateKey> {
    let key = rsa::PrivateKey::from_pkcs8_der(bytes).or_else(|_| rsa::PrivateKey::from_pkcs1_der(bytes)).ok()?;
    Some(PrivateKey { private: key.to_pkcs1_der().ok()?.to_bytes(), public: key_bytes(key.as_ref())? })
}

/// Returns the key of a modulus and an exponent.
pub(super) fn public_of_parts(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let [modulus, exponent] = [modulus, exponent].map(rsa::BoxedUint::from_be_slice_vartime);
    key_bytes(&rsa::PublicKey::new(modulus, exponent).ok()?)
}

/// Returns the modulus and the exponent of a key that [`public`] returned, in big-endian bytes without leading zeros. The
/// numbers are only read, because each prepared key needs them.
#[cfg(feature = "message-signatures")]
pub(super) fn parts(public: &[u8]) -> Option<(&[u8], &[u8])> {
    let key = rsa::pkcs1::RsaPublicKeyRef::try_from(public).ok()?;
    Some((key.modulus.as_bytes(), key.public_exponent.as_bytes()))
}

/// Returns the DER of PKCS#1 if the key has 2048 to 4096 bits.
fn key_bytes(key: &rsa::PublicKey) -> Option<Vec<u8>> {
    let is_sized = (2048..=4096).contains(&key.n().bit_width_vartime());
    if is_sized { Some(key.to_pkcs1_der().ok()?.as_bytes().to_vec()) } else { None }
}

pub(super) fn verifying(algorithm: Algorithm, public: &[u8]) -> Option<Arc<dyn VerifyingKey>> {
    let key = rsa::PublicKey::from_pkcs1_der(public).ok()?;
    let modulus = key.n_bytes().to_vec();
    Some(match algorithm {
        Algorithm::RsaPss => Arc::new(Key { key: pss::VerifyingKey::<Sha256>::new(key), modulus }),
        Algorithm::RsaPssSha512 => {
            Arc::new(Sha512Key(Arc::new(Key { key: pss::VerifyingKey::<Sha512>::new(key), modulus })))
        }
        _ => Arc::new(Key { key: pkcs1v15::VerifyingKey::<Sha256>::new(key), modulus }),
    })
}

pub(super) fn signing(algorithm: Algorithm, private: &[u8]) -> Option<Arc<dyn SigningKey>> {
    let key = rsa::PrivateKey::from_pkcs1_der(private).ok()?;
    Some(match algorithm {
        Algorithm::RsaPss => Arc::new(pss::SigningKey::<Sha256>::new(key)),
        Algorithm::RsaPssSha512 => Arc::new(pss::SigningKey::<Sha512>::new(key)),
        _ => Arc::new(pkcs1v15::SigningKey::<Sha256>::new(key)),
    })
}

/// A public key, and its modulus in big-endian bytes.
struct Key<K> {
    key: K,
    modulus: Vec<u8>,
}

impl VerifyingKey for Key<pkcs1v15::VerifyingKey<Sha256>> {
    fn verifies(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        self.verifies_by(signature, |bytes| {
            bytes.try_into().is_ok_and(|signature| self.key.verify_prehash(digest, &signature).is_ok())
        })
    }
}

impl VerifyingKey for Key<pss::VerifyingKey<Sha256>> {
    fn verifies(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        self.verifies_by(signature, |bytes| {
            bytes.try_into().is_ok_and(|signature| self.key.verify_prehash(digest, &signature).is_ok())
        })
    }
}

/// A key for PSS with SHA-512. It hashes the message itself, because the hash that the algorithms share is SHA-256.
struct Sha512Key(Arc<Key<pss::VerifyingKey<Sha512>>>);

impl VerifyingKey for Sha512Key {
    fn stream(&self, signature: &[u8]) -> Option<Box<dyn Stream>> {
        let (key, signature) = (Arc::clone(&self.0), signature.to_vec());
        Some(Box::new(Sha512Stream { key, signature, hash: Sha512::new() }))
    }
}

/// A message whose signature is verified when it is complete.
struct Sha512Stream {
    key: Arc<Key<pss::VerifyingKey<Sha512>>>,
    signature: Vec<u8>,
    hash: Sha512,
}

impl Stream for Sha512Stream {
    fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    fn verifies(self: Box<Self>) -> bool {
        let Self { key, signature, hash } = *self;
        let digest = hash.finalize();
        key.verifies_by(&signature, |bytes| {
            bytes.try_into().is_ok_and(|signature| key.key.verify_prehash(&digest, &signature).is_ok())
        })
    }
}

impl<K> Key<K> {
    /// The crate refuses a number that is not below the modulus at once. The time would then show whether a request is
    /// verified with its sender's key or with the decoy, so another number is verified in its place.
    fn verifies_by(&self, signature: &[u8], verifies: impl Fn(&[u8]) -> bool) -> bool {
        if signature.len() == self.modulus.len() && signature < &*self.modulus {
            return verifies(signature);
        }
        let mut two = alloc::vec![0; self.modulus.len()];
        two.iter_mut().rev().take(1).for_each(|last| *last = 2);
        let _ = verifies(&two);
        false
    }
}

impl SigningKey for pkcs1v15::SigningKey<Sha256> {
    /// Blinds the private key with random numbers if there are any, so that the time reveals less of it.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        #[cfg(feature = "generate")]
        let signature = RandomizedSigner::try_sign_with_rng(self, &mut SystemRandom, message);
        #[cfg(not(feature = "generate"))]
        let signature = rsa::signature::Signer::try_sign(self, message);
        let signature: pkcs1v15::Signature = signature.ok()?;
        Some(rsa::signature::SignatureEncoding::to_vec(&signature))
    }
}

impl<D: Digest + Send + Sync> SigningKey for pss::SigningKey<D>
where
    Self: RandomizedSigner<pss::Signature>,
{
    #[cfg(feature = "generate")]
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature: pss::Signature = self.try_sign_with_rng(&mut SystemRandom, message).ok()?;
        Some(rsa::signature::SignatureEncoding::to_vec(&signature))
    }

    /// Needs random numbers, and so the feature `generate`.
    #[cfg(not(feature = "generate"))]
    fn sign(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// The operating system's random numbers.
#[cfg(feature = "generate")]
struct SystemRandom;

#[cfg(feature = "generate")]
impl rsa::rand_core::TryRng for SystemRandom {
    type Error = getrandom::Error;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        getrandom::u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        getrandom::u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        getrandom::fill(bytes)
    }
}

#[cfg(feature = "generate")]
impl rsa::rand_core::TryCryptoRng for SystemRandom {}

/// A key of 2048 bits, generated for this purpose. Its private key was dropped.
#[cfg(any(feature = "message-signatures", feature = "warden"))]
pub(super) const DECOY: &[u8] = &[
    0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00, 0xb6, 0xe0, 0x1a, 0xa2, 0x85, 0xf5, 0x8c, 0x77, 0xf3, 0x98,
    0x4e, 0xd5, 0xb7, 0xc0, 0x59, 0x17, 0x9d, 0x08, 0xd5, 0x7b, 0xd9, 0xa1, 0x0b, 0x42, 0x0f, 0x4f, 0x86, 0xf3, 0xb5,
    0x99, 0x5b, 0x51, 0x56, 0xad, 0xaa, 0xb4, 0x9e, 0x61, 0x10, 0x57, 0x80, 0xec, 0xcf, 0x6e, 0x9c, 0x2f, 0xe3, 0x7a,
    0xeb, 0xe8, 0x6f, 0x09, 0x69, 0xb2, 0x75, 0xda, 0x42, 0xc3, 0x21, 0x39, 0x24, 0xa3, 0x4b, 0x44, 0x1d, 0xc4, 0x5a,
    0x4c, 0x66, 0xa0, 0x2b, 0x8b, 0x07, 0x07, 0xeb, 0x82, 0x63, 0xd5, 0x2d, 0xa8, 0x0a, 0x24, 0xad, 0xe1, 0x92, 0xf7,
    0x5b, 0x09, 0xce, 0x94, 0xd9, 0x83, 0xb1, 0xc9, 0x1f, 0x2b, 0x65, 0xc2, 0xef, 0x27, 0x69, 0xa0, 0x34, 0xe5, 0xb7,
    0x0d, 0x71, 0x88, 0x6c, 0x82, 0x0e, 0xe0, 0x7f, 0x14, 0x2d, 0x71, 0x1d, 0x0f, 0x92, 0x80, 0x14, 0xb6, 0x45, 0x22,
    0xde, 0xad, 0xda, 0x2c, 0x27, 0x5e, 0x6b, 0x5a, 0x91, 0xc2, 0x2b, 0xe6, 0x02, 0x23, 0x11, 0x1c, 0x50, 0x3e, 0xdb,
    0xd6, 0x03, 0xc3, 0xa8, 0xec, 0xb7, 0x89, 0x7a, 0x9a, 0x2f, 0xeb, 0xc6, 0x14, 0xa3, 0xd1, 0x4c, 0xc3, 0x48, 0x74,
    0x75, 0x8f, 0x18, 0xcd, 0xff, 0x0e, 0x6a, 0xdd, 0x58, 0xa6, 0x8d, 0x7f, 0x84, 0x7e, 0x7f, 0x6f, 0x10, 0x62, 0xe5,
    0xef, 0xcd, 0x06, 0x67, 0xa0, 0x76, 0x9f, 0x33, 0x77, 0x5f, 0xe6, 0x05, 0xa9, 0xcd, 0x1b, 0x76, 0x9b, 0x64, 0x8b,
    0x15, 0x42, 0xc0, 0xf2, 0x52, 0x19, 0x91, 0xe1, 0x9c, 0xc4, 0x34, 0xe7, 0x4a, 0x81, 0xdf, 0xef, 0xb5, 0x69, 0xfc,
    0x60, 0xf0, 0xf8, 0xae, 0xef, 0x8d, 0xef, 0xa4, 0x9e, 0x4b, 0x7b, 0x88, 0x8b, 0x72, 0x95, 0x52, 0x20, 0x3c, 0x8d,
    0x52, 0x30, 0x24, 0xc9, 0xde, 0xc2, 0x99, 0x75, 0x99, 0xd1, 0x79, 0xde, 0xe3, 0x77, 0x34, 0x38, 0x64, 0x27, 0x02,
    0x03, 0x01, 0x00, 0x01,
];

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn number_out_of_range_takes_a_verification() {
        let key = Key { key: (), modulus: alloc::vec![200, 7, 9] };
        for (signature, expected) in [
            (&[200, 7, 8][..], (true, Some(alloc::vec![200, 7, 8]))),
            (&[200, 7, 9], (false, Some(alloc::vec![0, 0, 2]))),
            (&[255, 255, 255], (false, Some(alloc::vec![0, 0, 2]))),
            (&[7, 8], (false, Some(alloc::vec![0, 0, 2]))),
            (&[0, 200, 7, 8], (false, Some(alloc::vec![0, 0, 2]))),
        ] {
            let verified = Cell::new(None);
            let is_valid = key.verifies_by(signature, |bytes| {
                verified.set(Some(bytes.to_vec()));
                true
            });
            assert_eq!((is_valid, verified.take()), expected, "{signature:?}");
        }
    }
}
