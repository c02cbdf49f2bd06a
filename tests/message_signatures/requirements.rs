//! What a profile can demand beyond RFC 9421.

use core::time::Duration;

use hookwarden::Reason;
use hookwarden::encoding::Encoding;
use hookwarden::message_signatures::{Parameter, Problem, Profile, ProfileBuilder, SignatureParameters};

use crate::message::{BODY, DIGEST, Message, builder, digest_builder, keys};

fn unsigned() -> ProfileBuilder {
    builder().danger_unsigned_body()
}

fn uncovered(name: &str) -> Problem {
    Problem::Uncovered(format!("\"{name}\""))
}

#[track_caller]
fn assert_fault(builder: ProfileBuilder, field: &str) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.field(), field, "{error}");
    assert!(error.to_string().starts_with(&format!("{field}: must ")), "{error}");
}

#[test]
fn invalid_requirements_are_config_errors() {
    for component in ["@method", "@query-param;name=\"a\"", "x;key=\"a\"", "@status", "X"] {
        assert_fault(unsigned().covers_if_present([component]), "covers_if_present");
    }
    assert_fault(unsigned().covers_if_present(["x", "x"]), "covers_if_present");
    assert_fault(unsigned().covers_with_body(["@status"]), "covers_with_body");
    assert_fault(unsigned().max_validity(Duration::ZERO), "max_validity");
    assert_fault(unsigned().max_validity(Duration::from_millis(1_500)), "max_validity");
    for bytes in [0, 1_025] {
        assert_fault(unsigned().min_nonce_bytes(bytes), "min_nonce_bytes");
    }
    assert_fault(unsigned().optional_tag(""), "optional_tag");
    assert_fault(unsigned().requires([Parameter::Tag]), "requires");
    assert_fault(unsigned().created_optional().requires([Parameter::Alg]).forbids([Parameter::Alg]), "forbids");
    for tagged in [unsigned().tag("a"), unsigned().optional_tag("a"), unsigned().danger_any_tag()] {
        assert!(tagged.requires([Parameter::Tag]).build().is_ok());
    }
    assert!(unsigned().optional_tag("a").forbids([Parameter::Tag]).build().is_ok());
    // One setting for bodies is enough.
    assert!(builder().covers_with_body(["content-digest"]).build().is_ok());
    assert_fault(builder().covers_if_present(["content-digest"]), "covers");
}

#[test]
fn header_must_be_covered_if_present() {
    let profile = unsigned().covers_if_present(["x"]).build().unwrap();
    let without = || Message::signed_as(&[], "();created=1800000000");
    without().assert_verifies(&profile);
    without().with("X", "").assert_problem(&profile, &uncovered("x"));
    let covered = |line: &str, input: &str| Message::signed_as(&[line], &format!("({input});created=1800000000"));
    covered("\"x\": a=1", "\"x\"").with("X", "a=1").assert_verifies(&profile);
    covered("\"x\";bs: :YT0x:", "\"x\";bs").with("X", "a=1").assert_verifies(&profile);
    // A covered member covers the whole header if the header has no other member.
    let member = || covered("\"x\";key=\"a\": 1", "\"x\";key=\"a\"");
    member().with("X", "a=1").assert_verifies(&profile);
    member().with("X", "a=1, b=2").assert_problem(&profile, &uncovered("x"));
    // Or if its key is the label of the signature.
    let labelled = || covered("\"x\";key=\"sig\": 1", "\"x\";key=\"sig\"").with("X", "sig=1, b=2");
    labelled().assert_verifies(&profile);
    let other = labelled().replacing("Signature-Input", "sig=(", "b=(").replacing("Signature", "sig=", "b=");
    other.assert_problem(&profile, &uncovered("x"));
    // A header that is required without a condition is never covered by a member.
    member().with("X", "a=1").assert_problem(&unsigned().covers(["x"]).build().unwrap(), &uncovered("x"));
}

