//! Faults of the secret.

use hookwarden::Scheme;
use hookwarden::diagnose::{Capture, CauseKind, Verdict};
use hookwarden::scheme::SecretFormat;

use crate::sender::{
    NOW, SECRET, STAMP, assert_hidden, assert_kinds, assert_proven, base64, headers, hex, sha256, signed_body, stamped,
};

const BODY: &[u8] = br#"{"event":"user.created"}"#;

/// Bytes whose base64 differs from its URL-safe form.
const KEY: &[u8] = b"\xfb\xef\xbe\x01canary-key\xff\xfe\x99";

fn head(key: &[u8]) -> Vec<(String, Vec<u8>)> {
    stamped(STAMP, &hex(&sha256(key, &[STAMP.as_bytes(), b".", BODY].concat())))
}

#[track_caller]
fn assert_named(format: SecretFormat, text: &str, key: &[u8], kinds: &[CauseKind]) {
    let scheme = Scheme::timestamped().into_builder().secret_format(format).build().unwrap();
    let diagnosis = assert_proven(&scheme, text, &head(key), BODY, kinds);
    // The output must not contain the text or the decoded key in any form.
    assert_hidden(&diagnosis, text, &[key.to_vec(), sha256(key, BODY)]);
}

#[test]
fn secret_with_surrounding_text_is_named() {
    use CauseKind::*;
    let literal = SecretFormat::Literal;
    let key = SECRET.as_bytes();
    for (text, kinds) in [
        (format!("{SECRET}\n"), &[SecretWhiteSpace][..]),
        (format!("  {SECRET}"), &[SecretWhiteSpace]),
        (format!("\u{feff}{SECRET}"), &[SecretWhiteSpace]),
        (format!("\"{SECRET}\""), &[SecretQuoted]),
        (format!("'{SECRET}'"), &[SecretQuoted]),
        (format!("'{SECRET}'\n"), &[SecretWhiteSpace, SecretQuoted]),
        (format!("WEBHOOK_SECRET={SECRET}"), &[SecretAssignment]),
    ] {
        assert_named(literal, &text, key, kinds);
    }
    assert_named(literal, SECRET, format!("{SECRET}\n").as_bytes(), &[SecretWhiteSpace]);
    assert_named(literal, SECRET, format!("\"{SECRET}\"").as_bytes(), &[SecretQuoted]);
    assert_named(literal, SECRET, format!("'{SECRET}'").as_bytes(), &[SecretQuoted]);
    assert_named(literal, &format!("{SECRET} "), format!("{SECRET} ").as_bytes(), &[SecretWhiteSpace]);
    assert_named(literal, SECRET, SECRET.to_uppercase().as_bytes(), &[SecretCase]);
}

#[test]
fn secret_that_was_escaped_or_encoded_is_named() {
    use CauseKind::*;
    let literal = SecretFormat::Literal;
    let umlauts = "P\u{e4}ssw\u{f6}rt-canary";
    let latin1 = b"P\xe4ssw\xf6rt-canary";
    for (text, key, kind, words) in [
        ("canary$$secret", &b"canary$secret"[..], SecretEscaped, "Docker Compose"),
        ("canary$secret", b"canary$$secret", SecretEscaped, "with each $ doubled"),
        (r"canary-secret\n", b"canary-secret", SecretEscaped, r"as \n"),
        (r"canary-secret\r\n", b"canary-secret", SecretEscaped, r"as \n"),
        ("canary%2Fsecret%2B1%3D", b"canary/secret+1=", SecretEscaped, "percent-encoded"),
        ("canary/secret", b"canary%2Fsecret", SecretEscaped, "percent-encoded"),
        (umlauts, latin1, SecretCharset, "Latin-1"),
        ("P\u{c3}\u{a4}ss-canary", "P\u{e4}ss-canary".as_bytes(), SecretCharset, "Latin-1"),
        ("P\u{e4}ss-canary", "P\u{c3}\u{a4}ss-canary".as_bytes(), SecretCharset, "encoded again"),
        (SECRET, b"canary-secret-7f3a9d\r", SecretWhiteSpace, "a carriage return after it"),
        (SECRET, b"canary-secret-7f3a9d\r\n", SecretWhiteSpace, "CRLF after it"),
        (SECRET, b"canary-secret-7f3a9d ", SecretWhiteSpace, "a space after it"),
    ] {
        assert_named(literal, text, key, &[kind]);
        let scheme = Scheme::timestamped();
        let diagnosis = Capture::new(&scheme, text, &head(key), BODY).diagnose_at(NOW);
        assert!(diagnosis.causes()[0].what().contains(words), "{text}: {diagnosis}");
    }
    assert_named(literal, "\"canary$$secret\"", b"canary$secret", &[SecretQuoted, SecretEscaped]);
}

