//! Handshakes without an adapter, and attempts to forge a delivery through them.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use hookwarden::crypto::{Algorithm, HashAlgorithm};
use hookwarden::encoding::Encoding;
use hookwarden::event::{Observer, Outcome, RefusalReason, SecurityEvent, Warning};
use hookwarden::handshake::Handshake;
use hookwarden::headers::{NoHeaders, RequestHead};
use hookwarden::keys::{AsyncKeyStore, CachedKeys};
use hookwarden::limit::{Decision, QuotaState};
use hookwarden::replay::LocalReplay;
use hookwarden::scheme::SignedPart;
use hookwarden::testing::{FaultyStore, TestClock};
use hookwarden::time::TimestampFormat;
use hookwarden::warden::{Answer, Quotas, Receiving, Replay, WardenBuilder};
use hookwarden::{BoxFuture, ConfigError, IdSource, Key, Keyring, Quota, Reason, Scheme, Signer, Timestamp, Warden};
use proptest::prelude::*;

use crate::handshake_documents::{Document, examples};
use crate::harness::store::Recorder;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const SECRET: &str = "a-secret-of-the-tests-and-of-no-one-else";
const ID: &str = "acme";

fn keys(scheme: &Scheme) -> Keyring {
    Keyring::new(scheme.secret(SECRET).unwrap())
}

/// A Warden of the scheme at `NOW`, without quotas.
fn builder(scheme: &Scheme) -> WardenBuilder {
    let builder = Warden::builder(scheme.clone()).sender(ID, keys(scheme)).clock(TestClock::new(NOW));
    let builder = builder.quotas(Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected());
    if scheme.is_timestamped() { builder } else { builder.replay(Replay::new().lifetime(Duration::from_secs(60))) }
}

