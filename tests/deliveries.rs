//! What counts as the same delivery, how long it is remembered, and who has the work while it is not done.
#![cfg(all(feature = "actix", feature = "axum", feature = "testing"))]
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test that overflows or panics has failed")]

#[path = "util/scene.rs"]
mod scene;
mod util;

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use hookwarden::clock::{Clock as _, ClockReading};
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason, StoreKind, Warning};
use hookwarden::keys::StaticKeys;
use hookwarden::limit::{Decision, QuotaState, RateLimiter};
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use hookwarden::tower::{PeerAddress, VerifiedBody, WardenLayer};
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::{Admitted, BodyLimits, Quotas, Refused, Replay, WardenBuilder};
use hookwarden::{BoxFuture, IdSource, Key, Keyring, Quota, Reason, Scheme, Signer, Timestamp, Warden};
use hyper::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};

use scene::Scene;
use util::PATIENCE;
use util::sender::{ID, PATH, Post, SECRET, keyring, signer};

const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const SECOND: Duration = Duration::from_secs(1);
const HOUR: i64 = 3_600;
/// How long a handler may take by default.
const LEASE: Duration = Duration::from_secs(60);

/// A scene that knows the one sender and lets it send as much as it likes.
fn scene() -> Scene {
    scene_with(|warden| warden)
}

fn scene_with(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Scene {
    Scene::new(|warden| {
        let warden = warden.sender(ID, keyring(&Scheme::timestamped(), SECRET));
        set(warden.quotas(Quotas::new().danger_unlimited_accepted()))
    })
}

impl Scene {
    fn send(&self, post: &Post) -> Result<(), RefusalReason> {
        self.deliver(PEER, ID, post)
    }

    fn admit(&self, post: &Post) -> Admitted {
        self.judge(PEER, ID, post).unwrap()
    }

    fn refuse(&self, post: &Post) -> Refused {
        self.judge(PEER, ID, post).unwrap_err()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.told.requests.take().into_iter().map(|(outcome, _)| outcome).collect()
    }

    /// Signed now and some seconds more.
    fn stamped(&self, seconds: i64) -> Post {
        Post::signed_at("stamped", Timestamp::from_unix(self.clock.now().wall.as_unix() + seconds))
    }

    /// Enough other deliveries that every part of the memory is swept, were it due.
    fn traffic(&self) {
        for nth in 0..300 {
            let body = format!("{nth} at {:?}", self.clock.now());
            assert_eq!(self.send(&self.signed(body)), Ok(()));
        }
    }
}

// Time.

#[test]
fn facts_tell_how_far_the_clocks_are_apart() {
    let scene = scene();
    for seconds in [-200, 0, 7] {
        let admitted = scene.admit(&scene.stamped(seconds));
        let stamp = Timestamp::from_unix(scene.clock.now().wall.as_unix() + seconds);
        assert_eq!((admitted.delivery().skew(), admitted.delivery().timestamp()), (Some(-seconds), Some(stamp)));
    }
}

#[test]
fn message_is_known_for_as_long_as_it_is_fresh() {
    let scene = scene();
    let early = scene.stamped(300);
    assert_eq!(scene.send(&early), Ok(()));
    for seconds in 0..=600 {
        assert_eq!(scene.send(&early), Err(RefusalReason::Replayed), "{seconds} s later");
        if seconds % 100 == 99 {
            scene.traffic();
        }
        scene.clock.advance(SECOND);
    }
    assert_eq!(scene.send(&early), Err(RefusalReason::Unverified(Reason::Stale)));
}

#[test]
fn neither_clock_alone_ends_the_memory_of_a_message() {
    for monotonic_alone in [true, false] {
        let scene = scene();
        let early = scene.stamped(300);
        assert_eq!(scene.send(&early), Ok(()));
        if monotonic_alone {
            let wall = scene.clock.now().wall;
            scene.clock.advance(Duration::from_secs(86_400));
            scene.clock.set_wall(wall);
        } else {
            scene.clock.step_wall(599);
        }
        scene.traffic();
        assert_eq!(scene.send(&early), Err(RefusalReason::Replayed), "monotonic alone: {monotonic_alone}");
    }
}

#[test]
fn replicas_whose_clocks_lag_are_covered_by_the_margin() {
    let scene = scene_with(|warden| warden.replay(Replay::new().margin(10 * SECOND)));
    let post = scene.stamped(0);
    assert_eq!(scene.send(&post), Ok(()));
    scene.clock.advance(310 * SECOND);
    scene.traffic();
    // As a replica sees it whose clock is ten seconds slow.
    scene.clock.step_wall(-10);
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
}

#[test]
fn freshness_follows_the_wall_clock_and_the_memory_outlives_its_steps() {
    for step in [HOUR, -HOUR] {
        let scene = scene();
        let post = scene.stamped(0);
        assert_eq!(scene.send(&post), Ok(()));
        scene.clock.step_wall(step);
        assert_eq!(
            scene.send(&post),
            Err(if step > 0 {
                RefusalReason::Unverified(Reason::Stale)
            } else {
                RefusalReason::Unverified(Reason::Early)
            })
        );
        let stepped = scene.signed("signed by the clock as it was set");
        assert_eq!(scene.send(&stepped), Ok(()));
        assert_eq!(scene.send(&stepped), Err(RefusalReason::Replayed));
        scene.clock.advance(100 * SECOND);
        scene.traffic();
        scene.clock.step_wall(-step);
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed), "{step}");
    }
}

