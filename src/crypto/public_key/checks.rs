//! Verifying the signatures of one request while its body arrives.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest as _, Sha256};

use super::KeyPair;
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
        Self::with_keys(keys.live_pairs(now).take(usable), signatures, stamps)
    }

    /// Pairs every signature with each of these keys, which have their indexes in the keyring.
    pub(crate) fn with_keys<'k>(
        keys: impl Iterator<Item = (u8, &'k KeyPair)>,
        signatures: Vec<Signature>,
        stamps: usize,
    ) -> Self {
        let mut pairs = Vec::new();
        for (key, pair) in keys {
            pairs.extend(signatures.iter().enumerate().map(|(index, signature)| Pair {
                key,
                signature: index,
                stamp: signature.stamp,
                stream: pair.verifying.stream(&signature.bytes),
            }));
        }
        Self { contents: (0..stamps).map(|_| Sha256::new()).collect(), signatures, pairs }
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

    /// Returns for each timestamp with a valid signature the newest key that verifies one, and the SHA-256 of its content.
    /// Anyone can add a timestamp without a valid signature, so it does not identify the delivery.
    pub(crate) fn finish(mut self, keys: &PreparedKeys, now: Timestamp) -> (Matches, Vec<[u8; 32]>) {
        let (mut matches, mut digests) = (Matches::default(), Vec::new());
        for (stamp, content) in (0_u8..).zip(self.contents) {
            let digest = content.finalize().into();
            let mut pairs = self.pairs.iter_mut().filter(|pair| pair.stamp == stamp);
            let found = pairs.find_map(|pair| {
                let verifies = match pair.stream.take() {
                    Some(stream) => stream.verifies(),
                    None => {
                        let key = keys.live_pairs(now).find(|(index, _)| *index == pair.key);
                        let signature = self.signatures.get(pair.signature);
                        key.zip(signature).is_some_and(|((_, key), it)| key.verifying.verifies(&digest, &it.bytes))
                    }
                };
                verifies.then_some(pair.key)
            });
            if let Some(key) = found {
                matches = matches.with(key, stamp);
                digests.push(digest);
            }
        }
        (matches, digests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_the_signature() {
        let signature = Signature { bytes: alloc::vec![171; 64], stamp: 0 };
        assert_eq!(alloc::format!("{signature:?}"), "Signature(…)");
    }
}
