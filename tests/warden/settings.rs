//! The defaults of a Warden, and the settings that `build` refuses.

use std::sync::Arc;
use std::time::Duration;

use hookwarden::clock::ClockReading;
use hookwarden::crypto::{Algorithm, PreparedKeys};
use hookwarden::encoding::Encoding;
use hookwarden::error::StoreError;
use hookwarden::event::RefusalReason;
use hookwarden::keys::{AsyncKeyStore, CachedKeys, KeyStore, StaticKeys};
use hookwarden::limit::{Decision, LocalLimiter, RateLimiter};
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use hookwarden::scheme::{SecretFormat, SignedPart};
use hookwarden::shared_store::SharedStore;
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::{BodyLimits, Quotas, Replay, WardenBuilder};
use hookwarden::{BoxFuture, IdSource, Keyring, Quota, Scheme, Secret, Signer, Tolerance, Warden};

fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret("a-secret-of-the-tests-and-of-no-one-else").expect("a secret"))
}

fn warden() -> WardenBuilder {
    Warden::builder(Scheme::timestamped()).sender("acme", keyring())
}

/// A local store of both kinds.
#[derive(Default)]
struct Both {
    deliveries: LocalReplay,
    quotas: LocalLimiter,
}

impl ReplayStore for Both {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        self.deliveries.claim(delivery, by, lease, now)
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.deliveries.commit(delivery, by, now)
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.deliveries.release(delivery, by, now)
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.deliveries.forget(webhook_id, id, now)
    }
}

impl RateLimiter for Both {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        self.quotas.check(webhook_id, quota)
    }
}

impl SharedStore for Both {}

#[test]
fn defaults_match_the_documentation() {
    let warden = warden().build().expect("a Warden");
    assert_eq!((warden.body_limit(), warden.deadline()), (1_048_576, Duration::from_secs(10)));
}

type Change = fn(WardenBuilder) -> WardenBuilder;

/// Builds a Warden with each change. The error must have the field and contain the text.
#[track_caller]
fn assert_refused(start: fn() -> WardenBuilder, cases: &[(&str, &str, Change)]) {
    for (field, part, change) in cases {
        let error = change(start()).build().expect_err(&format!("{field}: {part}"));
        assert_eq!(error.field(), *field, "{error}");
        let text = error.to_string();
        assert!(text.contains(part), "{text:?} does not contain {part:?}");
    }
}

