//! Why a message with a public key does not verify.

use hookwarden::crypto::Algorithm;
use hookwarden::diagnose::{Capture, CauseKind, Diagnosis};
use hookwarden::encoding::Encoding;
use hookwarden::scheme::SignedPart;
use hookwarden::{Keyring, Scheme};

use crate::{ALGORITHMS, NOW, scheme, signed_headers};

/// The public key of a private one, as base64 of its DER or raw bytes.
fn public(scheme: &Scheme, private: &str) -> String {
    let key = scheme.secret(private).unwrap();
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key.public_key().unwrap().as_bytes())
}

/// Diagnoses a message that `sender` signs and `receiver` should verify.
fn diagnosis(sender: &Scheme, receiver: &Scheme, private: &str, key: &str, body: &[u8]) -> Diagnosis {
    let keys = Keyring::new(sender.secret(private).unwrap());
    let headers = signed_headers(sender, keys, b"{\"a\": 1}", NOW);
    Capture::new(receiver, key, &headers, body).with_headers(headers.clone()).diagnose_at(NOW)
}

#[track_caller]
fn assert_cause(diagnosis: &Diagnosis, kind: CauseKind, text: &str) {
    let cause = &diagnosis.causes()[0];
    assert_eq!(cause.kind(), kind, "{diagnosis}");
    assert!(diagnosis.to_string().contains(text), "{diagnosis}");
    let is_proven = !matches!(kind, CauseKind::Unexplained | CauseKind::SecretMalformed);
    assert_eq!((cause.is_proven(), diagnosis.fitting_secret()), (is_proven, is_proven.then_some(0)), "{diagnosis}");
}

const BODY: &[u8] = b"{\"a\": 1}";

#[test]
fn message_that_verifies_has_no_cause() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let diagnosis = diagnosis(&scheme, &scheme, private, &public(&scheme, private), BODY);
        assert!(diagnosis.holds() && diagnosis.causes().is_empty(), "{algorithm:?}: {diagnosis}");
    }
}

#[test]
fn wrong_public_key_is_suspected() {
    let scheme = scheme(Algorithm::Ed25519);
    let [private, other] = crate::ED25519;
    let diagnosis = diagnosis(&scheme, &scheme, private, &public(&scheme, other), BODY);
    assert_cause(&diagnosis, CauseKind::Unexplained, "no combination fits, but not all were tried");
}

/// An environment variable often has the key's line breaks written out.
#[test]
fn pem_on_one_line_is_named() {
    let scheme = scheme(Algorithm::Ed25519);
    let private = crate::ED25519[0];
    // The start of SubjectPublicKeyInfo for Ed25519 (RFC 8410) in base64.
    let der = format!("MCowBQYDK2VwAyEA{}", public(&scheme, private));
    let pem = format!(r"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    assert_cause(&diagnosis(&scheme, &scheme, private, &pem, BODY), CauseKind::SecretEscaped, "written out");
}

#[test]
fn key_of_another_kind_is_named() {
    let scheme = scheme(Algorithm::Ed25519);
    let pem = include_str!("keys/p256_public.pem");
    let diagnosis = diagnosis(&scheme, &scheme, crate::ED25519[0], pem, BODY);
    assert_cause(&diagnosis, CauseKind::SecretMalformed, "must be an Ed25519 public key");
}

#[test]
fn der_and_fixed_size_ecdsa_are_distinguished() {
    let (fixed, der) = (scheme(Algorithm::EcdsaP256), scheme(Algorithm::EcdsaP256Der));
    let key = public(&fixed, crate::P256[0]);
    for (sender, receiver, text) in [(&der, &fixed, "as ASN.1 DER"), (&fixed, &der, "as the 64 bytes of r and s")] {
        let diagnosis = diagnosis(sender, receiver, crate::P256[0], &key, BODY);
        assert_cause(&diagnosis, CauseKind::AlgorithmDiffers, text);
    }
}

#[test]
fn rsa_paddings_are_distinguished() {
    let (pkcs1, pss, sha512) =
        (scheme(Algorithm::RsaPkcs1), scheme(Algorithm::RsaPss), scheme(Algorithm::RsaPssSha512));
    let key = public(&pkcs1, crate::RSA[0]);
    for (sender, receiver, text) in [
        (&pss, &pkcs1, "the padding PSS and SHA-256"),
        (&pkcs1, &pss, "the padding PKCS#1 v1.5"),
        (&sha512, &pss, "the padding PSS and SHA-512"),
        (&pss, &sha512, "the padding PSS and SHA-256"),
    ] {
        assert_cause(&diagnosis(sender, receiver, crate::RSA[0], &key, BODY), CauseKind::AlgorithmDiffers, text);
    }
}

#[test]
fn base64url_signature_is_named() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let receiver = scheme(algorithm);
        let sender = receiver.clone().into_builder().encoding(Encoding::Base64UrlUnpadded).build().unwrap();
        let diagnosis = diagnosis(&sender, &receiver, private, &public(&receiver, private), BODY);
        assert_cause(&diagnosis, CauseKind::SignatureEncoding, "URL-safe base64");
    }
}

#[test]
fn parts_in_another_order_are_named() {
    let receiver = scheme(Algorithm::Ed25519);
    let parts = [SignedPart::Body, SignedPart::literal("."), SignedPart::Timestamp];
    let sender = receiver.clone().into_builder().signed(parts).build().unwrap();
    let diagnosis = diagnosis(&sender, &receiver, crate::ED25519[0], &public(&receiver, crate::ED25519[0]), BODY);
    assert_cause(&diagnosis, CauseKind::TemplateOrder, "order");
}

#[test]
fn rewritten_body_is_named() {
    let scheme = scheme(Algorithm::EcdsaP256);
    let key = public(&scheme, crate::P256[0]);
    let compact = diagnosis(&scheme, &scheme, crate::P256[0], &key, b"{\"a\":1}");
    assert_cause(&compact, CauseKind::BodyJsonRewritten, "from byte 5 of the body");
    let longer = diagnosis(&scheme, &scheme, crate::P256[0], &key, b"{\"a\": 1}\n");
    assert_cause(&longer, CauseKind::BodyNewlineAdded, "line break");
}

#[test]
fn diagnosis_shows_no_private_key() {
    let scheme = scheme(Algorithm::Ed25519);
    let [private, other] = crate::ED25519;
    for key in [format!(" {other}"), format!("\"{other}\""), other.to_owned()] {
        let text = diagnosis(&scheme, &scheme, private, &key, b"[]").to_string();
        assert!(!text.contains(&other[..16]), "{text}");
    }
}
