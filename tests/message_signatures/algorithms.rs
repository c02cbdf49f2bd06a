//! Profiles with several algorithms, and senders with keys of several kinds.

use hookwarden::crypto::Algorithm;
use hookwarden::event::RefusalReason;
use hookwarden::message_signatures::{Parameter, Problem, Profile, SignatureParameters};
use hookwarden::testing::TestClock;
use hookwarden::{Key, Keyring, Reason, Scheme, Secret, Timestamp, Verifier, Warden};

use crate::message::{Message, NOW, digest_builder, raw_signature};
use crate::replay::deliver;

/// RFC 8032 section 7.1, test 1.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxXN7MmkZcDusAxyuf2A"}"#;
/// RFC 6979 appendix A.2.5.
const P256: &str = r#"{"kty":"EC","crv":"P-256","d":"ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE"}"#;
const RSA: &str = include_str!("../public_keys/keys/rsa_a.pem");

const ALL: [Algorithm; 3] = [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::RsaPkcs1];

fn profile<const N: usize>(algorithms: [Algorithm; N]) -> Profile {
    digest_builder().algorithms(algorithms).build().unwrap()
}

/// The keys, newest first.
fn keyring(scheme: &Scheme, texts: &[&str]) -> Keyring {
    let key = |(index, text): (usize, &&str)| Key::new(&format!("k{index}"), scheme.secret(text).unwrap()).unwrap();
    Keyring::from_keys(texts.iter().enumerate().map(key)).unwrap()
}

fn signed(profile: &Profile, keys: &[&str]) -> Message {
    signed_by(Message::unsigned(), profile, keys)
}

fn signed_by(mut message: Message, profile: &Profile, keys: &[&str]) -> Message {
    let signer = profile.signer(keyring(&profile.scheme("acme").unwrap(), keys)).unwrap();
    let signed = signer.sign_at(&message.head(), &message.body, &SignatureParameters::new(), NOW).unwrap();
    signed.iter().for_each(|(name, value)| message.set(name, value));
    message
}

/// Returns the id of the key that verifies the message.
fn verified(profile: &Profile, keys: &[&str], message: &Message) -> Result<String, Reason> {
    let scheme = profile.scheme("acme").unwrap();
    let verifier = Verifier::new(scheme.clone(), keyring(&scheme, keys)).unwrap();
    let verified = verifier.verify_at(&message.head(), &message.body, NOW);
    verified.map(|verified| verified.key_id().to_string()).map_err(|rejection| rejection.reason())
}

#[test]
fn key_verifies_with_algorithm_of_its_kind() {
    let all = profile(ALL);
    let keys = [ED25519, P256, RSA];
    for (index, (algorithm, key)) in ALL.into_iter().zip(keys).enumerate() {
        let message = signed(&profile([algorithm]), &[key]);
        assert_eq!(verified(&all, &keys, &message), Ok(format!("k{index}")), "{algorithm:?}");
        let others: Vec<&str> = keys.into_iter().filter(|other| *other != key).collect();
        assert_eq!(verified(&all, &others, &message), Err(Reason::Mismatch), "{algorithm:?}");
        let changed = Message { body: b"{}".into(), ..message };
        assert_eq!(verified(&all, &keys, &changed), Err(Reason::Mismatch), "{algorithm:?}");
    }
}

