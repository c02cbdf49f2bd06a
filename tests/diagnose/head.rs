//! Faults of the head: headers, clocks, and another provider's requests.

use std::time::Duration;

use hookwarden::diagnose::{Capture, CauseKind, Diagnosis, Verdict};
use hookwarden::headers::FieldName;
use hookwarden::scheme::{ListedHeaderForm, ListedHeaders, NamesIn, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::{Reason, Scheme, Timestamp, Tolerance};

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
fn header_under_another_name_is_found() {
    let head = headers(&[("X-Webhook-Timestamp", STAMP), ("Acme-Hook-Signature", &right())]);
    let scheme = Scheme::timestamped();
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).with_headers(head.clone()).diagnose_at(NOW);
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

#[track_caller]
fn assert_doubled(scheme: &Scheme, secret: &str, head: &Headers, body: &[u8], names: &[&str]) {
    let diagnosis = Capture::new(scheme, secret, head, body).with_headers(head.clone()).diagnose_at(NOW);
    assert_kinds(&diagnosis, &vec![CauseKind::HeaderDuplicated; names.len()]);
    let found: Vec<_> = diagnosis.causes().iter().filter_map(|cause| cause.header()).collect();
    assert_eq!(found, names, "{diagnosis}");
    assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{diagnosis}");
    assert_hidden(&diagnosis, secret, &[]);
}

#[test]
fn header_sent_twice_with_one_value_is_proven() {
    let scheme = Scheme::timestamped();
    let twice = [stamped(STAMP, &right()), headers(&[("x-webhook-timestamp", STAMP)])].concat();
    assert_doubled(&scheme, SECRET, &twice, BODY, &["X-Webhook-Timestamp"]);
    let all_twice = [stamped(STAMP, &right()), stamped(STAMP, &right())].concat();
    assert_doubled(&scheme, SECRET, &all_twice, BODY, &["X-Webhook-Signature", "X-Webhook-Timestamp"]);
    // If the values differ or are missing, the cause is still the header and not the secret.
    let differs = [stamped(STAMP, &right()), headers(&[("X-Webhook-Timestamp", "1800000001")])].concat();
    let capture = Capture::new(&scheme, SECRET, &differs, BODY);
    for diagnosis in [capture.diagnose_at(NOW), capture.clone().with_headers(differs.clone()).diagnose_at(NOW)] {
        assert_kinds(&diagnosis, &[CauseKind::HeaderDuplicated]);
        assert!(!diagnosis.to_string().contains("another secret"), "{diagnosis}");
    }
}

#[test]
fn values_doubled_and_joined_are_proven() {
    let (tag, joined) = (right(), |value: &str| format!("{value}, {value}"));
    let (signature, timestamp) = ("X-Webhook-Signature", "X-Webhook-Timestamp");
    let scheme = Scheme::timestamped();
    for (head, names) in [
        (stamped(&joined(STAMP), &joined(&tag)), &[signature, timestamp][..]),
        (stamped(&joined(STAMP), &tag), &[timestamp]),
        (stamped(STAMP, &format!("{tag},{tag},{tag}")), &[signature]),
    ] {
        assert_doubled(&scheme, SECRET, &head, BODY, names);
    }
    let stripe = headers(&[("Stripe-Signature", &joined(&format!("t={STAMP},v1={tag}")))]);
    assert_doubled(&Scheme::stripe(), SECRET, &stripe, BODY, &["Stripe-Signature"]);
    let github = format!("sha256={}", hex(&sha256(SECRET.as_bytes(), BODY)));
    let github = headers(&[("X-Hub-Signature-256", &joined(&github))]);
    assert_doubled(&Scheme::github(), SECRET, &github, BODY, &["X-Hub-Signature-256"]);
    let key = b"canary-key-of-standard-webhooks";
    let tag = base64(&sha256(key, &[b"msg_1.", STAMP.as_bytes(), b".", BODY].concat()));
    let standard = headers(&[
        ("webhook-id", "msg_1, msg_1"),
        ("webhook-timestamp", &joined(STAMP)),
        ("webhook-signature", &joined(&format!("v1,{tag}"))),
    ]);
    let secret = format!("whsec_{}", base64(key));
    assert_doubled(&Scheme::standard_webhooks(), &secret, &standard, BODY, &["webhook-timestamp", "webhook-id"]);
}

#[test]
fn doubled_header_with_another_secret_names_both() {
    let head = stamped(&format!("{STAMP}, {STAMP}"), &"ab".repeat(32));
    assert_kinds(&diagnose(&head), &[CauseKind::HeaderDuplicated, CauseKind::Unexplained]);
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

    let parts = [SignedPart::Path, SignedPart::literal("\n"), SignedPart::Body];
    let scheme = Scheme::builder("acme").signature_header("X-Sig").signed(parts).build().unwrap();
    let head = headers(&[("X-Sig", &right())]);
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::RequestLineMissing]);
}

