//! Tags that demand the thumbprint of the key as `keyid`.

use std::collections::BTreeMap;
use std::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::event::RefusalReason;
use hookwarden::message_signatures::{Parameter, Problem, Profile, ProfileBuilder, SignatureParameters};
use hookwarden::testing::TestClock;
use hookwarden::warden::Replay;
use hookwarden::{Key, Keyring, Reason, Timestamp, Warden};

use crate::received::Received;
use crate::ucp;

const ORIGIN: &str = "https://example.com";
const TAG: &str = "web-bot-auth";
const NOW: i64 = 1_800_000_000;

/// RFC 8037 appendices A.1 and A.3.
const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;
const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
/// RFC 8032 section 7.1, test 2.
const OTHER_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs"}"#;
/// A P-256 key of UCP, which is a private one.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA","y":"Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0","d":"UpuF81l-kOxbjf7T4mNSv0r5tN67Gim7rnf6EFpcYDs"}"#;

fn ucp() -> ProfileBuilder {
    Profile::ucp(ORIGIN)
}

/// With P-256 too.
fn web_bots() -> ProfileBuilder {
    Profile::danger_web_bots(ORIGIN).algorithms([Algorithm::Ed25519, Algorithm::EcdsaP256])
}

fn keyring(profile: &Profile, keys: &[&str]) -> Keyring {
    let scheme = profile.scheme("test").unwrap();
    let keys = keys.iter().enumerate().map(|(index, key)| {
        let secret = scheme.secret(key).unwrap();
        Key::new(&format!("key-{index}"), secret.public_key().unwrap().clone()).unwrap()
    });
    Keyring::from_keys(keys).unwrap()
}

fn thumbprint(key: &str) -> String {
    let secret = ucp().build().unwrap().scheme("test").unwrap().secret(key).unwrap();
    secret.public_key().unwrap().thumbprint()
}

/// A request that `key` signs with any `keyid`.
fn signed(profile: ProfileBuilder, key: &str, keyid: &str) -> Received {
    let profile = profile.danger_any_keyid().build().unwrap();
    let signer = profile.signer(Keyring::new(profile.scheme("test").unwrap().secret(key).unwrap())).unwrap();
    let mut received = Received::new("POST", &format!("{ORIGIN}/orders"), &BTreeMap::new(), "{}");
    received = received.with("Content-Type", "application/json");
    let parameters = SignatureParameters::new().keyid(keyid).expires_after(Duration::from_secs(60));
    let signed = signer.sign_at(&received.head(), &received.body, &parameters, Timestamp::from_unix(NOW)).unwrap();
    for (name, value) in signed.iter() {
        received = received.with(name, value);
    }
    received
}

/// What a Warden with these static keys says, and what an explanation says.
fn delivered(
    profile: ProfileBuilder,
    keys: &[&str],
    received: &Received,
) -> (Result<(), RefusalReason>, Option<Problem>) {
    let profile = profile.build().unwrap();
    let scheme = profile.scheme("test").unwrap();
    let clock = TestClock::new(Timestamp::from_unix(NOW));
    let is_unsigned = !scheme.coverage().body;
    let warden = Warden::builder(scheme).only_sender(keyring(&profile, keys)).clock(clock);
    let warden = if is_unsigned { warden.danger_unsigned_body() } else { warden };
    let warden = warden.replay(Replay::danger_off()).build().unwrap();
    (received.deliver(&warden), received.problem(&profile, NOW))
}

const ACCEPTED: (Result<(), RefusalReason>, Option<Problem>) = (Ok(()), None);
const MISMATCH: (Result<(), RefusalReason>, Option<Problem>) = (Err(RefusalReason::Unverified(Reason::Mismatch)), None);

fn refused(problem: Problem) -> (Result<(), RefusalReason>, Option<Problem>) {
    (Err(RefusalReason::Unverified(problem.reason())), Some(problem))
}

