//! The digests of the body (RFC 9530).

use alloc::string::String;

use super::component::CONTENT_DIGEST;
use super::problem::Problem;
use super::structured::{Dictionary, Member};
use crate::crypto::HashAlgorithm;
use crate::crypto::body_hash::BodyHash;
use crate::encoding::{EncodedTag, Encoding};

/// The digests of a `Content-Digest` header, and the hashes of the body so far.
pub(super) struct DigestCheck {
    expected: [Option<(BodyHash, String)>; 2],
}

impl DigestCheck {
    /// Reads the supported digests. Others are ignored: one that anybody can make for another body proves nothing.
    pub(super) fn new(field: &Dictionary) -> Result<Self, Problem> {
        let read = |name, algorithm, size| match field.get(name) {
            None => Ok(None),
            Some(Member::Item(item)) => match item.value.as_bytes() {
                Some(digest) if digest.len() == size => {
                    Ok(Some((BodyHash::new(algorithm, Encoding::Base64), Encoding::Base64.encode(digest))))
                }
                _ => Err(Problem::MalformedHeader(CONTENT_DIGEST)),
            },
            Some(Member::InnerList(_)) => Err(Problem::MalformedHeader(CONTENT_DIGEST)),
        };
        let expected = [read(SHA_256, HashAlgorithm::Sha256, 32)?, read("sha-512", HashAlgorithm::Sha512, 64)?];
        if expected.iter().all(Option::is_none) {
            return Err(Problem::NoSupportedDigest);
        }
        Ok(Self { expected })
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.expected.iter_mut().flatten().for_each(|(hash, _)| hash.update(chunk));
    }

    /// Checks that every digest is that of the body.
    pub(super) fn finish(&self) -> Result<(), Problem> {
        let is_equal = |(hash, expected): &(BodyHash, String)| {
            hash.text().is_some_and(|text| EncodedTag::as_bytes(&text) == expected.as_bytes())
        };
        if self.expected.iter().flatten().all(is_equal) { Ok(()) } else { Err(Problem::OtherBody) }
    }
}

/// Returns the value of `Content-Digest` for a body.
pub(super) fn content_digest(body: &[u8]) -> Option<String> {
    let mut hash = BodyHash::new(HashAlgorithm::Sha256, Encoding::Base64);
    hash.update(body);
    let text = hash.text()?;
    Some(alloc::format!("{SHA_256}=:{}:", core::str::from_utf8(text.as_bytes()).ok()?))
}

const SHA_256: &str = "sha-256";
