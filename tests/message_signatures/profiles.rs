//! Profiles that are refused, and what a scheme of a profile covers.

use core::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::message_signatures::{Parameter, Profile, ProfileBuilder, StructuredType};
use hookwarden::{ConfigError, IdSource, Keyring, PublicKey, Scheme, Verifier, Warden};

use crate::message::{Message, ORIGIN, builder, digest_builder, keys, webhooks};

#[track_caller]
fn assert_fault(builder: ProfileBuilder, field: &str) {
    let error: ConfigError = builder.build().unwrap_err();
    assert_eq!(error.field(), field, "{error}");
    assert!(error.to_string().starts_with(&format!("{field}: must ")), "{error}");
}

#[test]
fn invalid_profiles_are_config_errors() {
    let builder = || builder().danger_unsigned_body();
    for origin in [
        "",
        "hooks.example.com",
        "ftp://a",
        "https://",
        "https://a/",
        "https://a/b",
        "https://a b",
        "https://u@a",
        "https://a?b",
        "https://a#b",
        "https://é",
        "https://:443",
        "https://a:",
        "https://a:0",
        "https://a:0443",
        "https://a:65536",
        "https://a:b",
        "https://a,b",
        "https://a%20b",
        "https://-a",
        "https://a..b",
        "https://a\\b",
        "https://256.0.0.1",
        "https://127.1",
        "https://0x7f.1",
        "https://::1",
        "https://[::1",
        "https://[::1%25eth0]",
        "https://[fe80]",
        "https//a",
        "//a",
        " https://a",
    ] {
        assert_fault(Profile::builder(origin), "origin");
        assert_fault(Profile::webhooks(origin), "origin");
    }
    assert_fault(builder().covers(["@method", "@method"]), "covers");
    assert_fault(builder().covers(["content-type", "\"content-type\""]), "covers");
    assert_fault(builder().covers((0..33).map(|n| format!("x-{n}"))), "covers");
    for component in ["", "@status", "content type", "Content-Type", "x;", "x;key=a", "x y", "\"x", "@query-param"] {
        assert_fault(builder().covers([component]), "covers");
    }
    assert_fault(builder().forbids([Parameter::Created]), "forbids");
    assert_fault(builder().requires([Parameter::Alg]).forbids([Parameter::Alg]), "forbids");
    assert_fault(builder().tag("a").forbids([Parameter::Tag]), "forbids");
    for tag in ["", "é", "a\n"] {
        assert_fault(builder().tag(tag), "tag");
    }
    for label in ["", "A", "1", "a b"] {
        assert_fault(builder().label(label), "label");
    }
    assert_fault(builder().structured_field("a b", StructuredType::Item), "structured_field");
    for seconds in [Duration::ZERO, Duration::from_millis(1500), Duration::from_secs(86_401)] {
        assert_fault(builder().max_age(seconds), "max_age");
    }
    assert_fault(builder().clock_skew(Duration::from_secs(301)), "clock_skew");
    assert_fault(builder().clock_skew(Duration::from_millis(1)), "clock_skew");
    assert!(builder().max_age(Duration::from_secs(10)).build().is_ok());
    // The first fault is reported.
    assert_fault(builder().covers(["@status"]).tag("").max_age(Duration::ZERO), "covers");
}

#[test]
fn invalid_origin_is_refused_with_what_to_write() {
    for (origin, expected) in [
        ("hooks.example.com", "must be http(s)://host or http(s)://host:port, such as https://hooks.example.com"),
        (
            "https://hooks.example.com/",
            "must end after the host and the port, without a slash, a path, a query or a fragment",
        ),
        ("https://user@hooks.example.com", "must not have a user name or a password"),
        ("https://hooks.example.com:70000", "must have a port from 1 to 65535, or none and no colon"),
        (
            "https://b\u{fc}cher.example",
            "must be ASCII: write an international name with A-labels, such as xn--bcher-kva.example",
        ),
        (
            "https://hooks_.example..com",
            "must have a domain name: labels of a-z 0-9 - _, separated by dots, with at most 63 bytes each and 253 together",
        ),
        (
            "https://192.0.2",
            "must have an IPv4 address of four decimal numbers, such as 192.0.2.1, or a name that does not end in a number",
        ),
        ("https://[::1]8443", "must have an IPv6 address in brackets, such as [2001:db8::1] or [2001:db8::1]:8443"),
    ] {
        let error = Profile::builder(origin).build().unwrap_err();
        assert_eq!(error.to_string(), format!("origin: {expected}"), "{origin}");
    }
}

