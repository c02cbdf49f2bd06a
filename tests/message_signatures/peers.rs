//! Messages that other implementations signed, and messages for them to verify: `http-message-signatures` 1.0.6 of npm and
//! 3.0.0 of PyPI. The scripts in `peers` wrote `npm.json`, `pypi.json` and `random.json`, and both verify `hookwarden.json`.

use std::collections::BTreeMap;

use hookwarden::crypto::Algorithm;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{Parameter, Profile, SignatureParameters};
use hookwarden::{Keyring, Reason, Verifier};

use crate::message::{BODY, NOW, builder, digest_builder, keys};

#[derive(serde::Deserialize)]
struct Message {
    algorithm: String,
    headers: BTreeMap<String, String>,
}

const PATH: &str = "/webhooks/acme?id=7&kind=a";

fn profile(algorithm: Algorithm) -> Profile {
    builder()
        .algorithms([algorithm])
        .covers(["@method", "@target-uri", "@query-param;name=\"id\"", "content-type", "content-digest"])
        .requires([Parameter::Expires, Parameter::Nonce, Parameter::Keyid, Parameter::Alg])
        .build()
        .unwrap()
}

/// The algorithm of the name, with the private key of the scripts.
fn algorithm(name: &str) -> (Algorithm, &'static str) {
    match name {
        "hmac-sha256" => (Algorithm::HmacSha256, "a-subscription-secret"),
        "ed25519" => (Algorithm::Ed25519, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
        "ecdsa-p256-sha256" => {
            (Algorithm::EcdsaP256, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
        }
        "rsa-v1_5-sha256" => (Algorithm::RsaPkcs1, include_str!("../public_keys/keys/rsa_a.pem")),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn assert_all_verify(json: &str) {
    let messages: Vec<Message> = serde_json::from_str(json).unwrap();
    assert_eq!(messages.len(), 4);
    for Message { algorithm: name, headers } in messages {
        let (algorithm, key) = algorithm(&name);
        let scheme = profile(algorithm).scheme("peer").unwrap();
        let keys = Keyring::new(scheme.secret(key).unwrap());
        let verifier = Verifier::new(scheme, keys).unwrap();
        let verify = |path: &str, body: &[u8]| {
            let head = RequestHead::new("POST", path, &headers).with_authority("hooks.example.com");
            let verified = verifier.verify_at(&head, body, NOW);
            verified.map(drop).map_err(|rejection| rejection.reason())
        };
        assert_eq!(verify(PATH, BODY), Ok(()), "{name}");
        assert_eq!(verify(PATH, b"{}"), Err(Reason::Mismatch), "{name}");
        assert_eq!(verify("/webhooks/acme?kind=a&id=7", BODY), Err(Reason::Mismatch), "{name}");
    }
}

#[test]
fn messages_of_npm_verify_with_their_bodies() {
    assert_all_verify(include_str!("peers/npm.json"));
}

#[test]
fn messages_of_pypi_verify_with_their_bodies() {
    assert_all_verify(include_str!("peers/pypi.json"));
}

/// A request whose components were chosen at random.
#[derive(serde::Deserialize)]
struct RandomMessage {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[test]
fn random_messages_of_pypi_verify() {
    let messages: Vec<RandomMessage> = serde_json::from_str(include_str!("peers/random.json")).unwrap();
    assert_eq!(messages.len(), 100);
    let scheme = digest_builder().danger_any_tag().build().unwrap().scheme("peer").unwrap();
    let verifier = Verifier::new(scheme, keys()).unwrap();
    for RandomMessage { method, target, headers, body } in messages {
        let head = RequestHead::new(&method, &target, &headers).with_authority("hooks.example.com");
        let verify =
            |body: &str| verifier.verify_at(&head, body.as_bytes(), NOW).map_err(|rejection| rejection.reason());
        assert_eq!(verify(&body).err(), None, "{target} {headers:?}");
        assert_eq!(verify(&format!("{body} ")).err(), Some(Reason::Mismatch), "{target} {headers:?}");
    }
}

/// The signatures are deterministic; ECDSA is, too, as in RFC 6979.
#[test]
fn messages_for_the_peers_are_signed_alike() {
    let json = include_str!("peers/hookwarden.json");
    let messages: Vec<Message> = serde_json::from_str(json).unwrap();
    assert_eq!(messages.len(), 4);
    for Message { algorithm: name, headers } in messages {
        let (algorithm, key) = algorithm(&name);
        let keys = Keyring::new(profile(algorithm).scheme("peer").unwrap().secret(key).unwrap());
        let signer = profile(algorithm).signer(keys).unwrap();
        let own = [("Content-Type", "application/json")];
        let parameters = SignatureParameters::new().keyid("2027-01").nonce("nonce-1");
        let signed = signer.sign_at(&RequestHead::new("POST", PATH, &own), BODY, &parameters, NOW).unwrap();
        let signed: BTreeMap<String, String> =
            own.into_iter().chain(signed.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(signed, headers, "{}", serde_json::to_string_pretty(&signed).unwrap());
    }
    assert_all_verify(json);
}
