//! Equal bodies: without a timestamp the Warden's settings decide; with equal timestamps they are one delivery.

use super::*;

const DELIVERY: &str = "X-GitHub-Delivery";

/// A scene of the scheme that signs only the body.
fn scene_of(replay: Replay) -> Scene {
    Scene::of(Scheme::github(), |warden| {
        let quotas = Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected();
        warden.sender(ID, keyring(&Scheme::github(), SECRET)).quotas(quotas).replay(replay)
    })
}

fn body(text: &str) -> Post {
    Post::signed_by(&signer(Scheme::github(), SECRET), PATH, &[], text, Timestamp::from_unix(1))
}

fn by_id() -> Replay {
    Replay::new().lifetime(600 * SECOND).danger_unsigned_id_header(DELIVERY)
}

#[test]
fn missing_choice_error_names_all_three() {
    let error = github(|warden| warden).build().unwrap_err();
    assert_eq!(error.field(), "replay");
    for choice in ["`Replay::lifetime`", "`Replay::danger_simultaneous_only`", "`Replay::danger_unsigned_id_header`"] {
        assert!(error.to_string().contains(choice), "{error}");
    }
    for replay in
        [Replay::new().lifetime(SECOND), Replay::new().danger_simultaneous_only(), by_id(), Replay::danger_off()]
    {
        github(|warden| warden.replay(replay)).build().unwrap();
    }
}

#[test]
fn equal_bodies_within_the_lifetime_are_one_delivery() {
    let scene = scene_of(Replay::new().lifetime(600 * SECOND));
    assert_eq!(scene.send(&body("x").with(DELIVERY, "1")), Ok(()));
    let refused = scene.refuse(&body("x").with(DELIVERY, "2"));
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::Replayed, 200));
    scene.clock.advance(601 * SECOND);
    assert_eq!(scene.send(&body("x").with(DELIVERY, "1")), Ok(()));
}

#[test]
fn simultaneous_only_refuses_copy_during_handler() {
    let scene = scene_of(Replay::new().danger_simultaneous_only());
    let ends: [fn(Admitted); 2] = [Admitted::commit, drop];
    for end in ends {
        let running = scene.admit(&body("x"));
        let refused = scene.refuse(&body("x"));
        assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::InProgress, 409));
        assert!(refused.answer().retry_after().is_some());
        assert_eq!(scene.send(&body("y")), Ok(()), "another body");
        end(running);
        assert_eq!(scene.send(&body("x")), Ok(()), "equal bytes are a new delivery");
    }
    assert_eq!(scene.reports.warnings.take(), []);
    assert!(scene.reports.failures.take().is_empty());
}

#[test]
fn simultaneous_only_guards_for_the_lease() {
    let scene = scene_of(Replay::new().danger_simultaneous_only().lease(5 * SECOND));
    let slow = scene.admit(&body("x"));
    scene.clock.advance(5 * SECOND);
    let second = scene.admit(&body("x"));
    slow.commit();
    assert_eq!(scene.reports.warnings.take(), [Warning::LeaseOutlived]);
    assert_eq!(scene.refuse(&body("x")).reason(), RefusalReason::InProgress, "the claim belongs to the second request");
    second.commit();
    assert_eq!(scene.reports.warnings.take(), []);
    assert_eq!(scene.send(&body("x")), Ok(()));
}

#[test]
fn simultaneous_only_keeps_nothing_in_the_store() {
    let scene = scene_of(Replay::new().danger_simultaneous_only().capacity(1));
    for nth in 0..100 {
        assert_eq!(scene.send(&body(&nth.to_string())), Ok(()));
    }
}

#[test]
fn equal_bodies_with_two_ids_are_two_deliveries() {
    let scene = scene_of(by_id());
    for id in ["1", "2", "", "12"] {
        let post = body("x").with(DELIVERY, id);
        assert_eq!(scene.send(&post), Ok(()), "{id}");
        assert_eq!(scene.send(&post), Err(RefusalReason::Replayed), "{id}");
    }
    // Without the header the body identifies a request.
    assert_eq!(scene.send(&body("x")), Ok(()));
    assert_eq!(scene.send(&body("x")), Err(RefusalReason::Replayed));
    scene.clock.advance(601 * SECOND);
    assert_eq!(scene.send(&body("x").with(DELIVERY, "1")), Ok(()), "an id is stored for the lifetime");
}

#[test]
fn unsigned_id_never_merges_two_bodies() {
    let scene = scene_of(by_id());
    for text in ["x", "y", "z"] {
        assert_eq!(scene.send(&body(text).with(DELIVERY, "1")), Ok(()), "{text}");
    }
    assert_eq!(scene.send(&body("x").with(DELIVERY, "1")), Err(RefusalReason::Replayed));
}

/// The documented weakness of the choice.
#[test]
fn replay_under_an_invented_id_is_handled() {
    let scene = scene_of(by_id());
    assert_eq!(scene.send(&body("x").with(DELIVERY, "genuine")), Ok(()));
    assert_eq!(scene.send(&body("x").with(DELIVERY, "invented")), Ok(()));
}

/// The header of each event.
#[derive(Debug, Default)]
struct Headers(Mutex<Vec<Option<String>>>);

impl hookwarden::event::Observer for Headers {
    fn observe(&self, event: &hookwarden::event::SecurityEvent<'_>) {
        self.0.lock().unwrap().push(event.header.map(str::to_owned));
    }
}

