//! A Warden whose application verifies itself, and one with tokens.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use hookwarden::clock::Clock as _;
use hookwarden::crypto::{Algorithm, LiveKeys, PreparedKeys, Proven};
use hookwarden::encoding::Encoding;
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::headers::{FieldName, Head};
use hookwarden::keys::{AsyncKeyStore, CachedKeys, KeyStore};
use hookwarden::scheme::{Coverage, CustomCheck, CustomHead, CustomScheme, SignedPart};
use hookwarden::warden::{BodyLimits, Quotas, Replay, WardenBuilder};
use hookwarden::{BoxFuture, IdSource, Keyring, Quota, Reason, Scheme, Timestamp, Warden};

use crate::harness::sender::{Post, SECRET, keyring, signer};
use crate::scene::Scene;

/// The scheme `timestamped`, written by an application. It counts its checks.
#[derive(Default)]
struct Timestamped {
    checks: Arc<AtomicUsize>,
}

impl CustomScheme for Timestamped {
    fn coverage(&self) -> Coverage {
        Coverage::BODY.with_timestamp()
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        let header = |name| head.header(&FieldName::new(name).expect("a header name")).required();
        let signature = Encoding::Hex.decode(header("X-Webhook-Signature")?).ok_or(Reason::MalformedSignature)?;
        let at = header("X-Webhook-Timestamp")?;
        let seconds = std::str::from_utf8(at).ok().and_then(|text| text.parse().ok());
        let timestamp = Timestamp::from_unix(seconds.ok_or(Reason::MalformedTimestamp)?);
        let check = Check { signature, content: [at, b"."].concat(), checks: Arc::clone(&self.checks) };
        Ok(CustomHead::new(check).with_timestamp(timestamp))
    }
}

struct Check {
    signature: Vec<u8>,
    content: Vec<u8>,
    checks: Arc<AtomicUsize>,
}

impl CustomCheck for Check {
    fn update(&mut self, chunk: &[u8]) {
        self.content.extend_from_slice(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        keys.verify(&[&self.content], &self.signature)
    }
}

fn custom(checks: &Arc<AtomicUsize>) -> Scheme {
    let scheme = Timestamped { checks: Arc::clone(checks) };
    Scheme::custom("custom", Algorithm::HmacSha256, scheme).expect("a scheme")
}

fn scene(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> (Scene, Arc<AtomicUsize>) {
    let (scheme, checks) = (Scheme::timestamped(), Arc::default());
    let scene = Scene::of(custom(&checks), |warden| set(warden.sender("acme", keyring(&scheme, SECRET))));
    (scene, checks)
}

fn unverified(reason: Reason) -> Result<(), RefusalReason> {
    Err(RefusalReason::Unverified(reason))
}

#[test]
fn custom_scheme_gets_every_protection() {
    let (scene, checks) = scene(|warden| warden.quotas(Quotas::new().accepted(Quota::per_minute(2).expect("a quota"))));
    let signed = |body: &str, offset| {
        let at = Timestamp::from_unix(scene.clock.now().wall.as_unix() + offset);
        Post::signed_by(&signer(Scheme::timestamped(), SECRET), "/webhooks/acme", &[], body, at)
    };
    let deliver = |id: &str, post: &Post| scene.deliver(None, id, post);
    assert_eq!(deliver("acme", &signed("one", 0)), Ok(()));
    // Nothing is verified for a message that is refused for its head.
    assert_eq!(deliver("acme", &signed("two", -301)), unverified(Reason::Stale));
    assert_eq!(deliver("acme", &signed("two", 301)), unverified(Reason::Early));
    assert_eq!(deliver("acme", &signed("two", 0).without("X-Webhook-Signature")), unverified(Reason::MissingHeader));
    assert_eq!(checks.load(Ordering::Relaxed), 1);
    assert_eq!(deliver("acme", &signed("two", 0).carrying("three")), unverified(Reason::Mismatch));
    // The same work for an unknown id, and the same answer.
    assert_eq!(deliver("globex", &signed("two", 0)), Err(RefusalReason::UnknownId));
    assert_eq!(checks.load(Ordering::Relaxed), 3);
    assert_eq!(deliver("acme", &signed("one", 0)), Err(RefusalReason::Replayed));
    assert_eq!(deliver("acme", &signed("two", 0)), Ok(()));
    assert_eq!(deliver("acme", &signed("three", 0)), Err(RefusalReason::QuotaExceeded));
    let outcomes: Vec<_> = scene.reports.requests.take().into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes.len(), 9);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Accepted).count(), 2);
}

