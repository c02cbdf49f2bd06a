//! Properties of every diagnosis.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hookwarden::diagnose::{Capture, CauseKind};
use hookwarden::{Keyring, Scheme, Signer, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::sender::{
    Headers, NOW, SECRET, STAMP, assert_hidden, assert_kinds, base64, headers, hex, request, sha256, stamped,
};

/// The documented maximum of signatures that a search computes.
const MAX_TRIES: u32 = 60_000;

/// The time limit of a search on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn presets() -> Vec<(Scheme, String)> {
    let whsec = format!("whsec_{}", base64(b"canary-standard-webhooks"));
    vec![
        (Scheme::timestamped(), SECRET.to_owned()),
        (Scheme::standard_webhooks(), whsec),
        (Scheme::stripe(), "whsec_canary_stripe".to_owned()),
        (Scheme::github(), SECRET.to_owned()),
        (Scheme::slack(), SECRET.to_owned()),
    ]
}

fn headers_of_any_kind() -> impl Strategy<Value = Headers> {
    let names = [
        "X-Webhook-Signature",
        "X-Webhook-Timestamp",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "Stripe-Signature",
        "X-Hub-Signature-256",
        "X-Slack-Signature",
        "X-Slack-Request-Timestamp",
        "Content-Length",
        "Content-Encoding",
        "Host",
        "Date",
    ];
    let value = prop_oneof![
        vec(any::<u8>(), 0..80),
        "[0-9]{1,20}".prop_map(String::into_bytes),
        "[0-9a-f]{64}".prop_map(String::into_bytes),
        "(v0=|v1,|t=1800000000,v1=|sha256=)[0-9a-f]{40,64}".prop_map(String::into_bytes),
        "[A-Za-z0-9+/]{43}=".prop_map(String::into_bytes),
    ];
    vec((proptest::sample::select(names.to_vec()).prop_map(str::to_owned), value), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn verified_request_has_no_cause(body in vec(any::<u8>(), 0..300), which in 0..5_usize, skew in -300_i64..=300) {
        let (scheme, secret) = &presets()[which];
        let own = headers(&[("webhook-id", "msg_1"), ("Content-Length", "7"), ("Content-Encoding", "gzip")]);
        let signer = Signer::new(scheme.clone(), Keyring::new(scheme.secret(secret).unwrap())).unwrap();
        let signed = signer.sign_at(&own, &body, Timestamp::from_unix(NOW.as_unix() + skew)).unwrap();
        let mut head = own;
        head.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())));
        let diagnosis = Capture::new(scheme, secret, &head, &body).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[]);
        prop_assert_eq!(diagnosis.tried(), 0);
    }

    #[test]
    fn arbitrary_diagnosis_keeps_budget_and_secret(
        head in headers_of_any_kind(),
        body in prop_oneof![vec(any::<u8>(), 0..200), "\\PC{0,60}".prop_map(String::into_bytes)],
        secret in "\\PC{16,40}",
        which in 0..5_usize,
        now in prop_oneof![Just(NOW.as_unix()), any::<i64>()],
    ) {
        let (scheme, _) = &presets()[which];
        let diagnosis = Capture::new(scheme, &secret, &head, &body).diagnose_at(Timestamp::from_unix(now));
        prop_assert!(diagnosis.tried() <= MAX_TRIES);
        prop_assert!(diagnosis.holds() || !diagnosis.causes().is_empty());
        let messages = [[STAMP.as_bytes(), b".", &body].concat(), body];
        assert_hidden(&diagnosis, &secret, &messages.map(|message| sha256(secret.as_bytes(), &message)));
    }

    #[test]
    fn mismatch_shows_no_secret_or_expected_signature(
        body in vec(any::<u8>(), 0..200),
        secret in "[ \"']{0,2}(whsec_)?[A-Za-z0-9+/]{20,32}={0,2}[ \n]{0,2}",
        received in "[0-9a-f]{64}",
    ) {
        let scheme = Scheme::timestamped();
        // Text of the secret in the head is not quoted.
        let mut head = stamped(STAMP, &received);
        head.extend(headers(&[("Host", secret.trim()), ("X-Forwarded-Host", &hex(secret.as_bytes()))]));
        let diagnosis = Capture::new(&scheme, &secret, &head, &body).diagnose_at(NOW);
        let message = [STAMP.as_bytes(), b".", &body].concat();
        let inner = secret.trim_matches([' ', '"', '\'', '\n']);
        let macs = [&*secret, inner].map(|key| sha256(key.as_bytes(), &message));
        assert_hidden(&diagnosis, &secret, &macs);
        assert_hidden(&diagnosis, inner, &macs);
    }
}