#[test]
fn message_that_a_clock_set_back_makes_fresh_once_more_is_still_known() {
    let scene = scene();
    let post = scene.stamped(0);
    assert_eq!(scene.send(&post), Ok(()));
    scene.clock.step_wall(-HOUR);
    for _ in 0..60 {
        scene.clock.advance(60 * SECOND);
        scene.traffic();
    }
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed), "an hour later");
}

#[test]
fn wall_clock_that_is_set_while_a_handler_runs_shortens_no_memory() {
    for step in [HOUR, -HOUR] {
        let scene = scene();
        let post = scene.stamped(0);
        let admitted = scene.admit(&post);
        scene.clock.step_wall(step);
        admitted.commit();
        scene.clock.advance(100 * SECOND);
        scene.traffic();
        scene.clock.step_wall(-step);
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed), "{step}");
    }
}

#[test]
fn limits_follow_the_monotonic_clock_alone() {
    let quota = Quota::new(2, 10 * SECOND).unwrap();
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(quota).rejected(quota, quota)));
    let forger = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)));
    let send = |body: &str| scene.send(&scene.signed(body));
    let forge = || scene.deliver(forger, ID, &scene.signed("genuine").carrying("forged"));
    assert_eq!([send("1"), send("2"), send("3")], [Ok(()), Ok(()), Err(RefusalReason::QuotaExceeded)]);
    assert_eq!(
        [forge(), forge(), forge()],
        [
            RefusalReason::Unverified(Reason::Mismatch),
            RefusalReason::Unverified(Reason::Mismatch),
            RefusalReason::PeerBlocked
        ]
        .map(Err)
    );
    for step in [HOUR, -HOUR, -HOUR, HOUR] {
        scene.clock.step_wall(step);
        assert_eq!(
            [send("3"), forge()],
            [Err(RefusalReason::QuotaExceeded), Err(RefusalReason::PeerBlocked)],
            "{step}"
        );
    }
    scene.clock.set_monotonic(10 * SECOND);
    assert_eq!([send("3"), send("4")], [Ok(()), Err(RefusalReason::QuotaExceeded)]);
    assert_eq!([forge(), forge()], [RefusalReason::Unverified(Reason::Mismatch), RefusalReason::PeerBlocked].map(Err));
}

// What is the same delivery.

fn key(scheme: &Scheme, name: &str) -> Key {
    let text = match scheme.name() {
        // Base64 of as many bytes.
        "standard_webhooks" => format!("whsec_{:A<40}", name),
        _ => format!("the-secret-of-the-key-{name}"),
    };
    Key::new(name, scheme.secret(&text).unwrap()).unwrap()
}

fn ring(keys: impl IntoIterator<Item = Key>) -> Keyring {
    Keyring::from_keys(keys).unwrap()
}

/// A message that is signed with all keys of a ring.
fn signed_with(scheme: &Scheme, keys: Keyring, now: Timestamp) -> Post {
    let own: &[(&str, &str)] = if scheme.name() == "standard_webhooks" { &[("webhook-id", "msg_1")] } else { &[] };
    Post::signed_by(&Signer::new(scheme.clone(), keys).unwrap(), PATH, own, "signed with several keys", now)
}

/// The message with the n-th of its two signatures alone.
fn with_only(post: &Post, nth: usize) -> Post {
    let (name, value) = post.headers.iter().find(|(name, _)| name.to_lowercase().ends_with("signature")).unwrap();
    let value = String::from_utf8(value.clone()).unwrap();
    let separator = if value.contains(',') && !value.contains(' ') { ',' } else { ' ' };
    let is_signature = |field: &&str| field.starts_with("v1");
    let signatures: Vec<&str> = value.split(separator).filter(is_signature).collect();
    let chosen = *signatures.get(nth).expect("one of two signatures");
    assert_eq!(signatures.len(), 2, "{value}");
    let kept = value.split(separator).filter(|field| !is_signature(field) || *field == chosen);
    let kept = kept.collect::<Vec<_>>().join(&separator.to_string());
    post.clone().replacing(name, kept)
}

/// Delivers a message that is signed with the keys `new` and `old`, and then what else `change` makes of the scene.
fn after_a_delivery_by_two_keys(scheme: &Scheme, change: impl FnOnce(&Scene, &StaticKeys)) -> (Scene, Post) {
    let start = hookwarden::testing::TestClock::default().now().wall;
    let old = key(scheme, "old").not_after(Timestamp::from_unix(start.as_unix() + 10));
    let store = StaticKeys::new(scheme, [(ID, ring([key(scheme, "new"), old.clone()]))]).unwrap();
    let scene = Scene::of(scheme.clone(), |warden| warden.keys(store.clone()));
    let post = signed_with(scheme, ring([key(scheme, "new"), old]), start);
    assert_eq!(scene.send(&post), Ok(()));
    change(&scene, &store);
    (scene, post)
}

