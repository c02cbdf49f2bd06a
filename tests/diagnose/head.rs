//! Faults of the head: headers, clocks, and the wrong provider.

use std::time::Duration;

use hookwarden::diagnose::{Capture, CauseKind, Diagnosis, Verdict};
use hookwarden::scheme::SignedPart;
use hookwarden::time::TimestampFormat;
use hookwarden::{Reason, Scheme, Tolerance};

use crate::sender::{
    Headers, NOW, SECRET, STAMP, assert_causes, assert_hidden, assert_kinds, assert_proven, base64, headers, hex,
    sha256, signed_body, stamped,
};

const BODY: &[u8] = br#"{"event":"user.created"}"#;

fn right() -> String {
    hex(&sha256(SECRET.as_bytes(), &[STAMP.as_bytes(), b".", BODY].concat()))
}

fn diagnose(head: &Headers) -> Diagnosis {
    let scheme = Scheme::timestamped();
    let diagnosis = Capture::new(&scheme, SECRET, head, BODY).diagnose_at(NOW);
    assert_hidden(&diagnosis, SECRET, &[sha256(SECRET.as_bytes(), &[STAMP.as_bytes(), b".", BODY].concat())]);
    diagnosis
}

#[test]
fn header_of_a_similar_name_is_named() {
    for (signature, timestamp) in [
        ("X-Webhook-Signature-256", "X-Webhook-Timestamp"),
        ("X_Webhook_Signature", "X-Webhook-Timestamp"),
        ("HTTP_X_WEBHOOK_SIGNATURE", "X-Webhook-Timestamp"),
        ("Webhook-Signature", "X-Webhook-Timestamp"),
        ("X-Signature", "X-Webhook-Timestamp"),
        ("X-Webhook-Signature", "X-Webhook-Time"),
        ("X-Webhook-Signature", "X_WEBHOOK_TIMESTAMP"),
    ] {
        let head = headers(&[(timestamp, STAMP), (signature, &right())]);
        let diagnosis = assert_causes(&head, BODY, &[CauseKind::HeaderRenamed]);
        let odd = if signature == "X-Webhook-Signature" { timestamp } else { signature };
        assert!(diagnosis.causes()[0].what().to_lowercase().contains(&odd.to_lowercase()), "{diagnosis}");
    }
}

#[test]
fn header_of_an_unknown_name_is_found_among_the_names_given() {
    let head = headers(&[("X-Webhook-Timestamp", STAMP), ("Acme-Hook-Signature", &right())]);
    let scheme = Scheme::timestamped();
    let names = head.iter().map(|(name, _)| name.clone());
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).with_header_names(names).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::HeaderRenamed]);
    assert!(diagnosis.causes()[0].is_proven() && diagnosis.causes()[0].what().contains("Acme-Hook-Signature"));
    assert_kinds(&diagnose(&head), &[CauseKind::HeaderMissing]);
}

#[test]
fn renamed_headers_of_svix_are_all_named() {
    let key = b"canary-key-of-standard-webhooks";
    let message = [b"msg_1.", STAMP.as_bytes(), b".", BODY].concat();
    let head = headers(&[
        ("svix-id", "msg_1"),
        ("svix-timestamp", STAMP),
        ("svix-signature", &format!("v1,{}", base64(&sha256(key, &message)))),
    ]);
    let secret = format!("whsec_{}", base64(key));
    assert_proven(&Scheme::standard_webhooks(), &secret, &head, BODY, &[CauseKind::HeaderRenamed; 3]);
}

#[test]
fn missing_header_is_named() {
    for (head, name) in [
        (headers(&[("X-Webhook-Timestamp", STAMP)]), "X-Webhook-Signature"),
        (headers(&[("X-Webhook-Signature", &right())]), "X-Webhook-Timestamp"),
    ] {
        let diagnosis = diagnose(&head);
        assert_eq!(diagnosis.causes()[0].kind(), CauseKind::HeaderMissing, "{diagnosis}");
        assert_eq!(diagnosis.causes()[0].header(), Some(name));
        assert!(matches!(diagnosis.verdict(), Verdict::Refused { reason: Reason::MissingHeader, .. }));
    }
    let alone = hex(&sha256(SECRET.as_bytes(), BODY));
    let diagnosis = diagnose(&headers(&[("X-Webhook-Signature", &alone)]));
    assert_kinds(&diagnosis, &[CauseKind::HeaderMissing, CauseKind::TemplateBodyAlone]);
}

#[test]
fn duplicate_header_is_named() {
    for name in ["X-Webhook-Signature", "X-Webhook-Timestamp"] {
        let mut head = stamped(STAMP, &right());
        head.extend(headers(&[(&name.to_lowercase(), STAMP)]));
        let diagnosis = diagnose(&head);
        assert_eq!(diagnosis.causes()[0].kind(), CauseKind::HeaderDuplicated, "{diagnosis}");
        assert_eq!(diagnosis.causes()[0].header(), Some(name));
    }
}