fn quota() -> Quota {
    Quota::per_minute(1).expect("a quota")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn setting_out_of_range_is_a_config_error() {
    assert_refused(
        warden,
        &[
            ("body.max_bytes", "must be at least 1 byte", |warden| warden.body(BodyLimits::new().max_bytes(0))),
            ("body.deadline", "must be more than zero", |warden| {
                warden.body(BodyLimits::new().deadline(Duration::ZERO))
            }),
            ("body.deadline", "must be at most one day", |warden| {
                warden.body(BodyLimits::new().deadline(Duration::from_millis(86_400_001)))
            }),
            ("replay.lease", "must be more than zero", |warden| warden.replay(Replay::new().lease(Duration::ZERO))),
            ("replay.lease", "must be at most a day", |warden| warden.replay(Replay::new().lease(Duration::MAX))),
            ("replay.capacity", "must be at least 1", |warden| warden.replay(Replay::new().capacity(0))),
            ("replay.margin", "must be whole seconds", |warden| {
                warden.replay(Replay::new().margin(Duration::from_millis(1_500)))
            }),
            ("replay.margin", "to 4294967295 s", |warden| warden.replay(Replay::new().margin(seconds(4_294_967_296)))),
            ("quotas.replicas", "must be at least 1", |warden| warden.quotas(Quotas::new().replicas(0))),
            ("methods", "", |warden| warden.methods([""])),
            ("content_types", "", |warden| warden.content_types(["json"])),
        ],
    );
}

#[test]
fn setting_without_effect_is_a_config_error() {
    const OFF: &str = "must not be set with `Replay::danger_off`";
    assert_refused(
        warden,
        &[
            ("replay.capacity", OFF, |warden| warden.replay(Replay::danger_off().capacity(1))),
            ("replay.margin", OFF, |warden| warden.replay(Replay::danger_off().margin(seconds(1)))),
            ("replay.lifetime", OFF, |warden| warden.replay(Replay::danger_off().lifetime(seconds(1)))),
            ("replay.danger_simultaneous_only", OFF, |warden| {
                warden.replay(Replay::danger_off().danger_simultaneous_only())
            }),
            ("replay.danger_unsigned_id_header", OFF, |warden| {
                warden.replay(Replay::danger_off().danger_unsigned_id_header("X-Id"))
            }),
            ("replay.lease", OFF, |warden| warden.replay(Replay::danger_off().lease(seconds(1)))),
            ("replay.duplicates_conflict", OFF, |warden| warden.replay(Replay::danger_off().duplicates_conflict())),
            ("replay.danger_fall_back_to_this_process", OFF, |warden| {
                warden.replay(Replay::danger_off().danger_fall_back_to_this_process())
            }),
            (
                "replay.danger_fall_back_to_this_process",
                "must not be set without `Replay::shared` or `shared_store`",
                |warden| warden.replay(Replay::new().danger_fall_back_to_this_process()),
            ),
            (
                "replay.danger_fall_back_to_this_process",
                "must not be set without `Replay::shared` or `shared_store`",
                |warden| warden.replay(Replay::in_process().danger_fall_back_to_this_process()),
            ),
            ("replay.capacity", "must not be set for a shared store", |warden| {
                warden.replay(Replay::shared(Both::default()).capacity(1))
            }),
            ("replay.capacity", "must not be set for a shared store", |warden| {
                warden.shared_store(Both::default()).replay(Replay::new().capacity(1))
            }),
            ("quotas.replicas", "set `Quotas::shared` or `shared_store`", |warden| {
                warden.quotas(Quotas::new().replicas(2))
            }),
            ("quotas.replicas", "set `Quotas::shared` or `shared_store`", |warden| {
                warden.quotas(Quotas::new().replicas(2)).replay(Replay::shared(Both::default()))
            }),
            ("quotas.replicas", "and a quota", |warden| {
                warden.shared_store(Both::default()).quotas(Quotas::new().danger_unlimited_accepted().replicas(2))
            }),
            ("quotas.shared", "must not be set with `danger_unlimited_accepted`", |warden| {
                warden.quotas(Quotas::new().danger_unlimited_accepted().shared(Both::default()))
            }),
            ("shared_store", "must not be set with `Replay::danger_off` and", |warden| {
                let quotas = Quotas::new().danger_unlimited_accepted();
                warden.shared_store(Both::default()).quotas(quotas).replay(Replay::danger_off())
            }),
        ],
    );
}

#[test]
fn second_shared_store_is_a_config_error() {
    assert_refused(
        warden,
        &[
            ("shared_store", "must not be set with `Quotas::shared`", |warden| {
                warden.shared_store(Both::default()).quotas(Quotas::new().shared(Both::default()))
            }),
            ("shared_store", "must not be set with `Replay::shared`", |warden| {
                warden.shared_store(Both::default()).replay(Replay::shared(Both::default()))
            }),
            ("replay", "must not be `Replay::in_process()` with `shared_store`", |warden| {
                warden.shared_store(Both::default()).replay(Replay::in_process())
            }),
        ],
    );
}

#[test]
fn setting_contradicting_the_timestamp_is_refused() {
    assert_refused(
        warden,
        &[
            ("replay.lifetime", "must not be set for timestamped", |warden| {
                warden.replay(Replay::new().lifetime(seconds(1)))
            }),
            ("replay.lifetime", "must not be set for timestamped", |warden| {
                warden.replay(Replay::new().lifetime(Duration::from_millis(999)))
            }),
            ("replay.danger_simultaneous_only", "must not be set for timestamped", |warden| {
                warden.replay(Replay::new().danger_simultaneous_only())
            }),
            ("replay.danger_unsigned_id_header", "must not be set for timestamped", |warden| {
                warden.replay(Replay::new().danger_unsigned_id_header("X-Id"))
            }),
        ],
    );
    assert_refused(
        || Warden::builder(Scheme::github()).sender("acme", keyring()),
        &[
            ("replay", "set `Replay::lifetime`", |warden| warden),
            ("replay.lifetime", "must be set with `danger_unsigned_id_header`", |warden| {
                warden.replay(Replay::new().danger_unsigned_id_header("X-Id"))
            }),
            ("replay.danger_unsigned_id_header", "must be a header's name", |warden| {
                warden.replay(Replay::new().lifetime(seconds(1)).danger_unsigned_id_header("X Id"))
            }),
            ("replay.danger_simultaneous_only", "choose one", |warden| {
                warden.replay(Replay::new().lifetime(seconds(1)).danger_simultaneous_only())
            }),
            ("replay.danger_simultaneous_only", "choose one", |warden| {
                warden.replay(Replay::new().danger_simultaneous_only().danger_unsigned_id_header("X-Id"))
            }),
            ("replay.duplicates_conflict", "must not be set with `danger_simultaneous_only`", |warden| {
                warden.replay(Replay::new().danger_simultaneous_only().duplicates_conflict())
            }),
            ("replay.lifetime", "must be whole seconds from 1 s", |warden| {
                warden.replay(Replay::new().lifetime(Duration::ZERO))
            }),
            ("replay.lifetime", "must be whole seconds", |warden| {
                warden.replay(Replay::new().lifetime(Duration::from_millis(1_500)))
            }),
            ("replay.lifetime", "must be whole seconds", |warden| {
                warden.replay(Replay::new().lifetime(seconds(4_294_967_296)))
            }),
            ("replay.margin", "must not be set for github", |warden| {
                warden.replay(Replay::new().lifetime(seconds(1)).margin(seconds(1)))
            }),
            ("tolerance", "must not be set for github", |warden| {
                warden.replay(Replay::new().lifetime(seconds(1))).tolerance(Tolerance::DEFAULT)
            }),
        ],
    );
}

fn static_keys(scheme: &Scheme, ids: &[&str]) -> StaticKeys {
    let keys =
        ids.iter().map(|id| (*id, Keyring::new(Secret::from_bytes(format!("the secret of {id}")).expect("a secret"))));
    StaticKeys::new(scheme, keys).expect("keys")
}

fn cached_keys(scheme: &Scheme) -> CachedKeys {
    struct Empty;
    impl AsyncKeyStore for Empty {
        fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
            Box::pin(async { Ok(None) })
        }
    }
    CachedKeys::new(scheme, Empty)
}