#[test]
fn tagged_keyid_other_than_a_thumbprint_is_refused() {
    for profile in [ucp, web_bots] {
        let longer = format!("{THUMBPRINT}A");
        for keyid in [
            "2027-01",
            "key-0",
            &THUMBPRINT[1..],
            &longer,
            &format!("{THUMBPRINT}="),
            &THUMBPRINT.replace('_', "/"),
            // Bits after the last byte.
            &THUMBPRINT.replace("S4k", "S4l"),
        ] {
            let outcome = delivered(profile(), &[KEY], &signed(profile().tag(TAG), KEY, keyid));
            assert_eq!(outcome, refused(Problem::NoThumbprint), "{keyid}");
        }
    }
    let text = Problem::NoThumbprint.to_string();
    assert_eq!(text, "parameter keyid: not a JWK thumbprint (RFC 7638), which the tag demands");
}

#[test]
fn tagged_thumbprint_of_another_key_is_refused() {
    let others = [thumbprint(OTHER_KEY), thumbprint(P256), THUMBPRINT.to_lowercase()];
    for profile in [ucp, web_bots] {
        for other in others.iter().filter(|other| **other != THUMBPRINT) {
            // The other keys are keys of the sender, too.
            let received = signed(profile().tag(TAG), KEY, other);
            assert_eq!(delivered(profile(), &[KEY, OTHER_KEY, P256], &received), MISMATCH, "{other}");
        }
    }
}

#[test]
fn tagged_thumbprint_of_the_key_is_accepted() {
    assert_eq!(thumbprint(KEY), THUMBPRINT);
    for profile in [ucp, web_bots] {
        for key in [KEY, OTHER_KEY, P256] {
            let received = signed(profile().tag(TAG), key, &thumbprint(key));
            assert_eq!(delivered(profile(), &[OTHER_KEY, P256, KEY], &received), ACCEPTED, "{key}");
            let absent: Vec<&str> = [OTHER_KEY, P256, KEY].into_iter().filter(|other| *other != key).collect();
            assert_eq!(delivered(profile(), &absent, &received), MISMATCH, "{key}");
        }
    }
}

#[test]
fn untagged_ucp_signature_may_have_any_keyid() {
    for keyid in ["2027-01", THUMBPRINT, &thumbprint(OTHER_KEY)] {
        assert_eq!(delivered(ucp(), &[OTHER_KEY, KEY], &signed(ucp(), KEY, keyid)), ACCEPTED, "{keyid}");
    }
}

#[test]
fn any_keyid_can_be_permitted() {
    for profile in [ucp, web_bots] {
        let received = signed(profile().tag(TAG), KEY, "2027-01");
        assert_eq!(delivered(profile().danger_any_keyid(), &[OTHER_KEY, KEY], &received), ACCEPTED);
    }
}

#[test]
fn tagged_signature_without_keyid_is_refused() {
    let received = signed(web_bots(), KEY, THUMBPRINT);
    let keyid = format!(";keyid=\"{THUMBPRINT}\"");
    let received = received.replacing("Signature-Input", &keyid, "");
    let missing = refused(Problem::MissingParameter(Parameter::Keyid));
    assert_eq!(delivered(web_bots().requires([]), &[KEY], &received), missing);
}

/// UCP skips such a signature.
#[test]
fn signature_without_thumbprint_beside_another_is_ignored() {
    let good = signed(ucp(), KEY, "2027-01");
    let other = signed(ucp().tag(TAG).label("x"), KEY, "2027-01");
    let both = |name: &str| format!("{}, {}", other.get(name), good.get(name));
    let (input, signature) = (both("Signature-Input"), both("Signature"));
    let received = good.with("Signature-Input", &input).with("Signature", &signature);
    assert_eq!(delivered(ucp(), &[KEY], &received), ACCEPTED);
}