/// Signs the body. Its lines are the parts of its id.
struct WithId;

impl CustomScheme for WithId {
    fn coverage(&self) -> Coverage {
        Coverage::BODY
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        let signature = head.header(&FieldName::new("X-Signature").expect("a header name")).required()?;
        let signature = Encoding::Hex.decode(signature).ok_or(Reason::MalformedSignature)?;
        Ok(CustomHead::new(WithIdCheck { signature, body: Vec::new() }))
    }
}

struct WithIdCheck {
    signature: Vec<u8>,
    body: Vec<u8>,
}

impl CustomCheck for WithIdCheck {
    fn update(&mut self, chunk: &[u8]) {
        self.body.extend_from_slice(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        let proven = keys.verify(&[&self.body], &self.signature)?;
        // White space distinguishes bodies with the same id.
        let parts: Vec<&[u8]> = self.body.trim_ascii().split(|byte| *byte == b'\n').collect();
        Ok(proven.with_delivery_id(&[b"replaced"]).with_delivery_id(&parts))
    }
}

#[test]
fn id_of_a_custom_scheme_identifies_deliveries() {
    let secret = Scheme::timestamped();
    let scheme = Scheme::custom("custom", Algorithm::HmacSha256, WithId).expect("a scheme");
    let replay = Replay::new().lifetime(Duration::from_secs(3_600));
    let scene = Scene::of(scheme, |warden| {
        let warden =
            warden.sender("acme", keyring(&secret, SECRET)).sender("globex", keyring(&secret, "another-secret"));
        warden.replay(replay)
    });
    let raw =
        Scheme::builder("raw").signature_header("X-Signature").signed([SignedPart::Body]).build().expect("a scheme");
    let deliver = |id: &str, secret: &str, body: &str| {
        let path = format!("/webhooks/{id}");
        let post = Post::signed_by(&signer(raw.clone(), secret), &path, &[], body, Timestamp::from_unix(0));
        scene.deliver(None, id, &post)
    };
    assert_eq!(deliver("acme", SECRET, "ab\nc"), Ok(()));
    for (body, expected) in [
        ("ab\nc", Err(RefusalReason::Replayed)),
        // Other bodies with the same id.
        ("ab\nc\n", Err(RefusalReason::Replayed)),
        (" ab\nc ", Err(RefusalReason::Replayed)),
        ("a\nbc", Ok(())),
        ("abc", Ok(())),
        ("ab\nc\n\nd", Ok(())),
    ] {
        assert_eq!(deliver("acme", SECRET, body), expected, "{body:?}");
    }
    assert_eq!(deliver("globex", "another-secret", "ab\nc"), Ok(()));
}

#[test]
fn custom_body_is_limited() {
    let (scene, checks) = scene(|warden| warden.body(BodyLimits::new().max_bytes(4)));
    assert_eq!(scene.deliver(None, "acme", &scene.signed("1234")), Ok(()));
    assert_eq!(scene.deliver(None, "acme", &scene.signed("12345")), Err(RefusalReason::BodyTooLarge));
    assert_eq!(checks.load(Ordering::Relaxed), 1);
}

#[test]
fn custom_body_counts_twice_for_every_id() {
    let limits = BodyLimits::new().max_bytes(64 * 1024).max_bytes_in_flight(8 * 64 * 1024);
    for id in ["acme", "globex"] {
        let (scene, _) = scene(|warden| warden.body(limits));
        let post = scene.signed(vec![b'x'; 64 * 1024]);
        let mut held = Vec::new();
        // Peers share parts of the budget at random, so more of them are tried than there is room for.
        for number in 0..64 {
            let peer = Some([203, 0, 113, number].into());
            let examined = scene.warden.examine(&post.headers, peer).expect("a well-formed head");
            let mut receiving = examined.identify(id).expect("keys or a decoy");
            match receiving.update(&post.body) {
                Ok(()) => held.push(receiving),
                Err(refused) => assert_eq!(refused.reason(), RefusalReason::BodyBudgetExceeded, "{id}"),
            }
        }
        assert_eq!(held.len(), 4, "{id}");
    }
}

#[test]
fn panic_in_a_check_is_charged() {
    for id in ["acme", "globex"] {
        let scene = trusting();
        let peer = Some([203, 0, 113, 9].into());
        let outcome = |text: &str| scene.deliver(peer, id, &scene.signed(text)).expect_err("refused");
        // The same answer and the same charge for a known and for an unknown id.
        for _ in 0..60 {
            let reason = outcome("panic");
            assert!(matches!(reason, RefusalReason::Unverified(Reason::CheckPanicked) | RefusalReason::UnknownId));
        }
        assert_eq!(outcome("panic"), RefusalReason::PeerBlocked);
    }
}

#[test]
fn missing_request_line_in_check_is_a_mismatch() {
    let scene = trusting();
    assert_eq!(scene.deliver(None, "acme", &scene.signed("no request line")), unverified(Reason::Mismatch));
}

#[test]
fn check_gets_the_webhook_id_and_the_time() {
    let scene = trusting();
    let body = format!("at {} for acme", scene.clock.now().wall.as_unix());
    assert_eq!(scene.deliver(None, "acme", &scene.signed(body)), Ok(()));
    assert_eq!(scene.deliver(None, "acme", &scene.signed("at 7 for acme")), unverified(Reason::Mismatch));
}

#[test]
fn keys_of_another_use_are_misconfigured() {
    /// Keys that sign, for a scheme with tokens.
    struct Signing(Scheme);
    impl KeyStore for Signing {
        fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
            Ok(Some(self.0.prepare(&keyring(&self.0, SECRET)).expect("keys")))
        }
    }
    let replay = Replay::new().lifetime(Duration::from_secs(60));
    let scene =
        Scene::of(token(), |warden| warden.keys(Signing(Scheme::timestamped())).replay(replay).danger_unsigned_body());
    let post = scene.signed("x").with("X-Gitlab-Token", SECRET);
    assert_eq!(scene.deliver(None, "acme", &post), Err(RefusalReason::Misconfigured));
}

