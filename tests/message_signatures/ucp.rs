//! The example messages of UCP, which `vectors/ucp.py` signed, and what its Identity Resolution Algorithm refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use hookwarden::encoding::Encoding;
use hookwarden::event::RefusalReason;
use hookwarden::message_signatures::{Parameter, Problem, Profile, ProfileBuilder, SignatureParameters};
use hookwarden::testing::TestClock;
use hookwarden::warden::Replay;
use hookwarden::{Key, Keyring, Timestamp, Warden};

use crate::received::{Received, split};

#[derive(serde::Deserialize)]
struct Vectors {
    keys: Vec<serde_json::Value>,
    vectors: Vec<Vector>,
}

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// The key of `test-key-ecc-p256`.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA","y":"Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0","d":"UpuF81l-kOxbjf7T4mNSv0r5tN67Gim7rnf6EFpcYDs"}"#;

/// The time at which the example with `created` was signed, and 10 seconds.
const NOW: i64 = 1_738_617_610;

fn read() -> Vectors {
    serde_json::from_str(include_str!("vectors/ucp.json")).unwrap()
}

fn received(name: &str) -> Received {
    let vectors = read().vectors;
    let Vector { method, url, headers, body, .. } = vectors.iter().find(|vector| vector.name == name).unwrap();
    Received::new(method, url, headers, body)
}

fn profile_of(received: &Received) -> Profile {
    Profile::ucp(&format!("https://{}", received.get("Host"))).build().unwrap()
}

fn warden(profile: &Profile) -> Warden {
    warden_with(profile, Replay::new().lifetime(Duration::from_secs(86_481)))
}

fn warden_with(profile: &Profile, replay: Replay) -> Warden {
    let scheme = profile.scheme("ucp").unwrap();
    let keys = read().keys;
    let keys = keys.iter().enumerate().map(|(index, jwk)| {
        let public = scheme.public_key(&jwk.to_string()).unwrap();
        Key::new(&format!("key-{index}"), public).unwrap()
    });
    let keys = Keyring::from_keys(keys).unwrap();
    let clock = TestClock::new(Timestamp::from_unix(NOW));
    let builder = Warden::builder(scheme).only_sender(keys).clock(clock).replay(replay);
    builder.methods(["GET", "POST"]).build().unwrap()
}

#[track_caller]
fn assert_accepted(received: &Received) {
    let profile = profile_of(received);
    let problem = received.problem(&profile, NOW);
    assert_eq!((received.deliver(&warden(&profile)), problem), (Ok(()), None), "{received:?}");
}

#[track_caller]
fn assert_refused(received: &Received, problem: &Problem) {
    let profile = profile_of(received);
    assert_eq!(received.problem(&profile, NOW).as_ref(), Some(problem), "{received:?}");
    let refused = RefusalReason::Unverified(problem.reason());
    assert_eq!(received.deliver(&warden(&profile)), Err(refused), "{received:?}");
}

fn uncovered(name: &str) -> Problem {
    Problem::Uncovered(format!("\"{name}\""))
}

/// RFC 7638, and RFC 8037 for Ed25519.
pub(crate) fn thumbprint(jwk: &serde_json::Value) -> String {
    let names: &[&str] = match jwk["kty"].as_str().unwrap() {
        "OKP" => &["crv", "kty", "x"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["e", "kty", "n"],
    };
    let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":{}", jwk[name])).collect();
    let json = format!("{{{}}}", members.join(","));
    Encoding::Base64UrlUnpadded.encode(ring::digest::digest(&ring::digest::SHA256, json.as_bytes()).as_ref())
}

#[test]
fn ucp_examples_are_accepted() {
    let vectors = read().vectors;
    assert_eq!(vectors.len(), 7);
    for name in ["request", "get", "dual-audience", "mcp", "order-webhook"] {
        assert_accepted(&received(name));
        let changed = Received { target: "/other".into(), ..received(name) };
        let mismatch = Err(RefusalReason::Unverified(hookwarden::Reason::Mismatch));
        assert_eq!(changed.deliver(&warden(&profile_of(&changed))), mismatch, "{name}");
    }
    // A message is one delivery, with or without a time.
    for name in ["request", "dual-audience"] {
        let received = received(name);
        let warden = warden(&profile_of(&received));
        assert_eq!(received.deliver(&warden), Ok(()));
        assert_eq!(received.deliver(&warden), Err(RefusalReason::Replayed));
    }
}