#[test]
fn senders_from_two_sources_are_a_config_error() {
    assert_refused(
        warden,
        &[
            ("senders", "put them into the store", |warden| {
                warden.keys(static_keys(&Scheme::timestamped(), &["other"]))
            }),
            ("senders", "put them into the store", |warden| warden.cached_keys(cached_keys(&Scheme::timestamped()))),
            ("only_sender", "with `sender`", |warden| warden.only_sender(keyring())),
        ],
    );
    assert_refused(
        || Warden::builder(Scheme::timestamped()),
        &[
            ("senders", "", |warden| warden),
            ("keys", "with `cached_keys`", |warden| {
                let scheme = Scheme::timestamped();
                warden.keys(static_keys(&scheme, &["acme"])).cached_keys(cached_keys(&scheme))
            }),
            ("only_sender", "with `keys`", |warden| {
                warden.only_sender(keyring()).keys(static_keys(&Scheme::timestamped(), &["other"]))
            }),
            ("only_sender", "with `cached_keys`", |warden| {
                warden.only_sender(keyring()).cached_keys(cached_keys(&Scheme::timestamped()))
            }),
            ("only_sender", "with `webhook_id`", |warden| {
                warden.only_sender(keyring()).webhook_id(IdSource::fixed("timestamped"))
            }),
        ],
    );
}

/// A scheme of the same name with another algorithm or secret format.
fn acme(algorithm: Algorithm, format: SecretFormat) -> Scheme {
    let scheme = Scheme::builder("acme").signature_header("acme-signature").signed([SignedPart::Body]);
    scheme.algorithm(algorithm).secret_format(format).build().expect("a scheme")
}