/// X's form: the challenge in the query, and its MAC as the whole answer.
fn signing() -> Handshake {
    Handshake::query("challenge").json(r#"["{mac}"]"#).mac(Encoding::Hex)
}

fn scheme_of(signed: impl IntoIterator<Item = SignedPart>) -> Result<Scheme, ConfigError> {
    Scheme::builder("custom").signature_header("X-Sig").signed(signed).build()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Asks for the MAC of a text. Returns `None` if the request is not a handshake, or is refused.
fn mac_of(warden: &Warden, text: &str) -> Option<String> {
    let path = format!("/webhooks/acme?challenge={}", percent_encoded(text));
    let answer = warden.answer_handshake(&RequestHead::new("GET", &path, &NoHeaders), Some(ID), None)?;
    let (status, _, body) = answer.into_parts();
    let text = String::from_utf8(body).unwrap();
    (status == 200).then(|| text.trim_matches(['[', ']', '"']).to_owned())
}

/// Sends a delivery, and returns the reason of its refusal.
fn deliver(warden: &Warden, headers: &[(&str, &str)], body: &[u8]) -> Result<(), RefusalReason> {
    let head = RequestHead::new("POST", "/webhooks/acme", headers);
    let mut receiving =
        warden.examine(&head, None).and_then(|examined| examined.identify(ID)).map_err(|refused| refused.reason())?;
    // Byte by byte, because the guard reads the body while it arrives.
    body.chunks(1).try_for_each(|chunk| receiving.update(chunk)).map_err(|refused| refused.reason())?;
    receiving.finish().map(drop).map_err(|refused| refused.reason())
}

#[test]
fn answered_challenge_cannot_forge_a_delivery() {
    let scheme = scheme_of([SignedPart::Body]).unwrap();
    let warden = builder(&scheme).handshake(signing()).build().unwrap();
    let mut answered = 0;
    for body in [
        "true",
        "null",
        "12345",
        "-1",
        "a",
        "abc_-9",
        &"a".repeat(128),
        "{\"id\":1}",
        "[]",
        "\"a\"",
        "1.5",
        "",
        &"a".repeat(129),
    ] {
        let Some(mac) = mac_of(&warden, body) else { continue };
        answered += 1;
        let forged = deliver(&warden, &[("X-Sig", &mac)], body.as_bytes());
        assert_eq!(forged, Err(RefusalReason::Unverified(Reason::Mismatch)), "{body:?}");
    }
    assert_eq!(answered, 7);
    // The sender's own deliveries pass, also short ones.
    let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
    for body in ["{\"id\":1}", "[]", "1.5", "", &"a".repeat(129)] {
        let signed = signer.sign_body_at(body.as_bytes(), NOW).unwrap();
        let headers: Vec<(&str, &str)> = signed.iter().collect();
        assert_eq!(deliver(&warden, &headers, body.as_bytes()), Ok(()), "{body:?}");
    }
}

#[test]
fn challenge_with_the_scheme_literal_is_not_signed() {
    let parts = || [SignedPart::literal("v0:"), SignedPart::Timestamp, SignedPart::literal(":"), SignedPart::Body];
    let zoom = Scheme::timestamped().into_builder().signed(parts()).build().unwrap();
    let linkedin = scheme_of([SignedPart::literal("hmacsha256="), SignedPart::Body]).unwrap();
    for (scheme, content) in [(zoom, "v0:1800000000:{}"), (linkedin, "hmacsha256={}")] {
        let warden = builder(&scheme).handshake(signing()).build().unwrap();
        assert!(mac_of(&warden, "890e4665-4dfe-4ab1-b689-ed553bceeed0").is_some());
        assert_eq!(mac_of(&warden, content), None);
        // A body in the form of a challenge is not a challenge here.
        let signed = Signer::new(scheme.clone(), keys(&scheme)).unwrap().sign_body_at(b"true", NOW).unwrap();
        let headers: Vec<(&str, &str)> = signed.iter().collect();
        assert_eq!(deliver(&warden, &headers, b"true"), Ok(()));
    }
}

#[test]
fn scheme_whose_content_fits_a_challenge_is_refused() {
    let timestamped = Scheme::builder("custom")
        .signature_header("X-Sig")
        .timestamp_header("X-Time", TimestampFormat::Seconds)
        .signed([SignedPart::Timestamp, SignedPart::Body])
        .build()
        .unwrap();
    let digest = scheme_of([SignedPart::body_digest(HashAlgorithm::Sha256, Encoding::Hex)]).unwrap();
    let literal = scheme_of([SignedPart::literal("v0-"), SignedPart::Body]).unwrap();
    for scheme in [timestamped, digest, literal] {
        let built = builder(&scheme).handshake(signing()).build();
        assert_eq!(built.unwrap_err().field(), "handshake.mac", "{:?}", scheme.signed());
        assert!(builder(&scheme).handshake(Handshake::query("challenge")).build().is_ok());
    }
}

fn part() -> impl Strategy<Value = SignedPart> {
    prop_oneof![
        "[a-z0-9_.:=\\n-]{1,3}".prop_map(SignedPart::literal),
        Just(SignedPart::Timestamp),
        Just(SignedPart::Method),
        Just(SignedPart::Path),
        Just(SignedPart::header("X-Id").unwrap()),
    ]
}

/// The parts around the body or its digest.
fn signed_parts() -> impl Strategy<Value = Vec<SignedPart>> {
    let body = prop_oneof![
        3 => Just(SignedPart::Body),
        1 => Just(SignedPart::body_digest(HashAlgorithm::Sha256, Encoding::Hex)),
    ];
    let around = || prop::collection::vec(part(), 0..3);
    (around(), body, around()).prop_map(|(before, body, after)| [before, vec![body], after].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// For each scheme that a Warden accepts: the MAC of the signed content of a delivery, if a handshake returns it at
    /// all, does not make the delivery pass.
    #[test]
    fn no_scheme_accepts_a_signed_challenge(
        parts in signed_parts(),
        id in "[a-z0-9_-]{1,8}",
        body in "[a-zA-Z0-9_-]{0,20}|[ -~]{0,20}",
    ) {
        let is_timestamped = parts.contains(&SignedPart::Timestamp);
        let scheme = Scheme::builder("custom").signature_header("X-Sig").danger_ambiguous_content().signed(parts.clone());
        let scheme = if is_timestamped { scheme.timestamp_header("X-Time", TimestampFormat::Seconds) } else { scheme };
        let Ok(scheme) = scheme.build() else { return Ok(()) };
        let Ok(warden) = builder(&scheme).handshake(signing()).build() else { return Ok(()) };
        let content: String = parts.iter().map(|part| match part {
            SignedPart::Literal(text) => text.to_string(),
            SignedPart::Timestamp => "1800000000".to_owned(),
            SignedPart::Method => "POST".to_owned(),
            SignedPart::Path => "/webhooks/acme".to_owned(),
            SignedPart::Header(_) => id.clone(),
            SignedPart::Body => body.clone(),
            _ => Encoding::Hex.encode(&sha256(body.as_bytes())),
        }).collect();
        let headers = |mac: &str| [("X-Time", "1800000000".to_owned()), ("X-Id", id.clone()), ("X-Sig", mac.to_owned())];
        let deliver = |mac: &str| {
            let headers = headers(mac);
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            deliver(&warden, &headers, body.as_bytes())
        };
        if let Some(mac) = mac_of(&warden, &content) {
            prop_assert_eq!(deliver(&mac), Err(RefusalReason::Unverified(Reason::Mismatch)), "{:?}", content);
        }
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

#[test]
fn mac_is_computed_with_the_newest_valid_key() {
    let scheme = scheme_of([SignedPart::Body]).unwrap();
    let key = |id: &str| Key::new(id, scheme.secret(&format!("the {id} secret of this test")).unwrap()).unwrap();
    let early = key("early").not_before(Timestamp::from_unix(NOW.as_unix() + 1));
    let ring = Keyring::from_keys([early, key("new"), key("old")]).unwrap();
    let clock = TestClock::new(NOW);
    let warden = Warden::builder(scheme.clone()).sender(ID, ring).clock(clock.clone()).handshake(signing());
    let warden = warden.replay(Replay::new().lifetime(Duration::from_secs(60))).build().unwrap();
    let of = |id: &str| {
        let secret = format!("the {id} secret of this test");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        Encoding::Hex.encode(ring::hmac::sign(&key, b"abc").as_ref())
    };
    assert_eq!(mac_of(&warden, "abc"), Some(of("new")));
    clock.advance(Duration::from_secs(1));
    assert_eq!(mac_of(&warden, "abc"), Some(of("early")));
    assert_eq!(scheme.algorithm(), Algorithm::HmacSha256);
}

#[test]
fn every_handshake_has_one_event() {
    let scheme = scheme_of([SignedPart::Body]).unwrap();
    let (events, seen) = std::sync::mpsc::channel();
    let observer = move |event: &SecurityEvent<'_>| {
        let _ = events.send((event.outcome, event.webhook_id.map(str::to_owned), event.known_id, event.peer));
    };
    let quotas = Quotas::new().handshakes(Quota::new(3, Duration::from_secs(60)).unwrap());
    let warden = builder(&scheme).handshake(signing()).quotas(quotas).observer(observer).build().unwrap();
    let peer = Some([203, 0, 113, 9].into());
    let answer = |path: &str, id: Option<&str>| {
        let answer = warden.answer_handshake(&RequestHead::new("GET", path, &NoHeaders), id, peer);
        answer.map(|answer| (answer.status().as_u16(), answer.retry_after()))
    };
    assert_eq!(answer("/?challenge=a.b", Some(ID)), None);
    assert_eq!(answer("/?challenge=ab", Some(ID)), Some((200, None)));
    assert_eq!(answer("/?challenge=ab", Some("other")), Some((401, None)));
    // The webhook id is a path parameter, which only a framework reads.
    assert_eq!(answer("/?challenge=ab", None), Some((500, None)));
    assert_eq!(answer("/?challenge=ab", Some(ID)), Some((200, None)));
    assert_eq!(answer("/?challenge=ab", Some(ID)), Some((200, None)));
    assert_eq!(answer("/?challenge=ab", Some(ID)), Some((429, Some(Duration::from_secs(60)))));
    let refused = Outcome::Refused;
    let id = |id: &str| Some(id.to_owned());
    assert_eq!(
        seen.try_iter().collect::<Vec<_>>(),
        [
            (Outcome::Handshake, id(ID), true, peer),
            (refused(RefusalReason::UnknownId), id("other"), false, peer),
            (refused(RefusalReason::Misconfigured), None, false, peer),
            (Outcome::Handshake, id(ID), true, peer),
            (Outcome::Handshake, id(ID), true, peer),
            (refused(RefusalReason::HandshakeQuotaExceeded), id(ID), true, peer),
        ]
    );
}

/// Counts its lookups, and answers after one wake-up.
struct Remote(Scheme, Arc<AtomicU64>);

impl AsyncKeyStore for Remote {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, hookwarden::error::StoreError>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::task::yield_now().await;
            Ok((id == ID).then(|| keys(&self.0)))
        }
        .boxed()
    }
}

#[tokio::test]
async fn limited_handshake_causes_no_key_lookup() {
    let (scheme, lookups) = (scheme_of([SignedPart::Body]).unwrap(), Arc::new(AtomicU64::new(0)));
    let cached = CachedKeys::new(&scheme, Remote(scheme.clone(), lookups.clone()));
    let quotas = Quotas::new().handshakes(Quota::new(1, Duration::from_secs(60)).unwrap());
    let warden = Warden::builder(scheme).cached_keys(cached).clock(TestClock::new(NOW)).handshake(signing());
    let warden = warden.quotas(quotas).replay(Replay::new().lifetime(Duration::from_secs(60))).build().unwrap();
    let head = RequestHead::new("GET", "/?challenge=ab", &NoHeaders);
    assert_eq!(warden.answer_handshake(&head, Some("sync"), None).unwrap().status(), 500);
    let mut statuses = Vec::new();
    for number in 0..20 {
        let answer = warden.answer_handshake_async(&head, Some(&format!("id-{number}")), None).await;
        statuses.push(answer.unwrap().status().as_u16());
    }
    // One peer has twice the quota for all ids. The first one was used above.
    assert_eq!(statuses, [[401; 1].as_slice(), &[429; 19]].concat());
    assert_eq!(lookups.load(Ordering::Relaxed), 1);
}

/// Verifies a signed challenge without an adapter.
fn receiving(warden: &Warden, head: &RequestHead<'_, Vec<(&str, &str)>>, body: &[u8]) -> Receiving {
    let mut receiving = warden.examine(head, None).unwrap().identify(ID).unwrap();
    receiving.update(body).unwrap();
    receiving
}

#[test]
fn signed_handshake_is_committed_by_the_caller() {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
    let (events, seen) = std::sync::mpsc::channel();
    let observer = move |event: &SecurityEvent<'_>| {
        let _ = events.send(event.outcome);
    };
    let handshake = Handshake::ping().when_number("/type", 1).json(r#"{"type":1}"#);
    let warden = builder(&scheme).handshake(handshake).observer(observer).build().unwrap();
    for (body, is_handshake) in [(r#"{"type":1}"#, true), (r#"{"type":2}"#, false)] {
        let signed = signer.sign_body_at(body.as_bytes(), NOW).unwrap();
        let headers: Vec<(&str, &str)> = signed.iter().collect();
        let head = RequestHead::new("POST", "/webhooks/acme", &headers);
        let receive = || receiving(&warden, &head, body.as_bytes()).finish_request(&head, body.as_bytes());
        let mut admitted = receive().unwrap();
        let answer = admitted.take_handshake_answer();
        assert_eq!(answer.is_some(), is_handshake);
        if let Some(answer) = answer {
            assert_eq!(answer.into_parts().2, br#"{"type":1}"#);
        }
        admitted.commit();
        let replayed = receive().unwrap_err();
        assert_eq!(replayed.reason(), RefusalReason::Replayed);
        assert_eq!(replayed.into_answer().into_parts().2 == br#"{"type":1}"#, is_handshake);
    }
    let replayed = Outcome::Refused(RefusalReason::Replayed);
    let outcomes = [Outcome::Handshake, Outcome::Handshake, Outcome::Accepted, replayed];
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), outcomes);
}

#[test]
fn handshake_that_is_not_committed_is_released() {
    let scheme = Scheme::timestamped();
    let signed = Signer::new(scheme.clone(), keys(&scheme)).unwrap().sign_body_at(br#"{"type":1}"#, NOW).unwrap();
    let headers: Vec<(&str, &str)> = signed.iter().collect();
    let head = RequestHead::new("POST", "/webhooks/acme", &headers);
    let warden = builder(&scheme).handshake(Handshake::ping().when_number("/type", 1)).build().unwrap();
    for _ in 0..2 {
        let body = br#"{"type":1}"#;
        let mut admitted = receiving(&warden, &head, body).finish_request(&head, body).unwrap();
        assert!(admitted.take_handshake_answer().is_some());
        drop(admitted);
    }
    // A caller that hands over no body, or another one, would run the handler with a handshake.
    let body = br#"{"type":1}"#;
    let refused = receiving(&warden, &head, body).finish().unwrap_err();
    assert_eq!(refused.reason(), RefusalReason::Misconfigured);
    let refused = receiving(&warden, &head, body).finish_request(&head, b"{}").unwrap_err();
    assert_eq!(refused.reason(), RefusalReason::Misconfigured);
}

#[test]
fn quota_without_a_handshake_is_a_config_error() {
    let quotas = Quotas::new().handshakes(Quota::per_minute(1).unwrap());
    let built = builder(&Scheme::timestamped()).quotas(quotas).build();
    assert_eq!(built.unwrap_err().field(), "quotas.handshakes");
}

/// Answers the example of a document as a whole, and returns the answer.
fn answer_of(document: &Document) -> Answer {
    let scheme = document.scheme();
    let warden = Warden::builder(scheme.clone()).sender(ID, document.keys()).clock(TestClock::new(NOW));
    let replay = Replay::new().lifetime(Duration::from_secs(60));
    let warden = if scheme.is_timestamped() { warden } else { warden.replay(replay) };
    let warden = warden.handshake(document.handshake()).build().unwrap();
    let headers = document.headers(document.path());
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let head = RequestHead::new(document.method(), document.path(), &headers);
    let unsigned = warden.answer_handshake(&head, Some(ID), None);
    assert_eq!(unsigned.is_none(), document.is_signed());
    unsigned.unwrap_or_else(|| {
        let mut admitted = receiving(&warden, &head, document.body()).finish_request(&head, document.body()).unwrap();
        admitted.take_handshake_answer().unwrap()
    })
}

#[test]
fn documents_answer_their_examples_exactly() {
    for document in examples() {
        let name = document.name();
        let (status, headers, body) = answer_of(&document).into_parts();
        assert_eq!(status, document.status(), "{name}");
        assert_eq!(String::from_utf8(body).unwrap(), document.answer_body(), "{name}");
        let content_type = headers.get("content-type").map(|value| value.to_str().unwrap());
        assert_eq!(content_type, document.content_type(), "{name}");
        assert_eq!(headers["cache-control"], "no-store", "{name}");
        for (header, value) in document.answer_headers() {
            assert_eq!(headers[header], **value, "{name}");
        }
    }
}

#[test]
fn invalid_handshake_document_is_an_error() {
    let good = "challenge = { query = \"c\" }\nanswer = \"text\"\n";
    assert!(toml::from_str::<Handshake>(good).is_ok());
    for (text, problem) in [
        ("answer = \"text\"".to_owned(), "missing field `challenge`"),
        ("challenge = \"none\"".to_owned(), "missing field `answer`"),
        (format!("{good}methods = \"POST\""), "unknown field `methods`"),
        (
            format!("{good}example.answer.body = \"\"\nexample.origin = \"\"\nexample.text = \"\""),
            "unknown field `text`",
        ),
        (format!("{good}method = \"post\""), "handshake.method: must be an uppercase token"),
        (format!("{good}mac = \"hex\""), "handshake.mac: must have its place {mac}"),
        (format!("{good}mac = \"hex\"\nhash = [\"challenge\"]"), "handshake.mac: must not be set with `hash`"),
        (format!("{good}mac = \"rot13\""), "unknown variant `rot13`"),
        (format!("{good}status = 500"), "handshake.status: must be from 200 to 299"),
        (format!("{good}when = [{{ value = \"a\" }}]"), "handshake.when: must have a pointer"),
        (format!("{good}when = [{{ header = \"X\", value = 1 }}]"), "handshake.when: must have a pointer"),
        ("challenge = { body = \"/c\" }\nanswer = \"text\"".to_owned(), "handshake.when: must be set, because"),
        ("challenge = \"none\"\nanswer = \"text\"".to_owned(), "handshake.json: must not have a challenge"),
    ] {
        let error = toml::from_str::<Handshake>(&text).unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn document_without_its_token_does_not_build() {
    let scheme = Scheme::timestamped();
    let read =
        || -> Handshake { toml::from_str("challenge = { query = \"c\" }\nanswer = \"text\"\ntoken = \"t\"").unwrap() };
    let built = builder(&scheme).handshake(read()).build();
    assert_eq!(built.unwrap_err().to_string(), "handshake.token: must be set: call `with_token`");
    assert!(builder(&scheme).handshake(read().with_token("a-token")).build().is_ok());
}

#[test]
fn provider_handshake_without_its_value_does_not_build() {
    for (name, problem) in [
        ("WhatsApp", "handshake.token: must be set: call `with_token`"),
        (
            "asana",
            "handshake.accept_if: must be set: call `accept_if`, because the application must decide about each \
             challenge",
        ),
    ] {
        let (scheme, handshake) = (Scheme::provider(name).unwrap(), Handshake::provider(name).unwrap());
        let built = builder(&scheme).handshake(handshake).build();
        assert_eq!(built.unwrap_err().to_string(), problem, "{name}");
    }
    let error = |name: &str| Handshake::provider(name).unwrap_err().to_string();
    assert_eq!(error("GitHub"), "provider: must have a handshake that a Warden can answer; github has none");
    assert_eq!(error("slak"), "provider: unknown provider \"slak\": did you mean slack?");
}

#[test]
fn signed_body_of_a_handshake_has_a_limit() {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
    let warden = builder(&scheme).handshake(Handshake::ping().when_number("/type", 1)).build().unwrap();
    for (size, is_handshake) in [(65_536_usize, true), (65_537, false)] {
        let mut body = r#"{"type":1}"#.to_owned();
        body.push_str(&" ".repeat(size - body.len()));
        let signed = signer.sign_body_at(body.as_bytes(), NOW).unwrap();
        let headers: Vec<(&str, &str)> = signed.iter().collect();
        let head = RequestHead::new("POST", "/webhooks/acme", &headers);
        let receiving = receiving(&warden, &head, body.as_bytes());
        let mut admitted = receiving.finish_request(&head, body.as_bytes()).unwrap();
        assert_eq!(admitted.take_handshake_answer().is_some(), is_handshake, "{size}");
    }
}

#[test]
fn application_is_not_asked_above_the_quota() {
    let calls = Arc::new(AtomicU64::new(0));
    let seen = calls.clone();
    let asana = Handshake::header("X-Hook-Secret").method("POST").same_header().accept_if(move |_, secret| {
        seen.fetch_add(1, Ordering::Relaxed);
        secret == "right"
    });
    let quotas = Quotas::new().handshakes(Quota::new(3, Duration::from_secs(60)).unwrap());
    let warden = builder(&Scheme::timestamped()).quotas(quotas).handshake(asana).build().unwrap();
    let ask = |secret: &str| {
        let headers = [("X-Hook-Secret", secret)];
        let answer = warden.answer_handshake(&RequestHead::new("POST", "/", &headers), Some(ID), None);
        answer.map(|answer| answer.status().as_u16())
    };
    // One that the application refuses is counted too, and goes on to the usual checks.
    assert_eq!(["right", "wrong", "right"].map(ask), [Some(200), None, Some(200)]);
    assert_eq!([ask("right"), ask("wrong")], [Some(429), Some(429)]);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn guesses_of_a_token_are_limited() {
    let handshake = Handshake::query("c").token("t", "right");
    let quotas = Quotas::new().handshakes(Quota::new(3, Duration::from_secs(60)).unwrap());
    let warden = builder(&Scheme::timestamped()).quotas(quotas).handshake(handshake).build().unwrap();
    let ask = |path: &str| {
        let answer = warden.answer_handshake(&RequestHead::new("GET", path, &NoHeaders), Some(ID), None);
        answer.map(|answer| answer.status().as_u16())
    };
    // These have no token, or no challenge, and are not counted.
    for path in ["/?c=1", "/?t=right", "/?c=1&t=right&t=wrong", "/"] {
        assert_eq!(ask(path), None, "{path}");
    }
    assert_eq!(["/?c=1&t=wrong", "/?c=1&t=right", "/?c=1&t="].map(ask), [None, Some(200), None]);
    // Not even the right token is compared.
    assert_eq!(["/?c=1&t=right", "/?c=1&t=wrong"].map(ask), [Some(429), Some(429)]);
}

#[test]
fn webhook_id_of_a_challenge_is_read_once() {
    let reads = Arc::new(AtomicU64::new(0));
    let counter = reads.clone();
    let source = IdSource::closure(move |head| {
        counter.fetch_add(1, Ordering::Relaxed);
        head.path()?.strip_prefix('/')?.split('?').next().filter(|id| !id.is_empty()).map(str::to_owned)
    });
    let (ids, seen) = std::sync::mpsc::channel();
    let asked = Handshake::query("c").accept_if(move |id, challenge| {
        let _ = ids.send(id.map(str::to_owned));
        challenge == "right"
    });
    let warden = builder(&Scheme::timestamped()).webhook_id(source).handshake(asked);
    let warden = warden.handshake(Handshake::query("d").accept_if(|_, _| true)).build().unwrap();
    for (path, id, status) in [
        ("/acme?c=right", Some("acme"), Some(200)),
        ("/?c=right", None, Some(200)),
        ("/acme?c=wrong&d=1", Some("acme"), Some(200)),
        ("/acme?c=wrong", Some("acme"), None),
    ] {
        let answer = warden.answer_handshake(&RequestHead::new("GET", path, &NoHeaders), None, None);
        assert_eq!(answer.map(|answer| answer.status().as_u16()), status, "{path}");
        assert_eq!(seen.try_recv().unwrap().as_deref(), id, "{path}");
        assert_eq!(reads.swap(0, Ordering::Relaxed), 1, "{path}");
    }
}

struct Warnings(std::sync::mpsc::Sender<Warning>);

impl Observer for Warnings {
    fn observe(&self, _: &SecurityEvent<'_>) {}

    fn warning(&self, warning: &Warning) {
        let _ = self.0.send(*warning);
    }
}

#[test]
fn full_table_of_handshakes_has_its_own_warning() {
    let (warnings, seen) = std::sync::mpsc::channel();
    let warden = builder(&Scheme::timestamped()).handshake(Handshake::query("c")).observer(Warnings(warnings));
    let warden = warden.build().unwrap();
    let head = RequestHead::new("GET", "/?c=1", &NoHeaders);
    let warning = (0x0100_0000_u32..0x0104_0000).find_map(|peer| {
        let answer = warden.answer_handshake(&head, Some(ID), Some(Ipv4Addr::from_bits(peer).into()));
        assert_eq!(answer.unwrap().status(), 200);
        seen.try_recv().ok()
    });
    assert_eq!(warning, Some(Warning::HandshakeTableFull));
}

/// The signature covers neither the header with the challenge nor the query.
#[test]
fn unsigned_challenge_of_a_duplicate_is_ignored() {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
    let body = br#"{"type":"check","c":"abc"}"#;
    let signed = signer.sign_body_at(body, NOW).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let decisions = Arc::clone(&seen);
    let decide = move |_: Option<&str>, challenge: &str| {
        decisions.lock().unwrap().push(challenge.to_owned());
        true
    };
    let handshakes = [
        Handshake::header("X-Challenge").when("/type", "check"),
        Handshake::body("/c").when("/type", "check").accept_if(decide),
    ];
    for handshake in handshakes {
        let warden = builder(&scheme).handshake(handshake).build().unwrap();
        let head_with = |challenge| {
            let mut headers: Vec<(&str, &str)> = signed.iter().collect();
            headers.push(("X-Challenge", challenge));
            headers
        };
        let headers = head_with("first");
        let head = RequestHead::new("POST", "/webhooks/acme", &headers);
        let mut admitted = receiving(&warden, &head, body).finish_request(&head, body).unwrap();
        assert!(admitted.take_handshake_answer().is_some());
        admitted.commit();
        let headers = head_with("changed");
        let head = RequestHead::new("POST", "/webhooks/acme", &headers);
        let refused = receiving(&warden, &head, body).finish_request(&head, body).unwrap_err();
        assert!(refused.into_answer().into_parts().2.is_empty());
    }
    assert_eq!(*seen.lock().unwrap(), ["abc"]);
}

#[test]
fn signed_challenge_counts_as_a_handshake() {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
    let (events, seen) = std::sync::mpsc::channel();
    let observer = move |event: &SecurityEvent<'_>| {
        let _ = events.send((event.outcome, event.status.map(|status| status.as_u16())));
    };
    let quota = Quota::new(2, Duration::from_secs(60)).unwrap();
    let quotas =
        Quotas::new().handshakes(quota).accepted(quota).rejected(Quota::new(1, Duration::from_secs(60)).unwrap());
    let handshake = Handshake::body("/c").when("/type", "check");
    let warden = builder(&scheme).quotas(quotas).handshake(handshake).observer(observer).build().unwrap();
    let send = |body: &str| {
        let signed = signer.sign_body_at(body.as_bytes(), NOW).unwrap();
        let headers: Vec<(&str, &str)> = signed.iter().collect();
        let head = RequestHead::new("POST", "/webhooks/acme", &headers);
        match receiving(&warden, &head, body.as_bytes()).finish_request(&head, body.as_bytes()) {
            Ok(mut admitted) => {
                let answer = admitted.take_handshake_answer();
                assert!(admitted.take_handshake_answer().is_none(), "the second call");
                admitted.commit();
                answer
            }
            Err(refused) => Some(refused.into_answer()),
        }
        .map(|answer| (answer.status().as_u16(), answer.into_parts().2))
    };
    let challenge = |text: &str| format!(r#"{{"type":"check","c":"{text}"}}"#);
    let event = |text: &str| format!(r#"{{"type":"event","c":"{text}"}}"#);
    let answered = |text: &str| Some((200, text.as_bytes().to_vec()));
    let (empty, over) = (Some((200, Vec::new())), Some((429, Vec::new())));
    // Neither side of the sender's quota uses up the other.
    assert_eq!([send(&challenge("a")), send(&challenge("b"))], [answered("a"), answered("b")]);
    assert_eq!([send(&challenge("c")), send(&challenge("c"))], [over.clone(), over.clone()]);
    assert_eq!([send(&event("a")), send(&event("b")), send(&event("c"))], [None, None, over]);
    // Copies count by peer, and are duplicates above that quota.
    assert_eq!([send(&challenge("a")), send(&challenge("b"))], [answered("a"), answered("b")]);
    assert_eq!([send(&challenge("a")), send(&event("a"))], [empty.clone(), empty]);
    let refused = |reason| (Outcome::Refused(reason), None);
    let (handshake, replayed) = ((Outcome::Handshake, Some(200)), refused(RefusalReason::Replayed));
    let expected = [
        [handshake; 2],
        [refused(RefusalReason::HandshakeQuotaExceeded); 2],
        [(Outcome::Accepted, None); 2],
        [refused(RefusalReason::QuotaExceeded), handshake],
        [handshake, replayed],
    ];
    let mut expected = expected.concat();
    expected.push(replayed);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn challenge_in_progress_is_answered_again() {
    let scheme = Scheme::timestamped();
    let body = br#"{"type":"check","c":"abc"}"#;
    let signed = Signer::new(scheme.clone(), keys(&scheme)).unwrap().sign_body_at(body, NOW).unwrap();
    let headers: Vec<(&str, &str)> = signed.iter().collect();
    let head = RequestHead::new("POST", "/webhooks/acme", &headers);
    let warden = builder(&scheme).handshake(Handshake::body("/c").when("/type", "check")).build().unwrap();
    let first = receiving(&warden, &head, body).finish_request(&head, body).unwrap();
    let copy = receiving(&warden, &head, body).finish_request(&head, body).unwrap_err();
    assert_eq!(copy.reason(), RefusalReason::InProgress);
    let (status, _, answer) = copy.into_answer().into_parts();
    assert_eq!((status.as_u16(), answer.as_slice()), (200, b"abc".as_slice()));
    first.commit();
}

/// Two processes with one store.
#[tokio::test]
async fn signed_challenge_is_answered_over_shared_stores() {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
    for is_joint in [false, true] {
        let store = FaultyStore::<Recorder<LocalReplay>>::default();
        let warden = || {
            let quotas = Quotas::new().accepted(Quota::new(2, Duration::from_secs(60)).unwrap());
            let warden = builder(&scheme).quotas(quotas).handshake(Handshake::body("/c").when("/type", "check"));
            let warden = warden.handshake(Handshake::body("/c").when("/type", "ask").accept_if(|_, _| false));
            let warden = match is_joint {
                true => warden.shared_store(store.clone()),
                false => warden.replay(Replay::shared(store.clone())),
            };
            warden.build().unwrap()
        };
        let (one, other) = (warden(), warden());
        let send = async |warden: &Warden, kind: &str, text: &str| {
            let body = format!(r#"{{"type":"{kind}","c":"{text}"}}"#);
            let signed = signer.sign_body_at(body.as_bytes(), NOW).unwrap();
            let headers: Vec<(&str, &str)> = signed.iter().collect();
            let head = RequestHead::new("POST", "/webhooks/acme", &headers);
            let mut receiving = warden.examine(&head, None).unwrap().identify_async(ID).await.unwrap();
            receiving.update(body.as_bytes()).unwrap();
            let (answer, reason) = match receiving.finish_request_async(&head, body.as_bytes()).await {
                Ok(mut admitted) => {
                    let answer = admitted.take_handshake_answer();
                    admitted.commit_async().await.unwrap();
                    (answer, None)
                }
                Err(refused) => (Some(refused.answer().clone()), Some(refused.reason())),
            };
            let answer = answer.map(|answer| (answer.is_handshake(), answer.into_parts().2));
            (answer, reason, store.store().names())
        };
        let answered = Some((true, b"a".to_vec()));
        assert_eq!(send(&one, "check", "a").await, (answered.clone(), None, vec!["claim", "commit"]));
        assert_eq!(send(&other, "check", "a").await, (answered, Some(RefusalReason::Replayed), vec!["claim"]));
        assert_eq!(send(&one, "check", "b").await.1, None);
        let (_, over, calls) = send(&one, "check", "c").await;
        assert_eq!((over, calls), (Some(RefusalReason::HandshakeQuotaExceeded), vec!["claim", "release"]));
        // The application does not accept it: it is a delivery, which counts where deliveries do.
        if is_joint {
            let quota_state = QuotaState { remaining: 0, reset: Duration::from_secs(9) };
            let denied = Decision::Denied { retry_after: Duration::from_secs(8), quota_state };
            *store.store().decision.lock().unwrap() = Some(Ok(denied));
            let (_, over, calls) = send(&other, "ask", "d").await;
            assert_eq!((over, calls), (Some(RefusalReason::QuotaExceeded), vec!["claim", "release"]));
            *store.store().decision.lock().unwrap() = None;
        }
        assert_eq!(send(&other, "ask", "d").await, (None, None, vec!["claim", "commit"]));
    }
}

#[test]
fn refused_challenge_counts_against_the_sender() {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
    let quotas = || Quotas::new().accepted(Quota::new(2, Duration::from_secs(60)).unwrap());
    let handshake = || Handshake::body("/c").when("/type", "check").accept_if(|_, challenge| challenge == "good");
    for replay in [Replay::new(), Replay::danger_off()] {
        let warden = builder(&scheme).quotas(quotas()).handshake(handshake()).replay(replay).build().unwrap();
        let send = |kind: &str, text: &str| {
            let body = format!(r#"{{"type":"{kind}","c":"{text}"}}"#);
            let signed = signer.sign_body_at(body.as_bytes(), NOW).unwrap();
            let headers: Vec<(&str, &str)> = signed.iter().collect();
            let head = RequestHead::new("POST", "/webhooks/acme", &headers);
            match receiving(&warden, &head, body.as_bytes()).finish_request(&head, body.as_bytes()) {
                Ok(mut admitted) => {
                    let is_answered = admitted.take_handshake_answer().is_some();
                    admitted.commit();
                    Ok(is_answered)
                }
                Err(refused) => Err(refused.reason()),
            }
        };
        assert_eq!([send("event", "1"), send("check", "bad1")], [Ok(false), Ok(false)]);
        assert_eq!(send("check", "bad2"), Err(RefusalReason::QuotaExceeded));
        assert_eq!(send("check", "good"), Err(RefusalReason::HandshakeQuotaExceeded));
    }
}

#[test]
fn condition_must_be_covered_by_the_signature() {
    let github = Scheme::github();
    let ping = || Handshake::ping().when_header("X-GitHub-Event", "ping");
    let error = builder(&github).handshake(ping()).build().unwrap_err();
    assert_eq!(error.field(), "handshake.when_header");
    assert!(builder(&github).handshake(ping().when("/zen", "Keep it logically awesome.")).build().is_ok());
    let signed =
        scheme_of([SignedPart::header("X-Event").unwrap(), SignedPart::literal("\n"), SignedPart::Body]).unwrap();
    assert!(builder(&signed).handshake(Handshake::ping().when_header("X-Event", "ping")).build().is_ok());
}

#[test]
fn deliveries_without_signature_header_are_no_handshakes() {
    struct Mine;
    impl hookwarden::scheme::CustomScheme for Mine {
        fn coverage(&self) -> hookwarden::scheme::Coverage {
            hookwarden::scheme::Coverage::BODY
        }

        fn begin(&self, _: &dyn hookwarden::headers::Head) -> Result<hookwarden::scheme::CustomHead, Reason> {
            Err(Reason::MalformedSignature)
        }
    }
    let scheme = Scheme::custom("mine", Algorithm::HmacSha256, Mine).unwrap();
    let warden = || builder(&scheme).methods(["GET", "POST"]);
    for handshake in [Handshake::probe(), Handshake::query("check"), Handshake::query("check").method("POST")] {
        assert_eq!(warden().handshake(handshake).build().unwrap_err().field(), "handshake.method");
    }
    assert!(builder(&scheme).handshake(Handshake::query("check")).build().is_ok());
    let named = scheme.into_builder().signature_header("Authorization").build().unwrap();
    assert!(builder(&named).methods(["GET", "POST"]).handshake(Handshake::probe()).build().is_ok());
}

#[test]
fn signed_challenge_is_answered_with_its_own_key() {
    let parts = [SignedPart::literal("v0:"), SignedPart::Timestamp, SignedPart::literal(":"), SignedPart::Body];
    let scheme = Scheme::timestamped().into_builder().signed(parts).build().unwrap();
    let key = |id: &str| Key::new(id, scheme.secret(&format!("the {id} secret of this test")).unwrap()).unwrap();
    let zoom = || Handshake::body("/t").when("/e", "v").json(r#"["{mac}"]"#).mac(Encoding::Hex);
    let ring = || Keyring::from_keys([key("new"), key("old")]).unwrap();
    let body = br#"{"e":"v","t":"abc"}"#;
    for id in ["new", "old"] {
        let warden = Warden::builder(scheme.clone()).sender(ID, ring()).clock(TestClock::new(NOW)).handshake(zoom());
        let warden = warden.build().unwrap();
        let signer = Signer::new(scheme.clone(), Keyring::from_keys([key(id)]).unwrap()).unwrap();
        let signed = signer.sign_body_at(body, NOW).unwrap();
        let headers: Vec<(&str, &str)> = signed.iter().collect();
        let head = RequestHead::new("POST", "/webhooks/acme", &headers);
        let mut admitted = receiving(&warden, &head, body).finish_request(&head, body).unwrap();
        let answer = admitted.take_handshake_answer().unwrap();
        let shown = format!("{answer:?}");
        let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, format!("the {id} secret of this test").as_bytes());
        let mac = Encoding::Hex.encode(ring::hmac::sign(&mac, b"abc").as_ref());
        assert_eq!(answer.into_parts().2, format!("[\"{mac}\"]").as_bytes(), "{id}");
        let bytes: Vec<String> = mac.bytes().map(|byte| byte.to_string()).collect();
        assert!(!shown.contains(&mac) && !shown.contains(&bytes.join(", ")), "{shown}");
    }
}