#[test]
fn listed_header_that_is_missing_is_named() {
    let listed = ListedHeaders {
        names_in: NamesIn::Header(FieldName::new("Acme-Signed").unwrap()),
        separator: ',',
        pair: ListedHeaderForm::NameAndValue,
        join: "\n".into(),
        require: vec![FieldName::new("Acme-Time").unwrap()],
    };
    let parts = [SignedPart::ListedHeaders(listed), SignedPart::literal("\n\n"), SignedPart::Body];
    let scheme =
        Scheme::builder("acme").signature_header("X-Sig").signed(parts).danger_ambiguous_content().build().unwrap();
    for (names, kind, words) in [
        ("Acme-Time,Acme-Topic", CauseKind::HeaderMissing, "the header Acme-Topic is missing"),
        ("Acme-Event", CauseKind::FieldMissing, "the name of a header that the scheme requires"),
    ] {
        let head =
            headers(&[("X-Sig", &right()), ("Acme-Signed", names), ("Acme-Time", STAMP), ("Acme-Event", "created")]);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_eq!(diagnosis.causes()[0].kind(), kind, "{diagnosis}");
        assert!(diagnosis.causes()[0].what().contains(words), "{diagnosis}");
        assert!(!diagnosis.to_string().contains("another secret"), "{diagnosis}");
    }
    let head = headers(&[("Stripe-Signature", &format!("v1={}", right()))]);
    let diagnosis = Capture::new(&Scheme::stripe(), SECRET, &head, BODY).diagnose_at(NOW);
    assert!(diagnosis.causes()[0].what().contains("lacks the field t"), "{diagnosis}");
}

#[test]
fn timestamp_is_read_behind_another_fault() {
    let old = Timestamp::from_unix(NOW.as_unix() - 5_000);
    let text = old.as_unix().to_string();
    let scheme = Scheme::timestamped();
    for head in [
        stamped(&text, "not a signature"),
        stamped(&format!("{text}, {text}"), &right()),
        headers(&[("X-Webhook-Timestamp", &text)]),
        headers(&[("X-Timestamp", &text), ("X-Webhook-Signature", &right())]),
        stamped(&text, &right()),
    ] {
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_eq!(diagnosis.timestamp(), Some(old), "{head:?}: {diagnosis}");
    }
    let diagnosis = Capture::new(&scheme, SECRET, &stamped("yesterday", &right()), BODY).diagnose_at(NOW);
    assert_eq!(diagnosis.timestamp(), None);
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
    assert!(
        cause.is_proven() && diagnosis.to_string().ends_with("the signature verifies with secret 1"),
        "{diagnosis}"
    );
}

#[test]
fn clock_error_is_named_with_its_side() {
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
fn configured_tolerance_is_applied() {
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
fn repeated_signature_header_is_searched_if_permitted() {
    let tag = |body: &[u8]| hex(&sha256(SECRET.as_bytes(), body));
    let lines = [("X-Sig", "00".repeat(32)), ("X-Sig", tag(&[BODY, b"\n"].concat()))];
    let once = Scheme::builder("acme").signature_header("X-Sig").signed([hookwarden::scheme::SignedPart::Body]);
    let twice = once.clone().repeated_signature_headers().build().unwrap();
    let diagnosis = Capture::new(&twice, SECRET, &lines, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::BodyNewlineLost]);
    assert_eq!(diagnosis.fitting_secret(), Some(0));
    let once = once.build().unwrap();
    let diagnosis = Capture::new(&once, SECRET, &lines, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::HeaderDuplicated]);
    assert!(diagnosis.causes()[0].fix().contains("repeated_signature_headers"), "{diagnosis}");
}