#[test]
fn unreadable_unsigned_id_is_refused() {
    let named = Arc::new(Headers::default());
    let scene = Scene::of(Scheme::github(), |warden| {
        warden.sender(ID, keyring(&Scheme::github(), SECRET)).replay(by_id()).observer(named.clone())
    });
    let twice = body("x").with(DELIVERY, "1").with("x-github-delivery", "1");
    let long = |bytes| body("x").with(DELIVERY, vec![b'1'; bytes]);
    for (post, reason) in [(twice, Reason::DuplicateHeader), (long(8_193), Reason::MalformedHeader)] {
        let refused = scene.refuse(&post);
        assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::Unverified(reason), 401));
    }
    let header = Some(DELIVERY.to_owned());
    assert_eq!(std::mem::take(&mut *named.0.lock().unwrap()), [header.clone(), header], "the event names the header");
    assert_eq!(scene.send(&long(8_192)), Ok(()));
}

#[test]
fn id_counts_under_every_key_of_a_rotation() {
    let (old, new) = ("the-old-secret-of-the-sender", "the-new-secret-of-the-sender");
    let key = |id: &str, text: &str| Key::new(id, Scheme::github().secret(text).unwrap()).unwrap();
    let keys = || Keyring::from_keys([key("new", new), key("old", old)]).unwrap();
    let scene = Scene::of(Scheme::github(), |warden| warden.sender(ID, keys()).replay(by_id()));
    let signed_by = |secret| {
        Post::signed_by(&signer(Scheme::github(), secret), PATH, &[(DELIVERY, "1")], "x", Timestamp::from_unix(1))
    };
    assert_eq!(scene.send(&signed_by(old)), Ok(()));
    assert_eq!(scene.send(&signed_by(new)), Err(RefusalReason::Replayed));
    assert_eq!(scene.send(&signed_by(new).replacing(DELIVERY, "2")), Ok(()));
}

/// Two sales in one second with equal bodies: both are answered 200, and only one is handled.
#[test]
fn equal_bytes_and_timestamp_are_one_delivery() {
    let scene = scene();
    let sale = scene.signed("{}");
    assert_eq!(scene.send(&sale), Ok(()));
    let refused = scene.refuse(&scene.signed("{}"));
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::Replayed, 200));
    scene.clock.advance(SECOND);
    assert_eq!(scene.send(&scene.signed("{}")), Ok(()), "signed again, it is a new delivery");
}

#[tokio::test]
async fn shared_store_serves_every_choice() {
    let remote = Remote::default();
    let scene = scene_of(Replay::shared(remote.clone()).danger_simultaneous_only());
    for _ in 0..2 {
        let running = scene.receive_async(&body("x")).await.unwrap();
        assert_eq!(scene.send_async(&body("x")).await, Err(RefusalReason::InProgress));
        running.commit_async().await.unwrap();
        assert_eq!(remote.store().names(), ["claim", "claim", "release"]);
    }

    let scene = scene_of(Replay::shared(remote.clone()).lifetime(600 * SECOND).danger_unsigned_id_header(DELIVERY));
    let mut keys = Vec::new();
    for id in ["1", "2"] {
        let post = body("x").with(DELIVERY, id);
        assert_eq!(scene.send_async(&post).await, Ok(()));
        assert_eq!(scene.send_async(&post).await, Err(RefusalReason::Replayed));
        let [claim, commit, again] = &remote.store().take()[..] else { panic!("two claims and a commit") };
        assert_eq!((&claim.keys, &claim.keys), (&commit.keys, &again.keys));
        keys.extend(claim.keys.clone());
    }
    assert_ne!(keys[0], keys[1]);
}

/// Dropbox reports that something changed, but not what, so three changes have equal bodies.
#[tokio::test]
async fn three_changes_with_equal_bodies_run_thrice() {
    let dropbox = Scheme::builder("dropbox").signature_header("X-Dropbox-Signature");
    let dropbox = dropbox.signed([hookwarden::scheme::SignedPart::Body]).build().unwrap();
    let runs = |replay: Replay| {
        let dropbox = dropbox.clone();
        async move {
            let warden = Warden::builder(dropbox.clone()).only_sender(keyring(&dropbox, SECRET)).replay(replay);
            let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let counted = count.clone();
            let handler = service_fn(move |_: Request<ReceivedBody>| {
                counted.fetch_add(1, Ordering::Relaxed);
                async { Ok::<_, Infallible>(Response::new(Body::empty())) }
            });
            let service = WardenLayer::new(warden.build().unwrap()).layer(handler);
            for _ in 0..3 {
                let body = r#"{"list_folder":{"accounts":["dbid:TEST"]},"delta":{"users":[1]}}"#;
                let post = Post::signed_by(&signer(dropbox.clone(), SECRET), PATH, &[], body, Timestamp::from_unix(1));
                assert_eq!(service.clone().oneshot(post.into_request()).await.unwrap().status(), 200);
            }
            count.load(Ordering::Relaxed)
        }
    };
    assert_eq!(runs(Replay::new().danger_simultaneous_only()).await, 3);
    assert_eq!(runs(Replay::new().lifetime(3_600 * SECOND)).await, 1, "this setting loses two deliveries");
}
