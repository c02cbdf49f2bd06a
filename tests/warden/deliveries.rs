//! Delivery identity, the lifetime of replay entries, claims and leases, and shared stores.

mod equal_bodies;
mod ids;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use hookwarden::clock::Clock as _;
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason, StoreKind, Warning};
use hookwarden::keys::StaticKeys;
use hookwarden::limit::{Decision, QuotaState, RateLimiter};
use hookwarden::replay::{LocalReplay, ReplayStore as _};
use hookwarden::testing::{FaultyStore, StoreFault};
use hookwarden::tower::{PeerAddress, ReceivedBody, WardenLayer};
use hookwarden::warden::{Admitted, BodyLimits, Quotas, Refused, Replay, WardenBuilder};
use hookwarden::{BoxFuture, IdSource, Key, Keyring, Quota, Reason, Scheme, Signer, Timestamp, Warden};
use hyper::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::harness::PATIENCE;
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring, signer};
use crate::harness::store::{Call, Recorder};
use crate::scene::Scene;

const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const SECOND: Duration = Duration::from_secs(1);
const HOUR: i64 = 3_600;
/// The default lease.
const LEASE: Duration = Duration::from_secs(60);

/// A scene with the sender and without a quota.
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
        self.receive(PEER, ID, post).unwrap()
    }

    fn refuse(&self, post: &Post) -> Refused {
        self.receive(PEER, ID, post).unwrap_err()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.reports.requests.take().into_iter().map(|(outcome, _)| outcome).collect()
    }

    /// A message stamped `seconds` from now.
    fn stamped(&self, seconds: i64) -> Post {
        Post::signed_at("stamped", Timestamp::from_unix(self.clock.now().wall.as_unix() + seconds))
    }

    /// Makes so many other deliveries that every shard of the store is swept.
    fn traffic(&self) {
        for nth in 0..300 {
            let body = format!("{nth} at {:?}", self.clock.now());
            assert_eq!(self.send(&self.signed(body)), Ok(()));
        }
    }
}

// Time.

#[test]
fn delivery_reports_the_clock_skew() {
    let scene = scene();
    for seconds in [-200, 0, 7] {
        let admitted = scene.admit(&scene.stamped(seconds));
        let stamp = Timestamp::from_unix(scene.clock.now().wall.as_unix() + seconds);
        assert_eq!((admitted.delivery().skew(), admitted.delivery().timestamp()), (Some(-seconds), Some(stamp)));
    }
}

