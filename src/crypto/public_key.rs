//! Signatures with public keys. This module and those below it are the only ones that name the crates for them.
//!
//! The module [`crypto`](crate::crypto) documents them.

mod checks;
#[cfg(feature = "ecdsa")]
mod ecdsa;
#[cfg(feature = "ed25519")]
mod ed25519;
mod interface;
mod jwk;
#[cfg(not(all(feature = "ed25519", feature = "ecdsa", feature = "rsa")))]
mod missing;
#[cfg(feature = "rsa")]
mod rsa;
mod text;
#[cfg(feature = "message-signatures")]
mod thumbprint;

#[cfg(not(feature = "ecdsa"))]
use missing as ecdsa;
#[cfg(not(feature = "ed25519"))]
use missing as ed25519;
#[cfg(not(feature = "rsa"))]
use missing as rsa;

#[cfg(feature = "message-signatures")]
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Algorithm;
use crate::error::ConfigError;
use crate::secret::{KeyKind, KeyMaterial};

use interface::{PrivateKey, SigningKey, VerifyingKey};

pub(crate) use checks::{Signature, SignatureChecks};
#[cfg(any(feature = "diagnose", all(feature = "serde", feature = "warden")))]
pub(crate) use text::is_visibly_private;
pub(crate) use text::{read_private, read_public};
#[cfg(feature = "message-signatures")]
pub(crate) use thumbprint::is_thumbprint;

/// A public key, with its private key if that is known, set up for one algorithm.
#[derive(Clone)]
pub(crate) struct KeyPair {
    #[cfg(any(feature = "message-signatures", feature = "warden"))]
    algorithm: Algorithm,
    verifying: Arc<dyn VerifyingKey>,
    signing: Option<Arc<dyn SigningKey>>,
    /// Empty for a decoy, so that no `keyid` equals it.
    #[cfg(feature = "message-signatures")]
    thumbprint: String,
}

impl KeyPair {
    /// `material` is a key of the algorithm's kind.
    pub(super) fn new(algorithm: Algorithm, material: &KeyMaterial) -> Result<Self, ConfigError> {
        let pair = || {
            let public = material.public_key()?;
            let verifying = verifying(algorithm, public.as_bytes())?;
            let signing = match material.secret() {
                Some(secret) => Some(signing(algorithm, secret.expose())?),
                None => None,
            };
            Some(Self {
                #[cfg(any(feature = "message-signatures", feature = "warden"))]
                algorithm,
                verifying,
                signing,
                #[cfg(feature = "message-signatures")]
                thumbprint: public.thumbprint(),
            })
        };
        pair().ok_or(ConfigError::fixed("public_key", "must be a valid key of the scheme's algorithm"))
    }

    /// Returns a fixed key for decoys, or `None` for an HMAC.
    #[cfg(any(feature = "message-signatures", feature = "warden"))]
    pub(super) fn decoy(algorithm: Algorithm) -> Option<Self> {
        let public = match algorithm.key_kind()? {
            KeyKind::Ed25519 => ed25519::DECOY,
            KeyKind::P256 => ecdsa::DECOY,
            KeyKind::Rsa => rsa::DECOY,
        };
        Some(Self {
            algorithm,
            verifying: verifying(algorithm, public)?,
            signing: None,
            #[cfg(feature = "message-signatures")]
            thumbprint: String::new(),
        })
    }

    #[cfg(any(feature = "message-signatures", feature = "warden"))]
    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The thumbprint of the public key.
    #[cfg(feature = "message-signatures")]
    pub(crate) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    pub(super) const fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// Returns the signature of `message`, or `None` without a private key.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.signing.as_deref()?.sign(message)
    }
}

/// Whether `signature` is valid for the concatenated `pieces` under a public key in the form of
/// [`PublicKey::as_bytes`](crate::PublicKey::as_bytes).
#[cfg(feature = "diagnose")]
pub(super) fn verifies(algorithm: Algorithm, public: &[u8], pieces: &[&[u8]], signature: &[u8]) -> bool {
    let Some(key) = verifying(algorithm, public) else { return false };
    if let Some(mut stream) = key.stream(signature) {
        pieces.iter().for_each(|piece| stream.update(piece));
        return stream.verifies();
    }
    let digest = sha2::Digest::finalize(pieces.iter().fold(sha2::Sha256::default(), sha2::Digest::chain_update));
    key.verifies(&digest.into(), signature)
}

/// Reads a public key from its raw bytes or its DER, and returns the form in which [`PublicKey`](crate::PublicKey) keeps
/// it.
fn public(kind: KeyKind, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind {
        KeyKind::Ed25519 => ed25519::public(bytes),
        KeyKind::P256 => ecdsa::public(bytes),
        KeyKind::Rsa => rsa::public(bytes),
    }
}

/// Reads a private key from its raw bytes or its DER.
fn private(kind: KeyKind, bytes: &[u8]) -> Option<PrivateKey> {
    match kind {
        KeyKind::Ed25519 => ed25519::private(bytes),
        KeyKind::P256 => ecdsa::private(bytes),
        KeyKind::Rsa => rsa::private(bytes),
    }
}

/// Sets up a public key from the bytes that [`public`] returned.
fn verifying(algorithm: Algorithm, public: &[u8]) -> Option<Arc<dyn VerifyingKey>> {
    match algorithm.key_kind()? {
        KeyKind::Ed25519 => ed25519::verifying(algorithm, public),
        KeyKind::P256 => ecdsa::verifying(algorithm, public),
        KeyKind::Rsa => rsa::verifying(algorithm, public),
    }
}

/// Sets up a private key from the bytes that [`private`] returned.
fn signing(algorithm: Algorithm, private: &[u8]) -> Option<Arc<dyn SigningKey>> {
    match algorithm.key_kind()? {
        KeyKind::Ed25519 => ed25519::signing(algorithm, private),
        KeyKind::P256 => ecdsa::signing(algorithm, private),
        KeyKind::Rsa => rsa::signing(algorithm, private),
    }
}
