//! Hashes of a body, for schemes that sign a digest instead of the body.

use sha2::{Digest as _, Sha256, Sha512};

use crate::encoding::{EncodedTag, Encoding, Tag};

/// The hash function of a digest in the signed content: see
/// [`SignedPart::BodyDigest`](crate::scheme::SignedPart::BodyDigest).
///
/// ```
/// use hookwarden::crypto::HashAlgorithm;
/// use hookwarden::encoding::Encoding;
/// use hookwarden::scheme::SignedPart;
///
/// let part = SignedPart::body_digest(HashAlgorithm::Sha256, Encoding::Hex);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// A hash in progress, and the encoding of its digest. A body is not secret, so it is not wiped.
#[derive(Clone)]
pub(crate) struct BodyHash {
    state: State,
    encoding: Encoding,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl BodyHash {
    pub(crate) fn new(algorithm: HashAlgorithm, encoding: Encoding) -> Self {
        let state = match algorithm {
            HashAlgorithm::Sha256 => State::Sha256(Sha256::new()),
            HashAlgorithm::Sha512 => State::Sha512(Sha512::new()),
        };
        Self { state, encoding }
    }

    pub(crate) fn update(&mut self, chunk: &[u8]) {
        match &mut self.state {
            State::Sha256(hash) => hash.update(chunk),
            State::Sha512(hash) => hash.update(chunk),
        }
    }

    /// Returns the text of the digest of the bytes so far.
    pub(crate) fn text(&self) -> Option<EncodedTag> {
        let digest = match &self.state {
            State::Sha256(hash) => Tag::from_bytes(&hash.clone().finalize()),
            State::Sha512(hash) => Tag::from_bytes(&hash.clone().finalize()),
        };
        self.encoding.encode_in_place(&digest?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_text(algorithm: HashAlgorithm, encoding: Encoding, expected: &str) {
        let mut hash = BodyHash::new(algorithm, encoding);
        for chunk in [&b"a"[..], b"", b"bc"] {
            hash.update(chunk);
        }
        assert_eq!(hash.text().unwrap().as_bytes(), expected.as_bytes());
    }

    #[test]
    fn digests_of_chunks_are_those_of_fips_180() {
        // FIPS 180-4 examples for "abc".
        let (short, long) = (
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643c\
             e80e2a9ac94fa54ca49f",
        );
        assert_text(HashAlgorithm::Sha256, Encoding::Hex, short);
        assert_text(HashAlgorithm::Sha512, Encoding::Hex, long);
        assert_text(HashAlgorithm::Sha256, Encoding::Base64, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_text(HashAlgorithm::Sha256, Encoding::Base64Url, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=");
        assert_text(HashAlgorithm::Sha256, Encoding::Base64UrlUnpadded, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        let base64 = "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
        assert_text(HashAlgorithm::Sha512, Encoding::Base64, base64);
    }
}
