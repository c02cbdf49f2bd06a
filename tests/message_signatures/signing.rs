//! What a signer refuses, and that what it signs verifies.

use core::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::headers::{Head, NoHeaders};
use hookwarden::message_signatures::{Parameter, ProfileBuilder, SignatureParameters, StructuredType};
use hookwarden::{Keyring, Timestamp, Verifier};

use crate::message::{Message, NOW, ORIGIN, builder, digest_builder, keys, webhooks};

#[track_caller]
fn assert_unsignable(profile: ProfileBuilder, head: &dyn Head, parameters: &SignatureParameters, part: &str) {
    let profile = profile.danger_unsigned_body().build().unwrap();
    let signer = profile.signer(keys()).unwrap();
    assert_eq!(signer.sign_at(head, b"{}", parameters, NOW).unwrap_err().part(), part);
}

#[test]
fn message_without_what_the_profile_needs_is_unsignable() {
    let none = SignatureParameters::new();
    assert_unsignable(builder().covers(["@method"]), &NoHeaders, &none, "request line");
    assert_unsignable(builder().covers(["@path"]), &NoHeaders, &none, "request line");
    assert_unsignable(builder().covers(["x"]), &NoHeaders, &none, "x");
    // Each value is short enough, but not all together.
    let names: Vec<String> = (0..9).map(|number| format!("x-{number}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.clone(), "a".repeat(8_000))).collect();
    assert_unsignable(builder().covers(names.iter().map(String::as_str)), &headers, &none, "signature base");
    for (parameter, name) in [(Parameter::Nonce, "nonce"), (Parameter::Keyid, "keyid"), (Parameter::Tag, "tag")] {
        assert_unsignable(builder().danger_any_tag().requires([parameter]), &NoHeaders, &none, name);
    }
    assert_unsignable(builder().forbids([Parameter::Keyid]), &NoHeaders, &none.clone().keyid("k"), "keyid");
    assert_unsignable(builder(), &NoHeaders, &none.clone().expires_after(Duration::from_millis(999)), "expires");
    for nonce in ["", "é", "a\n"] {
        assert_unsignable(builder(), &NoHeaders, &none.clone().nonce(nonce), "nonce");
    }
}

#[test]
fn signed_message_verifies_with_every_algorithm() {
    let keys = [
        (Algorithm::HmacSha256, "a-subscription-secret"),
        (Algorithm::Ed25519, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
        (Algorithm::EcdsaP256, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"),
        (Algorithm::RsaPkcs1, include_str!("../public_keys/keys/rsa_a.pem")),
        (Algorithm::RsaPssSha512, include_str!("../public_keys/keys/rsa_a.pem")),
    ];
    let profile = builder()
        .covers([
            "@method",
            "@target-uri",
            "content-digest",
            "@query-param;name=\"id\"",
            "x-list;sf",
            "x-dict;key=\"a\"",
            "x-bytes;bs",
        ])
        .requires([Parameter::Alg, Parameter::Expires])
        .structured_field("x-list", StructuredType::List)
        .tag("a \"tag\"")
        .label("acme");
    for (algorithm, key) in keys {
        let profile = profile.clone().algorithms([algorithm]).build().unwrap();
        let scheme = profile.scheme("acme").unwrap();
        let keys = Keyring::new(scheme.secret(key).unwrap());
        let mut message = Message::unsigned().with("X-List", "a,b").with("X-Dict", "a=1").with("X-Bytes", "é");
        let signer = profile.signer(keys.clone()).unwrap();
        let parameters = SignatureParameters::new().expires_after(Duration::from_secs(30));
        let signed = signer.sign_at(&message.head(), &message.body, &parameters, NOW).unwrap();
        signed.iter().for_each(|(name, value)| message.set(name, value));
        assert!(message.get("Signature-Input").contains(";expires=1800000030;alg="), "{message:?}");
        let verifier = Verifier::new(scheme, keys).unwrap();
        verifier.verify_at(&message.head(), &message.body, NOW).unwrap_or_else(|_| panic!("{algorithm:?} {message:?}"));
        assert!(verifier.verify_at(&message.head(), b"{}", NOW).is_err(), "{algorithm:?}");
        assert!(verifier.verify_at(&message.head(), &message.body, Timestamp::from_unix(1_800_000_091)).is_err());
    }
}

#[test]
fn signer_covers_what_the_profile_covers() {
    let input = |profile: ProfileBuilder, body: &[u8]| {
        let signer = profile.build().unwrap().signer(keys()).unwrap();
        let signed = signer.sign_at(&NoHeaders, body, &SignatureParameters::new(), NOW).unwrap();
        signed.iter().map(|(name, value)| format!("{name}: {}", value.split(';').next().unwrap())).collect::<Vec<_>>()
    };
    for body in [&b""[..], b"{}"] {
        assert_eq!(input(digest_builder(), body)[1], "Signature-Input: sig1=(\"content-digest\")");
        assert_eq!(input(builder().danger_unsigned_body(), body)[0], "Signature-Input: sig1=()");
    }
}

#[test]
fn digest_of_the_sender_is_replaced() {
    let profile = webhooks(ORIGIN);
    Message::unsigned().with("content-digest", "sha-256=:AAAA:").sign(&profile).assert_verifies(&profile);
}