#[test]
fn keys_of_another_scheme_are_refused() {
    let refused = |keys: Scheme, warden: Scheme, what: &str| {
        let builder = || Warden::builder(warden.clone()).replay(Replay::new().lifetime(seconds(60)));
        let from_store = builder().keys(static_keys(&keys, &["acme"])).build().expect_err(what);
        let shared: Arc<dyn KeyStore> = Arc::new(static_keys(&keys, &["acme"]));
        let from_arc = builder().keys(shared).build().expect_err(what);
        let from_cache = builder().cached_keys(cached_keys(&keys)).build().expect_err(what);
        for (error, field) in [(from_store, "keys"), (from_arc, "keys"), (from_cache, "cached_keys")] {
            assert_eq!(error.field(), field, "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    };
    let plain = || acme(Algorithm::HmacSha256, SecretFormat::Literal);
    refused(Scheme::github(), plain(), "\"github\", which has another name");
    refused(acme(Algorithm::HmacSha512, SecretFormat::Literal), plain(), "which has another algorithm");
    refused(plain(), acme(Algorithm::HmacSha256, SecretFormat::Hex), "which has another secret format");
    // The encoding of signatures does not affect keys.
    let encoded = plain().into_builder().encoding(Encoding::Base64).build().expect("a scheme");
    let warden = Warden::builder(encoded).keys(static_keys(&plain(), &["acme"]));
    warden.replay(Replay::new().lifetime(seconds(60))).build().expect("a Warden");
}

#[cfg(feature = "serde")]
#[test]
fn key_file_of_another_scheme_is_refused() {
    let path = std::env::temp_dir().join(format!("hookwarden-settings-{}.toml", std::process::id()));
    let text = "[[sender]]\nid = \"acme\"\n[[sender.key]]\nid = \"1\"\nsecret = \"a-secret-of-the-tests\"\n";
    std::fs::write(&path, text).expect("a file");
    let keys = hookwarden::keys::FileKeys::open(&Scheme::stripe(), &path);
    std::fs::remove_file(&path).expect("a file");
    let error = Warden::builder(Scheme::timestamped()).keys(keys.expect("keys")).build().expect_err("keys");
    assert_eq!(error.field(), "keys");
    assert!(error.to_string().contains("\"stripe\""), "{error}");
}

/// A store that knows no id, fails, or panics.
struct Odd(&'static str);

impl KeyStore for Odd {
    fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
        match self.0 {
            "unknown" => Ok(None),
            "unavailable" => Err(StoreError::new("down")),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn id_of_no_sender_is_refused() {
    assert_refused(
        warden,
        &[
            ("webhook_id", "no sender has the fixed id \"amce\"", |warden| warden.webhook_id(IdSource::fixed("amce"))),
            ("webhook_id", "must not be fixed with several senders", |warden| {
                let other = Secret::from_bytes("another secret of this test").expect("a secret");
                warden.sender("globex", Keyring::new(other)).webhook_id(IdSource::fixed("acme"))
            }),
            ("quotas.accepted_for", "no sender has the webhook id \"amce\"", |warden| {
                warden.quotas(Quotas::new().accepted_for("acme", quota()).accepted_for("amce", quota()))
            }),
        ],
    );
    assert_refused(
        || Warden::builder(Scheme::timestamped()),
        &[
            ("webhook_id", "no sender has the fixed id \"amce\"", |warden| {
                warden.keys(static_keys(&Scheme::timestamped(), &["acme"])).webhook_id(IdSource::fixed("amce"))
            }),
            ("webhook_id", "\"acme\"", |warden| warden.keys(Odd("unknown")).webhook_id(IdSource::fixed("acme"))),
            ("quotas.accepted_for", "\"acme\"", |warden| {
                warden.only_sender(keyring()).quotas(Quotas::new().accepted_for("acme", quota()))
            }),
        ],
    );
}

#[test]
fn id_that_cannot_be_checked_is_accepted() {
    let changes: [Change; 5] = [
        |warden| warden.keys(Odd("unavailable")).webhook_id(IdSource::fixed("acme")),
        |warden| warden.keys(Odd("panics")).webhook_id(IdSource::fixed("acme")),
        |warden| warden.cached_keys(cached_keys(&Scheme::timestamped())).webhook_id(IdSource::fixed("acme")),
        |warden| warden.keys(Odd("unknown")).quotas(Quotas::new().accepted_for("acme", quota())),
        |warden| warden.keys(Odd("unknown")).webhook_id(IdSource::path_parameter("acme")),
    ];
    for (place, change) in changes.into_iter().enumerate() {
        change(Warden::builder(Scheme::timestamped())).build().unwrap_or_else(|error| panic!("{place}: {error}"));
    }
}

#[test]
fn only_sender_has_the_name_of_the_scheme() {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keyring()).expect("a signer");
    let signed = signer.sign_body(b"x").expect("a signature");
    let head: Vec<(&str, &str)> = signed.iter().collect();
    let quotas = Quotas::new().accepted_for("timestamped", quota());
    let warden = Warden::builder(scheme).only_sender(keyring()).quotas(quotas).build().expect("a Warden");
    let mut receiving = warden.examine(&head, None).expect("a head").identify_from_head(&head).expect("the sender");
    receiving.update(b"x").expect("a body");
    let admitted = receiving.finish().expect("a delivery");
    assert_eq!(admitted.delivery().webhook_id(), "timestamped");
    assert_eq!(admitted.quota_state().map(|(quota, _)| quota), Some(quota()));
}

#[test]
fn setting_at_its_bound_is_accepted() {
    let changes: [Change; 12] = [
        |warden| warden.body(BodyLimits::new().max_bytes(1)).replay(Replay::new().capacity(1)),
        |warden| warden.quotas(Quotas::new().replicas(1)),
        |warden| {
            let instant = Duration::from_nanos(1);
            warden.body(BodyLimits::new().deadline(instant)).replay(Replay::new().lease(instant))
        },
        |warden| warden.body(BodyLimits::new().deadline(seconds(86_400))),
        |warden| warden.replay(Replay::in_process().margin(Duration::ZERO)),
        |warden| warden.replay(Replay::new().margin(seconds(4_294_967_295))),
        |warden| warden.shared_store(Both::default()).quotas(Quotas::new().replicas(3)),
        |warden| warden.quotas(Quotas::new().shared(Both::default()).replicas(3)),
        |warden| {
            let quotas = Quotas::new().shared(Both::default());
            warden.quotas(quotas).replay(Replay::shared(Both::default()).lease(seconds(1)).duplicates_conflict())
        },
        |warden| warden.shared_store(Both::default()).replay(Replay::danger_off()),
        |warden| {
            let replay = Replay::new().capacity(1).danger_fall_back_to_this_process();
            warden.shared_store(Both::default()).replay(replay)
        },
        |warden| {
            let quotas = Quotas::new().danger_unlimited_accepted().accepted_for("acme", quota());
            warden.quotas(quotas.shared(Both::default()).replicas(2)).webhook_id(IdSource::fixed("acme"))
        },
    ];
    for (place, change) in changes.into_iter().enumerate() {
        change(warden()).build().unwrap_or_else(|error| panic!("{place}: {error}"));
    }
}

#[test]
fn setting_a_group_again_replaces_it() {
    let limits = BodyLimits::new().deadline(seconds(1));
    let warden = warden().body(limits.max_bytes(5)).body(limits).build().expect("a Warden");
    assert_eq!((warden.body_limit(), warden.deadline()), (1_048_576, seconds(1)));
}

/// An application's store, which does not name the scheme of its keys.
struct OtherAlgorithm(PreparedKeys);

impl KeyStore for OtherAlgorithm {
    fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
        Ok(Some(self.0.clone()))
    }
}

#[test]
fn keys_for_another_algorithm_are_server_errors() {
    let keys = acme(Algorithm::HmacSha512, SecretFormat::Literal).prepare(&keyring()).expect("keys");
    let warden = Warden::builder(Scheme::timestamped()).keys(OtherAlgorithm(keys)).build().expect("a Warden");
    let signed = Signer::new(Scheme::timestamped(), keyring()).expect("a signer").sign_body(b"x").expect("a signature");
    let head: Vec<(&str, &str)> = signed.iter().collect();
    let refused = warden.examine(&head, None).expect("a head").identify("acme").expect_err("no usable keys");
    assert_eq!((refused.reason(), refused.answer().status().as_u16()), (RefusalReason::Misconfigured, 500));
}
