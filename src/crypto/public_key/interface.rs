//! What each algorithm provides.

use alloc::boxed::Box;
use alloc::vec::Vec;

use zeroize::Zeroizing;

/// Verifies signatures. Every implementation has either its own `stream` or its own `verifies`.
pub(super) trait VerifyingKey: Send + Sync {
    /// Starts to verify a message in pieces, for an algorithm that cannot verify a digest of it.
    fn stream(&self, _signature: &[u8]) -> Option<Box<dyn Stream>> {
        None
    }

    /// Whether `signature` is valid for a message with this SHA-256.
    fn verifies(&self, _digest: &[u8; 32], _signature: &[u8]) -> bool {
        false
    }
}

/// A verification whose message is still arriving.
pub(super) trait Stream: Send + Sync {
    fn update(&mut self, bytes: &[u8]);
    fn verifies(self: Box<Self>) -> bool;
}

pub(super) trait SigningKey: Send + Sync {
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>>;
}

/// The bytes of a private key and of its public key.
pub(super) struct PrivateKey {
    pub(super) private: Zeroizing<Vec<u8>>,
    pub(super) public: Vec<u8>,
}
