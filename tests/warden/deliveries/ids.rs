//! Delivery ids: a retry that is signed again, with a new timestamp, is the same delivery.

use hookwarden::scheme::{SchemeBuilder, SecretFormat, SignedPart};
use hookwarden::time::TimestampFormat;

use super::*;

const BODY_ID: &str = r#"{"id":"evt_1","amount":5}"#;

fn days(count: u32) -> Duration {
    Duration::from_secs(86_400) * count
}

/// A scene of `scheme` without quotas.
fn scene_of(scheme: Scheme, replay: Replay) -> Scene {
    let keys = keyring(&scheme, SECRET);
    Scene::of(scheme, |warden| {
        let quotas = Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected();
        warden.sender(ID, keys).sender("other", other_keys()).quotas(quotas).replay(replay)
    })
}

fn other_keys() -> Keyring {
    keyring(&Scheme::stripe(), "another-secret-of-the-tests-and-of-no-one-else")
}

/// Standard Webhooks with secrets as text, like all secrets of these tests.
fn standard() -> Scheme {
    Scheme::standard_webhooks().into_builder().secret_format(SecretFormat::Literal).build().unwrap()
}

/// A message that is signed now, with the id `msg_1` in its header.
fn with_header(scene: &Scene, body: &str) -> Post {
    let own = [("webhook-id", "msg_1")];
    Post::signed_by(&signer(standard(), SECRET), PATH, &own, body, scene.clock.now().wall)
}

/// A message that Stripe signs now.
fn with_body(scene: &Scene, body: &str) -> Post {
    Post::signed_by(&signer(Scheme::stripe(), SECRET), PATH, &[], body, scene.clock.now().wall)
}

impl Scene {
    fn receive_body(&self, id: &str, post: &Post) -> Result<Admitted, RefusalReason> {
        let run = || {
            let mut receiving = self.warden.examine(&post.headers, PEER)?.identify(id)?;
            receiving.update(&post.body)?;
            receiving.finish_request(&post.headers, &post.body)
        };
        run().map_err(|refused: Refused| refused.reason())
    }
}

#[test]
fn retry_signed_again_is_known_by_header_id() {
    let scene = scene_of(standard(), Replay::new());
    assert_eq!(scene.send(&with_header(&scene, "{}")), Ok(()));
    scene.clock.advance(5 * SECOND);
    let retry = with_header(&scene, "{}");
    let refused = scene.refuse(&retry);
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::Replayed, 200));
    // Through its last second, and no longer.
    scene.clock.advance(days(3) - 5 * SECOND);
    assert_eq!(scene.send(&with_header(&scene, "{}")), Err(RefusalReason::Replayed));
    scene.clock.advance(SECOND);
    assert_eq!(scene.send(&with_header(&scene, "{}")), Ok(()));
    assert_eq!(scene.reports.warnings.take(), []);
}

