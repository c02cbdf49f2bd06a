//! Attacks on a signed request. Each must be refused, and for its own reason.

use hookwarden::crypto::Algorithm;
use hookwarden::message_signatures::{Parameter, Problem, Profile, StructuredType};
use hookwarden::{Reason, Timestamp};

use crate::message::{BODY, DIGEST, Message, NOW, ORIGIN, builder, digest_builder, webhooks};

fn default_profile() -> Profile {
    webhooks(ORIGIN)
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW.as_unix() + seconds)
}

#[test]
fn untouched_request_verifies() {
    let profile = default_profile();
    let message = Message::signed(&profile);
    assert_eq!(message.get("Content-Digest"), DIGEST);
    let expected = concat!(
        r#"sig1=("@method" "@target-uri" "content-type" "content-digest")"#,
        r#";created=1800000000;expires=1800000300;nonce="nonce-1";keyid="2027-01""#
    );
    assert_eq!(message.get("Signature-Input"), expected);
    message.assert_verifies(&profile);
    // Other headers, another order and other whitespace do not matter.
    let mut reordered = message.with("X-Other", "1").with("content-type", " application/json\t");
    reordered.headers.reverse();
    reordered.assert_verifies(&profile);
}

#[test]
fn changed_component_is_refused() {
    let profile = default_profile();
    let message = || Message::signed(&profile);
    Message { method: "PUT", ..message() }.assert_mismatch(&profile);
    for path in [
        "/webhooks/acme?kind=a&id=7",
        "/webhooks/acme?id=7",
        "/webhooks/Acme?id=7&kind=a",
        "/webhooks/acme?id=7&kind=%61",
    ] {
        Message { path: path.into(), ..message() }.assert_mismatch(&profile);
    }
    message().with("Content-Type", "text/plain").assert_mismatch(&profile);
    message().with("Content-Type", "application/JSON").assert_mismatch(&profile);
}

#[test]
fn other_origin_is_refused() {
    let message = Message::signed(&default_profile());
    for (origin, host) in [
        ("https://hooks.example.org", "hooks.example.org"),
        ("http://hooks.example.com", "hooks.example.com"),
        ("https://hooks.example.com:8443", "hooks.example.com:8443"),
    ] {
        // The signature is for the host to which it was sent first, whatever `Host` the attacker writes.
        message.clone().with("Host", host).assert_mismatch(&webhooks(origin));
    }
    message.assert_verifies(&webhooks("HTTPS://Hooks.Example.COM:443"));
}

#[test]
fn changed_body_with_a_valid_signature_is_refused() {
    let profile = default_profile();
    for body in [&b"{}"[..], b"", b"{\"event\":\"user.created\"} "] {
        Message { body: body.into(), ..Message::signed(&profile) }.assert_problem(&profile, &Problem::OtherBody);
    }
    // The digest of the other body does not fit the signature.
    let message = Message { body: b"{}".into(), ..Message::signed(&profile) };
    let other = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:";
    message.with("Content-Digest", other).assert_mismatch(&profile);
}

#[test]
fn downgrade_of_covered_components_is_refused() {
    let profile = default_profile();
    let uncovered = |name: &str| Problem::Uncovered(format!("\"{name}\""));
    for name in ["@method", "@target-uri", "content-type", "content-digest"] {
        let message = Message::signed(&profile);
        let list = message.get("Signature-Input").replace(&format!("\"{name}\""), "").replace("( ", "(");
        let list = list.replace("  ", " ").replace(" )", ")");
        message.with("Signature-Input", &list).assert_problem(&profile, &uncovered(name));
    }
    // Signed, but with less than the profile requires: the sender's other signature for another purpose.
    let input = r#"("@method");created=1800000000;expires=1800000300;nonce="n";keyid="k""#;
    Message::signed_as(&["\"@method\": POST"], input).assert_problem(&profile, &uncovered("@target-uri"));
}

