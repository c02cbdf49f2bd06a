//! Schemes with public keys: Ed25519, ECDSA on P-256, and RSA.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

mod confusion;
mod diagnosis;
mod differential;
mod identity;
mod key_texts;
mod keyrings;
mod properties;
mod stores;
mod vectors;
mod wycheproof;

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::{Keyring, PublicKey, Reason, Scheme, Secret, Signer, Timestamp, Verifier};

/// Every algorithm with public keys, with two private keys.
pub(crate) const ALGORITHMS: [(Algorithm, [&str; 2]); 6] = [
    (Algorithm::Ed25519, ED25519),
    (Algorithm::EcdsaP256, P256),
    (Algorithm::EcdsaP256Der, P256),
    (Algorithm::RsaPkcs1, RSA),
    (Algorithm::RsaPss, RSA),
    (Algorithm::RsaPssSha512, RSA),
];

/// RFC 8032 section 7.1, tests 1 and 2.
pub(crate) const ED25519: [&str; 2] = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
];

/// RFC 6979 appendix A.2.5, and a key generated with openssl 3.
pub(crate) const P256: [&str; 2] =
    ["c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", include_str!("keys/p256.pem")];

/// Generated with openssl 3.
pub(crate) const RSA: [&str; 2] = [include_str!("keys/rsa_a.pem"), include_str!("keys/rsa_b.pem")];

pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// `X-Signature: v1=… v1=…` in base64, over `timestamp.body`.
pub(crate) fn scheme(algorithm: Algorithm) -> Scheme {
    Scheme::timestamped()
        .into_builder()
        .algorithm(algorithm)
        .encoding(Encoding::Base64)
        .layout(Layout::list(' ', "v1,"))
        .build()
        .expect("the description is consistent")
}

/// `X-Signature: …` in hex, over the body alone.
pub(crate) fn bare(algorithm: Algorithm) -> Scheme {
    let scheme = Scheme::builder("bare").algorithm(algorithm).signature_header("X-Signature");
    scheme.signed([SignedPart::Body]).build().expect("the description is consistent")
}

pub(crate) fn public_half(secret: &Secret) -> PublicKey {
    secret.public_key().expect("a private key").clone()
}

/// Verifies a message of the scheme [`bare`].
pub(crate) fn verdict(algorithm: Algorithm, key: PublicKey, message: &[u8], signature: &[u8]) -> Result<(), Reason> {
    let verifier = Verifier::new(bare(algorithm), Keyring::new(key)).expect("a key of the right kind");
    let head = [("X-Signature", const_hex::encode(signature))];
    verifier.verify_at(&head, message, NOW).map(drop).map_err(|rejection| rejection.reason())
}

/// Signs a message of the scheme [`bare`].
pub(crate) fn signature(algorithm: Algorithm, private: &str, message: &[u8]) -> Vec<u8> {
    let scheme = bare(algorithm);
    let key = scheme.secret(private).expect("a private key");
    let signed = Signer::new(scheme, Keyring::new(key)).expect("a signer").sign_body_at(message, NOW);
    const_hex::decode(signed.expect("a signature").iter().next().expect("a header").1).expect("hex")
}

/// The headers of a message of the scheme [`scheme`], which all `keys` sign.
pub(crate) fn signed_headers(scheme: &Scheme, keys: Keyring, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
    let signed = Signer::new(scheme.clone(), keys).expect("a signer").sign_body_at(body, now).expect("a message");
    signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