#[test]
fn delivery_by_two_keys_is_known_by_either_of_its_signatures() {
    for scheme in [Scheme::standard_webhooks(), Scheme::stripe()] {
        let (scene, post) = after_a_delivery_by_two_keys(&scheme, |_, _| {});
        for replayed in [&post, &with_only(&post, 0), &with_only(&post, 1)] {
            assert_eq!(scene.send(replayed), Err(RefusalReason::Replayed), "{}", scheme.name());
        }
        // It is known as well when one of them came first.
        let (scene, _) = after_a_delivery_by_two_keys(&scheme, |_, _| {});
        let later = Timestamp::from_unix(scene.clock.now().wall.as_unix() + 1);
        let other = signed_with(&scheme, ring([key(&scheme, "new"), key(&scheme, "old")]), later);
        assert_eq!(scene.send(&with_only(&other, 1)), Ok(()));
        assert_eq!(scene.send(&with_only(&other, 0)), Err(RefusalReason::Replayed), "{}", scheme.name());
    }
}

#[test]
fn delivery_is_known_after_one_of_its_keys_expired() {
    for scheme in [Scheme::standard_webhooks(), Scheme::stripe()] {
        let (scene, post) = after_a_delivery_by_two_keys(&scheme, |scene, _| scene.clock.advance(11 * SECOND));
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed), "{}", scheme.name());
        let verdicts = [0, 1].map(|nth| scene.send(&with_only(&post, nth)).unwrap_err());
        assert!(
            verdicts.contains(&RefusalReason::Replayed)
                && verdicts.contains(&RefusalReason::Unverified(Reason::Mismatch)),
            "{verdicts:?}"
        );
    }
}

#[test]
fn delivery_by_a_key_that_expired_is_known_by_the_signature_of_the_other() {
    for scheme in [Scheme::standard_webhooks(), Scheme::stripe()] {
        let (scene, _) = after_a_delivery_by_two_keys(&scheme, |_, _| {});
        let later = Timestamp::from_unix(scene.clock.now().wall.as_unix() + 1);
        let post = signed_with(&scheme, ring([key(&scheme, "new"), key(&scheme, "old")]), later);
        assert_eq!(scene.admit(&with_only(&post, 1)).delivery().key_id().as_str(), "old");
        assert_eq!(scene.send(&with_only(&post, 1)), Ok(()));
        scene.clock.advance(11 * SECOND);
        assert_eq!(scene.send(&with_only(&post, 0)), Err(RefusalReason::Replayed), "{}", scheme.name());
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed), "{}", scheme.name());
    }
}

#[test]
fn delivery_is_known_after_a_rotation() {
    for scheme in [Scheme::timestamped(), Scheme::standard_webhooks(), Scheme::stripe()] {
        let store = StaticKeys::new(&scheme, [(ID, ring([key(&scheme, "old")]))]).unwrap();
        let scene = Scene::of(scheme.clone(), |warden| warden.keys(store.clone()));
        let post = signed_with(&scheme, ring([key(&scheme, "old")]), scene.clock.now().wall);
        assert_eq!(scene.send(&post), Ok(()));
        for names in [&["new", "old"][..], &["newest", "new", "old"], &["old"]] {
            store.replace_one(ID, ring(names.iter().map(|name| key(&scheme, name)))).unwrap();
            assert_eq!(scene.send(&post), Err(RefusalReason::Replayed), "{} {names:?}", scheme.name());
        }
    }
}

#[test]
fn received_form_makes_no_other_delivery() {
    let scene = scene();
    let post = scene.signed("x");
    assert_eq!(scene.send(&post), Ok(()));
    let upper = String::from_utf8(post.value("x-webhook-signature")).unwrap().to_uppercase();
    let mut reversed = post.clone();
    reversed.headers.reverse();
    let mut shouted = post.clone();
    shouted.headers.iter_mut().for_each(|(name, _)| name.make_ascii_uppercase());
    for same in [
        post.clone(),
        post.clone().replacing("x-webhook-signature", upper),
        post.clone().with("x-webhook-id", "another").with("x-request-id", "another"),
        post.clone().with("webhook-id", "another").with("user-agent", "another"),
        reversed,
        shouted,
    ] {
        assert_eq!(scene.send(&same), Err(RefusalReason::Replayed), "{same:?}");
    }
    for other in [scene.signed("y"), scene.stamped(1)] {
        assert_eq!(scene.send(&other), Ok(()));
    }
}

#[test]
fn id_of_a_message_counts_where_it_is_signed() {
    let scheme = Scheme::standard_webhooks();
    let keys = || ring([key(&scheme, "only")]);
    let scene = Scene::of(scheme.clone(), |warden| warden.sender(ID, keys()));
    let post = signed_with(&scheme, keys(), scene.clock.now().wall);
    assert_eq!(scene.send(&post), Ok(()));
    assert_eq!(
        scene.send(&post.clone().replacing("webhook-id", "msg_2")),
        Err(RefusalReason::Unverified(Reason::Mismatch))
    );
    let signer = Signer::new(scheme.clone(), keys()).unwrap();
    let own = [("webhook-id", "msg_2")];
    let other = Post::signed_by(&signer, PATH, &own, post.body.clone(), scene.clock.now().wall);
    assert_eq!(scene.send(&other), Ok(()), "the sender's own second message of the same body and second");
}