#[test]
fn head_of_the_wrong_shape_is_named() {
    let scheme = Scheme::stripe();
    let head = headers(&[("Stripe-Signature", &format!("v1={}", right()))]);
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
    assert_eq!(diagnosis.causes()[0].kind(), CauseKind::FieldMissing, "{diagnosis}");

    let many = vec![format!("v1={}", "0".repeat(64)); 33].join(",");
    let head = headers(&[("Stripe-Signature", &format!("t={STAMP},{many}"))]);
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
    assert_eq!(diagnosis.causes()[0].kind(), CauseKind::SignatureCount, "{diagnosis}");

    let scheme = Scheme::standard_webhooks();
    let head = headers(&[
        ("webhook-id", "msg.1"),
        ("webhook-timestamp", STAMP),
        ("webhook-signature", &format!("v1,{}", base64(&[7; 32]))),
    ]);
    let diagnosis = Capture::new(&scheme, "whsec_Y2FuYXJ5LWNhbmFyeQ==", &head, BODY).diagnose_at(NOW);
    assert_eq!(diagnosis.causes()[0].kind(), CauseKind::HeaderMalformed, "{diagnosis}");
    assert_eq!(diagnosis.causes()[0].header(), Some("webhook-id"));

    let scheme =
        Scheme::builder("acme").signature_header("X-Sig").signed([SignedPart::Path, SignedPart::Body]).build().unwrap();
    let head = headers(&[("X-Sig", &right())]);
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
    assert_eq!(diagnosis.causes()[0].kind(), CauseKind::RequestLineMissing, "{diagnosis}");
}

#[track_caller]
fn assert_clock(stamp: i64, kind: CauseKind, words: &str) {
    let stamp = stamp.to_string();
    let tag = hex(&sha256(SECRET.as_bytes(), &[stamp.as_bytes(), b".", BODY].concat()));
    let diagnosis = diagnose(&stamped(&stamp, &tag));
    assert_kinds(&diagnosis, &[kind]);
    let cause = &diagnosis.causes()[0];
    assert_eq!(cause.seconds(), Some(NOW.as_unix() - stamp.parse::<i64>().unwrap()));
    assert!(cause.what().contains(words), "{diagnosis}");
    assert_eq!(cause.header(), Some("X-Webhook-Timestamp"));
    assert_eq!(diagnosis.fitting_secret(), Some(0));
    assert!(cause.is_proven() && diagnosis.to_string().ends_with("the signature holds with secret 1"), "{diagnosis}");
}

#[test]
fn clock_that_is_off_is_named_with_its_side() {
    use CauseKind::*;
    let now = NOW.as_unix();
    assert_clock(now - 301, TimestampStale, "301 s in the past, and 300 s are tolerated");
    assert_clock(now + 301, TimestampEarly, "301 s in the future");
    assert_clock(now - 2_500, TimestampStale, "2500 s in the past");
    assert_clock(now - 86_400 * 30, TimestampStale, "2592000 s in the past");
    assert_clock(now - 3_600, TimestampTimeZone, "close to 1 h");
    assert_clock(now + 7_190, TimestampTimeZone, "close to 2 h");
    assert_clock(now + 19_800, TimestampTimeZone, "close to 5 h 30 min");
    assert_clock(now + 20_700, TimestampTimeZone, "close to 5 h 45 min");
    assert_clock(now - 3_661, TimestampStale, "3661 s");
}

#[test]
fn own_tolerance_is_the_one_that_counts() {
    let scheme = Scheme::timestamped();
    let stamp = (NOW.as_unix() - 400).to_string();
    let tag = hex(&sha256(SECRET.as_bytes(), &[stamp.as_bytes(), b".", BODY].concat()));
    let head = stamped(&stamp, &tag);
    let tolerant =
        Capture::new(&scheme, SECRET, &head, BODY).with_tolerance(Tolerance::new(Duration::from_secs(400)).unwrap());
    assert_kinds(&tolerant.diagnose_at(NOW), &[]);
    let strict = tolerant.with_tolerance(Tolerance::new(Duration::from_secs(399)).unwrap()).diagnose_at(NOW);
    assert_kinds(&strict, &[CauseKind::TimestampStale]);
}

#[test]
fn stale_request_with_another_fault_names_both() {
    let stamp = (NOW.as_unix() - 5_000).to_string();
    let tag = hex(&sha256(SECRET.as_bytes(), &[stamp.as_bytes(), b".", BODY, b"\n"].concat()));
    assert_kinds(&diagnose(&stamped(&stamp, &tag)), &[CauseKind::TimestampStale, CauseKind::BodyNewlineLost]);
}