#[test]
fn timestamp_in_another_format_is_named() {
    use CauseKind::*;
    use TimestampFormat::{HttpDate, Milliseconds, Rfc3339, Seconds};
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
        (Seconds, "Fri, 15 Jan 2027 08:00:00 GMT", TimestampHttpDate),
        (Rfc3339, "Fri, 15 Jan 2027 08:00:00 GMT", TimestampHttpDate),
        (HttpDate, "Friday, 15-Jan-27 08:00:00 GMT", TimestampHttpDate),
        (HttpDate, "Fri Jan 15 08:00:00 2027", TimestampHttpDate),
        (HttpDate, "Fri, 15 Jan 2027 08:00:00 +0000", TimestampHttpDate),
        (HttpDate, "Fri, 15 Jan 2027 08:00:00 -0000", TimestampHttpDate),
        (HttpDate, "Mon, 15 Jan 2027 08:00:00 GMT", TimestampHttpDate),
        (HttpDate, "fri, 15 jan 2027 8:00:00 utc", TimestampHttpDate),
        (HttpDate, "Fri, 15 Jan 2027 08:00:00 CET", TimestampMalformed),
        (HttpDate, STAMP, TimestampSeconds),
        (HttpDate, "2027-01-15T08:00:00Z", TimestampRfc3339),
        (Seconds, "yesterday", TimestampMalformed),
        (Seconds, "", TimestampMalformed),
    ] {
        let scheme = Scheme::timestamped().into_builder().timestamp_format(format).build().unwrap();
        let tag = hex(&sha256(SECRET.as_bytes(), &[text.as_bytes(), b".", BODY].concat()));
        let head = stamped(text, &tag);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[kind]);
        assert_eq!(diagnosis.fitting_secret(), Some(0), "{text}: the signature itself verifies");
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

    // Headers of both providers and no fault in either form: the configured provider is checked first.
    let both = [&cases[0].1[..], &signed_body(br#"{"event": "user.created"}"#)].concat();
    assert_causes(&both, BODY, &[CauseKind::BodyJsonRewritten]);
    let both = [&cases[0].1[..], &stamped(STAMP, &"ab".repeat(32))].concat();
    assert_causes(&both, BODY, &[CauseKind::OtherScheme]);

    // The headers are another provider's, and the secret is wrong.
    let scheme = Scheme::timestamped();
    let diagnosis = Capture::new(&scheme, "not the secret", &cases[0].1, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::OtherScheme]);
    assert!(!diagnosis.causes()[0].is_proven() && diagnosis.to_string().contains("check the secret"), "{diagnosis}");
}

#[test]
fn scheme_named_like_a_provider_is_distinguished() {
    let scheme = Scheme::builder("github").signature_header("X-Sig").signed([SignedPart::Body]).build().unwrap();
    let tag = hex(&sha256(SECRET.as_bytes(), BODY));
    let head = headers(&[("X-Hub-Signature-256", &format!("sha256={tag}"))]);
    let diagnosis = assert_proven(&scheme, SECRET, &head, BODY, &[CauseKind::OtherScheme]);
    assert!(diagnosis.causes()[0].what().contains("another one with the name github"), "{diagnosis}");
}

#[test]
fn stale_request_of_another_provider_is_named() {
    let old = "1799990000";
    let tag = hex(&sha256(SECRET.as_bytes(), &[old.as_bytes(), b".", BODY].concat()));
    let head = headers(&[("Stripe-Signature", &format!("t={old},v1={tag}"))]);
    let diagnosis = assert_causes(&head, BODY, &[CauseKind::OtherScheme]);
    assert!(diagnosis.causes()[0].fix().contains("out of tolerance"), "{diagnosis}");
}

#[test]
fn verdict_equals_the_verifiers() {
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

#[test]
fn diagnosis_contains_no_foreign_characters() {
    let codes = [0..=0x1f, 0x7f..=0x9f, 0x61c..=0x61c, 0x200b..=0x200f, 0x2028..=0x202e, 0x2060..=0x2069];
    for character in codes.into_iter().flatten().filter_map(char::from_u32).chain(['\u{ad}', '\u{feff}', '\u{e0041}']) {
        let (renamed, stamp) = (format!("X-Webhook-Signature{character}"), format!("18000{character}"));
        let (text, body) = (format!("v1{character},{}", right()), format!("{{\"{character}\":1}}&{character}=1"));
        for head in [
            headers(&[("X-Webhook-Timestamp", STAMP), (&renamed, &right())]),
            headers(&[("X-Webhook-Timestamp", &stamp), ("X-Webhook-Signature", &right())]),
            headers(&[("X-Webhook-Timestamp", STAMP), ("X-Webhook-Signature", &text)]),
        ] {
            let all = head.iter().map(|(name, value)| (name.clone(), value.clone()));
            let scheme = Scheme::timestamped();
            let capture = Capture::new(&scheme, SECRET, &head, body.as_bytes()).with_headers(all);
            let diagnosis = capture.diagnose_at(NOW);
            assert!(!diagnosis.causes().is_empty());
            let shown = diagnosis.to_string();
            let texts =
                diagnosis.causes().iter().flat_map(|cause| [Some(cause.what()), Some(cause.fix()), cause.header()]);
            for text in texts.flatten().chain(shown.split('\n')) {
                assert!(!text.contains(character), "{text:?}");
            }
        }
    }
}
