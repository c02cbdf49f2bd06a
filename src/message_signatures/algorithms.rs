//! The algorithms of RFC 9421.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::crypto::Algorithm;

/// The name of an algorithm in the registry of RFC 9421 section 6.2, or `None` if it is not there.
pub(crate) const fn name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::HmacSha256 => Some("hmac-sha256"),
        Algorithm::Ed25519 => Some("ed25519"),
        Algorithm::EcdsaP256 => Some("ecdsa-p256-sha256"),
        Algorithm::RsaPkcs1 => Some("rsa-v1_5-sha256"),
        Algorithm::RsaPssSha512 => Some("rsa-pss-sha512"),
        _ => None,
    }
}

/// Returns what is wrong with the algorithms of a profile.
pub(super) fn problem(algorithms: &[Algorithm]) -> Option<Cow<'static, str>> {
    if algorithms.is_empty() {
        return Some(Cow::Borrowed("must be set"));
    }
    if algorithms.iter().any(|algorithm| name(*algorithm).is_none()) {
        let problem = "must be HMAC-SHA-256, Ed25519, ECDSA on P-256 with `r` and `s`, RSA PKCS #1 with SHA-256, or RSA-PSS \
                       with SHA-512";
        return Some(Cow::Borrowed(problem));
    }
    let kinds: Vec<_> = algorithms.iter().map(|algorithm| algorithm.key_kind()).collect();
    if kinds.len() > 1 && kinds.contains(&None) {
        return Some(Cow::Borrowed("must be HMAC-SHA-256 alone, or only algorithms with public keys"));
    }
    let occurs_twice = |kind| kinds.iter().filter(|other| *other == kind).count() > 1;
    if kinds.iter().any(occurs_twice) {
        return Some(Cow::Borrowed("must be at most one for each kind of key, which decides which one is used"));
    }
    let missing = algorithms.iter().find_map(|algorithm| algorithm.missing_feature())?;
    Some(Cow::Owned(alloc::format!("must be of enabled features: enable the feature `{missing}`")))
}