#[test]
fn newest_key_signs_with_its_algorithm() {
    let profile = digest_builder().algorithms(ALL).requires([Parameter::Alg]).build().unwrap();
    for (keys, alg) in [
        ([ED25519, P256, RSA], "ed25519"),
        ([P256, ED25519, RSA], "ecdsa-p256-sha256"),
        ([RSA, P256, ED25519], "rsa-v1_5-sha256"),
    ] {
        let message = signed(&profile, &keys);
        assert!(message.get("Signature-Input").ends_with(&format!(";alg=\"{alg}\"")), "{message:?}");
        assert_eq!(verified(&profile, &keys, &message), Ok("k0".into()), "{alg}");
    }
    // The first key is not valid yet.
    let scheme = profile.scheme("acme").unwrap();
    let later =
        Key::new("later", scheme.secret(P256).unwrap()).unwrap().not_before(Timestamp::from_unix(NOW.as_unix() + 1));
    let keys = Keyring::new(scheme.secret(ED25519).unwrap()).add(later).unwrap();
    let signer = profile.signer(keys).unwrap();
    let signed = signer.sign_at(&Message::unsigned().head(), b"", &SignatureParameters::new(), NOW).unwrap();
    assert!(signed.iter().any(|(_, value)| value.ends_with(";alg=\"ed25519\"")));
}

/// The signature is valid, but the parameter `alg` names another algorithm.
#[test]
fn keys_of_another_algorithm_than_named_never_count() {
    let profile = digest_builder().algorithms(ALL).requires([Parameter::Alg]).build().unwrap();
    let keys = [ED25519, P256];
    let scheme = profile.scheme("acme").unwrap();
    for (named, key, expected) in [
        ("ed25519", ED25519, Ok("k0".to_owned())),
        ("ecdsa-p256-sha256", P256, Ok("k1".to_owned())),
        ("ed25519", P256, Err(Reason::Mismatch)),
        ("ecdsa-p256-sha256", ED25519, Err(Reason::Mismatch)),
        ("rsa-v1_5-sha256", P256, Err(Reason::Mismatch)),
        ("hmac-sha256", P256, Err(Reason::MalformedSignature)),
        ("rsa-pss-sha512", P256, Err(Reason::MalformedSignature)),
    ] {
        let input = format!("(\"content-digest\");created=1800000000;alg=\"{named}\"");
        let mut message = Message::signed_as(&[], &input);
        let base = format!("\"content-digest\": {}\n\"@signature-params\": {input}", message.get("Content-Digest"));
        let algorithm = if key == P256 { Algorithm::EcdsaP256 } else { Algorithm::Ed25519 };
        let signature = raw_signature(algorithm, Keyring::new(scheme.secret(key).unwrap()), &base);
        message.set("Signature", &format!("sig=:{signature}:"));
        assert_eq!(verified(&profile, &keys, &message), expected, "{named}");
        let problem = profile.explain_at(&message.head(), &message.body, NOW);
        let is_foreign = expected == Err(Reason::MalformedSignature);
        assert_eq!(problem, is_foreign.then_some(Problem::WrongAlgorithm), "{named}");
    }
}

#[test]
fn invalid_algorithms_of_a_profile_are_config_errors() {
    let error = |algorithms: &[Algorithm]| {
        digest_builder().algorithms(algorithms.iter().copied()).build().map(drop).unwrap_err().to_string()
    };
    assert_eq!(error(&[]), "algorithms: must be set");
    assert_eq!(
        error(&[Algorithm::HmacSha256, Algorithm::Ed25519]),
        "algorithms: must be HMAC-SHA-256 alone, or only algorithms with public keys"
    );
    assert_eq!(
        error(&[Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::Ed25519]),
        "algorithms: must be at most one for each kind of key, which decides which one is used"
    );
    assert!(error(&[Algorithm::Ed25519, Algorithm::HmacSha512]).starts_with("algorithms: must be HMAC-SHA-256, "));
    // The algorithm of the scheme cannot be changed afterwards.
    let scheme = profile([Algorithm::Ed25519]).scheme("acme").unwrap();
    assert_eq!(scheme.algorithms(), [Algorithm::Ed25519]);
    let changed = scheme.into_builder().algorithm(Algorithm::EcdsaP256).build();
    assert_eq!(changed.unwrap_err().field(), "algorithm");
}