#[test]
fn delivery_is_known_while_it_is_fresh() {
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
fn delivery_expires_by_both_clocks_only() {
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
fn margin_covers_replicas_with_lagging_clocks() {
    let scene = scene_with(|warden| warden.replay(Replay::new().margin(10 * SECOND)));
    let post = scene.stamped(0);
    assert_eq!(scene.send(&post), Ok(()));
    scene.clock.advance(310 * SECOND);
    scene.traffic();
    // The copy reaches a replica whose clock is ten seconds slow.
    scene.clock.step_wall(-10);
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
}

#[test]
fn replay_entry_outlives_wall_clock_steps() {
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
fn clock_set_back_allows_no_replay() {
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
fn wall_clock_set_during_handler_shortens_no_entry() {
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
    let scene =
        scene_with(|warden| warden.quotas(Quotas::new().accepted(quota).rejected(quota).rejected_by_peer(quota)));
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

// Delivery identity.

fn key(scheme: &Scheme, name: &str) -> Key {
    let text = match scheme.name() {
        // Base64 of the same number of bytes.
        "standard_webhooks" => format!("whsec_{:A<40}", name),
        _ => format!("the-secret-of-the-key-{name}"),
    };
    Key::new(name, scheme.secret(&text).unwrap()).unwrap()
}

fn ring(keys: impl IntoIterator<Item = Key>) -> Keyring {
    Keyring::from_keys(keys).unwrap()
}

/// A message signed with every key of a keyring. At another time it is another delivery.
fn signed_with(scheme: &Scheme, keys: Keyring, now: Timestamp) -> Post {
    let id = format!("msg_{}", now.as_unix());
    let own: &[(&str, &str)] = if scheme.name() == "standard_webhooks" { &[("webhook-id", &id)] } else { &[] };
    Post::signed_by(&Signer::new(scheme.clone(), keys).unwrap(), PATH, own, "signed with several keys", now)
}

/// The message with only the n-th of its two signatures.
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

/// Delivers a message signed with the keys `new` and `old`, and then the other message after `change`.
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
fn delivery_signed_twice_is_known_by_either() {
    for scheme in [Scheme::standard_webhooks(), Scheme::stripe()] {
        let (scene, post) = after_a_delivery_by_two_keys(&scheme, |_, _| {});
        for replayed in [&post, &with_only(&post, 0), &with_only(&post, 1)] {
            assert_eq!(scene.send(replayed), Err(RefusalReason::Replayed), "{}", scheme.name());
        }
        // The delivery is also recognized if a copy with one signature arrived first.
        let (scene, _) = after_a_delivery_by_two_keys(&scheme, |_, _| {});
        let later = Timestamp::from_unix(scene.clock.now().wall.as_unix() + 1);
        let other = signed_with(&scheme, ring([key(&scheme, "new"), key(&scheme, "old")]), later);
        assert_eq!(scene.send(&with_only(&other, 1)), Ok(()));
        assert_eq!(scene.send(&with_only(&other, 0)), Err(RefusalReason::Replayed), "{}", scheme.name());
    }
}

#[test]
fn delivery_is_known_after_a_key_expired() {
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
fn delivery_of_expired_key_is_known_by_other() {
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
fn signed_message_id_distinguishes_deliveries() {
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
    assert_eq!(scene.send(&other), Ok(()), "a second message with an equal body and timestamp");
}

#[test]
fn webhook_ids_do_not_share_deliveries() {
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

// Claims and leases.

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
    assert_eq!(scene.send(&post), Ok(()), "the handler failed, so the retry runs it");
    let replayed = scene.refuse(&post);
    assert_eq!((replayed.reason(), replayed.answer().status().as_u16()), (RefusalReason::Replayed, 200));
}

#[test]
fn delivery_of_dead_process_is_free_after_lease() {
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
fn commit_after_lease_holds_without_another_claim() {
    let scene = scene();
    let post = scene.signed("x");
    let slow = scene.admit(&post);
    scene.clock.advance(LEASE + SECOND);
    slow.commit();
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
}

/// As documented, work longer than its lease may run twice.
#[test]
fn handler_slower_than_its_lease_may_run_twice() {
    let scene = scene_with(|warden| warden.replay(Replay::new().lease(5 * SECOND)));
    let post = scene.signed("x");
    let slow = scene.admit(&post);
    scene.clock.advance(5 * SECOND);
    let second = scene.admit(&post);
    assert_eq!(scene.reports.warnings.take(), []);
    slow.commit();
    assert_eq!(scene.reports.warnings.take(), [Warning::LeaseOutlived]);
    assert_eq!(
        scene.refuse(&post).reason(),
        RefusalReason::InProgress,
        "the late claimant cannot settle another's claim"
    );
    second.commit();
    assert_eq!(scene.reports.warnings.take(), []);
    assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
    let accepted = scene.outcomes().into_iter().filter(|outcome| *outcome == Outcome::Accepted);
    assert_eq!(accepted.count(), 2);

    let other = scene.signed("y");
    let slow = scene.admit(&other);
    scene.clock.advance(5 * SECOND);
    let second = scene.admit(&other);
    drop(slow);
    assert_eq!(
        scene.refuse(&other).reason(),
        RefusalReason::InProgress,
        "the late claimant cannot release another's claim"
    );
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
            (0..125).filter_map(|_| scene.receive(PEER, ID, &post).ok()).collect::<Vec<_>>()
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
fn lifetime_is_whole_seconds_without_timestamp() {
    let lifetime = 600 * SECOND;
    for impossible in [Duration::ZERO, SECOND / 2, Duration::MAX] {
        let refused = github(|warden| warden.replay(Replay::new().lifetime(impossible))).build().unwrap_err();
        assert_eq!(refused.field(), "replay.lifetime", "{impossible:?}");
    }
    let timestamped = crate::harness::sender::unlimited().sender(ID, keyring(&Scheme::timestamped(), SECRET));
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
        // A repeated claim does not extend the entry, and a wall clock that is set forward does not end it.
        scene.clock.step_wall(86_400);
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed));
        scene.clock.step_wall(-86_400);
    }
    scene.clock.advance(SECOND);
    assert_eq!(scene.send(&post), Ok(()), "without a timestamp a message never expires");
}

#[test]
fn full_store_refuses_and_evicts_nothing() {
    let scene = scene_with(|warden| warden.replay(Replay::new().capacity(3)));
    let known = ["1", "2", "3"].map(|body| scene.signed(body));
    known.iter().for_each(|post| assert_eq!(scene.send(post), Ok(())));
    for nth in 0..100 {
        let refused = scene.refuse(&scene.signed(format!("further {nth}")));
        let answer = refused.answer();
        assert_eq!((refused.reason(), answer.status().as_u16()), (RefusalReason::ReplayStoreUnavailable, 503));
        // An entry expires when the message is stale for the slowest replica, and its body can no longer arrive.
        assert_eq!(answer.retry_after(), Some(322 * SECOND));
        assert!(matches!(scene.reports.failures.take()[..], [(StoreKind::Replay, _)]));
    }
    for post in &known {
        assert_eq!(scene.send(post), Err(RefusalReason::Replayed));
    }
    scene.clock.advance(322 * SECOND);
    assert_eq!(scene.send(&scene.signed("next")), Ok(()));
}

// Shared stores.

/// A replay store that records the calls that reach it, and fails on demand.
type Remote = FaultyStore<Recorder<LocalReplay>>;

fn network_is_down() -> StoreFault {
    StoreFault::Error(StoreError::new("the network is down").with_retry_after(7 * SECOND))
}

/// A scene with a shared replay store.
fn shared(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> (Scene, Remote) {
    let remote = Remote::default();
    (scene_with(|warden| set(warden.replay(Replay::shared(remote.clone())))), remote)
}

impl Scene {
    async fn receive_async(&self, post: &Post) -> Result<Admitted, Refused> {
        let mut receiving = self.warden.examine(&post.headers, PEER)?.identify_async(ID).await?;
        receiving.update(&post.body)?;
        receiving.finish_async().await
    }

    async fn send_async(&self, post: &Post) -> Result<(), RefusalReason> {
        let admitted = self.receive_async(post).await.map_err(|refused| refused.reason())?;
        admitted.commit_async().await.unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn shared_store_receives_the_delivery_identity() {
    let remote = Remote::default();
    let replay = Replay::shared(remote.clone()).lease(20 * SECOND).margin(5 * SECOND);
    let scene = scene_with(|warden| warden.replay(replay));
    let post = scene.stamped(7);
    assert_eq!(scene.send_async(&post).await, Ok(()));
    let [claim, commit] = &remote.store().take()[..] else { panic!("a claim and a commit") };
    assert_eq!((claim.name, commit.name), ("claim", "commit"));
    assert_eq!((&*claim.id, claim.keys.len(), claim.lease), (ID, 1, Some(20 * SECOND)));
    assert_eq!(claim.until.as_unix(), scene.clock.now().wall.as_unix() + 7 + 300 + 5 + 11);
    assert_eq!(*commit, Call { name: "commit", lease: None, ..claim.clone() }, "by the same claimant");

    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
    let [replayed] = &remote.store().take()[..] else { panic!("a claim alone") };
    assert_eq!((replayed.name, &replayed.keys), ("claim", &claim.keys));
    assert_ne!(replayed.by, claim.by, "each request claims for itself");

    let other = scene.signed("other");
    let admitted = scene.receive_async(&other).await.unwrap();
    assert_eq!(scene.send_async(&other).await, Err(RefusalReason::InProgress));
    admitted.release_async().await.unwrap();
    assert_eq!(remote.store().names(), ["claim", "claim", "release"]);
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
        claimants
            .extend(remote.store().take().into_iter().filter(|call| call.name == "claim").map(|call| call.by.number()));
    }
    claimants.sort_unstable();
    claimants.dedup();
    assert_eq!(claimants.len(), 6);
}

#[tokio::test]
async fn dropped_delivery_is_released_in_the_background() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    drop(scene.receive_async(&post).await.unwrap());
    remote.store().take();
    assert_eq!(remote.store().called().await.name, "release");
    scene.receive_async(&post).await.unwrap().commit();
    remote.store().take();
    assert_eq!(remote.store().called().await.name, "commit");
    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
}

#[test]
fn delivery_dropped_without_runtime_ends_with_lease() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let admitted = runtime.block_on(scene.receive_async(&post)).unwrap();
    drop(admitted);
    assert_eq!(runtime.block_on(scene.send_async(&post)), Err(RefusalReason::InProgress));
    assert_eq!(remote.store().names(), ["claim", "claim"]);
    scene.clock.advance(LEASE);
    assert_eq!(runtime.block_on(scene.send_async(&post)), Ok(()));
}

#[tokio::test]
async fn taken_claim_must_be_committed() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let missing = || "the handler's transaction did not commit the delivery".to_owned();
    let down = || "the network is down".to_owned();
    for (lateness, fault, error, warnings) in [
        (Duration::ZERO, None, missing(), vec![Warning::CommitMissing]),
        (LEASE, None, missing(), vec![Warning::LeaseOutlived]),
        (Duration::ZERO, Some(network_is_down()), down(), vec![]),
    ] {
        let admitted = scene.receive_async(&post).await.unwrap();
        assert!(admitted.delivery().take_claim().is_some());
        scene.clock.advance(lateness);
        if let Some(fault) = fault {
            remote.set_fault(fault);
        }
        assert_eq!(admitted.commit_async().await.unwrap_err().to_string(), error);
        remote.set_fault(None);
        assert_eq!(scene.reports.warnings.take(), warnings);
        assert_eq!(scene.outcomes(), [Outcome::Released]);
    }
    scene.clock.advance(LEASE);
    // Without waiting, only the warning shows it.
    let admitted = scene.receive_async(&post).await.unwrap();
    let _ = admitted.delivery().take_claim();
    remote.store().take();
    admitted.commit();
    assert_eq!(remote.store().called().await.name, "release");
    let mut warnings = scene.reports.warnings.take();
    while warnings.is_empty() {
        tokio::task::yield_now().await;
        warnings = scene.reports.warnings.take();
    }
    assert_eq!(warnings, [Warning::CommitMissing]);
    // The transaction commits it.
    let admitted = scene.receive_async(&post).await.unwrap();
    let claim = admitted.delivery().take_claim().unwrap();
    assert_eq!(remote.commit(claim.delivery, claim.claimant, scene.clock.now()).await, Ok(true));
    admitted.commit_async().await.unwrap();
    assert_eq!(scene.reports.warnings.take(), []);
    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
}

#[tokio::test]
async fn failing_shared_store_accepts_nothing() {
    let (scene, remote) = shared(|warden| warden);
    let [first, second] = ["first", "second"].map(|body| scene.signed(body));
    let admitted = scene.receive_async(&first).await.unwrap();
    remote.set_fault(network_is_down());
    let refused = scene.receive_async(&second).await.unwrap_err();
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::ReplayStoreUnavailable, 503));
    assert_eq!(refused.answer().retry_after(), Some(7 * SECOND));
    assert_eq!(scene.reports.failures.take(), [(StoreKind::Replay, "the network is down".to_owned())]);

    assert_eq!(admitted.commit_async().await.unwrap_err().to_string(), "the network is down");
    let failures = scene.reports.failures.take();
    let failure = (StoreKind::Replay, "the network is down".to_owned());
    // The background release of the refused delivery may have failed meanwhile.
    assert!(failures == [failure.clone()] || failures == [failure.clone(), failure], "{failures:?}");
    assert_eq!(scene.outcomes()[1..], [Outcome::Accepted], "the delivery is accepted although the store fails");

    remote.set_fault(None);
    assert_eq!(scene.send_async(&second).await, Ok(()));
}

#[tokio::test]
async fn hung_shared_store_delays_until_the_deadline() {
    let (scene, remote) = shared(|warden| {
        let limits = BodyLimits::new().deadline(Duration::from_millis(100));
        warden.webhook_id(IdSource::fixed(ID)).body(limits)
    });
    remote.set_fault(StoreFault::Hang);
    let handler = service_fn(async |_: Request<ReceivedBody>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let service = WardenLayer::new(scene.warden.clone()).layer(handler);
    let answer = tokio::time::timeout(PATIENCE, service.oneshot(scene.signed("x").into_request())).await;
    assert_eq!(answer.expect("an answer").unwrap().status(), 503);
    assert_eq!(scene.outcomes(), [Outcome::Refused(RefusalReason::ReplayStoreUnavailable)]);
    // It is unknown whether the store has the claim, so it is released.
    remote.set_fault(None);
    while remote.store().called().await.name != "release" {}
}

#[tokio::test]
async fn sync_steps_refuse_asynchronous_stores() {
    let (scene, remote) = shared(|warden| warden);
    let refused = scene.refuse(&scene.signed("x"));
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::Misconfigured, 500));
    assert_eq!(remote.store().take(), []);

    let limiter = Limiter::default();
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    let post = scene.signed("x");
    assert_eq!(scene.refuse(&post).reason(), RefusalReason::Misconfigured);
    assert_eq!(scene.send_async(&post).await, Ok(()), "the refused request claimed nothing");
}

/// A limiter that denies from the third request on, and fails on demand.
type Limiter = FaultyStore<Counter>;

#[derive(Default)]
struct Counter {
    asked: Mutex<Vec<(String, Quota)>>,
}

fn two_an_hour() -> Quota {
    Quota::new(2, 1_800 * SECOND).unwrap()
}

impl RateLimiter for Counter {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move {
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
async fn delivery_denied_by_shared_limiter_is_released() {
    let limiter = Limiter::default();
    let quota = Quota::new(7, SECOND).unwrap();
    let quotas = Quotas::new().danger_unlimited_accepted().accepted_for(ID, quota).shared(limiter.clone());
    let (scene, remote) = shared(|warden| warden.quotas(quotas));
    for remaining in [1, 0] {
        let admitted = scene.receive_async(&scene.signed(format!("{remaining}"))).await.unwrap();
        assert_eq!(admitted.quota_state(), Some((quota, QuotaState { remaining, reset: 9 * SECOND })));
        admitted.commit_async().await.unwrap();
    }
    remote.store().take();
    let post = scene.signed("x");
    let refused = scene.receive_async(&post).await.unwrap_err();
    assert_eq!((refused.reason(), refused.answer().retry_after()), (RefusalReason::QuotaExceeded, Some(8 * SECOND)));
    assert_eq!(remote.store().names(), ["claim", "release"]);
    assert_eq!(*limiter.store().asked.lock().unwrap(), vec![(ID.to_owned(), quota); 3]);
    limiter.store().asked.lock().unwrap().clear();
    assert_eq!(scene.send_async(&post).await, Ok(()));
}

#[tokio::test]
async fn local_limiter_replaces_failing_shared_limiter() {
    let limiter = Limiter::default();
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    limiter.set_fault(network_is_down());
    for (body, verdict) in [("1", Ok(())), ("2", Ok(())), ("3", Err(RefusalReason::QuotaExceeded))] {
        assert_eq!(scene.send_async(&scene.signed(body)).await, verdict, "{body}");
        assert_eq!(scene.reports.failures.take(), [(StoreKind::Limits, "the network is down".to_owned())]);
        assert_eq!(scene.reports.warnings.take(), [Warning::LimiterFellBack]);
    }
    limiter.set_fault(None);
    assert_eq!(scene.send_async(&scene.signed("3")).await, Ok(()), "the shared limiter decides again");
    assert_eq!(scene.reports.warnings.take(), []);
}

/// Polls `future` several times and drops it, as a server does when its client disconnects.
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
async fn cancel_during_limiter_call_frees_the_delivery() {
    let limiter = Limiter::default();
    let local = scene_with(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    let (shared, remote) =
        shared(|warden| warden.quotas(Quotas::new().accepted(two_an_hour()).shared(limiter.clone())));
    for scene in [&local, &shared] {
        let post = scene.signed("x");
        limiter.set_fault(StoreFault::Hang);
        break_off(scene.receive_async(&post)).await;
        limiter.set_fault(None);
        if std::ptr::eq(scene, &raw const shared) {
            remote.store().take();
            assert_eq!(remote.store().called().await.name, "release");
        }
        assert_eq!(scene.send_async(&post).await, Ok(()));
        assert_eq!(scene.outcomes(), [Outcome::Abandoned, Outcome::Accepted]);
    }
}

#[tokio::test]
async fn cancel_during_claim_frees_the_delivery() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    remote.set_fault(StoreFault::Hang);
    break_off(scene.receive_async(&post)).await;
    remote.set_fault(None);
    assert_eq!(remote.store().names(), [""; 0], "the claim did not arrive");
    assert_eq!(remote.store().called().await.name, "release", "whether or not the claim arrived");
    assert_eq!(scene.send_async(&post).await, Ok(()));
}

#[tokio::test]
async fn cancel_after_the_work_keeps_it_done() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let admitted = scene.receive_async(&post).await.unwrap();
    remote.store().take();
    remote.set_fault(StoreFault::Hang);
    break_off(admitted.commit_async()).await;
    remote.set_fault(None);
    assert_eq!(remote.store().called().await.name, "commit");
    scene.clock.advance(LEASE);
    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
}

#[tokio::test]
async fn handler_status_settles_delivery_before_the_answer() {
    let remote = Remote::default();
    let scene = scene_with(|warden| warden.replay(Replay::shared(remote.clone())).webhook_id(IdSource::fixed(ID)));
    for (status, settled) in [
        (StatusCode::OK, "commit"),
        (StatusCode::NO_CONTENT, "commit"),
        (StatusCode::FOUND, "release"),
        (StatusCode::BAD_REQUEST, "release"),
        (StatusCode::INTERNAL_SERVER_ERROR, "release"),
    ] {
        let handler = service_fn(move |_: Request<ReceivedBody>| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(Body::empty()).unwrap())
        });
        let mut request = scene.signed(status.as_str()).into_request();
        request.extensions_mut().insert(PeerAddress(PEER.unwrap()));
        let layer = WardenLayer::new(scene.warden.clone());
        assert_eq!(layer.layer(handler).oneshot(request).await.unwrap().status(), status);
        assert_eq!(remote.store().names(), ["claim", settled], "{status}");
    }
}

#[tokio::test]
async fn panicking_handler_releases_its_delivery() {
    let remote = Remote::default();
    let scene = scene_with(|warden| warden.replay(Replay::shared(remote.clone())).webhook_id(IdSource::fixed(ID)));
    let post = scene.signed("x");
    let handler = service_fn(async |_: Request<ReceivedBody>| -> Result<Response<Body>, Infallible> {
        panic!("the application's own handler")
    });
    let service = WardenLayer::new(scene.warden.clone()).layer(handler);
    let panicked = tokio::spawn(service.oneshot(post.clone().into_request())).await.unwrap_err();
    assert!(panicked.is_panic());
    assert_eq!(scene.outcomes(), [Outcome::Released]);
    while remote.store().called().await.name != "release" {}
    assert_eq!(scene.send_async(&post).await, Ok(()));
}

#[tokio::test]
async fn repeated_commit_after_cancel_raises_no_warning() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let admitted = scene.receive_async(&post).await.unwrap();
    remote.store().take();
    remote.set_fault(StoreFault::LostAnswer);
    break_off(admitted.commit_async()).await;
    assert_eq!(remote.store().names(), ["commit"]);
    remote.set_fault(None);
    assert_eq!(remote.store().called().await.name, "commit");
    tokio::task::yield_now().await;
    assert_eq!(scene.reports.warnings.take(), []);
    assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
}

