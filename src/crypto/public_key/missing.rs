//! An algorithm whose feature is off. No scheme can use it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::interface::{PrivateKey, SigningKey, VerifyingKey};
use crate::crypto::Algorithm;

pub(super) const fn public(_: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(super) const fn private(_: &[u8]) -> Option<PrivateKey> {
    None
}

#[cfg(not(feature = "rsa"))]
pub(super) const fn public_of_parts(_: &[u8], _: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(all(feature = "message-signatures", not(feature = "rsa")))]
pub(super) const fn parts(_: &[u8]) -> Option<(&[u8], &[u8])> {
    None
}

pub(super) const fn verifying(_: Algorithm, _: &[u8]) -> Option<Arc<dyn VerifyingKey>> {
    None
}

pub(super) const fn signing(_: Algorithm, _: &[u8]) -> Option<Arc<dyn SigningKey>> {
    None
}

#[cfg(any(feature = "message-signatures", feature = "warden"))]
pub(super) const DECOY: &[u8] = &[];