#[test]
fn same_message_to_another_webhook_id_is_another_delivery() {
    let scheme = Scheme::timestamped();
    let senders = [ID, "other"].map(|id| (id, keyring(&scheme, SECRET)));
    let store = StaticKeys::danger_allow_shared_secrets(&scheme, senders).unwrap();
    let scene = Scene::new(|warden| warden.keys(store));
    let post = scene.signed("x");
    for id in [ID, "other"] {
        assert_eq!(scene.deliver(PEER, id, &post), Ok(()), "{id}");
        assert_eq!(scene.deliver(PEER, id, &post), Err(RefusalReason::Replayed), "{id}");
    }
}

// Who has the work.

#[test]
fn delivery_is_in_progress_until_its_handler_ends() {
    let scene = scene();
    let post = scene.signed("x");
    let admitted = scene.admit(&post);
    scene.clock.advance(20 * SECOND);
    let refused = scene.refuse(&post);
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::InProgress, 409));
    assert_eq!(refused.answer().retry_after(), Some(LEASE - 20 * SECOND));
    drop(admitted);
    assert_eq!(scene.send(&post), Ok(()), "the handler failed, and the retry is welcome");
    let replayed = scene.refuse(&post);
    assert_eq!((replayed.reason(), replayed.answer().status().as_u16()), (RefusalReason::Replayed, 200));
}

#[test]
fn delivery_of_a_process_that_died_is_free_after_the_lease() {
    let scene = scene();
    let post = scene.signed("x");
    std::mem::forget(scene.admit(&post));
    scene.clock.advance(LEASE - SECOND);
    assert_eq!(scene.send(&post), Err(RefusalReason::InProgress));
    scene.clock.advance(SECOND);
    assert_eq!(scene.send(&post), Ok(()));
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
}

#[test]
fn commit_after_the_lease_stands_if_nobody_else_has_the_work() {
    let scene = scene();
    let post = scene.signed("x");
    let slow = scene.admit(&post);
    scene.clock.advance(LEASE + SECOND);
    slow.commit();
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
}

/// The price of a lease that is shorter than the work: the documented double.
#[test]
fn handler_slower_than_its_lease_may_run_twice() {
    let scene = scene_with(|warden| warden.replay(Replay::new().lease(5 * SECOND)));
    let post = scene.signed("x");
    let slow = scene.admit(&post);
    scene.clock.advance(5 * SECOND);
    let second = scene.admit(&post);
    assert_eq!(scene.told.warnings.take(), []);
    slow.commit();
    assert_eq!(scene.told.warnings.take(), [Warning::LeaseOutlived]);
    assert_eq!(scene.refuse(&post).reason(), RefusalReason::InProgress, "the late one cannot settle what is another's");
    second.commit();
    assert_eq!(scene.told.warnings.take(), []);
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
    let accepted = scene.outcomes().into_iter().filter(|outcome| *outcome == Outcome::Accepted);
    assert_eq!(accepted.count(), 2);

    let other = scene.signed("y");
    let slow = scene.admit(&other);
    scene.clock.advance(5 * SECOND);
    let second = scene.admit(&other);
    drop(slow);
    assert_eq!(scene.refuse(&other).reason(), RefusalReason::InProgress, "nor give it back");
    second.commit();
    assert_eq!(scene.send(&other), Err(RefusalReason::Replayed));
}

