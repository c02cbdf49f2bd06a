//! Attacks that confuse a public key with a secret, or one algorithm with another.

use hmac::{Hmac, KeyInit as _, Mac as _};
use hookwarden::scheme::SecretFormat;
use hookwarden::{Keyring, Reason, Scheme, Secret, Signer, Verifier};
use sha2::{Sha256, Sha512};

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

const ED25519_SPKI: &str = "MCowBQYDK2VwAyEANz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w=";
const ED25519_HEX: &str = "302a300506032b6570032100373d223dab90cc8fd4617168da8c28084b8a3133575d65b764e6d22c823f07fc";

/// Asserts that the scheme refuses the text, and that the error quotes nothing of it.
#[track_caller]
fn assert_refused(scheme: &Scheme, text: &str) {
    let error = scheme.secret(text).expect_err(text);
    let shown = error.to_string();
    assert_eq!(error.field(), "secret");
    assert!(shown.contains("not a public or private key"), "{text:?}: {shown}");
    assert!(!shown.contains(&text[..12]), "{shown}");
}

/// The base64 inside of a PEM block, without line breaks.
fn der_text(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

#[test]
fn public_key_as_shown_is_refused_as_secret() {
    let mut texts: Vec<String> = [
        r#"{"kty":"OKP","crv":"Ed25519","x":"Nz0iPauQzI_UYXFo2owoCEuKMTNXXWW3ZObSLII_B_w"}"#,
        r#"{"keys":[{"alg":"ES256", "kty" : "EC"}]}"#,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDc9Ij2rkMyP1GFxaNqMKAhLijEzV11lt2Tm0iyCPwf8",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== user@host",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY=",
        "---- BEGIN SSH2 PUBLIC KEY ----",
        ED25519_SPKI,
        ED25519_HEX,
    ]
    .map(str::to_owned)
    .into();
    texts.push(ED25519_SPKI.replace('/', "_"));
    for pem in [
        include_str!("keys/p256_public.pem"),
        include_str!("keys/p384_public.pem"),
        include_str!("keys/rsa_a_public.pem"),
        include_str!("keys/rsa_a_public_pkcs1.pem"),
        include_str!("keys/rsa_4104_public.pem"),
        include_str!("keys/certificate.pem"),
        include_str!("keys/ed25519.pem"),
        include_str!("keys/p256.pem"),
        include_str!("keys/p256_sec1.pem"),
        include_str!("keys/rsa_a.pem"),
    ] {
        texts.push(der_text(pem));
        // The body of the PEM with its line breaks.
        let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
        texts.push(body.join("\n"));
    }
    for text in &texts {
        assert_refused(&Scheme::timestamped(), text);
        assert!(Secret::from_text(text).is_err(), "{text}");
        for before in ["", "\n", "\u{feff}", " \u{feff}\r\n\t"] {
            assert!(Secret::from_bytes(format!("{before}{text}")).is_err(), "{before:?} {text}");
        }
    }
    for text in ["\n-----BEGIN PUBLIC KEY-----", "\u{feff}-----BEGIN PUBLIC KEY-----", " whpk_11qYAYKxCrfVS/7T"] {
        assert!(Secret::from_bytes(text).is_err(), "{text:?}");
    }
}

#[test]
fn decoded_public_key_is_refused_as_secret() {
    let with = |format| Scheme::timestamped().into_builder().secret_format(format).build().unwrap();
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    for scheme in [with(SecretFormat::Base64), with(SecretFormat::Whsec), Scheme::standard_webhooks()] {
        assert_refused(&scheme, ED25519_SPKI);
        for pem in [include_str!("keys/p256_public.pem"), include_str!("keys/rsa_a_public.pem")] {
            assert_refused(&scheme, &der_text(pem));
            assert_refused(&scheme, &base64(pem.as_bytes()));
        }
    }
    for text in [ED25519_SPKI.to_owned(), der_text(include_str!("keys/p256_public.pem"))] {
        assert_refused(&Scheme::standard_webhooks(), &format!("whsec_{text}"));
    }
    assert_refused(&with(SecretFormat::Hex), ED25519_HEX);
    assert!(Secret::from_bytes(const_hex::decode(ED25519_HEX).unwrap()).is_err());
}

#[test]
fn secret_that_resembles_a_key_is_accepted() {
    for text in [
        "{\"secret\":\"a-subscription-secret\"}",
        "{kty}-a-subscription-secret",
        "sshh-a-subscription-secret",
        "MCowBQYDa-subscription-secret",
        "3030303030303030303030303030303030303030303030303030303030303030",
        "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=",
        "a secret: -----BEGIN PUBLIC KEY-----",
    ] {
        assert!(Secret::from_text(text).is_ok() && Secret::from_bytes(text).is_ok(), "{text}");
    }
    assert!(Secret::from_bytes([0x30; 32]).is_ok());
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
        // An attacker computes the MAC without this crate, which refuses some public keys as secrets.
        let sha256 = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().chain_update(b"{}").finalize();
        let sha512 = Hmac::<Sha512>::new_from_slice(key.as_bytes()).unwrap().chain_update(b"{}").finalize();
        for mac in [&sha256.into_bytes()[..], &sha512.into_bytes()[..]] {
            let headers = [("X-Signature", const_hex::encode(mac))];
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