/// Without `created`, it has the same signature.
#[test]
fn repeated_ucp_request_reaches_the_handler() {
    for name in ["get", "request"] {
        let received = received(name);
        let profile = profile_of(&received);
        for replay in [Replay::new().danger_simultaneous_only(), Replay::danger_off()] {
            let warden = warden_with(&profile, replay);
            assert_eq!([received.deliver(&warden), received.deliver(&warden)], [Ok(()), Ok(())], "{name}");
        }
        // A lifetime is for webhooks.
        let warden = warden(&profile);
        let replayed = Err(RefusalReason::Replayed);
        assert_eq!([received.deliver(&warden), received.deliver(&warden)], [Ok(()), replayed], "{name}");
    }
}

#[test]
fn example_keys_are_read() {
    // The other two keys of the specification: its example of P-256, and the Ed25519 key, whose id is its thumbprint.
    let jwk = r#"{"kid":"key-2024-01-15","kty":"EC","crv":"P-256","x":"WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis","y":"y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE","use":"sig","alg":"ES256"}"#;
    let scheme = profile_of(&received("request")).scheme("ucp").unwrap();
    assert!(scheme.public_key(jwk).is_ok());
    let keys = read().keys;
    assert_eq!(keys[1]["kid"], thumbprint(&keys[1]));
    assert_eq!(keys[1]["kid"], "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U");
}

#[test]
fn uncovered_part_of_a_ucp_message_is_refused() {
    // The specification's example of an order webhook, against its own algorithm.
    let example = received("order-webhook-of-the-example");
    assert_refused(&example, &uncovered("ucp-agent"));
    let lenient = Profile::ucp(&split("https://platform.example.com/").0);
    let lenient = lenient.covers_if_present(["@query", "signature-agent", "idempotency-key"]).build().unwrap();
    assert_eq!(example.deliver(&warden(&lenient)), Ok(()));
    // The minimum of Web Bot Auth.
    assert_refused(&received("web-bot-minimum"), &uncovered("@method"));

    let get = || received("get");
    let added = |target: &str| Received { target: target.into(), ..get() };
    assert_refused(&added("/checkout-sessions/chk_123?a=1"), &uncovered("@query"));
    assert_refused(&added("/checkout-sessions/chk_123?"), &uncovered("@query"));
    assert_refused(&get().with("Idempotency-Key", "1"), &uncovered("idempotency-key"));
    assert_refused(&get().with("UCP-Agent", "profile=\"https://other.example/\""), &uncovered("ucp-agent"));
    assert_refused(&get().with("Signature-Agent", "sig1=\"https://other.example/\""), &uncovered("signature-agent"));
    assert_refused(&Received { body: b"{}".into(), ..get() }, &uncovered("content-digest"));
    let digest = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:";
    assert_refused(
        &Received { body: b"{}".into(), ..get() }.with("Content-Digest", digest),
        &uncovered("content-digest"),
    );
    // Of several members, the one of this signature must be signed.
    let dual = || received("dual-audience");
    let agents = format!("{}, x=\"https://other.example/\"", dual().get("Signature-Agent"));
    let several = || dual().with("Signature-Agent", &agents);
    assert_accepted(&several());
    let relabelled = several().replacing("Signature-Input", "sig1=(", "x=(").replacing("Signature", "sig1=", "x=");
    assert_refused(&relabelled, &uncovered("signature-agent"));
}

#[test]
fn other_ucp_signature_is_refused() {
    let dual = || received("dual-audience");
    let tag = |tag: &str| dual().replacing("Signature-Input", "web-bot-auth", tag);
    assert_refused(&tag("adcp/webhook-signing/v1"), &Problem::NoSuchSignature);
    assert_refused(
        &received("get").replacing("Signature-Input", ";keyid=\"test-key-ecc-p256\"", ""),
        &Problem::MissingParameter(Parameter::Keyid),
    );
    let (input, signature) = (dual().get("Signature-Input").to_owned(), dual().get("Signature").to_owned());
    let two = dual()
        .with("Signature-Input", &format!("{input}, {}", input.replace("sig1=(", "sig2=(")))
        .with("Signature", &format!("{signature}, {}", signature.replace("sig1=", "sig2=")));
    assert_refused(&two, &Problem::AmbiguousSignature);
    // If there is a time, it counts.
    let profile = profile_of(&dual());
    assert_eq!(dual().problem(&profile, NOW - 71), Some(Problem::Early));
    assert_eq!(dual().problem(&profile, NOW + 3_650), None);
    assert_eq!(dual().problem(&profile, NOW + 3_651), Some(Problem::Expired));
}