#[test]
fn timestamp_in_another_format_is_named() {
    use CauseKind::*;
    use TimestampFormat::{Milliseconds, Rfc3339, Seconds};
    for (format, text, kind) in [
        (Seconds, "1800000000123", TimestampMilliseconds),
        (Seconds, "1800000000123456", TimestampMilliseconds),
        (Seconds, "1800000000123456789", TimestampMilliseconds),
        (Seconds, "1800000000.25", TimestampSeconds),
        (Seconds, "2027-01-15T08:00:00Z", TimestampRfc3339),
        (Seconds, "2027-01-15T10:00:00.5+02:00", TimestampRfc3339),
        (Seconds, "2027-01-15 08:00:00", TimestampRfc3339),
        (Seconds, "2027-01-15T08:00:00+0000", TimestampRfc3339),
        (Milliseconds, STAMP, TimestampSeconds),
        (Milliseconds, "2027-01-15T08:00:00Z", TimestampRfc3339),
        (Rfc3339, STAMP, TimestampSeconds),
        (Rfc3339, "1800000000123", TimestampMilliseconds),
        (Rfc3339, "2027-01-15T08:00:00", TimestampRfc3339),
        (Seconds, "yesterday", TimestampMalformed),
        (Seconds, "", TimestampMalformed),
    ] {
        let scheme = Scheme::timestamped().into_builder().timestamp_format(format).build().unwrap();
        let tag = hex(&sha256(SECRET.as_bytes(), &[text.as_bytes(), b".", BODY].concat()));
        let head = stamped(text, &tag);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[kind]);
        assert_eq!(diagnosis.fitting_secret(), Some(0), "{text}: the signature itself holds");
    }
}

#[test]
fn request_of_another_provider_is_named() {
    let key = b"canary-key-of-standard-webhooks";
    let whsec = format!("whsec_{}", base64(key));
    let tag = |key: &[u8], message: &[&[u8]]| sha256(key, &message.concat());
    let dotted = |key: &[u8]| hex(&tag(key, &[STAMP.as_bytes(), b".", BODY]));
    let cases = [
        (SECRET, headers(&[("Stripe-Signature", &format!("t={STAMP},v1={}", dotted(SECRET.as_bytes())))]), "stripe"),
        (
            SECRET,
            headers(&[("X-Hub-Signature-256", &format!("sha256={}", hex(&tag(SECRET.as_bytes(), &[BODY]))))]),
            "github",
        ),
        (
            SECRET,
            headers(&[
                ("X-Slack-Request-Timestamp", STAMP),
                (
                    "X-Slack-Signature",
                    &format!("v0={}", hex(&tag(SECRET.as_bytes(), &[b"v0:", STAMP.as_bytes(), b":", BODY]))),
                ),
            ]),
            "slack",
        ),
        (
            &whsec,
            headers(&[
                ("webhook-id", "msg_1"),
                ("webhook-timestamp", STAMP),
                ("webhook-signature", &format!("v1,{}", base64(&tag(key, &[b"msg_1.", STAMP.as_bytes(), b".", BODY])))),
            ]),
            "standard_webhooks",
        ),
    ];
    for (secret, head, name) in &cases {
        let diagnosis = assert_proven(&Scheme::timestamped(), secret, head, BODY, &[CauseKind::OtherScheme]);
        assert!(diagnosis.causes()[0].fix().contains(&format!("Scheme::{name}()")), "{diagnosis}");
    }
    let head = stamped(STAMP, &right());
    let diagnosis = assert_proven(&Scheme::stripe(), SECRET, &head, BODY, &[CauseKind::OtherScheme]);
    assert!(diagnosis.causes()[0].fix().contains("Scheme::timestamped()"), "{diagnosis}");

    // Both providers' headers, and a fault in neither's way of signing: the own one is looked into first.
    let both = [&cases[0].1[..], &signed_body(br#"{"event": "user.created"}"#)].concat();
    assert_causes(&both, BODY, &[CauseKind::BodyJsonRewritten]);
    let both = [&cases[0].1[..], &stamped(STAMP, &"ab".repeat(32))].concat();
    assert_causes(&both, BODY, &[CauseKind::OtherScheme]);

    // Another provider's headers under another secret.
    let scheme = Scheme::timestamped();
    let diagnosis = Capture::new(&scheme, "not the secret", &cases[0].1, BODY).diagnose_at(NOW);
    assert_eq!(diagnosis.causes()[0].kind(), CauseKind::OtherScheme, "{diagnosis}");
    assert!(!diagnosis.causes()[0].is_proven(), "{diagnosis}");
}

#[test]
fn request_of_another_provider_that_is_stale_is_named() {
    let old = "1799990000";
    let tag = hex(&sha256(SECRET.as_bytes(), &[old.as_bytes(), b".", BODY].concat()));
    let head = headers(&[("Stripe-Signature", &format!("t={old},v1={tag}"))]);
    let diagnosis = assert_causes(&head, BODY, &[CauseKind::OtherScheme]);
    assert!(diagnosis.causes()[0].fix().contains("out of tolerance"), "{diagnosis}");
}

#[test]
fn verdict_tells_what_the_verifier_says() {
    let scheme = Scheme::timestamped();
    let head = signed_body(b"other");
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
    assert!(
        matches!(diagnosis.verdict(), Verdict::Refused { reason: Reason::Mismatch, header: None, skew: Some(0), .. }),
        "{diagnosis}"
    );
    let debug = format!("{:?}", Capture::new(&scheme, SECRET, &head, BODY));
    assert!(debug.contains("timestamped") && !debug.contains("canary"), "{debug}");
}