#[test]
fn signer_writes_the_thumbprint_with_the_tag() {
    for key in [KEY, P256] {
        let profile = web_bots().build().unwrap();
        let signer = profile.signer(Keyring::new(profile.scheme("test").unwrap().secret(key).unwrap())).unwrap();
        let received = Received::new("GET", ORIGIN, &BTreeMap::new(), "");
        let sign = |parameters: SignatureParameters| {
            signer.sign_at(&received.head(), b"", &parameters, Timestamp::from_unix(NOW))
        };
        let expected = format!(";keyid=\"{}\";tag=\"{TAG}\"", thumbprint(key));
        for parameters in [SignatureParameters::new(), SignatureParameters::new().keyid(thumbprint(key))] {
            let signed = sign(parameters).unwrap();
            assert!(signed.iter().next().unwrap().1.ends_with(&expected));
        }
        for keyid in ["2027-01", &thumbprint(OTHER_KEY)] {
            let error = sign(SignatureParameters::new().keyid(keyid)).unwrap_err();
            let problem = "must be the RFC 7638 thumbprint of the key, which the tag demands, or not be given";
            assert_eq!(error.to_string(), format!("keyid: {problem}"));
        }
    }
    // Without the tag, a keyid must be chosen.
    let profile = ucp().build().unwrap();
    let signer = profile.signer(Keyring::new(profile.scheme("test").unwrap().secret(KEY).unwrap())).unwrap();
    let head = Received::new("GET", &format!("{ORIGIN}/"), &BTreeMap::new(), "");
    let error = signer.sign_at(&head.head(), b"", &SignatureParameters::new(), Timestamp::from_unix(NOW));
    assert_eq!(error.unwrap_err().part(), "keyid");
}

#[test]
fn thumbprint_of_each_kind_is_standard() {
    let scheme = Profile::webhooks(ORIGIN)
        .algorithms([Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::RsaPssSha512])
        .build()
        .unwrap()
        .scheme("test")
        .unwrap();
    // RFC 7638 section 3.1.
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}"#;
    assert_eq!(scheme.public_key(rsa).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let p256: serde_json::Value = serde_json::from_str(P256).unwrap();
    assert_eq!(thumbprint(P256), ucp::thumbprint(&p256));
    // Coordinates keep their zeros at the start, and numbers have none.
    let x_with_zero = r#"{"kty":"EC","crv":"P-256","x":"AFVDiUrz0A7X10Cr29dclrBod7eH219w7qeLkKjXwAo","y":"u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I"}"#;
    assert_eq!(scheme.public_key(x_with_zero).unwrap().thumbprint(), "7Yxe6c_3bAa6kiaK1G-BZmi9EeNsUmlcbdnrtLeuK4E");
    let mut jwk: serde_json::Value = serde_json::from_str(rsa).unwrap();
    for name in ["n", "e"] {
        let number = Encoding::Base64UrlUnpadded.decode(jwk[name].as_str().unwrap().as_bytes()).unwrap();
        jwk[name] = Encoding::Base64UrlUnpadded.encode(&[vec![0], number].concat()).into();
    }
    let rsa_thumbprint = scheme.public_key(&jwk.to_string()).unwrap().thumbprint();
    assert_eq!(rsa_thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // The form in which a key is written does not matter.
    let hex = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(scheme.public_key(hex).unwrap().thumbprint(), THUMBPRINT);
}

#[test]
fn thumbprint_settings_that_contradict_are_config_errors() {
    let error = |profile: ProfileBuilder| profile.build().unwrap_err().to_string();
    let hmac = Profile::danger_web_bots(ORIGIN).algorithms([Algorithm::HmacSha256]);
    assert!(
        error(hmac.clone()).starts_with("algorithms: must be algorithms with public keys, or set danger_any_keyid")
    );
    assert!(hmac.danger_any_keyid().build().is_ok());
    assert_eq!(
        error(web_bots().requires([]).forbids([Parameter::Keyid])),
        "forbids: must not name keyid, which a signature must have"
    );
    // Otherwise the setting would have no effect.
    let builder = || Profile::builder(ORIGIN).covers(["@method", "@target-uri", "content-digest"]);
    let builder = || builder().algorithms([Algorithm::Ed25519]);
    for profile in [
        web_bots().tag("other"),
        web_bots().optional_tag("other"),
        ucp().optional_tag("acme"),
        Profile::webhooks(ORIGIN).algorithms([Algorithm::HmacSha256]).thumbprint_keyid(TAG),
        builder().thumbprint_keyid(TAG),
    ] {
        assert_eq!(error(profile.clone()), "thumbprint_keyid: must be the tag of the profile, or set danger_any_keyid");
        assert!(profile.danger_any_keyid().build().is_ok());
    }
    for profile in [builder().tag(TAG), builder().optional_tag(TAG), builder().danger_any_tag()] {
        assert!(profile.thumbprint_keyid(TAG).build().is_ok());
    }
    for tag in ["", "é"] {
        assert!(error(web_bots().thumbprint_keyid(tag)).starts_with("thumbprint_keyid: must be visible ASCII"));
    }
}
