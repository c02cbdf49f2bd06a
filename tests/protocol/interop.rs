//! The published crate `standardwebhooks` and this one accept each other's messages.

use hookwarden::{Keyring, Reason, Scheme, Signer, Timestamp, Verifier};
use http::{HeaderMap, HeaderValue};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The bodies are UTF-8, because `standardwebhooks` signs only text.
const BODIES: [&str; 6] =
    ["", "{}", r#"{"type":"user.created","name":"山😀"}"#, "\u{feff}[1]", "a\r\nb\n\0", r#"{"a":1,"a":2}"#];

fn theirs() -> standardwebhooks::Webhook {
    standardwebhooks::Webhook::new(SECRET).expect("the secret is base64")
}

fn our_keys() -> Keyring {
    Keyring::new(Scheme::standard_webhooks().secret(SECRET).expect("the secret is base64"))
}

fn large() -> String {
    "0123456789abcdef".repeat(1 << 12)
}

#[test]
fn messages_that_standardwebhooks_signs_verify_here() {
    let verifier = Verifier::new(Scheme::standard_webhooks(), our_keys()).unwrap();
    let now = Timestamp::now();
    for body in BODIES.into_iter().chain([&*large()]) {
        let mut headers = HeaderMap::new();
        let signature = theirs().sign("msg_1", now.as_unix(), body.as_bytes()).unwrap();
        headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
        headers.insert("webhook-timestamp", HeaderValue::from(now.as_unix()));
        headers.insert("webhook-signature", signature.parse().unwrap());
        assert_eq!(verifier.verify(&headers, body.as_bytes()).unwrap().timestamp(), Some(now), "{body:.40}");

        let other = [body.as_bytes(), b" "].concat();
        assert_eq!(verifier.verify(&headers, &other).unwrap_err().reason(), Reason::Mismatch, "{body:.40}");
    }
}

#[test]
fn messages_that_we_sign_verify_with_standardwebhooks() {
    let signer = Signer::new(Scheme::standard_webhooks(), our_keys()).unwrap();
    for body in BODIES.into_iter().chain([&*large()]) {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_static("msg_2"));
        signer.sign(&headers, body.as_bytes()).unwrap().insert_into(&mut headers);
        theirs().verify(body.as_bytes(), &headers).unwrap_or_else(|fault| panic!("{body:.40}: {fault}"));

        let other = [body, " "].concat();
        theirs().verify(other.as_bytes(), &headers).unwrap_err();
    }
}