#[test]
fn parallel_copies_of_one_delivery_are_admitted_once() {
    let scene = scene();
    let post = scene.signed("x");
    let barrier = std::sync::Barrier::new(8);
    let admitted: Vec<Admitted> = std::thread::scope(|scope| {
        let copies = || {
            barrier.wait();
            (0..125).filter_map(|_| scene.judge(PEER, ID, &post).ok()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(copies)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(admitted.len(), 1);
}

// Schemes without a timestamp, and bounds.

fn github(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> WardenBuilder {
    set(Warden::builder(Scheme::github()).sender(ID, keyring(&Scheme::github(), SECRET)))
}

#[test]
fn scheme_without_a_timestamp_needs_a_lifetime_and_no_other_takes_one() {
    let lifetime = 600 * SECOND;
    assert_eq!(github(|warden| warden).build().unwrap_err().field(), "replay.lifetime");
    assert!(github(|warden| warden.replay(Replay::new().lifetime(lifetime))).build().is_ok());
    assert!(github(|warden| warden.replay(Replay::danger_off())).build().is_ok());
    for impossible in [Duration::ZERO, SECOND / 2, Duration::MAX] {
        let refused = github(|warden| warden.replay(Replay::new().lifetime(impossible))).build().unwrap_err();
        assert_eq!(refused.field(), "replay.lifetime", "{impossible:?}");
    }
    let timestamped = util::sender::unlimited().sender(ID, keyring(&Scheme::timestamped(), SECRET));
    assert_eq!(timestamped.replay(Replay::new().lifetime(lifetime)).build().unwrap_err().field(), "replay.lifetime");
}

#[test]
fn lifetime_is_kept_to_the_second() {
    let scene = Scene::of(Scheme::github(), |warden| {
        warden.sender(ID, keyring(&Scheme::github(), SECRET)).replay(Replay::new().lifetime(600 * SECOND))
    });
    let now = scene.clock.now().wall;
    let post = Post::signed_by(&signer(Scheme::github(), SECRET), PATH, &[], "x", now);
    assert_eq!(scene.send(&post), Ok(()));
    for _ in 0..6 {
        scene.clock.advance(100 * SECOND);
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
        // Asking again does not prolong it, and neither does a wall clock that is set forward end it.
        scene.clock.step_wall(86_400);
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
        scene.clock.step_wall(-86_400);
    }
    scene.clock.advance(SECOND);
    assert_eq!(scene.send(&post), Ok(()), "a message of such a scheme is valid for ever");
}

#[test]
fn full_memory_refuses_and_forgets_nothing() {
    let scene = scene_with(|warden| warden.replay(Replay::new().capacity(3)));
    let known = ["1", "2", "3"].map(|body| scene.signed(body));
    known.iter().for_each(|post| assert_eq!(scene.send(post), Ok(())));
    for nth in 0..100 {
        let refused = scene.refuse(&scene.signed(format!("further {nth}")));
        let answer = refused.answer();
        assert_eq!((refused.reason(), answer.status().as_u16()), (RefusalReason::ReplayStoreUnavailable, 503));
        // The first is forgotten when it is stale by the slowest replica's clock too, and its copies' bodies are late.
        assert_eq!(answer.retry_after(), Some(322 * SECOND));
        assert!(matches!(scene.told.failures.take()[..], [(StoreKind::Replay, _)]));
    }
    for post in &known {
        assert_eq!(scene.send(post), Err(RefusalReason::Replayed));
    }
    scene.clock.advance(322 * SECOND);
    assert_eq!(scene.send(&scene.signed("next")), Ok(()));
}

// Shared stores.

/// A store in the place of one that is asked over a network: it notes every call, and fails or hangs when told to.
#[derive(Default)]
struct Remote {
    memory: LocalReplay,
    calls: Mutex<Vec<Call>>,
    fails: AtomicBool,
    hangs: AtomicBool,
    /// What is asked is done, and the answer hangs.
    answers_hang: AtomicBool,
}

#[derive(Debug, Clone, PartialEq)]
struct Call {
    what: &'static str,
    id: String,
    keys: Vec<ReplayKey>,
    until: Timestamp,
    /// For how long the caller would have it remembered, by its own wall clock.
    seconds: i64,
    by: Claimant,
    lease: Option<Duration>,
}

impl Remote {
    fn note(
        &self,
        what: &'static str,
        delivery: &Delivery<'_>,
        by: Claimant,
        lease: Option<Duration>,
        now: ClockReading,
    ) {
        let (id, keys, until) = (delivery.webhook_id.to_owned(), delivery.keys.to_vec(), delivery.until);
        let seconds = until.as_unix() - now.wall.as_unix();
        self.calls.lock().unwrap().push(Call { what, id, keys, until, seconds, by, lease });
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn names(&self) -> Vec<&'static str> {
        self.take().into_iter().map(|call| call.what).collect()
    }

    /// As a network would have it.
    async fn travel(&self) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        while self.hangs.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::new("the network is down").with_retry_after(7 * SECOND));
        }
        Ok(())
    }

    /// Waits until there was a call.
    async fn called(&self) -> Call {
        let called = async {
            loop {
                if let Some(call) = self.calls.lock().unwrap().pop() {
                    return call;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, called).await.expect("the store was not called")
    }
}

impl ReplayStore for Remote {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            self.note("claim", &delivery, by, Some(lease), now);
            self.travel().await?;
            self.memory.claim(delivery, by, lease, now).await
        })
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.travel().await?;
            self.note("commit", &delivery, by, None, now);
            let kept = self.memory.commit(delivery, by, now).await;
            while self.answers_hang.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            kept
        })
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.travel().await?;
            self.note("release", &delivery, by, None, now);
            self.memory.release(delivery, by, now).await
        })
    }
}