#[test]
fn key_of_a_kind_without_algorithm_is_refused() {
    let both = profile([Algorithm::Ed25519, Algorithm::EcdsaP256]).scheme("acme").unwrap();
    let rsa = profile([Algorithm::RsaPkcs1]).scheme("acme").unwrap().secret(RSA).unwrap();
    let hmac = Secret::from_text("a-subscription-secret").unwrap();
    for (secret, has) in [(rsa, "an RSA key"), (hmac, "a secret")] {
        let error = Verifier::new(both.clone(), Keyring::new(secret)).unwrap_err().to_string();
        let expected =
            format!("keys: must be an Ed25519 key or a P-256 key each for the scheme acme, but key default is {has}");
        assert_eq!(error, expected);
    }
}

#[test]
fn key_text_must_fit_exactly_one_algorithm() {
    let both = profile([Algorithm::Ed25519, Algorithm::EcdsaP256]).scheme("acme").unwrap();
    let public = |text: &str| both.public_key(text).map(|key| key.as_bytes().len()).map_err(|error| error.to_string());
    let (ed25519, p256) = (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
    );
    assert_eq!((public(ed25519), public(p256)), (Ok(32), Ok(65)));
    let forms = "public_key: must be an Ed25519 public key, canonical and not of small order: 32 bytes in hex, base64 or \
                 base64url, after `whpk_`, or as DER, PEM or JWK; or a P-256 public key: a point of 33 or 65 bytes in hex, \
                 base64 or base64url, or DER, PEM or JWK";
    assert_eq!(public("00"), Err(forms.into()));
    assert_eq!(public(" "), Err("public_key: must not be empty".into()));
    assert!(
        public(RSA)
            .unwrap_err()
            .ends_with("must be the public key, not the private key, which only the sender may have")
    );
    // A JWK shows its kind, so only the forms of that kind are listed.
    let small = r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let error = public(small).unwrap_err();
    assert!(error.contains("an Ed25519 public key") && !error.contains("P-256"), "{error}");
    let other_use = r#"{"kty":"OKP","crv":"Ed25519","alg":"RS256","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert!(public(other_use).unwrap_err().contains("in its members `alg`"));

    let private = |text: &str| both.secret(text).map(drop).map_err(|error| error.to_string());
    assert_eq!((private(ED25519), private(P256)), (Ok(()), Ok(())));
    // 32 bytes can be a private key of both kinds.
    let raw = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let expected = "secret: must be PEM or JWK: this text can be an Ed25519 key or a P-256 key";
    assert_eq!(private(raw), Err(expected.into()));
    assert!(profile([Algorithm::Ed25519]).scheme("acme").unwrap().secret(raw).is_ok());
}

/// Keys are mixed, and an unknown id is answered like a wrong signature.
#[test]
fn warden_accepts_keys_of_each_kind() {
    let profile = digest_builder().algorithms(ALL).build().unwrap();
    let scheme = profile.scheme("acme").unwrap();
    let warden = Warden::builder(scheme.clone())
        .sender("mixed", keyring(&scheme, &[ED25519, P256]))
        .sender("rsa", keyring(&scheme, &[RSA]))
        .webhook_id(hookwarden::IdSource::path_segment(1))
        .clock(TestClock::new(NOW))
        .build()
        .unwrap();
    let to = |path: &str, message: &Message| Message { path: path.into(), ..message.clone() };
    for (key, mixed, rsa) in [(ED25519, true, false), (P256, true, false), (RSA, false, true)] {
        // Each body is another delivery.
        let message = Message { body: key.into(), ..Message::unsigned() };
        let message = signed_by(message, &profile, &[key]);
        let expected = |is_valid| if is_valid { Ok(()) } else { Err(RefusalReason::Unverified(Reason::Mismatch)) };
        assert_eq!(deliver(&warden, &to("/webhooks/mixed", &message)), expected(mixed));
        assert_eq!(deliver(&warden, &to("/webhooks/rsa", &message)), expected(rsa));
        assert_eq!(deliver(&warden, &to("/webhooks/other", &message)), Err(RefusalReason::UnknownId));
    }
}
