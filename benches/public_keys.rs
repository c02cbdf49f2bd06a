//! Verification with a public key, compared with the verification of the crate below it, at 1 KiB. Fails if it takes more
//! than 1.1 times as long: cargo bench --bench public_keys --features ecdsa,ed25519,generate,rsa
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench that panics has failed")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookwarden::crypto::Algorithm;
use hookwarden::scheme::SignedPart;
use hookwarden::{Keyring, Scheme, Signer, Timestamp, Verifier};
use p256::ecdsa::signature::Verifier as _;
use rsa::pkcs1::DecodeRsaPublicKey as _;

const BODY: [u8; 1 << 10] = [b'a'; 1 << 10];
const MOST: f64 = 1.1;
const TURNS: usize = 101;
const VERIFICATIONS: u32 = 20;

/// A verification of [`BODY`] by another crate, from the bytes of the public key and the signature.
type Bare = fn(&[u8], &[u8]) -> Box<dyn Fn()>;

fn main() -> ExitCode {
    let rsa = include_str!("../tests/public_keys/keys/rsa_a.pem");
    let cases: [(&str, Algorithm, &str, Bare); 4] = [
        ("Ed25519", Algorithm::Ed25519, include_str!("../tests/public_keys/keys/ed25519.pem"), ed25519),
        ("ECDSA P-256", Algorithm::EcdsaP256, include_str!("../tests/public_keys/keys/p256.pem"), p256),
        ("RSA PKCS#1 v1.5, 2048 bits", Algorithm::RsaPkcs1, rsa, rsa_pkcs1),
        ("RSA PSS, 2048 bits", Algorithm::RsaPss, rsa, rsa_pss),
    ];
    let mut is_over = false;
    println!("{:<30} {:>10} {:>10} {:>7}", "µs", "crate", "hookwarden", "ratio");
    for (name, algorithm, key, bare) in cases {
        let scheme = Scheme::builder("bare").algorithm(algorithm).signature_header("X-Signature");
        let scheme = scheme.signed([SignedPart::Body]).build().unwrap();
        let secret = scheme.secret(key).unwrap();
        let public = secret.public_key().unwrap().clone();
        let now = Timestamp::from_unix(0);
        let signed = Signer::new(scheme.clone(), Keyring::new(secret)).unwrap().sign_body_at(&BODY, now).unwrap();
        let head: Vec<(&str, &str)> = signed.iter().collect();
        let bare = bare(public.as_bytes(), &const_hex::decode(head[0].1).unwrap());
        let verifier = Verifier::new(scheme, Keyring::new(public)).unwrap();

        let mut turns: Vec<(f64, Duration, Duration)> = (0..TURNS)
            .map(|_| {
                let floor = time(&bare);
                let ours = time(&|| drop(black_box(verifier.verify_at(&head, black_box(&BODY), now).unwrap())));
                (ours.as_secs_f64() / floor.as_secs_f64(), floor, ours)
            })
            .collect();
        turns.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (ratio, floor, ours) = turns[TURNS / 2];
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6 / f64::from(VERIFICATIONS);
        println!("{name:<30} {:>10.1} {:>10.1} {ratio:>7.2}", micros(floor), micros(ours));
        is_over |= ratio > MOST;
    }
    if is_over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn time(verify: &dyn Fn()) -> Duration {
    let start = Instant::now();
    (0..VERIFICATIONS).for_each(|_| verify());
    start.elapsed()
}

fn ed25519(key: &[u8], signature: &[u8]) -> Box<dyn Fn()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key.try_into().unwrap()).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(signature).unwrap();
    Box::new(move || key.verify_strict(black_box(&BODY), &signature).unwrap())
}

fn p256(key: &[u8], signature: &[u8]) -> Box<dyn Fn()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(signature).unwrap();
    Box::new(move || key.verify(black_box(&BODY), &signature).unwrap())
}

fn rsa_pkcs1(key: &[u8], signature: &[u8]) -> Box<dyn Fn()> {
    let key = rsa::PublicKey::from_pkcs1_der(key).unwrap();
    let key = rsa::pkcs1v15::VerifyingKey::<rsa::sha2::Sha256>::new(key);
    let signature = rsa::pkcs1v15::Signature::try_from(signature).unwrap();
    Box::new(move || key.verify(black_box(&BODY), &signature).unwrap())
}

fn rsa_pss(key: &[u8], signature: &[u8]) -> Box<dyn Fn()> {
    let key = rsa::PublicKey::from_pkcs1_der(key).unwrap();
    let key = rsa::pss::VerifyingKey::<rsa::sha2::Sha256>::new_with_salt_len(key, 32);
    let signature = rsa::pss::Signature::try_from(signature).unwrap();
    Box::new(move || key.verify(black_box(&BODY), &signature).unwrap())
}