/// A scene whose deliveries are remembered elsewhere.
fn shared(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> (Scene, Arc<Remote>) {
    let remote = Arc::new(Remote::default());
    (scene_with(|warden| set(warden.replay(Replay::shared(remote.clone())))), remote)
}

impl Scene {
    async fn judge_async(&self, post: &Post) -> Result<Admitted, Refused> {
        let mut receiving = self.warden.examine(&post.headers, PEER)?.identify_async(ID).await?;
        receiving.update(&post.body)?;
        receiving.finish_async().await
    }

    async fn send_async(&self, post: &Post) -> Result<(), RefusalReason> {
        let admitted = self.judge_async(post).await.map_err(|refused| refused.reason())?;
        admitted.commit_async().await.unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn shared_store_is_asked_with_what_identifies_a_delivery() {
    let remote = Arc::new(Remote::default());
    let replay = Replay::shared(remote.clone()).lease(20 * SECOND).margin(5 * SECOND);
    let scene = scene_with(|warden| warden.replay(replay));
    let post = scene.stamped(7);
    assert_eq!(scene.send_async(&post).await, Ok(()));
    let [claim, commit] = &remote.take()[..] else { panic!("a claim and a commit") };
    assert_eq!((claim.what, commit.what), ("claim", "commit"));
    assert_eq!((&*claim.id, claim.keys.len(), claim.lease), (ID, 1, Some(20 * SECOND)));
    assert_eq!(claim.until.as_unix(), scene.clock.now().wall.as_unix() + 7 + 300 + 5 + 11);
    assert_eq!(*commit, Call { what: "commit", lease: None, ..claim.clone() }, "by the same claimant");

    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
    let [replayed] = &remote.take()[..] else { panic!("a claim alone") };
    assert_eq!((replayed.what, &replayed.keys), ("claim", &claim.keys));
    assert_ne!(replayed.by, claim.by, "each request claims for itself");

    let other = scene.signed("other");
    let admitted = scene.judge_async(&other).await.unwrap();
    assert_eq!(scene.send_async(&other).await, Err(RefusalReason::InProgress));
    admitted.release_async().await.unwrap();
    assert_eq!(remote.names(), ["claim", "claim", "release"]);
    assert_eq!(scene.send_async(&other).await, Ok(()));
}

#[tokio::test]
async fn claimants_of_two_processes_are_never_the_same() {
    let posts = ["1", "2", "3"];
    let mut claimants = Vec::new();
    for _ in 0..2 {
        let (scene, remote) = shared(|warden| warden);
        for body in posts {
            assert_eq!(scene.send_async(&scene.signed(body)).await, Ok(()));
        }
        claimants.extend(remote.take().into_iter().filter(|call| call.what == "claim").map(|call| call.by.number()));
    }
    claimants.sort_unstable();
    claimants.dedup();
    assert_eq!(claimants.len(), 6);
}

#[tokio::test]
async fn delivery_that_is_neither_committed_nor_released_is_released_in_the_background() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    drop(scene.judge_async(&post).await.unwrap());
    remote.take();
    assert_eq!(remote.called().await.what, "release");
    scene.judge_async(&post).await.unwrap().commit();
    remote.take();
    assert_eq!(remote.called().await.what, "commit");
    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
}

#[test]
fn delivery_dropped_where_there_is_no_runtime_ends_with_its_lease() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let admitted = runtime.block_on(scene.judge_async(&post)).unwrap();
    drop(admitted);
    assert_eq!(runtime.block_on(scene.send_async(&post)), Err(RefusalReason::InProgress));
    assert_eq!(remote.names(), ["claim", "claim"]);
    scene.clock.advance(LEASE);
    assert_eq!(runtime.block_on(scene.send_async(&post)), Ok(()));
}

#[tokio::test]
async fn shared_store_that_fails_lets_nothing_pass() {
    let (scene, remote) = shared(|warden| warden);
    let [first, second] = ["first", "second"].map(|body| scene.signed(body));
    let admitted = scene.judge_async(&first).await.unwrap();
    remote.fails.store(true, Ordering::Relaxed);
    let refused = scene.judge_async(&second).await.unwrap_err();
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::ReplayStoreUnavailable, 503));
    assert_eq!(refused.answer().retry_after(), Some(7 * SECOND));
    assert_eq!(scene.told.failures.take(), [(StoreKind::Replay, "the network is down".to_owned())]);

    assert_eq!(admitted.commit_async().await.unwrap_err().to_string(), "the network is down");
    assert_eq!(scene.told.failures.take(), [(StoreKind::Replay, "the network is down".to_owned())]);
    assert_eq!(scene.outcomes()[1..], [Outcome::Accepted], "the work was done all the same");

    remote.fails.store(false, Ordering::Relaxed);
    assert_eq!(scene.send_async(&second).await, Ok(()));
}

#[tokio::test]
async fn shared_store_that_hangs_holds_no_request_beyond_its_deadline() {
    let (scene, remote) = shared(|warden| {
        let limits = BodyLimits::new().deadline(Duration::from_millis(100));
        warden.webhook_id(IdSource::fixed(ID)).body(limits)
    });
    remote.hangs.store(true, Ordering::Relaxed);
    let handler = service_fn(async |_: Request<VerifiedBody>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let service = WardenLayer::new(scene.warden.clone()).layer(handler);
    let answer = tokio::time::timeout(PATIENCE, service.oneshot(scene.signed("x").into_request())).await;
    assert_eq!(answer.expect("an answer").unwrap().status(), 503);
    assert_eq!(scene.outcomes(), [Outcome::Refused(RefusalReason::ReplayStoreUnavailable)]);
    // Whether the store took the claim is unknown, so it is told to give it back.
    remote.hangs.store(false, Ordering::Relaxed);
    while remote.called().await.what != "release" {}
}

#[tokio::test]
async fn steps_that_cannot_wait_refuse_where_a_store_has_to_be_waited_for() {
    let (scene, remote) = shared(|warden| warden);
    let refused = scene.refuse(&scene.signed("x"));
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::Misconfigured, 500));
    assert_eq!(remote.take(), []);

    let limiter = Arc::new(Counter::default());
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    let post = scene.signed("x");
    assert_eq!(scene.refuse(&post).reason(), RefusalReason::Misconfigured);
    assert_eq!(scene.send_async(&post).await, Ok(()), "and claimed nothing");
}