#[test]
fn secret_mangled_by_a_settings_file_is_named() {
    use CauseKind::*;
    let key = b"canary$secret&7%";
    for (text, kinds, words) in [
        (r"canary\$secret&7%", &[SecretEscaped][..], "backslashes"),
        ("canary$secret&7%%", &[SecretEscaped], "systemd"),
        ("canary$secret&amp;7%", &[SecretEscaped], "HTML"),
        (r"canary$secret\u00267%", &[SecretEscaped], "JSON"),
        ("canary$secret&7% # of the test account", &[SecretAssignment], "--env-file"),
        ("webhook-secret: canary$secret&7%", &[SecretAssignment], "YAML"),
        ("export SECRET=canary$secret&7%", &[SecretAssignment], "whole assignment"),
        ("canary$secret&7%,", &[SecretList], "a separator"),
        ("\u{feff}canary$secret&7%\r", &[SecretWhiteSpace], "invisible"),
        ("SECRET=\"canary\\$secret&7%\"", &[SecretAssignment, SecretQuoted, SecretEscaped], "assignment"),
        ("another-secret\ncanary$secret&7%", &[SecretList], "2 secrets"),
    ] {
        let scheme = Scheme::timestamped();
        let diagnosis = Capture::new(&scheme, text, &head(key), BODY).diagnose_at(NOW);
        assert_kinds(&diagnosis, kinds);
        assert!(diagnosis.causes()[0].is_proven() && diagnosis.causes()[0].what().contains(words), "{diagnosis}");
        assert_hidden(&diagnosis, text, &[key.to_vec(), sha256(key, BODY)]);
        assert_hidden(&diagnosis, core::str::from_utf8(key).unwrap(), &[]);
    }
}

#[test]
fn plus_that_became_a_space_is_named() {
    use SecretFormat::{Base64, Literal};
    let plain = base64(KEY);
    assert!(plain.contains('+'), "{plain}");
    let spaced = plain.replace('+', " ");
    assert_named(Base64, &spaced, KEY, &[CauseKind::SecretEscaped]);
    assert_named(Literal, &spaced, plain.as_bytes(), &[CauseKind::SecretEscaped]);
}

#[test]
fn supabase_secret_is_named_with_correct_spelling() {
    use CauseKind::*;
    let whsec = format!("whsec_{}", base64(KEY));
    let message = [b"msg_1.", STAMP.as_bytes(), b".", BODY].concat();
    let head = headers(&[
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", STAMP),
        ("webhook-signature", &format!("v1,{}", base64(&sha256(KEY, &message)))),
    ]);
    let scheme = Scheme::standard_webhooks();
    let (versioned, other) = (format!("v1,{whsec}"), format!("v1,whsec_{}", base64(b"another-key")));
    for (text, kinds) in [
        (versioned.clone(), &[SecretPrefix][..]),
        (format!("{versioned}|{versioned}"), &[SecretList, SecretPrefix]),
        (format!("{other}|{versioned}"), &[SecretList, SecretPrefix]),
        (format!("{whsec}|{other}"), &[SecretList]),
        (format!("{whsec}, {whsec}"), &[SecretList]),
    ] {
        let diagnosis = assert_proven(&scheme, &text, &head, BODY, kinds);
        let Verdict::SecretRefused(error) = diagnosis.verdict() else { panic!("{diagnosis}") };
        assert!(error.to_string().contains("must start with whsec_ and be one secret"), "{error}");
    }
    let diagnosis = Capture::new(&scheme, &versioned, &head, BODY).diagnose_at(NOW);
    assert!(diagnosis.causes()[0].fix().contains("from whsec_ on"), "{diagnosis}");
}

#[test]
fn secret_decoded_on_one_side_is_named() {
    use CauseKind::*;
    use SecretFormat::{Base64, Hex, Literal, Whsec};
    let (plain, digits) = (base64(KEY), hex(KEY));
    let url = plain.replace('+', "-").replace('/', "_");
    let unpadded = url.trim_end_matches('=').to_owned();
    let whsec = format!("whsec_{plain}");
    for (format, text, key, kind) in [
        (Literal, &plain, KEY, SecretBase64),
        (Literal, &url, KEY, SecretBase64Url),
        (Literal, &unpadded, KEY, SecretBase64Url),
        (Literal, &digits, KEY, SecretHex),
        (Literal, &whsec, KEY, SecretPrefix),
        (Literal, &whsec, plain.as_bytes(), SecretPrefix),
        (Literal, &plain, whsec.as_bytes(), SecretPrefix),
        (Base64, &plain, plain.as_bytes(), SecretLiteral),
        (Base64, &url, KEY, SecretBase64Url),
        (Base64, &whsec, KEY, SecretPrefix),
        (Hex, &digits, digits.as_bytes(), SecretLiteral),
        (Hex, &plain, KEY, SecretBase64),
        (Base64, &digits, KEY, SecretHex),
        (Whsec, &whsec, whsec.as_bytes(), SecretLiteral),
        (Whsec, &whsec, plain.as_bytes(), SecretPrefix),
        (Whsec, &plain, plain.as_bytes(), SecretLiteral),
    ] {
        assert_named(format, text, key, &[kind]);
    }
    assert_named(Literal, &base64(SECRET.as_bytes()), SECRET.as_bytes(), &[SecretBase64]);
    // `echo secret | base64`, as in a manifest for Kubernetes.
    assert_named(Literal, &base64(format!("{SECRET}\n").as_bytes()), SECRET.as_bytes(), &[SecretBase64]);
    assert_named(Whsec, &base64(whsec.as_bytes()), KEY, &[SecretBase64]);
}