#[test]
fn query_must_be_covered_if_present() {
    let profile = unsigned().covers_if_present(["@query"]).build().unwrap();
    let with = |path: &str| Message { path: path.into(), ..Message::signed_as(&[], "();created=1800000000") };
    with("/a").assert_verifies(&profile);
    for path in ["/a?", "/a?b=1", "*"] {
        with(path).assert_problem(&profile, &uncovered("@query"));
    }
    let covered = Message::signed_as(&["\"@query\": ?b=1"], r#"("@query");created=1800000000"#);
    Message { path: "/a?b=1".into(), ..covered }.assert_verifies(&profile);
    let url = |profile: ProfileBuilder| profile.build().unwrap().scheme("acme").unwrap().coverage().to_string();
    assert_eq!(url(unsigned().covers(["@path"])), "timestamp");
    assert_eq!(url(unsigned().covers(["@path"]).covers_if_present(["@query"])), "timestamp and URL");
}

#[test]
fn body_needs_its_components() {
    let profile = builder().covers_with_body(["content-digest", "content-type"]).build().unwrap();
    let without = || Message::signed_as(&[], "();created=1800000000");
    Message { body: Vec::new(), ..without() }.assert_verifies(&profile);
    without().assert_problem(&profile, &uncovered("content-digest"));
    let digest = format!("\"content-digest\": {DIGEST}");
    let digested = || Message::signed_as(&[&digest], r#"("content-digest");created=1800000000"#);
    digested().assert_problem(&profile, &uncovered("content-type"));
    // A covered digest is compared with an empty body, too.
    Message { body: Vec::new(), ..digested() }.assert_problem(&profile, &Problem::OtherBody);
    let lines = [digest.as_str(), "\"content-type\": application/json"];
    let covered = Message::signed_as(&lines, r#"("content-digest" "content-type");created=1800000000"#);
    covered.assert_verifies(&profile);
    Message { body: b"{}".into(), ..covered }.assert_problem(&profile, &Problem::OtherBody);
    let coverage = profile.scheme("acme").unwrap().coverage().to_string();
    assert_eq!(coverage, "body and timestamp");
}

#[test]
fn time_is_checked_if_created_is_optional() {
    let profile = unsigned().created_optional().build().unwrap();
    let with = |parameters: &str| Message::signed_as(&[], &format!("(){parameters}"));
    with("").assert_verifies(&profile);
    with("").assert_problem(&unsigned().build().unwrap(), &Problem::MissingParameter(Parameter::Created));
    with(";expires=1799999940").assert_verifies(&profile);
    with(";expires=1799999939").assert_problem(&profile, &Problem::Expired);
    // Without `created`, the maximum age limits `expires`.
    with(";expires=1800000300").assert_verifies(&profile);
    with(";expires=1800000301").assert_problem(&profile, &Problem::LongValidity);
    with(";created=1799999999;expires=1800000301").assert_verifies(&profile);
    with(";created=1799999700").assert_verifies(&profile);
    with(";created=1799999699").assert_problem(&profile, &Problem::Stale);
    with(";created=1800000060").assert_verifies(&profile);
    with(";created=1800000061").assert_problem(&profile, &Problem::Early);
    with(";created=\"1\"").assert_problem(&profile, &Problem::MalformedParameter(Parameter::Created));
    assert_eq!(profile.scheme("acme").unwrap().coverage().to_string(), "nothing");
}

#[test]
fn validity_is_limited() {
    let profile = unsigned().max_validity(Duration::from_secs(30)).build().unwrap();
    let with = |expires: i64| Message::signed_as(&[], &format!("();created=1800000000;expires={expires}"));
    with(1_800_000_030).assert_verifies(&profile);
    with(1_800_000_031).assert_problem(&profile, &Problem::LongValidity);
    with(1_800_000_031).assert_verifies(&unsigned().build().unwrap());
    Message::signed_as(&[], "();created=1800000000").assert_verifies(&profile);
}

#[test]
fn nonce_must_have_its_bytes() {
    let profile = |bytes| unsigned().min_nonce_bytes(bytes).build().unwrap();
    let with = |nonce: &str| Message::signed_as(&[], &format!("();created=1800000000;nonce=\"{nonce}\""));
    with("KXYnfEfJ0PBRZXQyVXfVQA").assert_verifies(&profile(16));
    with("KXYnfEfJ0PBRZXQyVXfVQA").assert_problem(&profile(17), &Problem::ShortNonce);
    // With padding, in base64, and not canonical.
    for nonce in ["KXYnfEfJ0PBRZXQyVXfVQA==", "KXYnfEfJ0PBRZXQyVXf/QA", "KXYnfEfJ0PBRZXQyVXfVQB"] {
        with(nonce).assert_problem(&profile(16), &Problem::ShortNonce);
        with(nonce).assert_verifies(&unsigned().build().unwrap());
    }
    Message::signed_as(&[], "();created=1800000000").assert_verifies(&profile(16));
}

#[test]
fn tag_rule_selects_signatures() {
    let with = |tag: &str| Message::signed_as(&[], &format!("();created=1800000000{tag}"));
    let (none, a, b, token) = ("", ";tag=\"a\"", ";tag=\"b\"", ";tag=a");
    let rules: [(ProfileBuilder, &[&str], &[&str]); 4] = [
        (unsigned(), &[none], &[a, b, token]),
        (unsigned().tag("a"), &[a], &[none, b, token]),
        (unsigned().optional_tag("a"), &[none, a], &[b, token]),
        (unsigned().danger_any_tag(), &[none, a, b], &[]),
    ];
    for (rule, counting, ignored) in rules {
        let profile = rule.build().unwrap();
        counting.iter().for_each(|tag| with(tag).assert_verifies(&profile));
        ignored.iter().for_each(|tag| with(tag).assert_problem(&profile, &Problem::NoSuchSignature));
    }
    // A signature with a tag does not affect one without.
    let message = with(none);
    let input = format!("x=(\"@method\");created=1;tag=\"x\", {}", message.get("Signature-Input"));
    message.with("Signature-Input", &input).assert_verifies(&unsigned().build().unwrap());
    let both = unsigned().danger_any_tag().build().unwrap();
    let message = with(none);
    let input = format!("x=(\"@method\");created=1;tag=\"x\", {}", message.get("Signature-Input"));
    message.with("Signature-Input", &input).assert_problem(&both, &Problem::AmbiguousSignature);
}

#[test]
fn only_base64url_signatures_count_if_set() {
    let profile = digest_builder().base64url_signatures().build().unwrap();
    let standard = Message::signed(&digest_builder().build().unwrap());
    let bytes = |message: &Message, encoding: Encoding| {
        let text = message.get("Signature").strip_prefix("sig1=:").unwrap().strip_suffix(':').unwrap();
        encoding.decode(text.as_bytes()).unwrap()
    };
    let signed = Message::signed(&profile);
    assert_eq!(bytes(&signed, Encoding::Base64UrlUnpadded), bytes(&standard, Encoding::Base64));
    assert_eq!(signed.get("Content-Digest"), DIGEST);
    signed.assert_verifies(&profile);
    standard.assert_problem(&profile, &Problem::NoSignatureBytes);
    let padded = format!("sig1=:{}:", Encoding::Base64Url.encode(&bytes(&standard, Encoding::Base64)));
    signed.clone().with("Signature", &padded).assert_problem(&profile, &Problem::MalformedHeader("signature"));
    // A signature of another profile stays beside it.
    let both = format!("x={}, {}", &standard.get("Signature")[5..], signed.get("Signature"));
    signed.clone().with("Signature", &both).assert_verifies(&profile);
    // The digest can be in base64url, too. Its text is what is signed.
    let rewritten = |text: &str| text.strip_suffix("=:").unwrap().replace('+', "-").replace('/', "_") + ":";
    let digest = rewritten(DIGEST);
    let line = format!("\"content-digest\": {digest}");
    let message =
        Message::signed_as(&[&line], r#"("content-digest");created=1800000000"#).with("Content-Digest", &digest);
    let unpadded = rewritten(message.get("Signature"));
    let message = message.with("Signature", &unpadded);
    message.assert_verifies(&profile);
    assert_eq!(message.body, BODY);
    Message { body: b"{}".into(), ..message.clone() }.assert_problem(&profile, &Problem::OtherBody);
    message.clone().with("Content-Digest", DIGEST).assert_mismatch(&profile);
    assert!(message.verify_at(&digest_builder().build().unwrap(), crate::message::NOW).is_err());
}

#[test]
fn unpadded_signature_does_not_count() {
    let profile = digest_builder().build().unwrap();
    let message = Message::signed(&profile);
    let text = message.get("Signature").strip_suffix("=:").unwrap().to_owned();
    message.clone().with("Signature", &format!("{text}:")).assert_problem(&profile, &Problem::NoSignatureBytes);
    // One of another signature is ignored.
    message.clone().with("Signature", &format!("{text}=:, x=:AA:")).assert_verifies(&profile);
    // The last character has two bits too many.
    let last = text.bytes().last().unwrap();
    let other = format!("{}{}=:", &text[..text.len() - 1], char::from(last + 1));
    message.with("Signature", &other).assert_problem(&profile, &Problem::NoSignatureBytes);
}

#[test]
fn target_uri_covers_the_authority() {
    let line = "\"@target-uri\": https://hooks.example.com/webhooks/acme?id=7&kind=a";
    let message = Message::signed_as(&[line], r#"("@target-uri");created=1800000000"#);
    message.assert_verifies(&unsigned().covers(["@authority"]).build().unwrap());
    // Unless both are demanded.
    let both = unsigned().covers(["@authority", "@target-uri"]).build().unwrap();
    message.assert_problem(&both, &uncovered("@authority"));
    let path = unsigned().covers(["@authority", "@path"]).build().unwrap();
    message.assert_problem(&path, &uncovered("@path"));
}

#[test]
fn preferred_label_is_chosen_among_several() {
    let profile = unsigned().tag("a").preferred_label("p").build().unwrap();
    let signed = Message::signed_as(&[], "();created=1800000000;tag=\"a\"");
    let with = |label: &str, other: Option<&str>| {
        let value = |name: &str, added: &str| {
            let value = signed.get(name).replacen("sig=", &format!("{label}="), 1);
            other.map_or(value.clone(), |other| format!("{other}={added}, {value}"))
        };
        let input = value("Signature-Input", "();created=1800000001;tag=\"a\"");
        signed.clone().with("Signature-Input", &input).with("Signature", &value("Signature", ":AAAA:"))
    };
    with("x", None).assert_verifies(&profile);
    with("p", None).assert_verifies(&profile);
    with("p", Some("x")).assert_verifies(&profile);
    with("x", Some("p")).assert_mismatch(&profile);
    with("x", Some("y")).assert_problem(&profile, &Problem::AmbiguousSignature);
    // The label of a signature with another tag says nothing.
    let other_tag = with("x", Some("p")).replacing("Signature-Input", "1800000001;tag=\"a\"", "1800000001;tag=\"b\"");
    other_tag.assert_verifies(&profile);
    assert!(Message::signed(&profile).get("Signature-Input").starts_with("p="));
    assert_fault(unsigned().preferred_label("P"), "preferred_label");
}

#[test]
fn adcp_signature_counts_with_another_label() {
    for builder in [Profile::adcp_webhooks(crate::message::ORIGIN), Profile::adcp_requests(crate::message::ORIGIN)] {
        let profile = builder.build().unwrap();
        // From RFC 8037.
        let keys = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let keys = hookwarden::Keyring::new(profile.scheme("adcp").unwrap().secret(keys).unwrap());
        let parameters = SignatureParameters::new().keyid("a").nonce("KXYnfEfJ0PBRZXQyVXfVQA");
        let mut message = Message::unsigned();
        let signer = profile.signer(keys).unwrap();
        let signed = signer.sign_at(&message.head(), BODY, &parameters, crate::message::NOW).unwrap();
        signed.iter().for_each(|(name, value)| message.set(name, value));
        assert!(message.get("Signature").starts_with("sig1="), "{message:?}");
        for label in ["sig1=", "other="] {
            let message = message.clone().replacing("Signature-Input", "sig1=", label);
            let message = message.replacing("Signature", "sig1=", label);
            assert_eq!(profile.explain_at(&message.head(), BODY, crate::message::NOW), None, "{label}");
        }
    }
}

#[test]
fn path_is_normalized_only_if_set() {
    let lines = ["\"@target-uri\": https://hooks.example.com/a/b~?c=%7e&d=/./", "\"@path\": /a/b~"];
    let message = |path: &str| {
        let message = Message::signed_as(&lines, r#"("@target-uri" "@path");created=1800000000"#);
        Message { path: path.into(), ..message }
    };
    let profile = unsigned().normalized_target().build().unwrap();
    let plain = unsigned().build().unwrap();
    message("/a/b~?c=%7e&d=/./").assert_verifies(&plain);
    message("/a/b~?c=%7e&d=/./").assert_verifies(&profile);
    for path in ["/a/./b~?c=%7e&d=/./", "/x/../a/b%7E?c=%7e&d=/./", "/%61/b~?c=%7e&d=/./"] {
        message(path).assert_verifies(&profile);
        message(path).assert_mismatch(&plain);
    }
    // The query, empty segments and an escaped slash are not changed.
    for path in ["/a/b~?c=~&d=/./", "/a/b~?c=%7E&d=/./", "/a/b~?c=%7e&d=/", "/a//b~?c=%7e&d=/./", "/a%2Fb~?c=%7e&d=/./"]
    {
        message(path).assert_mismatch(&profile);
    }
}

#[test]
fn signer_meets_the_requirements() {
    let sign = |profile: &Profile, message: &Message, parameters: &SignatureParameters| {
        let signer = profile.signer(keys()).unwrap();
        let signed = signer.sign_at(&message.head(), &message.body, parameters, crate::message::NOW);
        signed.map(|signed| signed.iter().map(|(_, value)| value.to_owned()).collect::<Vec<_>>())
    };
    let none = SignatureParameters::new();
    let profile = builder().covers(["@method"]).covers_if_present(["@query", "x"]);
    let profile = profile.covers_with_body(["content-digest", "@method"]).build().unwrap();
    let covered = |message: &Message| {
        let values = sign(&profile, message, &none).unwrap();
        values[values.len() - 2].split(';').next().unwrap().to_owned()
    };
    let message = Message::unsigned();
    assert_eq!(covered(&message), r#"sig1=("@method" "@query" "content-digest")"#);
    assert_eq!(covered(&message.clone().with("X", "1")), r#"sig1=("@method" "@query" "x" "content-digest")"#);
    let empty = Message { path: "/".into(), body: Vec::new(), ..message.clone() };
    assert_eq!(covered(&empty), r#"sig1=("@method")"#);

    let limited = unsigned().max_validity(Duration::from_secs(30)).min_nonce_bytes(16).requires([Parameter::Expires]);
    let limited = limited.build().unwrap();
    let input = sign(&limited, &message, &none).unwrap().remove(0);
    assert!(input.ends_with(";created=1800000000;expires=1800000030"), "{input}");
    let part = |parameters: &SignatureParameters| sign(&limited, &message, parameters).unwrap_err().part().to_owned();
    assert_eq!(part(&none.clone().expires_after(Duration::from_secs(31))), "expires");
    assert_eq!(part(&none.clone().nonce("nonce-1")), "nonce");
    assert!(sign(&limited, &message, &none.clone().nonce("KXYnfEfJ0PBRZXQyVXfVQA")).is_ok());
    // It writes `created` even if the profile does not demand it.
    let optional = unsigned().created_optional().optional_tag("a").build().unwrap();
    assert_eq!(sign(&optional, &message, &none).unwrap()[0], "sig1=();created=1800000000");
    assert_eq!(Message::signed_as(&[], "()").verify_at(&optional, crate::message::NOW), Ok(()));
    assert_eq!(Message::unsigned().verify_at(&optional, crate::message::NOW), Err(Reason::MissingHeader));
}

/// The signer adds the header `Content-Digest`, so it is present for the receiver.
#[test]
fn digest_that_the_signer_adds_is_covered() {
    let profile = digest_builder().covers_if_present(["content-digest;sf"]).build().unwrap();
    let message = Message::signed(&profile);
    assert!(message.get("Signature-Input").contains(r#"("content-digest" "content-digest";sf)"#), "{message:?}");
    message.assert_verifies(&profile);
}