/// A limiter that denies from the third request on, fails or hangs when told to.
#[derive(Default)]
struct Counter {
    asked: Mutex<Vec<(String, Quota)>>,
    fails: AtomicBool,
    hangs: AtomicBool,
}

fn two_an_hour() -> Quota {
    Quota::new(2, 1_800 * SECOND).unwrap()
}

impl RateLimiter for Counter {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.hangs.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
            if self.fails.load(Ordering::Relaxed) {
                return Err(StoreError::new("the network is down"));
            }
            let mut asked = self.asked.lock().unwrap();
            asked.push((webhook_id.to_owned(), *quota));
            let remaining = 2_u32.saturating_sub(u32::try_from(asked.len()).unwrap());
            let quota_state = QuotaState { remaining, reset: 9 * SECOND };
            Ok(if asked.len() <= 2 {
                Decision::Allowed(quota_state)
            } else {
                Decision::Denied { retry_after: 8 * SECOND, quota_state }
            })
        })
    }
}

#[tokio::test]
async fn shared_limiter_decides_and_a_denied_delivery_is_given_back() {
    let limiter = Arc::new(Counter::default());
    let quota = Quota::new(7, SECOND).unwrap();
    let quotas = Quotas::new().danger_unlimited_accepted().accepted_for(ID, quota).shared(limiter.clone());
    let (scene, remote) = shared(|warden| warden.quotas(quotas));
    for remaining in [1, 0] {
        let admitted = scene.judge_async(&scene.signed(format!("{remaining}"))).await.unwrap();
        assert_eq!(admitted.quota_state(), Some((quota, QuotaState { remaining, reset: 9 * SECOND })));
        admitted.commit_async().await.unwrap();
    }
    remote.take();
    let post = scene.signed("x");
    let refused = scene.judge_async(&post).await.unwrap_err();
    assert_eq!((refused.reason(), refused.answer().retry_after()), (RefusalReason::QuotaExceeded, Some(8 * SECOND)));
    assert_eq!(remote.names(), ["claim", "release"]);
    assert_eq!(*limiter.asked.lock().unwrap(), vec![(ID.to_owned(), quota); 3]);
    limiter.asked.lock().unwrap().clear();
    assert_eq!(scene.send_async(&post).await, Ok(()));
}

#[tokio::test]
async fn shared_limiter_that_fails_is_stood_in_for_by_this_process() {
    let limiter = Arc::new(Counter::default());
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    limiter.fails.store(true, Ordering::Relaxed);
    for (body, verdict) in [("1", Ok(())), ("2", Ok(())), ("3", Err(RefusalReason::QuotaExceeded))] {
        assert_eq!(scene.send_async(&scene.signed(body)).await, verdict, "{body}");
        assert_eq!(scene.told.failures.take(), [(StoreKind::Limits, "the network is down".to_owned())]);
        assert_eq!(scene.told.warnings.take(), [Warning::LimiterFellBack]);
    }
    limiter.fails.store(false, Ordering::Relaxed);
    assert_eq!(scene.send_async(&scene.signed("3")).await, Ok(()), "its word counts again");
    assert_eq!(scene.told.warnings.take(), []);
}

/// Polls `future` some times and drops it, as a server does whose client breaks the connection off.
async fn break_off(future: impl Future) {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        polls += 1;
        context.waker().wake_by_ref();
        if polls < 20 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

#[tokio::test]
async fn sender_that_breaks_off_while_the_limiter_is_asked_finds_its_delivery_free() {
    let limiter = Arc::new(Counter::default());
    let local = scene_with(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    let (shared, remote) =
        shared(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    for scene in [&local, &shared] {
        let post = scene.signed("x");
        limiter.hangs.store(true, Ordering::Relaxed);
        break_off(scene.judge_async(&post)).await;
        limiter.hangs.store(false, Ordering::Relaxed);
        if std::ptr::eq(scene, &raw const shared) {
            remote.take();
            assert_eq!(remote.called().await.what, "release");
        }
        assert_eq!(scene.send_async(&post).await, Ok(()));
        assert_eq!(scene.outcomes(), [Outcome::Abandoned, Outcome::Accepted]);
    }
}

#[tokio::test]
async fn sender_that_breaks_off_while_its_delivery_is_claimed_finds_it_free() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    remote.hangs.store(true, Ordering::Relaxed);
    break_off(scene.judge_async(&post)).await;
    remote.hangs.store(false, Ordering::Relaxed);
    assert_eq!(remote.names(), ["claim"]);
    assert_eq!(remote.called().await.what, "release", "whether or not the claim had arrived");
    assert_eq!(scene.send_async(&post).await, Ok(()));
}

#[tokio::test]
async fn sender_that_breaks_off_after_the_work_is_done_cannot_have_it_done_again() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let admitted = scene.judge_async(&post).await.unwrap();
    remote.take();
    remote.hangs.store(true, Ordering::Relaxed);
    break_off(admitted.commit_async()).await;
    remote.hangs.store(false, Ordering::Relaxed);
    assert_eq!(remote.called().await.what, "commit");
    scene.clock.advance(LEASE);
    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
}

#[tokio::test]
async fn status_of_the_handler_settles_the_delivery_before_the_answer_is_given() {
    let remote = Arc::new(Remote::default());
    let scene = scene_with(|warden| warden.replay(Replay::shared(remote.clone())).webhook_id(IdSource::fixed(ID)));
    for (status, settled) in [
        (StatusCode::OK, "commit"),
        (StatusCode::NO_CONTENT, "commit"),
        (StatusCode::FOUND, "release"),
        (StatusCode::BAD_REQUEST, "release"),
        (StatusCode::INTERNAL_SERVER_ERROR, "release"),
    ] {
        let handler = service_fn(move |_: Request<VerifiedBody>| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(Body::empty()).unwrap())
        });
        let mut request = scene.signed(status.as_str()).into_request();
        request.extensions_mut().insert(PeerAddress(PEER.unwrap()));
        let layer = WardenLayer::new(scene.warden.clone());
        assert_eq!(layer.layer(handler).oneshot(request).await.unwrap().status(), status);
        assert_eq!(remote.names(), ["claim", settled], "{status}");
    }
}

