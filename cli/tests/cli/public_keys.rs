//! Schemes with public keys on the command line.

use std::time::Duration;

use hookwarden::warden::Quotas;
use hookwarden::{Keyring, Quota, Scheme, Timestamp, Warden};
use tokio::task::block_in_place;

use super::harness::receiver::{Bench, Server};
use super::harness::sender::ID;
use super::scratch::{CommandOutput, Scratch};

pub(crate) const SCHEME: &str = "\
name = \"acme\"
algorithm = \"ALGORITHM\"
signature_headers = [\"X-Signature\"]
encoding = \"base64\"
timestamp = { header = \"X-Timestamp\", format = \"seconds\" }
signed = [\"timestamp\", { literal = \".\" }, \"body\"]
";

const BODY: &str = "{\"id\":7}";

pub(crate) const KEYS: [(&str, &str); 5] = [
    ("ed25519", include_str!("../../../tests/public_keys/keys/ed25519.pem")),
    ("ecdsa-p256", include_str!("../../../tests/public_keys/keys/p256.pem")),
    ("ecdsa-p256-der", include_str!("../../../tests/public_keys/keys/p256_sec1.pem")),
    ("rsa-pkcs1-sha256", include_str!("../../../tests/public_keys/keys/rsa_a.pem")),
    ("rsa-pss-sha256", include_str!("../../../tests/public_keys/keys/rsa_b.pem")),
];

/// A second private key for each of [`KEYS`].
pub(crate) const OTHERS: [&str; 5] = [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    KEYS[4].1,
    KEYS[3].1,
];

/// A directory with a scheme, a body, a private key and a message that it signs; and the public key's text.
fn signed(algorithm: &str, pem: &str) -> (Scratch, String) {
    let scratch = Scratch::new();
    scratch.write("scheme.toml", SCHEME.replace("ALGORITHM", algorithm));
    scratch.write("body", BODY);
    scratch.write("private.pem", pem);
    let key = ["--scheme", "scheme.toml", "--secret-file", "private.pem"];
    let ended = scratch.run([&["sign", "body"], &key[..]].concat()).assert_code(0);
    scratch.write("headers", &ended.stdout);
    let public = scratch.run([&["secret", "public"], &key[..]].concat()).assert_code(0).stdout;
    assert!(!pem.contains(public.trim()), "{algorithm}: {public}");
    (scratch, public)
}

#[test]
fn signed_message_verifies_with_the_public_key() {
    for (algorithm, pem) in KEYS {
        let (scratch, public) = signed(algorithm, pem);
        scratch.write("public", &public);
        let verify = |key: &str| {
            let key = ["--secret-file", key];
            scratch.run(
                [&["verify", "--scheme", "scheme.toml", "--headers", "headers", "--body", "body"], &key[..]].concat(),
            )
        };
        let ended = verify("public").assert_code(0);
        assert!(ended.stdout.starts_with("holds: the signature verifies with secret 1"), "{algorithm}: {ended:?}");
        verify("private.pem").assert_code(0);
        // Several keys, on lines and in PEM, newest first.
        let other = "MCowBQYDK2VwAyEANz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w=";
        scratch.write("public", format!("{other}\n{pem}{public}"));
        assert_eq!(verify("public").code, Some(0), "{algorithm}");

        scratch.write("body", "{\"id\":8}");
        verify("private.pem").assert_code(1);
    }
}

#[test]
fn diagnosis_names_another_kind_of_key() {
    let (scratch, _) = signed("ed25519", KEYS[0].1);
    scratch.write("public", include_str!("../../../tests/public_keys/keys/p256_public.pem"));
    let arguments = ["verify", "--scheme", "scheme.toml", "--headers", "headers", "--body", "body"];
    let ended = scratch.run([&arguments[..], &["--secret-file", "public"]].concat());
    assert!(format!("{ended:?}").contains("must be an Ed25519 public key"), "{ended:?}");
}

#[test]
fn generated_private_key_signs_standard_webhooks() {
    let scratch = Scratch::new();
    let private = scratch.run(["secret", "whsk"]).assert_code(0).stdout;
    assert!(private.starts_with("whsk_"), "a private key");
    let private = private.trim();
    let sign = ["sign", "--body", BODY, "--scheme", "standard_webhooks_v1a"];
    let ended = scratch.run_with_secret(private, sign).assert_code(0);
    assert!(ended.stdout.contains("webhook-signature: v1a,"), "{}", ended.stdout);
    scratch.write("headers", &ended.stdout);
    scratch.write("body", BODY);
    let public = scratch.run_with_secret(private, ["secret", "public", "--scheme", "standard_webhooks_v1a"]);
    let public = public.assert_code(0).stdout;
    assert!(public.starts_with("whpk_"), "{public}");
    let verify = ["verify", "--headers", "headers", "--body", "body", "--scheme", "standard_webhooks_v1a"];
    scratch.run_with_secret(public.trim(), verify).assert_code(0);
}

#[test]
fn secret_public_needs_a_private_key() {
    let scratch = Scratch::new();
    scratch.run(["secret", "public"]).assert_refused("must be a scheme with public keys");
    let whpk = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let arguments = ["secret", "public", "--scheme", "standard_webhooks_v1a"];
    scratch.run_with_secret(whpk, arguments).assert_refused("must be a private key");
}

#[test]
fn secret_check_accepts_public_keys() {
    let scratch = Scratch::new();
    scratch.write("keys", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n");
    let check = ["secret", "check", "keys", "--scheme", "standard_webhooks_v1a"];
    scratch.run(check).assert_code(0);
    let file = |field: &str, key: &str| {
        format!("[[sender]]\nid = \"acme\"\n[[sender.key]]\nid = \"2026\"\n{field} = \"{key}\"\n")
    };
    let whpk = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let check_file = ["secret", "check", "keys.toml", "--scheme", "standard_webhooks_v1a"];
    scratch.write("keys.toml", file("public_key", whpk));
    scratch.run(check_file).assert_code(0);
    scratch.write("keys.toml", file("secret", whpk));
    let ended = scratch.run(check_file).assert_code(1);
    assert!(ended.stdout.contains("give a public key as `public_key`"), "{ended:?}");
    scratch.write("keys", "not-a-public-key-at-all\n");
    let ended = scratch.run(check).assert_code(1);
    assert!(ended.stdout.contains("must be an Ed25519 public key"), "{ended:?}");
}

/// Signs with one scheme, and verifies with another one and the text of a public key.
#[track_caller]
fn verified(sender: &str, receiver: &str, private: &str, public: &str) -> CommandOutput {
    let scratch = Scratch::new();
    scratch.write("sender.toml", sender);
    scratch.write("receiver.toml", receiver);
    scratch.write("body", BODY);
    let now = Timestamp::now().as_unix();
    let sign = |time: i64| {
        let arguments = ["sign", "body", "--scheme", "sender.toml", "--timestamp", &time.to_string()];
        scratch.run_with_secret(private, arguments).assert_code(0)
    };
    // A signature in base64url that contains neither - nor _ is also valid as base64.
    let is_url_safe = |signed: &CommandOutput| signed.headers().iter().any(|(_, value)| value.contains(['-', '_']));
    let mut signatures = (0..60).map(|ago| sign(now - ago));
    let signed = signatures.find(|signed| !sender.contains("base64url") || is_url_safe(signed)).unwrap();
    scratch.write("headers", &signed.stdout);
    let verify = ["verify", "--scheme", "receiver.toml", "--headers", "headers", "--body", "body"];
    scratch.run_with_secret(public, verify)
}

#[track_caller]
fn assert_named(sender: &str, receiver: &str, private: &str, public: &str, cause: &str) {
    let ended = verified(sender, receiver, private, public).assert_code(1);
    assert!(ended.stdout.contains(cause), "{cause}: {}", ended.stdout);
}

#[test]
fn verify_names_the_cause_of_mismatch() {
    let scheme = |algorithm: &str| SCHEME.replace("ALGORITHM", algorithm);
    let reordered = |scheme: &str| {
        scheme.replace("\"timestamp\", { literal = \".\" }, \"body\"", "\"body\", { literal = \".\" }, \"timestamp\"")
    };
    let [fixed, der] = ["ecdsa-p256", "ecdsa-p256-der"].map(scheme);
    let [pkcs1, pss] = ["rsa-pkcs1-sha256", "rsa-pss-sha256"].map(scheme);
    for ((algorithm, private), other) in KEYS.into_iter().zip(OTHERS) {
        let (own, public) = (scheme(algorithm), public_of(algorithm, private));
        assert_named(&own, &own, private, &public_of(algorithm, other), "compare the public key on both sides first");
        let base64url = own.replace("\"base64\"", "\"base64url\"");
        assert_named(&base64url, &own, private, &public, "URL-safe base64");
        assert_named(&reordered(&own), &own, private, &public, "order");
    }
    let ed25519 = public_of("ed25519", KEYS[0].1);
    let p256 = public_of("ecdsa-p256", KEYS[1].1);
    assert_named(&der, &fixed, KEYS[1].1, &p256, "as ASN.1 DER");
    assert_named(&fixed, &der, KEYS[1].1, &p256, "as the 64 bytes of r and s");
    let rsa = public_of("rsa-pss-sha256", KEYS[3].1);
    assert_named(&pss, &pkcs1, KEYS[3].1, &rsa, "the padding PSS");
    for (algorithm, private, another, kind) in [
        ("ed25519", KEYS[0].1, &p256, "must be an Ed25519 public key"),
        ("ecdsa-p256", KEYS[1].1, &rsa, "must be a P-256 public key"),
        ("rsa-pss-sha256", KEYS[4].1, &ed25519, "must be an RSA public key"),
    ] {
        let ended = verified(&scheme(algorithm), &scheme(algorithm), private, another);
        ended.assert_refused(kind);
    }
}

fn public_of(algorithm: &str, private: &str) -> String {
    let scratch = Scratch::new();
    scratch.write("scheme.toml", SCHEME.replace("ALGORITHM", algorithm));
    let ended = scratch.run_with_secret(private, ["secret", "public", "--scheme", "scheme.toml"]).assert_code(0);
    ended.stdout.trim().to_owned()
}

#[test]
fn stale_and_tampered_messages_are_refused() {
    for (algorithm, private) in KEYS {
        let (scratch, public) = signed(algorithm, private);
        let sign = ["sign", "body", "--scheme", "scheme.toml", "--timestamp"];
        let headers = scratch.read("headers");
        let old = scratch.run_with_secret(private, sign.iter().chain(&["1700000000"])).assert_code(0).stdout;
        scratch.write("tampered", "{\"id\":8}");
        for (headers, body, code, text) in [
            (&headers, "body", 0, "holds: the signature verifies"),
            (&headers, "tampered", 1, "refused"),
            (&headers.replace("X-Timestamp: ", "X-Timestamp: 1"), "body", 1, "refused"),
            (&old, "body", 1, "stale"),
        ] {
            scratch.write("changed", headers);
            let verify = ["verify", "--scheme", "scheme.toml", "--headers", "changed", "--at", "now", "--body", body];
            let ended = scratch.run_with_secret(public.trim(), verify).assert_code(code);
            assert!(ended.stdout.contains(text), "{algorithm}, {text}: {ended:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_refuse_attacks_that_send_makes() {
    for ((algorithm, private), other) in KEYS.into_iter().zip(OTHERS) {
        let document = SCHEME.replace("ALGORITHM", algorithm);
        let scheme: Scheme = toml::from_str(&document).unwrap();
        let public = scheme.secret(private).unwrap().public_key().unwrap().clone();
        let quotas = || Quotas::new().rejected(Quota::new(5, Duration::from_secs(3600)).unwrap());
        let warden = || Warden::builder(scheme.clone()).sender(ID, Keyring::new(public.clone())).quotas(quotas());
        let scratch = Scratch::new();
        scratch.write("scheme.toml", &document);
        let send = |bench: &Bench, key: &str, extra: &[&str]| {
            let url = format!("http://{}/webhooks/acme", bench.receiver.address());
            let arguments = [&["send", &url, "--body", BODY, "--scheme", "scheme.toml", "--json"], extra].concat();
            let ended = block_in_place(|| scratch.run_with_secret(key, arguments));
            (ended.code, ended.json()["statuses"].to_string())
        };
        for server in Server::ALL {
            let what = format!("{server:?}, {algorithm}");
            let now = Timestamp::now().as_unix().to_string();
            let mut bench = Bench::start(*server, warden()).await;
            // Replays are answered like the first delivery, and handled once.
            assert_eq!(
                send(&bench, private, &["--repeat", "4", "--concurrency", "1", "--timestamp", &now]),
                (Some(0), "{\"200\":4}".into()),
                "{what}"
            );
            assert_eq!(bench.handled.bodies(), [BODY], "{what}");
            for time in ["1700000000", "4000000000"] {
                let refused = send(&bench, private, &["--timestamp", time]);
                assert_eq!(refused, (Some(1), "{\"401\":1}".into()), "{what}");
            }
            // The quota for rejected requests does not block a peer with accepted deliveries.
            let mut bench = Bench::start(*server, warden()).await;
            let flood = send(&bench, other, &["--repeat", "8", "--concurrency", "1"]);
            assert_eq!(flood, (Some(1), "{\"401\":5,\"429\":3}".into()), "{what}");
            assert!(bench.handled.bodies().is_empty(), "{what}");
        }
    }
}