#[test]
fn stripe_and_standard_webhooks_prefixes_are_distinguished() {
    let whsec = format!("whsec_{}", base64(KEY));
    let message = [STAMP.as_bytes(), b".", BODY].concat();
    let stripe = headers(&[("Stripe-Signature", &format!("t={STAMP},v1={}", hex(&sha256(KEY, &message))))]);
    assert_proven(&Scheme::stripe(), &whsec, &stripe, BODY, &[CauseKind::SecretPrefix]);
    let message = [b"msg_1.", STAMP.as_bytes(), b".", BODY].concat();
    let standard = headers(&[
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", STAMP),
        ("webhook-signature", &format!("v1,{}", base64(&sha256(whsec.as_bytes(), &message)))),
    ]);
    assert_proven(&Scheme::standard_webhooks(), &whsec, &standard, BODY, &[CauseKind::SecretLiteral]);
}

#[test]
fn secret_and_body_at_fault_are_both_named() {
    use CauseKind::*;
    let scheme = Scheme::timestamped();
    let received = [BODY, b"\n"].concat();
    let kinds = [SecretBase64, BodyNewlineAdded];
    assert_proven(&scheme, &base64(KEY), &head(KEY), &received, &kinds);
    let kinds = [SecretWhiteSpace, BodyJsonRewritten];
    assert_proven(&scheme, &format!("{SECRET}\n"), &signed_body(br#"{"a": 1}"#), br#"{"a":1}"#, &kinds);
}

#[test]
fn one_of_several_secrets_is_named() {
    let scheme = Scheme::timestamped();
    let head = signed_body(BODY);
    let capture =
        |body| Capture::new(&scheme, "the-new-one-0001", &head, body).with_secret(SECRET).with_secret("third-one");
    let holds = capture(BODY).diagnose_at(NOW);
    assert_kinds(&holds, &[]);
    assert!(matches!(holds.verdict(), Verdict::Holds { secret: 1, skew: Some(0), .. }), "{holds}");
    assert_eq!(holds.fitting_secret(), Some(1));
    let refused = capture(br#"{"event": "user.created"}"#).diagnose_at(NOW);
    assert_kinds(&refused, &[CauseKind::BodyJsonRewritten]);
    assert_eq!(refused.fitting_secret(), Some(1));
}

#[test]
fn unusable_secret_beside_good_one_is_ignored() {
    let scheme = Scheme::timestamped();
    let head = signed_body(BODY);
    let diagnosis = Capture::new(&scheme, "", &head, BODY).with_secret(SECRET).with_secret(SECRET).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[]);
    assert!(matches!(diagnosis.verdict(), Verdict::Holds { secret: 1, .. }), "{diagnosis}");
}

#[test]
fn unusable_secret_is_named_if_none_matches() {
    let scheme = Scheme::standard_webhooks();
    let head = headers(&[
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", STAMP),
        ("webhook-signature", &format!("v1,{}", base64(&[7; 32]))),
    ]);
    let diagnosis = Capture::new(&scheme, "whsec_not base64 at all", &head, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::SecretMalformed, CauseKind::Unexplained]);
    assert!(matches!(diagnosis.verdict(), Verdict::SecretRefused(error) if error.field() == "secret"), "{diagnosis}");
}

#[test]
fn other_secret_is_unexplained() {
    let scheme = Scheme::timestamped();
    let head = head(b"the secret of another environment");
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::Unexplained]);
    let cause = &diagnosis.causes()[0];
    assert!(!cause.is_proven() && cause.what().contains("another secret"), "{diagnosis}");
    for tried in ["of the secret", "of the body", "of the template", "of the algorithm"] {
        assert!(cause.what().contains(tried), "{diagnosis}");
    }
    assert!(diagnosis.tried() > 1_000 && diagnosis.fitting_secret().is_none(), "{diagnosis}");
    let macs = [sha256(SECRET.as_bytes(), &[STAMP.as_bytes(), b".", BODY].concat())];
    assert_hidden(&diagnosis, SECRET, &macs);
}