#[tokio::test]
async fn quota_is_counted_after_the_replay_check() {
    let quota = Quota::new(2, SECOND).unwrap();
    let (scene, _) = shared(|warden| warden.quotas(Quotas::new().accepted(quota)));
    let posts = ["a", "b", "c", "d"].map(|body| scene.signed(body));
    let mut waiting: Vec<_> = posts.iter().map(|post| Box::pin(scene.receive_async(post))).collect();
    for request in waiting.iter_mut().take(2) {
        let first_poll = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_pending()));
        assert!(first_poll.await, "the request waits for the replay store");
    }
    // If these two were counted at the time at which they began to wait, two more requests would pass.
    scene.clock.advance(5 * SECOND);
    let mut passed = 0;
    for request in waiting {
        passed += usize::from(request.await.map(Admitted::commit).is_ok());
    }
    assert_eq!(passed, 2);
}

#[tokio::test]
async fn shared_entry_outlives_clock_set_back_mid_body() {
    let (scene, remote) = shared(|warden| warden);
    let post = scene.signed("x");
    let mut receiving = scene.warden.examine(&post.headers, PEER).unwrap().identify_async(ID).await.unwrap();
    scene.clock.step_wall(-HOUR);
    scene.clock.advance(SECOND);
    receiving.update(&post.body).unwrap();
    receiving.finish_async().await.unwrap().commit_async().await.unwrap();
    // For the new clock, the message stays fresh until its timestamp plus the tolerance.
    let calls = remote.store().take();
    let seconds: Vec<i64> = calls.iter().map(|call| call.until.as_unix() - call.wall.as_unix()).collect();
    assert!(seconds.len() == 2 && seconds.iter().all(|seconds| *seconds >= HOUR + 300 - 1), "{seconds:?}");
}

#[test]
fn copy_with_slow_body_is_a_duplicate() {
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