#[tokio::test]
async fn handler_that_panics_gives_its_delivery_back() {
    let remote = Arc::new(Remote::default());
    let scene = scene_with(|warden| warden.replay(Replay::shared(remote.clone())).webhook_id(IdSource::fixed(ID)));
    let post = scene.signed("x");
    let handler = service_fn(async |_: Request<VerifiedBody>| -> Result<Response<Body>, Infallible> {
        panic!("the application's own handler")
    });
    let service = WardenLayer::new(scene.warden.clone()).layer(handler);
    let panicked = tokio::spawn(service.oneshot(post.clone().into_request())).await.unwrap_err();
    assert!(panicked.is_panic());
    assert_eq!(scene.outcomes(), [Outcome::Released]);
    while remote.called().await.what != "release" {}
    assert_eq!(scene.send_async(&post).await, Ok(()));
}

#[tokio::test]
async fn commit_that_is_repeated_as_its_sender_broke_off_raises_no_alarm() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let admitted = scene.judge_async(&post).await.unwrap();
    remote.take();
    remote.answers_hang.store(true, Ordering::Relaxed);
    break_off(admitted.commit_async()).await;
    assert_eq!(remote.names(), ["commit"]);
    remote.answers_hang.store(false, Ordering::Relaxed);
    assert_eq!(remote.called().await.what, "commit");
    tokio::task::yield_now().await;
    assert_eq!(scene.told.warnings.take(), []);
    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
}

#[tokio::test]
async fn quota_is_counted_when_the_memory_has_answered() {
    let quota = Quota::new(2, SECOND).unwrap();
    let (scene, _) = shared(|warden| warden.quotas(Quotas::new().accepted(quota)));
    let posts = ["a", "b", "c", "d"].map(|body| scene.signed(body));
    let mut waiting: Vec<_> = posts.iter().map(|post| Box::pin(scene.judge_async(post))).collect();
    for request in waiting.iter_mut().take(2) {
        let first_poll = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_pending()));
        assert!(first_poll.await, "it waits for the memory");
    }
    // Had the two been counted by the time at which they began to wait, two more would pass.
    scene.clock.advance(5 * SECOND);
    let mut passed = 0;
    for request in waiting {
        passed += usize::from(request.await.map(Admitted::commit).is_ok());
    }
    assert_eq!(passed, 2);
}

#[tokio::test]
async fn shared_memory_outlives_a_clock_that_is_set_back_while_the_body_arrives() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let mut receiving = scene.warden.examine(&post.headers, PEER).unwrap().identify_async(ID).await.unwrap();
    scene.clock.step_wall(-HOUR);
    scene.clock.advance(SECOND);
    receiving.update(&post.body).unwrap();
    receiving.finish_async().await.unwrap().commit_async().await.unwrap();
    // The message is fresh once more until its timestamp and the tolerance, by the clock as it is set now.
    let seconds: Vec<i64> = remote.take().into_iter().map(|call| call.seconds).collect();
    assert!(seconds.len() == 2 && seconds.iter().all(|seconds| *seconds >= HOUR + 300 - 1), "{seconds:?}");
}

#[test]
fn copy_whose_body_takes_the_whole_deadline_is_a_duplicate() {
    for deadline in [10, 60, 3_600] {
        let scene = scene_with(|warden| warden.body(BodyLimits::new().deadline(Duration::from_secs(deadline))));
        let post = scene.signed("x");
        // Both heads arrive in the last fresh second.
        scene.clock.advance(Duration::from_millis(300_999));
        let receive = || scene.warden.examine(&post.headers, PEER).unwrap().identify(ID).unwrap();
        let (mut first, mut copy) = (receive(), receive());
        first.update(&post.body).unwrap();
        first.finish().unwrap().commit();

        scene.clock.advance(Duration::from_secs(deadline));
        copy.update(&post.body).unwrap();
        assert_eq!(copy.finish().unwrap_err().reason(), RefusalReason::Replayed, "deadline {deadline} s");
    }
}
