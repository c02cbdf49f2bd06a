//! `StaticKeys`: keys in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hookwarden::clock::Clock as _;
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::keys::{KeyStore, StaticKeys};
use hookwarden::testing::TestClock;
use hookwarden::warden::Replay;
use hookwarden::{Key, Keyring, Scheme, Signer, Timestamp, Warden};

use super::{CANARY, assert_no_canary, found, keyring};

#[test]
fn update_reaches_every_clone() {
    let keys = StaticKeys::new(&Scheme::timestamped(), [("a", keyring("one")), ("b", keyring("two"))]).unwrap();
    let clone = keys.clone();
    assert!(clone.remove("a"));
    assert!(!clone.remove("a"));
    assert_eq!((found(&keys, "a"), found(&keys, "b")), (None, Some("[KeyId(\"default\")]".into())));
    keys.replace([("c", keyring("three"))]).unwrap();
    assert_eq!((found(&clone, "b"), found(&clone, "c").is_some()), (None, true));
}

#[test]
fn rotation_under_load_always_finds_keys() {
    let keys = StaticKeys::new(&Scheme::timestamped(), [("a", keyring("one")), ("b", keyring("two"))]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0_u32;
                    while !done.load(Ordering::Relaxed) || reads == 0 {
                        assert!(found(&keys, "a").is_some() && found(&keys, "b").is_some());
                        reads += 1;
                    }
                })
            })
            .collect();
        let other = scope.spawn(|| (0..500).for_each(|n| keys.replace_one("b", keyring(&format!("b{n}"))).unwrap()));
        for n in 0..500 {
            keys.replace_one("a", keyring(&format!("a{n}"))).unwrap();
            keys.replace([("a", keyring(&format!("A{n}"))), ("b", keyring(&format!("B{n}")))]).unwrap();
        }
        other.join().unwrap();
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn concurrent_changes_of_several_ids_are_all_kept() {
    let keys = StaticKeys::new(&Scheme::timestamped(), [("first", keyring("first"))]).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let keys = &keys;
            scope.spawn(move || {
                for n in 0..50 {
                    let id = format!("{thread}-{n}");
                    keys.replace_one(id.clone(), keyring(&id)).unwrap();
                }
            });
        }
    });
    assert_eq!(keys.len(), 201);
}

#[test]
fn expired_key_is_refused_without_replacing_keys() {
    let scheme = Scheme::timestamped();
    let secret = scheme.secret("a-subscription-secret").unwrap();
    let head = [
        ("X-Webhook-Timestamp", "1800000000"),
        ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
    ];
    let last = Timestamp::from_unix(1_800_000_010);
    let key = Key::new("k", secret).unwrap().not_after(last);
    let clock = TestClock::new(last);
    let warden = Warden::builder(scheme)
        .sender("acme", Keyring::from_keys([key]).unwrap())
        .replay(Replay::danger_off())
        .clock(clock.clone())
        .build()
        .unwrap();
    let verify = |now| {
        clock.set_wall(now);
        let mut receiving = warden.examine(&head, None).unwrap().identify("acme").unwrap();
        receiving.update(br#"{"event":"user.created"}"#).unwrap();
        receiving.finish().map(|admitted| admitted.commit()).map_err(|refused| refused.reason().as_str())
    };
    assert_eq!(verify(last), Ok(()));
    assert_eq!(verify(Timestamp::from_unix(1_800_000_011)), Err("no_live_key"));
}

#[test]
fn secrets_are_in_no_text() {
    let scheme = Scheme::timestamped();
    let keys = StaticKeys::new(&scheme, [("a", keyring(CANARY))]).unwrap();
    let errors = [
        keys.replace_one("b", keyring(CANARY)).unwrap_err(),
        StaticKeys::new(&scheme, [("a", keyring(CANARY)), ("b", keyring(CANARY))]).unwrap_err(),
        StaticKeys::new(&scheme, [("a", keyring(CANARY)), ("a", keyring(CANARY))]).unwrap_err(),
        StaticKeys::new(&Scheme::standard_webhooks(), [("a", keyring(CANARY))]).unwrap_err(),
    ];
    for error in errors {
        assert_no_canary("error", &[format!("{error}"), format!("{error:?}")]);
    }
    assert_no_canary("handle", &[format!("{keys:?}"), found(&keys, "a").unwrap()]);
}

/// Static keys that record the times at which a decoy was sized.
struct Sized {
    keys: StaticKeys,
    times: Arc<Mutex<Vec<Timestamp>>>,
}

impl KeyStore for Sized {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        self.keys.find(webhook_id)
    }

    fn common_live_keys(&self, now: Timestamp) -> usize {
        self.times.lock().expect("no panic").push(now);
        self.keys.common_live_keys(now)
    }
}

#[test]
fn decoys_match_live_keys_at_request_time() {
    let (clock, times) = (TestClock::default(), Arc::new(Mutex::new(Vec::new())));
    let scheme = Scheme::timestamped();
    let start = clock.now().wall;
    let expired = Key::new("old", scheme.secret("two").unwrap()).unwrap().not_after(Timestamp::from_unix(1));
    let senders = [("live", keyring("one")), ("expired", Keyring::from_keys([expired]).unwrap())];
    let keys = Sized { keys: StaticKeys::new(&scheme, senders).unwrap(), times: Arc::clone(&times) };
    let warden = Warden::builder(scheme.clone()).keys(keys).clock(clock.clone()).build().unwrap();
    let signer = Signer::new(scheme, keyring("a stranger's")).unwrap();
    let mut expected = Vec::new();
    for id in ["unknown", "live", "expired"] {
        clock.advance(Duration::from_secs(7));
        let now = clock.now().wall;
        let signed = signer.sign_at(&[("", ""); 0], b"", now).unwrap();
        let head: Vec<(&str, &str)> = signed.iter().collect();
        warden.examine(&head, None).unwrap().identify(id).unwrap().finish().unwrap_err();
        if id != "live" {
            expected.push(now);
        }
    }
    assert_eq!(*times.lock().unwrap(), expected);
    assert_eq!(expected, [7, 21].map(|seconds| Timestamp::from_unix(start.as_unix() + seconds)));
}
