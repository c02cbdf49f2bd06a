//! What identifies a delivery: its signed content, never the signature.

use hookwarden::crypto::Algorithm;
use hookwarden::event::RefusalReason;
use hookwarden::scheme::Layout;
use hookwarden::testing::TestClock;
use hookwarden::time::TimestampFormat;
use hookwarden::warden::Admitted;
use hookwarden::{Keyring, Scheme, Timestamp, Verifier, Warden};

use crate::{ALGORITHMS, NOW, P256, RSA, scheme, signed_headers};

/// Delivers a message, and then the same content with another signature, which must be valid too.
#[track_caller]
fn assert_remade_signature_is_a_duplicate(algorithm: Algorithm, private: &str, remake: impl Fn(&str) -> String) {
    let scheme = scheme(algorithm);
    let keys = Keyring::new(scheme.secret(private).unwrap());
    let headers = signed_headers(&scheme, keys.clone(), b"{}", NOW);
    let value = headers[1].1.strip_prefix("v1,").unwrap();
    let remade = vec![headers[0].clone(), (headers[1].0.clone(), format!("v1,{}", remake(value)))];
    assert_ne!(headers, remade);
    let verifier = Verifier::new(scheme.clone(), keys.clone()).unwrap();
    let [first, second] = [&headers, &remade].map(|headers| verifier.verify_at(headers, b"{}", NOW).unwrap());
    assert_eq!(first.replay_keys(), second.replay_keys());
    assert_eq!(first.replay_keys().len(), 1);

    let warden = warden(scheme, keys);
    assert_eq!(deliver(&warden, &headers, b"{}"), Ok(()));
    assert_eq!(deliver(&warden, &remade, b"{}"), Err(RefusalReason::Replayed));
}

fn warden(scheme: Scheme, keys: Keyring) -> Warden {
    Warden::builder(scheme).clock(TestClock::new(NOW)).sender("acme", keys).build().expect("a Warden")
}

fn deliver(warden: &Warden, headers: &Vec<(String, String)>, body: &[u8]) -> Result<(), RefusalReason> {
    let received = || {
        let mut receiving = warden.examine(headers, None)?.identify("acme")?;
        receiving.update(body)?;
        receiving.finish()
    };
    received().map(Admitted::commit).map_err(|refused| refused.reason())
}

#[test]
fn ecdsa_signature_with_negated_s_is_a_duplicate() {
    assert_remade_signature_is_a_duplicate(Algorithm::EcdsaP256, P256[0], |signature| {
        let mut bytes = decode(signature);
        negate(&mut bytes[32..]);
        encode(&bytes)
    });
    assert_remade_signature_is_a_duplicate(Algorithm::EcdsaP256Der, P256[0], |signature| {
        let bytes = decode(signature);
        // SEQUENCE { INTEGER r, INTEGER s }
        let r_end = 4 + usize::from(bytes[3]);
        let mut s = [0; 32];
        let digits: Vec<u8> = bytes[r_end + 2..].iter().copied().skip_while(|byte| *byte == 0).collect();
        s[32 - digits.len()..].copy_from_slice(&digits);
        negate(&mut s);
        let mut digits: Vec<u8> = s.iter().copied().skip_while(|byte| *byte == 0).collect();
        if digits[0] >= 0x80 {
            digits.insert(0, 0);
        }
        let r = &bytes[2..r_end];
        let size = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let integer = [&[2, size(&digits)], &digits[..]].concat();
        encode(&[&[0x30, size(r) + size(&integer)], r, &integer[..]].concat())
    });
}

/// The second signatures were made with python3 cryptography 48, which uses random nonces: `1800000000.{}` under the key
/// of RFC 6979.
#[test]
fn ecdsa_signature_with_another_nonce_is_a_duplicate() {
    let (fixed, der) = (
        "ux//fhoVOoErGURGtXOBe4+NaE4Hkpv++II3S6l/y4HwVVpmCyWTYQzPOupCrBr0OD/uulFKZuGCUzZXhfTY1Q==",
        "MEYCIQC7H/9+GhU6gSsZREa1c4F7j41oTgeSm/74gjdLqX/LgQIhAPBVWmYLJZNhDM866kKsGvQ4P+66UUpm4YJTNleF9NjV",
    );
    let cases: [(Algorithm, &str); 2] = [(Algorithm::EcdsaP256, fixed), (Algorithm::EcdsaP256Der, der)];
    for (algorithm, other) in cases {
        assert_remade_signature_is_a_duplicate(algorithm, P256[0], |_| other.to_owned());
    }
}

#[test]
fn pss_signature_with_another_salt_is_a_duplicate() {
    for algorithm in [Algorithm::RsaPss, Algorithm::RsaPssSha512] {
        assert_remade_signature_is_a_duplicate(algorithm, RSA[0], |_| {
            let scheme = scheme(algorithm);
            let keys = Keyring::new(scheme.secret(RSA[0]).unwrap());
            signed_headers(&scheme, keys, b"{}", NOW)[1].1.strip_prefix("v1,").unwrap().to_owned()
        });
    }
}

#[test]
fn other_content_is_another_delivery() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let scheme = scheme(algorithm);
        let keys = Keyring::new(scheme.secret(private).unwrap());
        let warden = warden(scheme.clone(), keys.clone());
        for body in [&b"{}"[..], b"[]"] {
            let headers = signed_headers(&scheme, keys.clone(), body, NOW);
            assert_eq!(deliver(&warden, &headers, body), Ok(()), "{algorithm:?}");
            assert_eq!(deliver(&warden, &headers, body), Err(RefusalReason::Replayed), "{algorithm:?}");
        }
    }
}

/// Anyone can add a group without a valid signature.
#[test]
fn group_without_valid_signature_identifies_nothing() {
    for (algorithm, [private, _]) in ALGORITHMS {
        let scheme = scheme(algorithm).into_builder().layout(Layout::field_groups(' ', ',', "v1"));
        let scheme = scheme.timestamp_field("t", TimestampFormat::Seconds).build().unwrap();
        let keys = Keyring::new(scheme.secret(private).unwrap());
        let genuine = |seconds| {
            let now = Timestamp::from_unix(seconds);
            signed_headers(&scheme, keys.clone(), b"{}", now).remove(0)
        };
        let (name, first) = genuine(1_800_000_000);
        let second = genuine(1_800_000_001).1;
        let invented = first.replace("t=1800000000", "t=1800000001");
        let verifier = Verifier::new(scheme.clone(), keys.clone()).unwrap();
        let keys_of = |value: &str| verifier.verify_at(&[(&*name, value)], b"{}", NOW).unwrap().replay_keys().to_vec();
        assert_eq!(keys_of(&format!("{first} {invented}")), keys_of(&first), "{algorithm:?}");
        assert_eq!(
            keys_of(&format!("{first} {second}")),
            [keys_of(&first), keys_of(&second)].concat(),
            "{algorithm:?}"
        );
    }
}

/// Replaces `s` with `n - s`, where `n` is the order of the group.
fn negate(s: &mut [u8]) {
    let order = const_hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let mut borrow = 0;
    for (digit, order) in s.iter_mut().zip(order).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
}

fn decode(text: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap()
}

fn encode(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}
