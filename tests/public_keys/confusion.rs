//! Attacks that confuse a public key with a secret, or one algorithm with another.

use hookwarden::crypto::Algorithm;
use hookwarden::{Keyring, Reason, Scheme, Secret, Signer, Verifier};

use crate::{ALGORITHMS, NOW, bare, public_half, scheme, signature, signed_headers, verdict};

const PEM: &str = include_str!("keys/p384_public.pem");
const WHPK: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const WHSK: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

#[test]
fn public_key_is_never_an_hmac_secret() {
    let hmac =
        [Scheme::timestamped(), Scheme::github(), Scheme::stripe(), Scheme::slack(), Scheme::standard_webhooks()];
    for scheme in &hmac {
        for text in [PEM, PEM.trim(), WHPK, WHSK] {
            assert_eq!(scheme.secret(text).unwrap_err().field(), "secret", "{}: {text}", scheme.name());
            assert!(Secret::from_text(text.trim()).is_err() && Secret::from_bytes(text).is_err());
        }
        assert_eq!(scheme.public_key(WHPK).unwrap_err().field(), "public_key", "{}", scheme.name());
        for (algorithm, [private, _]) in ALGORITHMS {
            let private = bare(algorithm).secret(private).unwrap();
            for keys in [Keyring::new(public_half(&private)), Keyring::new(private)] {
                assert_eq!(scheme.prepare(&keys).unwrap_err().field(), "keys", "{}: {algorithm:?}", scheme.name());
                assert!(Verifier::new(scheme.clone(), keys.clone()).is_err());
                assert!(Signer::new(scheme.clone(), keys).is_err());
            }
        }
    }
}

#[test]
fn hmac_secret_is_never_a_key_pair() {
    for (algorithm, _) in ALGORITHMS {
        for secret in [Secret::from_text("a-subscription-secret").unwrap(), Secret::from_bytes([7; 32]).unwrap()] {
            assert_eq!(bare(algorithm).prepare(&Keyring::new(secret)).unwrap_err().field(), "keys", "{algorithm:?}");
        }
    }
}

#[test]
fn key_of_another_kind_is_refused() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let secret = bare(algorithm).secret(private).unwrap();
        for (other, [other_private, _]) in ALGORITHMS {
            let fits = private == other_private;
            let prepared = bare(other).prepare(&Keyring::new(secret.clone()));
            assert_eq!(prepared.is_ok(), fits, "{algorithm:?} for {other:?}");
        }
    }
}

#[test]
fn mac_under_the_public_key_is_refused() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let key = public_half(&bare(algorithm).secret(private).unwrap());
        for mac in [Algorithm::HmacSha256, Algorithm::HmacSha512] {
            let forger = Keyring::new(Secret::from_bytes(key.as_bytes()).unwrap());
            let forged = Signer::new(bare(mac), forger).unwrap().sign_body_at(b"{}", NOW).unwrap();
            let headers: Vec<(&str, &str)> = forged.iter().collect();
            let verifier = Verifier::new(bare(algorithm), Keyring::new(key.clone())).unwrap();
            let reason = verifier.verify_at(&headers, b"{}", NOW).unwrap_err().reason();
            assert!(
                matches!(reason, Reason::Mismatch | Reason::MalformedSignature),
                "{algorithm:?} {mac:?}: {reason:?}"
            );
        }
    }
}

#[test]
fn signature_of_another_algorithm_is_refused() {
    for (signed_with, [private, _]) in ALGORITHMS {
        let key = public_half(&bare(signed_with).secret(private).unwrap());
        for (algorithm, [other, _]) in ALGORITHMS {
            if private == other {
                let expected = if algorithm == signed_with { Ok(()) } else { Err(()) };
                let verdict = verdict(algorithm, key.clone(), b"{}", &signature(signed_with, private, b"{}"));
                assert_eq!(verdict.map_err(drop), expected, "{signed_with:?} for {algorithm:?}");
            }
        }
    }
}

#[test]
fn message_cannot_choose_the_algorithm() {
    let (v1, v1a) = (Scheme::standard_webhooks(), Scheme::standard_webhooks_v1a());
    let shared = Keyring::new(v1.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
    let private = Keyring::new(v1a.secret(WHSK).unwrap());
    let id = [("webhook-id", "msg_1")];
    let header = |scheme: &Scheme, keys: &Keyring| {
        let signed = Signer::new(scheme.clone(), keys.clone()).unwrap().sign_at(&id, b"{}", NOW).unwrap();
        signed.iter().find(|(name, _)| *name == "webhook-signature").unwrap().1.to_owned()
    };
    let (mac, signature) = (header(&v1, &shared), header(&v1a, &private));
    let relabelled = (mac.replace("v1,", "v1a,"), signature.replace("v1a,", "v1,"));
    let verdict = |scheme: &Scheme, keys: &Keyring, value: &str| {
        let head = [("webhook-id", "msg_1"), ("webhook-timestamp", "1800000000"), ("webhook-signature", value)];
        let verifier = Verifier::new(scheme.clone(), keys.clone()).unwrap();
        verifier.verify_at(&head, b"{}", NOW).map(drop).map_err(|rejection| rejection.reason())
    };
    for (value, by_mac, by_signature) in [
        (mac.clone(), Ok(()), Err(Reason::MalformedSignature)),
        (signature.clone(), Err(Reason::MalformedSignature), Ok(())),
        // Both schemes share one header, in which each ignores the other's entries.
        (format!("{mac} {signature}"), Ok(()), Ok(())),
        (format!("v1a,AAAA {signature} {mac} v1,AAAA"), Ok(()), Ok(())),
        (relabelled.0, Err(Reason::MalformedSignature), Err(Reason::MalformedSignature)),
        (relabelled.1, Err(Reason::MalformedSignature), Err(Reason::MalformedSignature)),
    ] {
        assert_eq!(verdict(&v1, &shared, &value), by_mac, "{value}");
        assert_eq!(verdict(&v1a, &private, &value), by_signature, "{value}");
    }
}

#[test]
fn signature_over_other_content_is_refused() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let keys = Keyring::new(scheme.secret(private).unwrap());
        let headers = signed_headers(&scheme, keys.clone(), b"{}", NOW);
        let verifier = Verifier::new(scheme, keys).unwrap();
        assert!(verifier.verify_at(&headers, b"{}", NOW).is_ok());
        assert_eq!(verifier.verify_at(&headers, b"{} ", NOW).unwrap_err().reason(), Reason::Mismatch, "{algorithm:?}");
        let later = vec![(headers[0].0.clone(), "1800000001".to_owned()), headers[1].clone()];
        assert_eq!(verifier.verify_at(&later, b"{}", NOW).unwrap_err().reason(), Reason::Mismatch, "{algorithm:?}");
    }
}