#[test]
fn header_that_quotes_the_secret_is_not_quoted() {
    let scheme = Scheme::builder("acme")
        .signature_header("X-Sig")
        .signed([
            hookwarden::scheme::SignedPart::url("https://hooks.example.com"),
            hookwarden::scheme::SignedPart::Body,
        ])
        .danger_ambiguous_content()
        .build()
        .unwrap();
    for host in [SECRET.to_owned(), hex(SECRET.as_bytes()), base64(SECRET.as_bytes())] {
        let tag = hex(&sha256(SECRET.as_bytes(), format!("https://{host}/hooksbody").as_bytes()));
        let head = headers(&[("X-Sig", &tag), ("Host", &host)]);
        let diagnosis = Capture::new(&scheme, SECRET, &request("POST", "/hooks", &head), b"body").diagnose_at(NOW);
        assert_kinds(&diagnosis, &[CauseKind::UrlHost]);
        assert_hidden(&diagnosis, SECRET, &[]);
    }
}

#[test]
fn large_bodies_end_at_the_bound() {
    let scheme = Scheme::timestamped();
    let json = format!("{{\"a\":[{}0]}}", "\"é/<\", ".repeat(12_000));
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    for body in [json.as_bytes(), deep.as_bytes(), &vec![b'a'; 8 << 20], &vec![b'\n'; 1 << 20]] {
        let head = stamped(STAMP, &"ab".repeat(32));
        let began = Instant::now();
        let diagnosis = Capture::new(&scheme, SECRET, &head, body).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[CauseKind::Unexplained]);
        assert!(diagnosis.causes()[0].what().contains("reached its limit"), "{diagnosis}");
        assert!(diagnosis.tried() <= MAX_TRIES && began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    }
}

#[test]
fn incomplete_search_does_not_blame_the_secret() {
    let scheme = Scheme::timestamped();
    let head = stamped(STAMP, &"ab".repeat(32));
    for (body, why) in [
        (format!("{{\"id\":7,\"texts\":[{}0]}}", "\"é/<\", ".repeat(7_000)), "the search reached its limit"),
        (format!("{{\"id\":7,\"text\":\"{}\"}}", "a".repeat(70_000)), "the numbers of a body of more than 64 KiB"),
        ("a".repeat((1 << 20) + 1), "a body of more than 1 MiB is not decoded or rewritten"),
    ] {
        let diagnosis = Capture::new(&scheme, SECRET, &head, body.as_bytes()).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[CauseKind::Unexplained]);
        let what = diagnosis.causes()[0].what();
        assert!(what.starts_with("no combination fits, but not all were tried: ") && what.contains(why), "{what}");
        assert!(!what.contains("another secret"), "{what}");
    }
    let diagnosis = Capture::new(&scheme, SECRET, &head, br#"{"id":7,"text":"a"}"#).diagnose_at(NOW);
    assert!(diagnosis.causes()[0].what().starts_with("nothing else fits, so"), "{diagnosis}");
}

#[test]
fn decompression_bomb_is_not_expanded() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, &vec![0; 64 << 20]).unwrap();
    let bomb = gzip.finish().unwrap();
    let scheme = Scheme::timestamped();
    let head = stamped(STAMP, &"ab".repeat(32));
    assert_kinds(&Capture::new(&scheme, SECRET, &head, &bomb).diagnose_at(NOW), &[CauseKind::Unexplained]);
}

#[test]
fn kinds_have_distinct_kebab_case_names() {
    let names: BTreeSet<&str> = CauseKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), CauseKind::ALL.len());
    for name in names {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{name}");
    }
}