#[test]
fn profile_without_the_target_is_refused() {
    let profile = |covered: &[&str]| {
        let builder = Profile::builder(ORIGIN).algorithms([Algorithm::HmacSha256]);
        builder.covers(covered.iter().chain(&["content-digest"]))
    };
    for covered in [
        &["content-type"][..],
        &["@method"],
        &["@target-uri"],
        &["@authority", "@path"],
        &["@method", "@authority"],
        &["@method", "@path", "@query"],
        &["@method", "@authority", "@scheme", "@query"],
    ] {
        let error = profile(covered).build().unwrap_err();
        let expected = "covers: must contain @method and either @target-uri or both @authority and @path, or set \
                        danger_unsigned_target";
        assert_eq!(error.to_string(), expected, "{covered:?}");
        assert!(profile(covered).danger_unsigned_target().build().is_ok(), "{covered:?}");
    }
    for covered in [&["@method", "@target-uri"][..], &["@path", "@authority", "@method"]] {
        assert!(profile(covered).build().is_ok(), "{covered:?}");
    }
}

#[test]
fn scheme_covers_what_its_profile_requires() {
    let coverage = |profile: ProfileBuilder| profile.build().unwrap().scheme("acme").unwrap().coverage().to_string();
    let covering = |covered: [&'static str; 2]| builder().covers(covered.into_iter().chain(["content-digest"]));
    assert_eq!(coverage(digest_builder()), "body and timestamp");
    assert_eq!(coverage(digest_builder().danger_unsigned_body()), "timestamp");
    assert_eq!(coverage(covering(["@method", "@path"])), "body, timestamp and method");
    assert_eq!(coverage(covering(["@path", "@query"])), "body, timestamp and URL");
    assert_eq!(coverage(covering(["webhook-id", "@path"])), "body, timestamp and id");
    let default = webhooks(ORIGIN).scheme("acme").unwrap();
    assert_eq!(default.coverage().to_string(), "body, timestamp, method and URL");
    assert_eq!(default.tolerance().as_duration(), Duration::from_secs(300));
}

#[test]
fn warden_refuses_profile_with_unsigned_bodies() {
    let warden = |profile: ProfileBuilder| {
        let scheme = profile.build().unwrap().scheme("acme").unwrap();
        let warden = Warden::builder(scheme).sender("acme", keys()).webhook_id(IdSource::path_segment(1)).build();
        warden.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(warden(digest_builder()), Ok(()));
    assert!(warden(builder().danger_unsigned_body()).unwrap_err().contains("danger_unsigned_body"));
}

#[test]
fn keys_of_another_kind_are_refused() {
    let profile = |algorithm| digest_builder().algorithms([algorithm]).build().unwrap();
    let ed25519 = profile(Algorithm::Ed25519).scheme("acme").unwrap();
    let public: PublicKey = ed25519.public_key("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs").unwrap();
    let verifier =
        |scheme: Scheme, keys| Verifier::new(scheme, keys).map(drop).map_err(|error| error.field().to_owned());
    assert_eq!(verifier(ed25519.clone(), keys()), Err("keys".into()));
    assert_eq!(verifier(ed25519.clone(), Keyring::new(public.clone())), Ok(()));
    for algorithm in [Algorithm::HmacSha256, Algorithm::EcdsaP256, Algorithm::RsaPkcs1] {
        let scheme = profile(algorithm).scheme("acme").unwrap();
        assert_eq!(verifier(scheme, Keyring::new(public.clone())), Err("keys".into()));
    }
    // A public key cannot sign.
    assert_eq!(profile(Algorithm::Ed25519).signer(Keyring::new(public)).unwrap_err().field(), "keys");
}

#[test]
fn keyid_is_that_of_the_signature_that_counts() {
    let profile = digest_builder().label("b").build().unwrap();
    let input = r#"a=();created=1;keyid="one", b=();created=1;keyid="two", c=();keyid=three"#;
    let keyid =
        |profile: &Profile, input: &str| profile.keyid(&Message::unsigned().with("Signature-Input", input).head());
    assert_eq!(keyid(&profile, input).as_deref(), Some("two"));
    assert_eq!(keyid(&digest_builder().label("c").build().unwrap(), input), None);
    assert_eq!(keyid(&digest_builder().build().unwrap(), input), None);
    assert_eq!(keyid(&profile, "b=();created=1"), None);
    assert_eq!(profile.keyid(&Message::unsigned().head()), None);
}