#[test]
fn body_that_is_not_covered_is_refused() {
    // One member of the digest does not cover the header.
    let member = "content-digest;key=\"sha-256\"";
    for covered in [&["@method", "@target-uri"][..], &["@method", "@target-uri", member]] {
        let builder = Profile::builder(ORIGIN).algorithms([Algorithm::HmacSha256]).covers(covered);
        let error = builder.build().unwrap_err();
        assert_eq!(error.to_string(), "covers: must contain content-digest, or set danger_unsigned_body");
    }
    let profile = digest_builder().build().unwrap();
    let uncovered = Problem::Uncovered("\"content-digest\"".into());
    let signed = || Message::signed_as(&["\"@method\": POST"], r#"("@method");created=1800000000"#);
    let stripped = || Message { body: Vec::new(), ..signed() };
    signed().assert_problem(&profile, &uncovered);
    stripped().assert_problem(&profile, &uncovered);
    let danger = builder().covers(["@method"]).danger_unsigned_body().build().unwrap();
    signed().assert_verifies(&danger);
    stripped().assert_verifies(&danger);
    let digest = DIGEST.strip_prefix("sha-256=").unwrap();
    let line = format!("\"content-digest\";key=\"sha-256\": {digest}");
    let input = r#"("content-digest";key="sha-256");created=1800000000"#;
    Message::signed_as(&[&line], input).assert_problem(&profile, &uncovered);
}

#[test]
fn forged_request_has_no_explanation_but_is_refused() {
    let profile = default_profile();
    let forged = Message::signed(&profile).with("Signature", "sig1=:AAAA:");
    assert_eq!(profile.explain_at(&forged.head(), &forged.body, NOW), None);
    assert_eq!(forged.verify_at(&profile, NOW), Err(Reason::Mismatch));
}

#[test]
fn covered_digest_is_verified_even_with_unsigned_bodies() {
    let danger = digest_builder().danger_unsigned_body().build().unwrap();
    let message = Message::signed(&danger);
    message.assert_verifies(&danger);
    Message { body: b"{}".into(), ..message }.assert_problem(&danger, &Problem::OtherBody);
}

/// A request that covers `digest` with a valid signature.
fn with_digest(digest: &str) -> Message {
    let line = format!("\"content-digest\": {digest}");
    Message::signed_as(&[&line], r#"("content-digest");created=1800000000"#).with("Content-Digest", digest)
}

#[test]
fn digest_for_another_algorithm_does_not_count() {
    let profile = digest_builder().build().unwrap();
    let digest = DIGEST.strip_prefix("sha-256=").unwrap();
    for name in ["md5", "sha", "sha-1", "sha-384", "unixsum", "crc32c"] {
        with_digest(&format!("{name}={digest}")).assert_problem(&profile, &Problem::NoSupportedDigest);
        with_digest(&format!("{name}=:AAAA:, {DIGEST}")).assert_verifies(&profile);
    }
    with_digest("").assert_problem(&profile, &Problem::NoSupportedDigest);
    // Every supported digest must match.
    let zeros = ":".to_owned() + &"A".repeat(86) + "==:";
    with_digest(&format!("{DIGEST}, sha-512={zeros}")).assert_problem(&profile, &Problem::OtherBody);
    let malformed = Problem::MalformedHeader("content-digest");
    for value in ["sha-256=:AAAA:", "sha-512=:AAAA:", "sha-256", "sha-256=(:AAAA:)", "sha-256=\"x\""] {
        with_digest(value).assert_problem(&profile, &malformed);
    }
    with_digest(&format!("{DIGEST}, {DIGEST}")).assert_problem(&profile, &malformed);
    with_digest(&format!("SHA-256{digest}")).assert_problem(&profile, &malformed);
}

#[test]
fn several_signatures_without_a_choice_are_refused() {
    let profile = default_profile();
    let two = |message: &Message, label: &str| {
        let (input, signature) = (message.get("Signature-Input"), message.get("Signature"));
        let added = (input.replace("sig1=", &format!("{label}=")), signature.replace("sig1=", &format!("{label}=")));
        message
            .clone()
            .with("Signature-Input", &format!("{input}, {}", added.0))
            .with("Signature", &format!("{signature}, {}", added.1))
    };
    let message = Message::signed(&profile);
    two(&message, "sig2").assert_problem(&profile, &Problem::AmbiguousSignature);
    // The same label twice.
    let twice = two(&message, "sig1");
    twice.assert_problem(&profile, &Problem::MalformedHeader("signature-input"));
}

#[test]
fn label_of_the_profile_selects_the_signature() {
    let valid = digest_builder().label("good").build().unwrap();
    let message = Message::signed(&valid);
    let input = message.get("Signature-Input").to_owned();
    let bad = format!("bad=();created=1800000000, {input}, worse=(\"@method\");created=1");
    let several = message.clone().with("Signature-Input", &bad);
    let several = several.with("Signature", &format!("bad=:AAAA:, {}", message.get("Signature")));
    several.assert_verifies(&valid);
    // The signatures change their labels: that of the profile has the wrong bytes, or none.
    let swapped = several.clone().replacing("Signature", "bad=:", "x=:").replacing("Signature", "good=:", "bad=:");
    swapped.assert_problem(&valid, &Problem::NoSignatureBytes);
    let swapped = swapped.replacing("Signature", "x=:", "good=:");
    swapped.assert_mismatch(&valid);
    several.assert_problem(&digest_builder().label("other").build().unwrap(), &Problem::NoSuchSignature);
    // The key of a dictionary is in lower case.
    let upper = message.with("Signature-Input", &input.replace("good", "Good"));
    upper.assert_problem(&valid, &Problem::MalformedHeader("signature-input"));
}

#[test]
fn tag_of_the_profile_selects_the_signature() {
    let profile = digest_builder().tag("acme-webhooks").build().unwrap();
    let message = Message::signed(&profile);
    message.assert_verifies(&profile);
    let untagged = digest_builder().build().unwrap();
    Message::signed(&untagged).assert_problem(&profile, &Problem::NoSuchSignature);
    let other = digest_builder().tag("acme-requests").build().unwrap();
    Message::signed(&other).assert_problem(&profile, &Problem::NoSuchSignature);
    let input = format!("x=(\"@method\");created=1800000000;tag=\"x\", {}", message.get("Signature-Input"));
    message.clone().with("Signature-Input", &input).assert_verifies(&profile);
    message
        .replacing("Signature-Input", "tag=\"acme-webhooks\"", "tag=acme-webhooks")
        .assert_problem(&profile, &Problem::NoSuchSignature);
}

#[test]
fn foreign_signature_does_not_affect_ours() {
    let tagged = digest_builder().tag("acme").build().unwrap();
    let labelled = digest_builder().label("good").build().unwrap();
    let both = digest_builder().label("good").tag("acme").build().unwrap();
    let beside = |profile: &Profile, foreign: &str| {
        let message = Message::signed(profile);
        let input = format!("{foreign}, {}", message.get("Signature-Input"));
        message.with("Signature-Input", &input).assert_verifies(profile);
    };
    for foreign in ["x=();tag=token", "x=();tag=1", "x=();tag", "x=()", "x=();tag=\"\""] {
        [&tagged, &labelled, &both].into_iter().for_each(|profile| beside(profile, foreign));
    }
    for foreign in ["x=();tag=\"acme\"", "x", "x=1", "x=:AAAA:"] {
        [&labelled, &both].into_iter().for_each(|profile| beside(profile, foreign));
    }
}

#[test]
fn missing_or_malformed_headers_are_refused() {
    let profile = default_profile();
    let message = || Message::signed(&profile);
    for (name, header) in
        [("Signature-Input", "signature-input"), ("Signature", "signature"), ("Content-Digest", "content-digest")]
    {
        let mut without = message();
        without.headers.retain(|(key, _)| key != name);
        let problem = if header == "content-digest" { Problem::ComponentValue } else { Problem::MissingHeader(header) };
        without.assert_problem(&profile, &problem);
    }
    for value in ["", "sig1", "sig1=\"x\"", "sig1=:AAAA:", "sig1=(\"@method\"", "sig1=(@method)", "sig1=(), ", "é"] {
        let problem = match value {
            "" => Problem::NoSuchSignature,
            _ => Problem::MalformedHeader("signature-input"),
        };
        message().with("Signature-Input", value).assert_problem(&profile, &problem);
    }
    for value in ["sig1", "sig1=\"AAAA\"", "sig1=(:AAAA:)", "sig1=:AAAA:;a", "sig2=:AAAA:", ""] {
        message().with("Signature", value).assert_problem(&profile, &Problem::NoSignatureBytes);
    }
    for value in ["sig1=:AAA", "sig1=:?:", "sig1=:AAAA:,", "SIG1=:AAAA:"] {
        message().with("Signature", value).assert_problem(&profile, &Problem::MalformedHeader("signature"));
    }
    message().with("Signature", "sig1=::").assert_mismatch(&profile);
}

#[test]
fn duplicate_parameters_and_components_are_refused() {
    let profile = default_profile();
    let message = || Message::signed(&profile);
    let malformed = Problem::MalformedHeader("signature-input");
    for added in ["created=1800000000", "nonce=\"other\"", "keyid=\"2027-01\""] {
        let twice = format!(";created=1800000000;{added}");
        let twice = message().replacing("Signature-Input", ";created=1800000000", &twice);
        if added.starts_with("created") {
            twice.assert_problem(&profile, &malformed);
        } else {
            let end = message().get("Signature-Input").to_owned() + ";" + added;
            message().with("Signature-Input", &end).assert_problem(&profile, &malformed);
        }
    }
    for component in [r#""@method""#, r#""content-type""#] {
        let twice = message().replacing("Signature-Input", component, &format!("{component} {component}"));
        twice.assert_problem(&profile, &Problem::DuplicateComponent);
    }
    // Written in another way, it is the same component.
    let lines = ["\"x\";key=\"a\";sf: 1", "\"x\";sf;key=\"a\": 1"];
    let input = r#"("x";key="a";sf "x";sf;key="a");created=1800000000"#;
    let danger = builder().danger_unsigned_body().build().unwrap();
    Message::signed_as(&lines, input).with("X", "a=1").assert_problem(&danger, &Problem::DuplicateComponent);
    let input = r#"("x";key="a";key="a");created=1800000000"#;
    Message::signed_as(&lines[..1], input).with("X", "a=1").assert_problem(&danger, &malformed);
}

#[test]
fn repeated_single_header_is_refused() {
    let profile = default_profile();
    let mut message = Message::signed(&profile);
    message.headers.push(("content-type".into(), "text/plain".into()));
    message.assert_problem(&profile, &Problem::ComponentValue);
    // Even if the signature covers each of the lines.
    let danger = builder().danger_unsigned_body().build().unwrap();
    let lines = [r#""content-type";bs: :YXBwbGljYXRpb24vanNvbg==:, :dGV4dC9wbGFpbg==:"#];
    let mut message = Message::signed_as(&lines, r#"("content-type";bs);created=1800000000"#);
    message.headers.push(("content-type".into(), "text/plain".into()));
    message.assert_problem(&danger, &Problem::ComponentValue);
    // A second line of `Signature-Input` is a part of the dictionary.
    let mut message = Message::signed(&profile);
    message.headers.push(("signature-input".into(), "sig2=(\"@method\");created=1".into()));
    message.assert_problem(&profile, &Problem::AmbiguousSignature);
    let mut message = Message::signed(&profile);
    message.headers.push(("content-digest".into(), "sha-512=:AAAA:".into()));
    message.assert_problem(&profile, &Problem::MalformedHeader("content-digest"));
}

#[test]
fn content_type_that_could_be_two_is_refused() {
    let profile = builder().danger_unsigned_body().build().unwrap();
    let signed = |value: &str| {
        let line = format!("\"content-type\": {value}");
        Message::signed_as(&[&line], r#"("content-type");created=1800000000"#).with("Content-Type", value)
    };
    // Outside of a quoted string, a backslash has no meaning.
    for value in [r#"a/b;c="d,e""#, r#"a/b;c="\",""#, r#"a/b;c="\\";d=",""#, r#"a/b;c=\"d,e""#, ""] {
        signed(value).assert_verifies(&profile);
    }
    for value in ["a/b, c/d", ",", "a/b,", r#"a/b;c="d", e/f"#, r#"a/b;c="\\",e/f"#, r#"a/b;c="d,e"#] {
        signed(value).assert_problem(&profile, &Problem::ComponentValue);
    }
    let line = r#""content-type";bs: :YS9iLCBjL2Q=:"#;
    let message = Message::signed_as(&[line], r#"("content-type";bs);created=1800000000"#);
    message.with("Content-Type", "a/b, c/d").assert_problem(&profile, &Problem::ComponentValue);
}

#[test]
fn changed_parameter_is_refused() {
    let profile = default_profile();
    for (from, to) in [
        ("nonce-1", "nonce-2"),
        ("2027-01", "2027-02"),
        ("created=1800000000", "created=1800000001"),
        ("expires=1800000300", "expires=1800000301"),
        (";keyid", ";x=1;keyid"),
        ("\"@method\" \"@target-uri\"", "\"@target-uri\" \"@method\""),
    ] {
        Message::signed(&profile).replacing("Signature-Input", from, to).assert_mismatch(&profile);
    }
    // The base has the canonical form, so whitespace does not matter.
    let spaced = Message::signed(&profile).replacing("Signature-Input", "(\"@method\"", "(  \"@method\" ");
    spaced.replacing("Signature-Input", ";created", "; created").assert_verifies(&profile);
}

#[test]
fn missing_required_parameter_is_refused() {
    let profile = default_profile();
    for (text, parameter) in [
        (";created=1800000000", Parameter::Created),
        (";expires=1800000300", Parameter::Expires),
        (";nonce=\"nonce-1\"", Parameter::Nonce),
        (";keyid=\"2027-01\"", Parameter::Keyid),
    ] {
        let without = Message::signed(&profile).replacing("Signature-Input", text, "");
        without.assert_problem(&profile, &Problem::MissingParameter(parameter));
    }
    let plain = builder().danger_unsigned_body().build().unwrap();
    Message::signed_as(&[], "()").assert_problem(&plain, &Problem::MissingParameter(Parameter::Created));
}

#[test]
fn forbidden_parameter_is_refused() {
    let profile = builder().forbids([Parameter::Alg, Parameter::Nonce]).danger_unsigned_body().build().unwrap();
    let with = |added: &str| Message::signed_as(&[], &format!("();created=1800000000{added}"));
    with("").assert_verifies(&profile);
    with(";keyid=\"k\"").assert_verifies(&profile);
    with(";alg=\"hmac-sha256\"").assert_problem(&profile, &Problem::ForbiddenParameter(Parameter::Alg));
    with(";nonce=\"n\"").assert_problem(&profile, &Problem::ForbiddenParameter(Parameter::Nonce));
}

#[test]
fn algorithm_of_the_message_never_counts() {
    let profile = builder().danger_unsigned_body().build().unwrap();
    let with = |alg: &str| Message::signed_as(&[], &format!("();created=1800000000;alg={alg}"));
    with("\"hmac-sha256\"").assert_verifies(&profile);
    for alg in ["ed25519", "rsa-v1_5-sha256", "rsa-pss-sha512", "HMAC-SHA256", "none", "", "hmac-sha256 "] {
        with(&format!("\"{alg}\"")).assert_problem(&profile, &Problem::WrongAlgorithm);
    }
    with("hmac-sha256").assert_problem(&profile, &Problem::MalformedParameter(Parameter::Alg));
}

#[test]
fn malformed_parameters_are_refused() {
    let profile = builder().danger_unsigned_body().danger_any_tag().build().unwrap();
    let check = |added: &str, parameter| {
        let message = Message::signed_as(&[], &format!("(){added}"));
        message.assert_problem(&profile, &Problem::MalformedParameter(parameter));
    };
    for created in ["\"1800000000\"", "1800000000.0", "@1800000000", "-1800000000", "0", "?1"] {
        check(&format!(";created={created}"), Parameter::Created);
        check(&format!(";created=1800000000;expires={created}"), Parameter::Expires);
    }
    check(";created=1800000000;expires=1799999999", Parameter::Expires);
    check(";created=1800000000;expires=1800000000", Parameter::Expires);
    for parameter in [Parameter::Nonce, Parameter::Keyid, Parameter::Tag] {
        for value in ["\"\"", "token", "1", ":AAAA:"] {
            check(&format!(";created=1800000000;{parameter}={value}"), parameter);
        }
    }
}

#[test]
fn age_is_limited_on_both_sides() {
    let profile = default_profile();
    let message = Message::signed(&profile);
    for seconds in [-60, 0, 300] {
        message.assert_verifies_at(&profile, later(seconds));
    }
    message.assert_problem_at(&profile, &Problem::Early, later(-61));
    message.assert_problem_at(&profile, &Problem::Early, later(-1000));
    message.assert_problem_at(&profile, &Problem::Stale, later(301));
    message.assert_problem_at(&profile, &Problem::Stale, later(100_000));
    let strict = digest_builder().clock_skew(core::time::Duration::ZERO).build().unwrap();
    let message = Message::signed(&strict);
    message.assert_verifies_at(&strict, NOW);
    message.assert_problem_at(&strict, &Problem::Early, later(-1));
}

#[test]
fn expired_signature_is_refused() {
    let profile = builder().danger_unsigned_body().build().unwrap();
    let message = Message::signed_as(&[], "();created=1800000000;expires=1800000030");
    message.assert_verifies_at(&profile, later(90)); // with the clock skew
    message.assert_problem_at(&profile, &Problem::Expired, later(91));
}

#[test]
fn wider_tolerance_does_not_extend_the_maximum_age() {
    use hookwarden::{Tolerance, Verifier};
    let profile = default_profile();
    let message = Message::signed(&profile);
    let scheme = profile.scheme("acme").unwrap();
    let day = Tolerance::new(core::time::Duration::from_secs(86_400)).unwrap();
    let verifier = Verifier::new(scheme, crate::message::keys()).unwrap().with_tolerance(day);
    for (seconds, expected) in [(300, None), (301, Some(Reason::Stale)), (-61, Some(Reason::Early))] {
        let verified = verifier.verify_at(&message.head(), BODY, later(seconds));
        assert_eq!(verified.err().map(|rejection| rejection.reason()), expected, "{seconds}");
    }
}

#[test]
fn header_value_cannot_forge_another_line() {
    let profile = builder().danger_unsigned_body().structured_field("x", StructuredType::Item).build().unwrap();
    for value in ["a\n\"@method\": GET", "a\r\n b", "a\u{7f}", "é", "a\0b"] {
        let line = format!("\"x\": {value}");
        let message = Message::signed_as(&[&line], r#"("x");created=1800000000"#).with("X", value);
        message.assert_problem(&profile, &Problem::ComponentValue);
    }
    // Nor can a name: it must be that of a header.
    let name = r#"("x\": 1");created=1800000000"#;
    Message::signed_as(&[], name).assert_problem(&profile, &Problem::Component("not the name of a header"));
}
