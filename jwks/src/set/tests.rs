use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{MessageSigner, Profile, SignatureParameters};
use hookwarden::{Timestamp, Verifier};

use super::*;
use crate::source::Kind;

fn profile(algorithms: &[Algorithm]) -> Profile {
    Profile::webhooks("https://hooks.example.com").algorithms(algorithms.iter().copied()).build().unwrap()
}

fn scheme() -> Scheme {
    profile(&[Algorithm::Ed25519]).scheme("test").unwrap()
}

fn signer(keys: Keyring) -> MessageSigner {
    profile(&[Algorithm::Ed25519]).signer(keys).unwrap()
}

/// RFC 8037 appendix A.2, with its thumbprint of A.3.
const KEY: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

const ADCP: &str = r#""kid":"k","use":"sig","key_ops":["verify"],"adcp_use":"request-signing""#;

fn read(kind: Kind, keys: &str) -> KeySet {
    let lists = ListVerifier::new().unwrap();
    let document = format!("{{\"keys\":[{keys}],\"ucp\":{{}}}}");
    KeySet::read(kind, &scheme(), Some(&lists), "acme", document.as_bytes()).unwrap()
}

/// Asserts that a set with this key and these members has it under `keyid`.
#[track_caller]
fn assert_used(kind: Kind, members: &str, keyid: &str) {
    let set = read(kind, &format!("{{{members},{KEY}}}"));
    assert_eq!(set.keys.keys().collect::<Vec<_>>(), [keyid], "{members}: {:?}", set.skipped);
    assert_eq!(set.skipped, []);
}

#[track_caller]
fn assert_skipped(kind: Kind, jwk: &str, why: &str, is_secret: bool) {
    let other =
        format!("{{\"kid\":\"other\",{}}}", ADCP.replace("\"kid\":\"k\",", "") + "," + &KEY.replace("11qY", "11qZ"));
    let set = read(kind, &format!("{jwk},{other}"));
    let problems: Vec<(&str, bool)> =
        set.skipped.iter().map(|skipped| (&*skipped.problem.why, skipped.problem.is_secret)).collect();
    assert!(problems.iter().any(|(text, secret)| text.starts_with(why) && *secret == is_secret), "{jwk}: {problems:?}");
    assert!(!set.keys.contains_key("k") && !set.keys.contains_key(THUMBPRINT), "{jwk}");
}

#[test]
fn key_is_found_by_its_kid() {
    for kind in [Kind::JwkSet, Kind::Ucp] {
        for members in [
            r#""kid":"k""#,
            r#""kid":"k","use":"sig","alg":"EdDSA""#,
            r#""kid":"k","alg":"Ed25519","key_ops":["verify"]"#,
            r#""kid":"k","key_ops":["sign","verify"],"x5c":["AAAA"],"ext":true,"iat":1.5,"more":{"a":null}"#,
        ] {
            assert_used(kind, members, "k");
        }
    }
}

#[test]
fn adcp_key_needs_its_purpose() {
    assert_used(Kind::AdcpWebhooks, ADCP, "k");
    assert_used(Kind::AdcpRequests, ADCP, "k");
    let webhooks = ADCP.replace("request-signing", "webhook-signing");
    assert_used(Kind::AdcpWebhooks, &webhooks, "k");
    for (kind, members, why) in [
        (Kind::AdcpRequests, webhooks.as_str(), "adcp_use: "),
        (Kind::AdcpWebhooks, &ADCP.replace("request-signing", "response-signing"), "adcp_use: "),
        (Kind::AdcpWebhooks, &ADCP.replace("\"request-signing\"", "[\"request-signing\"]"), "adcp_use: "),
        (Kind::AdcpWebhooks, &ADCP.replace("adcp_use", "purpose"), "adcp_use: "),
        (Kind::AdcpWebhooks, &ADCP.replace("\"verify\"", "\"sign\""), "key_ops: "),
        (Kind::AdcpWebhooks, &ADCP.replace("[\"verify\"]", "\"verify\""), "key_ops: "),
        (Kind::AdcpWebhooks, &ADCP.replace("key_ops", "ops"), "key_ops: "),
        (Kind::AdcpWebhooks, &ADCP.replace("\"use\"", "\"purpose\""), "use: "),
    ] {
        assert_skipped(kind, &format!("{{{members},{KEY}}}"), why, false);
    }
}