#[test]
fn insufficient_signature_beside_a_sufficient_one_is_ignored() {
    let dual = || received("dual-audience");
    let (input, signature) = (dual().get("Signature-Input").to_owned(), dual().get("Signature").to_owned());
    let beside = |other: &str, is_first: bool| {
        let order =
            |one: &str, other: String| if is_first { format!("{other}, {one}") } else { format!("{one}, {other}") };
        dual()
            .with("Signature-Input", &order(&input, format!("x={other}")))
            .with("Signature", &order(&signature, "x=:AAAA:".into()))
    };
    let whole = input.strip_prefix("sig1=").unwrap();
    for other in [
        // The minimum of Web Bot Auth.
        r#"("@authority");created=1738617600;expires=1738621200;keyid="x";tag="web-bot-auth""#,
        "();keyid=\"x\"",
        "(\"@unknown\");keyid=\"x\"",
        &whole.replace(";keyid=", ";x="),
        &format!("{whole};alg=\"ecdsa-p384-sha384\""),
        &format!("{whole};nonce=1"),
    ] {
        for is_first in [true, false] {
            assert_accepted(&beside(other, is_first));
        }
    }
    let insufficient = beside("();keyid=\"x\"", true).replacing("Signature-Input", "\"@path\"", "\"x\"");
    assert_refused(&insufficient, &uncovered("@method"));
    assert_refused(&beside(whole, false), &Problem::AmbiguousSignature);
    // Other profiles refuse several.
    let strict =
        Profile::builder(&format!("https://{}", dual().get("Host"))).covers(["@method", "@authority", "@path"]);
    let strict = strict.covers_with_body(["content-digest"]).requires([Parameter::Keyid]).danger_any_tag();
    let strict = strict.algorithms([hookwarden::crypto::Algorithm::EcdsaP256]).build().unwrap();
    assert_eq!(beside("();keyid=\"x\"", false).problem(&strict, NOW), Some(Problem::AmbiguousSignature));
}

#[test]
fn signatures_without_times_need_a_replay_setting() {
    let profile = profile_of(&received("request"));
    let scheme = profile.scheme("ucp").unwrap();
    assert_eq!(scheme.coverage().to_string(), "body, method and URL");
    let keys = Keyring::new(scheme.public_key(&read().keys[0].to_string()).unwrap());
    let error = Warden::builder(scheme).only_sender(keys).build().unwrap_err();
    assert!(error.to_string().contains("Replay"), "{error}");
}

/// What the error prevents: a copy would arrive when its delivery is forgotten, and its signature still valid.
#[test]
fn replay_lifetime_shorter_than_validity_is_refused() {
    let build = |profile: &Profile, seconds| {
        let scheme = profile.scheme("ucp").unwrap();
        let keys = Keyring::new(scheme.public_key(&read().keys[0].to_string()).unwrap());
        let replay = Replay::new().lifetime(Duration::from_secs(seconds));
        Warden::builder(scheme).only_sender(keys).replay(replay).build()
    };
    let error = build(&profile_of(&received("request")), 86_480).unwrap_err();
    let expected = "replay.lifetime: must be at least 86481 s for ucp, which is longer than the maximum age and clock skew of \
                    its profile, the deadline of the body and 10 s for clock differences together";
    assert_eq!(error.to_string(), expected);
    assert!(build(&profile_of(&received("request")), 86_481).is_ok());
    let shorter = Profile::ucp("https://platform.example.com").max_age(Duration::from_secs(300));
    let shorter = shorter.clock_skew(Duration::from_secs(5));
    // `expires` also limits how long a signature is valid.
    for profile in [shorter.clone(), shorter.clone().forbids([Parameter::Created])] {
        let profile = profile.build().unwrap();
        assert_eq!(build(&profile, 325).unwrap_err().field(), "replay.lifetime");
        assert!(build(&profile, 326).is_ok());
    }
    let timeless = shorter.forbids([Parameter::Created, Parameter::Expires]).build().unwrap();
    assert!(build(&timeless, 1).is_ok());
}

/// The clock of the sender is ahead. The head of the copy arrives in the last valid second, and its body at the deadline.
#[test]
fn copy_in_the_last_second_is_a_duplicate() {
    const DAY: Duration = Duration::from_secs(86_400);
    let url = "https://platform.example.com";
    for (profile, signed_at) in [(Profile::ucp(url), NOW + 60), (Profile::ucp(url).forbids([Parameter::Created]), NOW)]
    {
        let profile = profile.build().unwrap();
        let signer = profile.signer(Keyring::new(profile.scheme("ucp").unwrap().secret(P256).unwrap())).unwrap();
        let headers = [("Content-Type".to_owned(), "application/json".to_owned())].into();
        let mut received = Received::new("POST", &format!("{url}/orders"), &headers, "{}");
        let parameters = SignatureParameters::new().keyid("test-key-ecc-p256").expires_after(DAY);
        let signed_at = Timestamp::from_unix(signed_at);
        let signed = signer.sign_at(&received.head(), &received.body, &parameters, signed_at).unwrap();
        for (name, value) in signed.iter() {
            received = received.with(name, value);
        }
        let scheme = profile.scheme("ucp").unwrap();
        let keys = Keyring::new(scheme.secret(P256).unwrap().public_key().unwrap().clone());
        let clock = TestClock::new(Timestamp::from_unix(NOW));
        let replay = Replay::new().lifetime(Duration::from_secs(86_481));
        let warden = Warden::builder(scheme).only_sender(keys).clock(clock.clone()).replay(replay).build().unwrap();
        assert_eq!(received.deliver(&warden), Ok(()));

        clock.advance(DAY + Duration::from_millis(60_999));
        let mut copy = warden.examine(&received.head(), None).unwrap().identify_from_head(&received.head()).unwrap();
        clock.advance(Duration::from_secs(1));
        let stale = Err(RefusalReason::Unverified(hookwarden::Reason::Stale));
        assert_eq!(received.deliver(&warden), stale);
        clock.advance(Duration::from_secs(9));
        copy.update(&received.body).unwrap();
        assert_eq!(copy.finish().unwrap_err().reason(), RefusalReason::Replayed);
    }
}