#[test]
fn forgeries_under_custom_scheme_block_their_peer() {
    let (scene, checks) = scene(|warden| warden);
    let peer = Some([203, 0, 113, 9].into());
    let forged = scene.signed("one").carrying("two");
    for _ in 0..60 {
        assert_eq!(scene.deliver(peer, "acme", &forged), unverified(Reason::Mismatch));
    }
    assert_eq!(scene.deliver(peer, "acme", &forged), Err(RefusalReason::PeerBlocked));
    assert_eq!(checks.load(Ordering::Relaxed), 60);
}

/// Knows keys by the id in the head, all of one sender.
struct ByKeyId(Scheme);

impl AsyncKeyStore for ByKeyId {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        let known = matches!(id, "k1" | "k2").then(|| keyring(&self.0, id).with_webhook_id("acme"));
        Box::pin(ready(Ok(known)))
    }
}

#[test]
fn custom_keys_are_found_by_their_id() {
    let checks = Arc::default();
    let scheme = custom(&checks);
    let keys = CachedKeys::new(&scheme, ByKeyId(scheme.clone()));
    let by_key = IdSource::header("X-Key").expect("a header name");
    let scene = Scene::of(scheme, |warden| warden.cached_keys(keys).webhook_id(by_key));
    let deliver = |key: &str, secret: &str| {
        let post = Post::signed_by(
            &signer(Scheme::timestamped(), secret),
            "/",
            &[("X-Key", key)],
            "x",
            scene.clock.now().wall,
        );
        let examined = scene.warden.examine(&post.headers, None).expect("a well-formed head");
        let receiving = examined.identify_from_head_async(&post.headers).now_or_never().expect("no wait");
        let mut receiving = receiving.expect("keys or a decoy");
        receiving.update(&post.body).expect("a small body");
        let admitted = receiving.finish_async().now_or_never().expect("no wait").map_err(|refused| refused.reason())?;
        let id = admitted.delivery().webhook_id().to_owned();
        admitted.commit();
        Ok(id)
    };
    assert_eq!(deliver("k1", "k1"), Ok("acme".to_owned()));
    assert_eq!(deliver("k2", "k2"), Ok("acme".to_owned()), "another key makes another delivery");
    assert_eq!(deliver("k1", "k1"), Err(RefusalReason::Replayed));
    assert_eq!(deliver("k1", "k2"), Err(RefusalReason::Unverified(Reason::Mismatch)));
    assert_eq!(deliver("k3", "k1"), Err(RefusalReason::UnknownId));
}

