//! Verifying the signatures of one request while its body arrives.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest as _, Sha256};

use super::interface::Stream;
use crate::crypto::mac::{Matches, PreparedKeys};
use crate::time::Timestamp;

/// The signatures of a request, and a hash of its signed content for each timestamp.
///
/// The hash identifies the delivery. A signature cannot: anyone can make another valid one from an ECDSA signature, and
/// a signer can make several for one message.
pub(crate) struct SignatureChecks {
    /// One for each timestamp.
    contents: Vec<Sha256>,
    signatures: Vec<Signature>,
    /// In the order of the keys.
    pairs: Vec<Pair>,
    too_many: bool,
}

/// A signature of a request.
pub(crate) struct Signature {
    pub(crate) bytes: Vec<u8>,
    /// The index of the timestamp that it belongs to.
    pub(crate) stamp: u8,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}

/// A key and a signature to verify with it.
struct Pair {
    /// The index of the key in the keyring.
    key: u8,
    /// The index of the signature.
    signature: usize,
    /// The index of the timestamp.
    stamp: u8,
    stream: Option<Box<dyn Stream>>,
}

impl SignatureChecks {
    /// Pairs every signature with each of the first `usable` keys that are valid now.
    pub(crate) fn new(
        keys: &PreparedKeys,
        usable: usize,
        signatures: Vec<Signature>,
        stamps: usize,
        now: Timestamp,
    ) -> Self {
        let live = || keys.live_pairs(now).take(usable);
        let too_many = live().count().saturating_mul(signatures.len()) > MAX_PAIRS;
        let mut pairs = Vec::new();
        for (key, pair) in live().filter(|_| !too_many) {
            pairs.extend(signatures.iter().enumerate().map(|(index, signature)| Pair {
                key,
                signature: index,
                stamp: signature.stamp,
                stream: pair.verifying.stream(&signature.bytes),
            }));
        }
        Self { contents: (0..stamps).map(|_| Sha256::new()).collect(), signatures, pairs, too_many }
    }

    /// Whether the request has more signatures than are verified with this many keys.
    pub(crate) const fn are_too_many(&self) -> bool {
        self.too_many
    }

    /// Adds bytes that are in the signed content of every timestamp.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.contents.iter_mut().for_each(|content| content.update(bytes));
        self.pairs.iter_mut().filter_map(|pair| pair.stream.as_mut()).for_each(|stream| stream.update(bytes));
    }

    /// Adds bytes to the signed content of one timestamp.
    pub(crate) fn update_one(&mut self, stamp: u8, bytes: &[u8]) {
        if let Some(content) = self.contents.get_mut(usize::from(stamp)) {
            content.update(bytes);
        }
        let of_stamp = self.pairs.iter_mut().filter(|pair| pair.stamp == stamp);
        of_stamp.filter_map(|pair| pair.stream.as_mut()).for_each(|stream| stream.update(bytes));
    }

    /// Returns the newest key that verifies a signature, and the SHA-256 of the content for each timestamp.
    pub(crate) fn finish(self, keys: &PreparedKeys, now: Timestamp) -> (Matches, Vec<[u8; 32]>) {
        let digests: Vec<[u8; 32]> = self.contents.into_iter().map(|content| content.finalize().into()).collect();
        let verifies = |pair: Pair| {
            if let Some(stream) = pair.stream {
                return stream.verifies();
            }
            let key = keys.live_pairs(now).find(|(index, _)| *index == pair.key).map(|(_, key)| key);
            let (signature, digest) = (self.signatures.get(pair.signature), digests.get(usize::from(pair.stamp)));
            match (key, signature, digest) {
                (Some(key), Some(signature), Some(digest)) => key.verifying.verifies(digest, &signature.bytes),
                _ => false,
            }
        };
        let found = self.pairs.into_iter().find_map(|pair| {
            let matches = Matches::of(pair.key, pair.stamp);
            if verifies(pair) { Some(matches) } else { None }
        });
        (found.unwrap_or_default(), digests)
    }
}

/// The maximum number of pairs of a signature and a key that are verified for one request. Verifying one takes about as
/// long as hashing 100 KiB.
const MAX_PAIRS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_the_signature() {
        let signature = Signature { bytes: alloc::vec![171; 64], stamp: 0 };
        assert_eq!(alloc::format!("{signature:?}"), "Signature(…)");
    }
}