/// A profile would refuse it.
#[test]
fn signature_without_created_cannot_expire_late() {
    let sign = |profile: ProfileBuilder, seconds: Option<u64>| {
        let profile = profile.build().unwrap();
        let signer = profile.signer(Keyring::new(profile.scheme("ucp").unwrap().secret(P256).unwrap())).unwrap();
        let received = Received::new("GET", "https://platform.example.com/", &BTreeMap::new(), "");
        let parameters = SignatureParameters::new().keyid("2027");
        let parameters =
            seconds.map(Duration::from_secs).into_iter().fold(parameters, SignatureParameters::expires_after);
        let signed = signer.sign_at(&received.head(), b"", &parameters, Timestamp::from_unix(NOW));
        signed.map(|signed| signed.iter().next().unwrap().1.split(';').nth(1).unwrap().to_owned())
    };
    let profile = || Profile::ucp("https://platform.example.com").forbids([Parameter::Created]);
    let expires = |seconds: i64| format!("expires={}", NOW + seconds);
    assert_eq!(sign(profile(), Some(86_400)), Ok(expires(86_400)));
    let error = sign(profile(), Some(86_401)).unwrap_err();
    assert_eq!(error.to_string(), "expires: must be at most the maximum age of the profile after the time of signing");
    let created = sign(Profile::ucp("https://platform.example.com"), Some(86_401));
    assert_eq!(created, Ok(format!("created={NOW}")));
    // The clock of the receiver can be behind.
    assert_eq!(sign(profile().requires([Parameter::Expires]), None), Ok(expires(86_340)));
    let skewed = profile().requires([Parameter::Expires]).max_age(Duration::from_secs(30));
    assert_eq!(sign(skewed, None), Ok(expires(1)));
}

#[test]
fn signer_makes_messages_that_ucp_accepts() {
    let key = P256;
    for (name, covered) in [
        ("get", r#"sig1=("@method" "@authority" "@path");created="#),
        (
            "request",
            r#"sig1=("@method" "@authority" "@path" "ucp-agent" "idempotency-key" "content-digest" "content-type");created="#,
        ),
        (
            "dual-audience",
            r#"sig1=("@method" "@authority" "@path" "ucp-agent" "signature-agent" "idempotency-key" "content-digest" "content-type");created="#,
        ),
    ] {
        let mut received = received(name);
        let profile = profile_of(&received);
        let signer = profile.signer(Keyring::new(profile.scheme("ucp").unwrap().secret(key).unwrap())).unwrap();
        let parameters = SignatureParameters::new().keyid("test-key-ecc-p256");
        let now = Timestamp::from_unix(NOW);
        let signed = signer.sign_at(&received.head(), &received.body, &parameters, now).unwrap();
        for (name, value) in signed.iter() {
            received = received.with(name, value);
        }
        assert!(received.get("Signature-Input").starts_with(covered), "{}", received.get("Signature-Input"));
        assert!(!received.get("Signature-Input").contains("tag="), "{}", received.get("Signature-Input"));
        assert_accepted(&received);

        // As in the examples.
        let timeless = Profile::ucp(&format!("https://{}", received.get("Host"))).forbids([Parameter::Created]);
        let timeless = timeless.build().unwrap();
        let signer = timeless.signer(Keyring::new(timeless.scheme("ucp").unwrap().secret(key).unwrap())).unwrap();
        let signed = signer.sign_at(&received.head(), &received.body, &parameters, now).unwrap();
        for (name, value) in signed.iter() {
            received = received.with(name, value);
        }
        assert!(received.get("Signature-Input").ends_with(");keyid=\"test-key-ecc-p256\""), "{received:?}");
        assert_accepted(&received);
    }
}