#[test]
fn directory_key_is_found_by_its_thumbprint() {
    assert_used(Kind::WebBots, r#""kid":"other""#, THUMBPRINT);
    assert_used(Kind::WebBots, r#""nbf":1743465600"#, THUMBPRINT);
    let set = read(Kind::WebBots, &format!("{{{KEY}}}"));
    let name = set.keys.get(THUMBPRINT).unwrap().iter().next().unwrap().id();
    assert_eq!(name.as_str(), &THUMBPRINT[..36]);
}

#[test]
fn directory_key_has_its_period() {
    for (members, valid) in [
        (r#""nbf":1000,"exp":2000"#, [false, true, true, false]),
        (r#""nbf":1743465600000"#, [false, false, false, false]),
        (r#""exp":1000"#, [true, true, false, false]),
        (r#""kid":"k""#, [true, true, true, true]),
    ] {
        let set = read(Kind::WebBots, &format!("{{{members},{KEY}}}"));
        let keyring = set.keys.get(THUMBPRINT).unwrap();
        let live = [999, 1000, 2000, 2001].map(|second| verifies_at(keyring, Timestamp::from_unix(second)));
        assert_eq!(live, valid, "{members}");
    }
    for members in [r#""nbf":"1000""#, r#""exp":1.5"#, r#""exp":-1"#, r#""nbf":2,"exp":1"#] {
        assert_skipped(Kind::WebBots, &format!("{{{members},{KEY}}}"), "", false);
    }
}

/// Whether a signature with the private key of RFC 8037 appendix A.1 verifies when it is made.
fn verifies_at(keyring: &Keyring, now: Timestamp) -> bool {
    let private = format!("{{{KEY},\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}}");
    let private = Keyring::new(scheme().secret(&private).unwrap());
    let parameters = SignatureParameters::new().keyid(THUMBPRINT).nonce("n");
    let content_type = ("content-type", "text/plain");
    let head = [content_type];
    let signed = signer(private).sign_at(&RequestHead::new("POST", "/", &head), b"", &parameters, now).unwrap();
    let headers: Vec<(&str, &str)> = signed.iter().chain([content_type, ("host", "hooks.example.com")]).collect();
    let verifier = Verifier::new(scheme(), keyring.clone()).unwrap();
    verifier.verify_at(&RequestHead::new("POST", "/", &headers), b"", now).is_ok()
}

#[test]
fn unusable_key_is_skipped_alone() {
    for (jwk, why) in [
        (r#""kid":"k","use":"enc",KEY"#, "use: "),
        (r#""kid":"k","use":["sig"],KEY"#, "use: "),
        (r#""kid":"k","key_ops":["sign"],KEY"#, "key_ops: "),
        (r#""kid":"k","key_ops":[],KEY"#, "key_ops: "),
        (r#""kid":"k","alg":"ES256",KEY"#, "public_key: "),
        (r#""kid":"k","alg":"HS256",KEY"#, "public_key: "),
        (r#""kid":"k","alg":"none",KEY"#, "public_key: "),
        (r#""kid":"k","alg":"Ed\"25519",KEY"#, "alg: "),
        (r#""kid":"k","alg":null,KEY"#, "alg: "),
        (r#""kid":7,KEY"#, "kid: "),
        (r#""kid":"",KEY"#, "kid: "),
        (r#""use":"sig",KEY"#, "kid: "),
        (r#""kid":"k""#, "kty: "),
        (r#""kid":"k","kty":"AKP","alg":"ML-DSA-44","pub":"AAAA""#, "kty: "),
        (r#""kid":"k","kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#, "public_key: "),
        (r#""kid":"k","kty":"OKP","crv":"Ed448","x":"AAAA""#, "public_key: "),
        (r#""kid":"k","kty":"OKP","crv":"Ed25519""#, "must have all members"),
        (
            r#""kid":"k","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=""#,
            "must have all members",
        ),
        (r#""kid":"k","kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#, "public_key: "),
        (r#""kid":"k","kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA""#, "public_key: "),
        (r#""kid":"k","kty":"OKP","crv":"Ed25519","x":"\",\"d\":\"""#, "must have all members"),
    ] {
        assert_skipped(Kind::JwkSet, &format!("{{{}}}", jwk.replace("KEY", KEY)), why, false);
    }
    for jwk in ["7", "null", "[]", "\"k\""] {
        assert_skipped(Kind::JwkSet, jwk, "must be an object", false);
    }
}

#[test]
fn private_or_symmetric_key_is_refused_loudly() {
    for jwk in [
        r#"{"kid":"k","d":"AAAA",KEY}"#,
        r#"{"kid":"k","d":null,KEY}"#,
        r#"{"kid":"k","k":"AAAA",KEY}"#,
        r#"{"kid":"k","kty":"RSA","n":"AAAA","e":"AQAB","p":"AAAA"}"#,
        r#"{"kid":"k","kty":"oct","k":"AAAA"}"#,
        r#"{"kid":"k","kty":"oct"}"#,
    ] {
        assert_skipped(Kind::JwkSet, &jwk.replace("KEY", KEY), "must be a public key", true);
    }
}

#[test]
fn key_published_with_private_part_is_never_used() {
    let public = format!("{{\"kid\":\"b\",{KEY}}}");
    for private in [
        r#"{"kid":"a","d":"AAAA",KEY}"#,
        r#"{"kid":"a","use":"enc","d":"AAAA",KEY}"#,
        r#"{"kid":"a","alg":"?","d":null,KEY}"#,
        r#"{"d":"AAAA",KEY}"#,
        r#"{"kid":"a","k":"AAAA",KEY}"#,
    ] {
        let private = private.replace("KEY", KEY);
        for kind in [Kind::JwkSet, Kind::WebBots] {
            for keys in [[&private, &public], [&public, &private]] {
                let set = read(kind, &keys.map(String::as_str).join(","));
                assert!(set.keys.is_empty(), "{keys:?}");
                assert!(set.skipped.iter().filter(|skipped| skipped.problem.is_secret).count() == 2, "{keys:?}");
            }
        }
    }
    let other = format!("{{\"kid\":\"a\",\"d\":\"AAAA\",{}}}", KEY.replace("11qY", "11qZ"));
    assert_eq!(read(Kind::JwkSet, &format!("{public},{other}")).keys.len(), 1);
}

#[test]
fn keyid_too_long_for_the_cache_is_skipped() {
    let kid = "k".repeat(251);
    assert_used(Kind::JwkSet, &format!("\"kid\":\"{kid}\""), &kid);
    let set = read(Kind::JwkSet, &format!("{{\"kid\":\"{kid}k\",{KEY}}}"));
    assert!(set.keys.is_empty());
    assert!(set.skipped[0].problem.why.starts_with("kid: must have at most 256 bytes"), "{:?}", set.skipped);
}

#[test]
fn kid_of_several_keys_is_not_used() {
    let key = |kid: &str, members: &str| format!("{{\"kid\":\"{kid}\"{members},{KEY}}}");
    for keys in [
        [key("k", ""), key("k", "")],
        // The other key could be used by another implementation.
        [key("k", ""), key("k", r#","use":"enc""#)],
        [key("k", r#","key_ops":["sign"]"#), key("\\u006b", "")],
    ] {
        let set = read(Kind::JwkSet, &keys.join(","));
        assert!(set.keys.is_empty(), "{keys:?}");
        let says = set.skipped.iter().any(|skipped| skipped.problem.why.starts_with("must have a keyid that no other"));
        assert!(says, "{:?}", set.skipped);
    }
    assert!(read(Kind::WebBots, &[key("a", ""), key("b", "")].join(",")).keys.is_empty());
    assert_eq!(read(Kind::JwkSet, &[key("a", ""), key("b", "")].join(",")).keys.len(), 2);
}

#[test]
fn key_has_the_sender_and_a_name() {
    for (kid, name) in [("k", "k"), ("a b/c", &THUMBPRINT[..36]), (&"x".repeat(37), &THUMBPRINT[..36])] {
        let set = read(Kind::JwkSet, &format!("{{\"kid\":\"{kid}\",{KEY}}}"));
        let keyring = set.keys.get(kid).unwrap();
        assert_eq!(keyring.iter().map(|key| key.id().to_string()).collect::<Vec<_>>(), [name]);
        assert_eq!(scheme().prepare(keyring).unwrap().webhook_id(), Some("acme"));
    }
}

#[test]
fn set_with_too_many_keys_is_refused() {
    let keys = |count| {
        let keys: Vec<String> = (0..count).map(|number| format!("{{\"kid\":\"{number}\",{KEY}}}")).collect();
        KeySet::read(Kind::JwkSet, &scheme(), None, "acme", format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
    };
    assert_eq!(keys(MAX_KEYS).unwrap().keys.len(), MAX_KEYS);
    assert_eq!(keys(MAX_KEYS + 1).unwrap_err(), "must have at most 100 keys");
}

/// RFC 7517 appendix A.1, with the thumbprint of RFC 7638 section 3.1 for the RSA key.
const EC: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
const RSA: &str = r#""kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB""#;
const RSA_THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

#[test]
fn keys_of_all_kinds_are_used_together() {
    let scheme = profile(&[Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::RsaPkcs1]).scheme("test").unwrap();
    let read = |kind, keys: &[String]| {
        let document = format!("{{\"keys\":[{}]}}", keys.join(","));
        let set = KeySet::read(kind, &scheme, None, "acme", document.as_bytes()).unwrap();
        let mut found: Vec<String> = set.keys.into_keys().collect();
        found.sort_unstable();
        found
    };
    let keys = |algs: [&str; 3]| {
        let [ed, ec, rsa] = algs;
        [
            format!("{{\"kid\":\"ed\",{KEY}{ed}}}"),
            format!("{{\"kid\":\"ec\",{EC}{ec}}}"),
            format!("{{\"kid\":\"rsa\",{RSA}{rsa}}}"),
        ]
    };
    let all = ["ec", "ed", "rsa"];
    assert_eq!(read(Kind::JwkSet, &keys(["", "", ""])), all);
    assert_eq!(read(Kind::JwkSet, &keys([r#","alg":"EdDSA""#, r#","alg":"ES256""#, r#","alg":"RS256""#])), all);
    let wrong = keys([r#","alg":"ES256""#, r#","alg":"RS256""#, r#","alg":"PS256""#]);
    assert_eq!(read(Kind::JwkSet, &wrong), [""; 0]);
    let thumbprints = read(Kind::WebBots, &keys(["", "", ""]));
    assert!(thumbprints.contains(&THUMBPRINT.to_owned()) && thumbprints.contains(&RSA_THUMBPRINT.to_owned()));
    assert_eq!(thumbprints.len(), 3);
}

/// RFC 7518 section 6.3.1.1 forbids zeros at the start of the modulus, and some write them.
#[test]
fn rsa_key_with_leading_zeros_is_the_same() {
    let scheme = profile(&[Algorithm::RsaPkcs1]).scheme("test").unwrap();
    let read = |keys: &[String]| {
        let document = format!("{{\"keys\":[{}]}}", keys.join(","));
        KeySet::read(Kind::WebBots, &scheme, None, "acme", document.as_bytes()).unwrap()
    };
    let zero = |name: &str| {
        let (start, rest) = RSA.split_once(&format!("\"{name}\":\"")).unwrap();
        let (number, rest) = rest.split_once('"').unwrap();
        let number = [vec![0], Encoding::Base64UrlUnpadded.decode(number.as_bytes()).unwrap()].concat();
        format!("{start}\"{name}\":\"{}\"{rest}", Encoding::Base64UrlUnpadded.encode(&number))
    };
    for padded in [zero("n"), zero("e")] {
        let public = format!("{{{padded}}}");
        let set = read(std::slice::from_ref(&public));
        assert_eq!(set.keys.keys().collect::<Vec<_>>(), [RSA_THUMBPRINT], "{:?}", set.skipped);
        // The private part is published with one form, and the public key with the other.
        let leaked = |members: &str| format!("{{{members},\"d\":\"AAAA\"}}");
        for keys in [[public, leaked(RSA)], [format!("{{{RSA}}}"), leaked(&padded)]] {
            assert!(read(&keys).keys.is_empty(), "{keys:?}");
        }
    }
}

#[test]
fn list_key_needs_purpose_and_its_own_kid() {
    let key = |kid: &str, purpose: &str, members: &str| {
        format!(r#"{{"kid":"{kid}","use":"sig","key_ops":["verify"],"adcp_use":"{purpose}"{members},{KEY}}}"#)
    };
    let found = |kind, keys: &[String]| {
        let mut found: Vec<String> = read(kind, &keys.join(",")).list_keys.into_keys().collect();
        found.sort_unstable();
        found
    };
    let all = ["governance-signing", "request-signing", "webhook-signing", "response-signing", ""];
    let all = all.map(|purpose| key(purpose, purpose, ""));
    let [_, others @ ..] = &all;
    assert_eq!(found(Kind::AdcpWebhooks, others), ["request-signing", "webhook-signing"]);
    assert_eq!(found(Kind::AdcpRequests, others), ["request-signing"]);
    // The key that is to be revoked must not sign the list.
    assert_eq!(found(Kind::AdcpWebhooks, &all), ["governance-signing"]);
    assert_eq!(found(Kind::AdcpRequests, &all), ["governance-signing"]);
    for kind in [Kind::JwkSet, Kind::Ucp, Kind::WebBots] {
        assert_eq!(found(kind, &all), [""; 0]);
    }
    let gov = |kid, members| key(kid, "governance-signing", members);
    let unused = gov("a", "").replace("\"use\":\"sig\"", "\"use\":\"enc\"");
    for keys in [[gov("a", ""), gov("a", "")], [gov("a", ""), unused], [gov("a", ""), gov("b", r#","d":"AAAA""#)]] {
        assert_eq!(found(Kind::AdcpWebhooks, &keys), [""; 0], "{keys:?}");
    }
}

#[test]
fn unreadable_governance_key_excludes_no_other() {
    let adcp = |kid: &str, purpose: &str, members: &str| {
        format!(r#"{{"kid":"{kid}","use":"sig","key_ops":["verify"],"adcp_use":"{purpose}",{members}}}"#)
    };
    let requests = adcp("requests", "request-signing", KEY);
    let found = |members: &str| {
        let governance = adcp("governance", "governance-signing", members);
        read(Kind::AdcpWebhooks, &format!("{requests},{governance}")).list_keys.into_keys().collect::<Vec<_>>()
    };
    let ec = |curve: &str, x: &str, y: &str| format!(r#""kty":"EC","crv":"{curve}","x":"{x}","y":"{y}""#);
    let okp = |curve: &str, x: &str| format!(r#""kty":"OKP","crv":"{curve}","x":"{x}""#);
    let zeros = |bytes: usize| "A".repeat((bytes * 4).div_ceil(3));
    let p256 = ec("P-256", P256_X, P256_Y);
    for members in [
        ec("P-384", &zeros(48), &zeros(48)),
        ec("secp256k1", P256_X, P256_Y),
        okp("Ed448", &zeros(57)),
        okp("X25519", &zeros(32)),
        r#""kty":"RSA","n":"AQAB","e":"AQAB""#.into(),
        // These are not points of the curve.
        ec("P-256", P256_Y, P256_X),
        okp("Ed25519", &format!("Ag{}", zeros(30) + "A")),
        format!(r#"{KEY},"alg":"ES256""#),
        format!(r#"{p256},"alg":"EdDSA""#),
        format!(r#"{p256},"alg":"ES384""#),
    ] {
        assert_eq!(found(&members), ["requests"], "{members}");
    }
    for members in [KEY, &p256, &format!(r#"{KEY},"alg":"EdDSA""#), &format!(r#"{p256},"alg":"ES256""#)] {
        assert_eq!(found(members), ["governance"], "{members}");
    }
}

/// RFC 7517 appendix A.1.
const P256_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";

const P256_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
