//! Schemes with public keys on the command line.

use super::scratch::Scratch;

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