#[test]
fn retry_signed_again_is_known_by_body_id() {
    let scene = scene_of(Scheme::stripe(), Replay::new().body_delivery_id().delivery_id_lifetime(days(1)));
    scene.receive_body(ID, &with_body(&scene, BODY_ID)).unwrap().commit();
    scene.clock.advance(3_600 * SECOND);
    assert_eq!(scene.receive_body(ID, &with_body(&scene, BODY_ID)).unwrap_err(), RefusalReason::Replayed);
    scene.receive_body(ID, &with_body(&scene, r#"{"id":"evt_2"}"#)).unwrap().commit();
    scene.clock.advance(days(1));
    scene.receive_body(ID, &with_body(&scene, BODY_ID)).unwrap().commit();
}

#[test]
fn retry_signed_again_is_new_without_an_id() {
    let no_ids = [scene_of(Scheme::stripe(), Replay::new()), scene_of(standard(), Replay::new().no_delivery_id())];
    let post: fn(&Scene, &str) -> Post = with_body;
    for (scene, post) in no_ids.into_iter().zip([post, with_header]) {
        assert_eq!(scene.send(&post(&scene, BODY_ID)), Ok(()));
        scene.clock.advance(SECOND);
        assert_eq!(scene.send(&post(&scene, BODY_ID)), Ok(()), "the handler runs again");
    }
}

#[test]
fn retry_of_a_failed_delivery_is_handled() {
    let scene = scene_of(standard(), Replay::new());
    let running = scene.admit(&with_header(&scene, "{}"));
    scene.clock.advance(SECOND);
    let retry = with_header(&scene, "{}");
    assert_eq!(scene.refuse(&retry).reason(), RefusalReason::InProgress);
    drop(running);
    assert_eq!(scene.send(&retry), Ok(()));
}

#[test]
fn same_id_of_another_webhook_is_another_delivery() {
    let scene = scene_of(Scheme::stripe(), Replay::new().body_delivery_id());
    scene.receive_body(ID, &with_body(&scene, BODY_ID)).unwrap().commit();
    let other = Signer::new(Scheme::stripe(), other_keys()).unwrap();
    let other = Post::signed_by(&other, PATH, &[], BODY_ID, scene.clock.now().wall);
    scene.receive_body("other", &other).unwrap().commit();
}

#[test]
fn missing_body_id_falls_back_with_a_warning() {
    let scene = scene_of(Scheme::stripe(), Replay::new().body_delivery_id());
    for body in ["{}", r#"{"id":7}"#, r#"{"id":"evt_1","id":"evt_2"}"#, "not JSON", ""] {
        let post = with_body(&scene, body);
        scene.receive_body(ID, &post).unwrap().commit();
        assert_eq!(scene.reports.warnings.take(), [Warning::DeliveryIdMissing], "{body}");
        assert_eq!(scene.receive_body(ID, &post).unwrap_err(), RefusalReason::Replayed, "{body}");
        scene.reports.warnings.take();
        scene.clock.advance(SECOND);
        scene.receive_body(ID, &with_body(&scene, body)).unwrap().commit();
        scene.reports.warnings.take();
    }
    scene.receive_body(ID, &with_body(&scene, BODY_ID)).unwrap().commit();
    assert_eq!(scene.reports.warnings.take(), []);
}

#[test]
fn forged_body_id_is_never_read() {
    let scene = scene_of(Scheme::stripe(), Replay::new().body_delivery_id());
    let forged = with_body(&scene, "{}").carrying(BODY_ID);
    assert_eq!(scene.receive_body(ID, &forged).unwrap_err(), RefusalReason::Unverified(Reason::Mismatch));
    assert_eq!(scene.reports.warnings.take(), []);
    scene.receive_body(ID, &with_body(&scene, BODY_ID)).unwrap().commit();
}

#[test]
fn body_id_needs_the_hashed_body() {
    let scene = scene_of(Scheme::stripe(), Replay::new().body_delivery_id());
    let post = with_body(&scene, BODY_ID);
    assert_eq!(scene.send(&post), Err(RefusalReason::Misconfigured), "`finish` has no body");
    let mut receiving = scene.warden.examine(&post.headers, PEER).unwrap().identify(ID).unwrap();
    receiving.update(&post.body).unwrap();
    let refused = receiving.finish_request(&post.headers, br#"{"id":"evt_2"}"#).unwrap_err();
    assert_eq!(refused.reason(), RefusalReason::Misconfigured);
    scene.receive_body(ID, &post).unwrap().commit();
}

#[test]
fn forgotten_id_is_handled_when_signed_again() {
    let scene = scene_of(standard(), Replay::new());
    let forget = |id: &str, delivery: &str| {
        let forgetting = scene.warden.forget(id, delivery);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(forgetting).unwrap()
    };
    let first = with_header(&scene, "{}");
    let running = scene.admit(&first);
    assert!(!forget(ID, "msg_1"), "it is in progress");
    running.commit();
    assert!(!forget(ID, "msg_2") && !forget("other", "msg_1"));
    assert!(forget(ID, "msg_1"));
    assert_eq!(scene.send(&first), Err(RefusalReason::Replayed), "a copy");
    scene.clock.advance(SECOND);
    assert_eq!(scene.send(&with_header(&scene, "{}")), Ok(()));
    assert_eq!(scene.send(&with_header(&scene, "{}")), Err(RefusalReason::Replayed));
}

#[test]
fn full_table_of_ids_evicts_the_oldest() {
    let scene = scene_of(standard(), Replay::new().capacity(32));
    let send = |number: u32| {
        let id = format!("msg_{number}");
        let own = [("webhook-id", id.as_str())];
        scene.send(&Post::signed_by(&signer(standard(), SECRET), PATH, &own, "{}", scene.clock.now().wall))
    };
    for number in 0..64 {
        // The keys have expired by then.
        scene.clock.advance(days(1) / 128);
        assert_eq!(send(number), Ok(()), "{number}");
    }
    let warnings = scene.reports.warnings.take();
    assert!(!warnings.is_empty() && warnings.iter().all(|one| *one == Warning::DeliveryIdsEvicted), "{warnings:?}");
    scene.clock.advance(3_600 * SECOND);
    for number in 40..64 {
        assert_eq!(send(number), Err(RefusalReason::Replayed), "{number}");
    }
    assert_eq!(send(0), Ok(()), "the oldest is forgotten");
}

#[test]
fn id_outlives_every_attempt_that_is_fresh() {
    let scene = scene_of(standard(), Replay::new().delivery_id_lifetime(SECOND));
    let ahead = Timestamp::from_unix(scene.clock.now().wall.as_unix() + 300);
    let own = [("webhook-id", "msg_1")];
    let first = Post::signed_by(&signer(standard(), SECRET), PATH, &own, "{}", ahead);
    drop(scene.admit(&first));
    assert_eq!(scene.send(&with_header(&scene, "{}")), Ok(()), "a retry that is signed with an earlier time");
    scene.clock.advance(600 * SECOND);
    assert_eq!(scene.send(&first), Err(RefusalReason::Replayed), "the failed attempt is still fresh");
}

#[test]
fn only_sender_needs_a_name_for_shared_ids() {
    let build = |replay: Replay| {
        Warden::builder(standard()).only_sender(keyring(&standard(), SECRET)).replay(replay).build().map(drop)
    };
    let shared = || Replay::shared(LocalReplay::default());
    assert_eq!(build(shared()).unwrap_err().field(), "only_sender");
    build(shared().no_delivery_id()).unwrap();
    build(Replay::new()).unwrap();
    let named = Warden::builder(standard()).sender("shop", keyring(&standard(), SECRET)).replay(shared());
    named.webhook_id(IdSource::fixed("shop")).build().unwrap();
}

#[test]
fn contradicting_id_settings_name_the_setting() {
    let field = |scheme: Scheme, replay: Replay| {
        let keys = keyring(&scheme, SECRET);
        Warden::builder(scheme).only_sender(keys).replay(replay).build().unwrap_err().field().to_owned()
    };
    let untimed = || {
        let signed = [SignedPart::header("webhook-id").unwrap(), SignedPart::literal("."), SignedPart::Body];
        let builder = Scheme::builder("untimed").signature_header("X-Signature").signed(signed);
        builder.delivery_id_header("webhook-id").build().unwrap()
    };
    for (scheme, replay, expected) in [
        (Scheme::timestamped(), Replay::new().body_delivery_id(), "replay.body_delivery_id"),
        (standard(), Replay::new().body_delivery_id(), "replay.body_delivery_id"),
        (Scheme::stripe(), Replay::new().no_delivery_id(), "replay.no_delivery_id"),
        (Scheme::stripe(), Replay::new().body_delivery_id().no_delivery_id(), "replay.no_delivery_id"),
        (Scheme::stripe(), Replay::new().delivery_id_lifetime(days(1)), "replay.delivery_id_lifetime"),
        (standard(), Replay::new().delivery_id_lifetime(Duration::ZERO), "replay.delivery_id_lifetime"),
        (standard(), Replay::new().delivery_id_lifetime(SECOND / 2), "replay.delivery_id_lifetime"),
        (standard(), Replay::danger_off().delivery_id_lifetime(days(1)), "replay.delivery_id_lifetime"),
        (Scheme::stripe(), Replay::danger_off().body_delivery_id(), "replay.body_delivery_id"),
        (standard(), Replay::danger_off().no_delivery_id(), "replay.no_delivery_id"),
        (
            untimed(),
            Replay::new().lifetime(days(1)).danger_unsigned_id_header("X-Id"),
            "replay.danger_unsigned_id_header",
        ),
        (
            untimed(),
            Replay::new().danger_simultaneous_only().delivery_id_lifetime(days(1)),
            "replay.delivery_id_lifetime",
        ),
    ] {
        assert_eq!(field(scheme, replay), expected);
    }
}

#[test]
fn unsigned_id_header_is_a_config_error() {
    let named = |builder: SchemeBuilder| builder.build().unwrap_err().field().to_owned();
    assert_eq!(named(Scheme::github().into_builder().delivery_id_header("X-GitHub-Delivery")), "delivery_id.header");
    let renamed = Scheme::timestamped().into_builder().timestamp_header("X-Time", TimestampFormat::Seconds);
    assert_eq!(named(renamed.delivery_id_header("X-Webhook-Signature")), "delivery_id.header");
    for pointer in ["", "id", "/a~2b", "/a~"] {
        assert_eq!(
            named(Scheme::stripe().into_builder().delivery_id_in_body(pointer)),
            "delivery_id.body",
            "{pointer}"
        );
    }
}