/// Accepts every body but a few.
struct Trusting;

impl CustomScheme for Trusting {
    fn coverage(&self) -> Coverage {
        Coverage::BODY
    }

    fn begin(&self, _: &dyn Head) -> Result<CustomHead, Reason> {
        Ok(CustomHead::new(TrustingCheck(Vec::new())))
    }
}

struct TrustingCheck(Vec<u8>);

impl CustomCheck for TrustingCheck {
    fn update(&mut self, chunk: &[u8]) {
        self.0.extend_from_slice(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        let now = keys.now().as_unix();
        match std::str::from_utf8(&self.0).expect("text") {
            "panic" => panic!("a fault of the application"),
            "no request line" => Err(Reason::NoRequestLine),
            text if text.starts_with("at ")
                && text != format!("at {now} for {}", keys.webhook_id().expect("an id")) =>
            {
                Err(Reason::Mismatch)
            }
            _ => keys.danger_accept_unverified(&[&self.0]),
        }
    }
}

/// A Warden whose check accepts every body but a few.
fn trusting() -> Scene {
    let scheme = Scheme::custom("trusting", Algorithm::HmacSha256, Trusting).expect("a scheme");
    let replay = Replay::new().lifetime(Duration::from_secs(60));
    let keys = keyring(&scheme, SECRET);
    Scene::of(scheme, |warden| warden.sender("acme", keys).replay(replay))
}

#[test]
fn trusting_check_accepts_no_unknown_id() {
    let scene = trusting();
    let post = scene.signed("one");
    assert_eq!(scene.deliver(None, "globex", &post), Err(RefusalReason::UnknownId));
    assert_eq!(scene.deliver(None, "acme", &post), Ok(()));
    assert_eq!(scene.deliver(None, "acme", &post), Err(RefusalReason::Replayed));
}

fn token() -> Scheme {
    Scheme::danger_token_header("gitlab", "X-Gitlab-Token", "").expect("a scheme")
}

fn with_token() -> WardenBuilder {
    let replay = Replay::new().lifetime(Duration::from_secs(86_400));
    Warden::builder(token()).sender("acme", keyring(&token(), SECRET)).replay(replay)
}

#[test]
fn scheme_without_a_signed_body_needs_danger() {
    let refused = with_token().build().expect_err("no signed body");
    assert_eq!(
        refused.to_string(),
        "scheme: must cover the body, but gitlab covers nothing: anyone who sees one request could send any body. To \
         accept that, call `danger_unsigned_body`"
    );
    assert!(with_token().danger_unsigned_body().build().is_ok());
    let useless = Warden::builder(Scheme::timestamped()).sender("acme", keyring(&Scheme::timestamped(), SECRET));
    assert_eq!(
        useless.danger_unsigned_body().build().expect_err("a signed body").to_string(),
        "danger_unsigned_body: must not be set for timestamped, which covers the body: remove it"
    );
}

#[test]
fn token_needs_a_choice_for_replays() {
    let builder = Warden::builder(token()).sender("acme", keyring(&token(), SECRET)).danger_unsigned_body();
    assert_eq!(builder.build().expect_err("no timestamp").field(), "replay");
}

#[test]
fn delivery_with_a_token_is_handled_once() {
    let replay = Replay::new().lifetime(Duration::from_secs(86_400));
    let scene = Scene::of(token(), |warden| {
        warden.sender("acme", keyring(&token(), SECRET)).replay(replay).danger_unsigned_body()
    });
    let post = |token: &str, body: &str| {
        Post { path: "/".into(), headers: vec![], body: body.into() }.with("X-Gitlab-Token", token)
    };
    assert_eq!(scene.deliver(None, "acme", &post(SECRET, "one")), Ok(()));
    assert_eq!(scene.deliver(None, "acme", &post(SECRET, "one")), Err(RefusalReason::Replayed));
    assert_eq!(scene.deliver(None, "acme", &post(SECRET, "two")), Ok(()));
    assert_eq!(scene.deliver(None, "acme", &post("another", "one")), unverified(Reason::Mismatch));
    assert_eq!(scene.deliver(None, "globex", &post(SECRET, "one")), Err(RefusalReason::UnknownId));
}
