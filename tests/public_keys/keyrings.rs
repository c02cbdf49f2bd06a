//! Rotation, validity windows, several signatures, and private keys that verify.

use hookwarden::crypto::Algorithm;
use hookwarden::{Key, Keyring, Reason, Scheme, Signer, Timestamp, Verifier};

use crate::{ALGORITHMS, NOW, public_half, scheme, signed_headers};

fn public(scheme: &Scheme, id: &str, private: &str) -> Key {
    Key::new(id, public_half(&scheme.secret(private).unwrap())).unwrap()
}

fn private(scheme: &Scheme, id: &str, text: &str) -> Key {
    Key::new(id, scheme.secret(text).unwrap()).unwrap()
}

#[test]
fn rotation_accepts_the_old_and_the_new_key() {
    for (algorithm, [old, new]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let ring = Keyring::from_keys([public(&scheme, "new", new), public(&scheme, "old", old)]).unwrap();
        let verifier = Verifier::new(scheme.clone(), ring).unwrap();
        let key_of = |signing: &[(&str, &str)]| {
            let keys = Keyring::from_keys(signing.iter().map(|(id, text)| private(&scheme, id, text))).unwrap();
            let headers = signed_headers(&scheme, keys, b"{}", NOW);
            verifier.verify_at(&headers, b"{}", NOW).unwrap().key_id().to_string()
        };
        assert_eq!(key_of(&[("a", old)]), "old", "{algorithm:?}");
        assert_eq!(key_of(&[("a", new)]), "new", "{algorithm:?}");
        // A sender that rotates sends both signatures, in any order.
        assert_eq!(key_of(&[("a", old), ("b", new)]), "new", "{algorithm:?}");
        assert_eq!(key_of(&[("b", new), ("a", old)]), "new", "{algorithm:?}");
    }
}

#[test]
fn key_verifies_only_inside_its_window() {
    let at = |seconds: i64| Timestamp::from_unix(1_800_000_000 + seconds);
    for (algorithm, [text, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let key = public(&scheme, "a", text).not_before(at(10)).not_after(at(20));
        let verifier = Verifier::new(scheme.clone(), Keyring::from_keys([key]).unwrap()).unwrap();
        let headers = signed_headers(&scheme, Keyring::new(scheme.secret(text).unwrap()), b"{}", NOW);
        let verdict = |second| {
            let verified = verifier.verify_at(&headers, b"{}", at(second));
            verified.map(|verified| verified.skew()).map_err(|rejection| rejection.reason())
        };
        let dead = Err(Reason::NoLiveKey);
        let expected = [dead, Ok(Some(10)), Ok(Some(20)), dead];
        assert_eq!([9, 10, 20, 21].map(verdict), expected, "{algorithm:?}");
    }
}

#[test]
fn private_key_verifies_with_its_public_key() {
    for (algorithm, [text, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let keys = Keyring::new(scheme.secret(text).unwrap());
        let headers = signed_headers(&scheme, keys.clone(), b"{}", NOW);
        assert!(Verifier::new(scheme, keys).unwrap().verify_at(&headers, b"{}", NOW).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn signer_without_private_key_is_refused() {
    for (algorithm, [new, old]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let ring = Keyring::from_keys([private(&scheme, "new", new), public(&scheme, "old", old)]).unwrap();
        let error = Signer::new(scheme, ring).unwrap_err();
        assert_eq!(
            error.to_string(),
            "keys: must be private keys for a signer, but old is a public key",
            "{algorithm:?}"
        );
    }
}

#[test]
fn private_key_and_its_public_key_are_equal() {
    for (algorithm, [text, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let ring = Keyring::from_keys([private(&scheme, "a", text), public(&scheme, "b", text)]);
        let problem = "keys: a and b have the same secret or public key";
        assert_eq!(ring.unwrap_err().to_string(), problem, "{algorithm:?}");
    }
}

#[test]
fn request_has_at_most_four_signatures() {
    for (algorithm, [text, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        assert_eq!(scheme.max_signatures(), 4, "{algorithm:?}");
        let keys = Keyring::new(scheme.secret(text).unwrap());
        let good = signed_headers(&scheme, keys.clone(), b"{}", NOW);
        let verifier = Verifier::new(scheme, keys).unwrap();
        for (signatures, expected) in [(4, Ok(())), (5, Err(Reason::TooManyCandidates))] {
            let mut value = "v1,AA== ".repeat(signatures - 1);
            value.push_str(&good[1].1);
            let headers = vec![good[0].clone(), (good[1].0.clone(), value)];
            let verdict = verifier.verify_at(&headers, b"{}", NOW).map(drop).map_err(|rejection| rejection.reason());
            assert_eq!(verdict, expected, "{algorithm:?}, {signatures} signatures");
        }
    }
}

#[test]
fn sender_has_at_most_four_public_keys() {
    let scheme = scheme(Algorithm::Ed25519);
    let prepared = |count: u8| {
        let keys = (0..count).map(|index| public(&scheme, &format!("k{index}"), &const_hex::encode([index + 1; 32])));
        scheme.prepare(&Keyring::from_keys(keys).unwrap()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(prepared(4), Ok(()));
    assert_eq!(prepared(5).unwrap_err(), "keys: must be at most 4 for a scheme with public keys");
}

#[test]
fn maximum_of_public_key_signatures_is_fixed() {
    let error = scheme(Algorithm::Ed25519).into_builder().max_signatures(8).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "max_signatures: must not be set with public keys, for which it is always 4: remove it"
    );
    let hmac = scheme(Algorithm::Ed25519).into_builder().algorithm(Algorithm::HmacSha256).build().unwrap();
    assert_eq!(hmac.max_signatures(), 32);
}
