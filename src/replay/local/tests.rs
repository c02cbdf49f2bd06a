//! Memory use and internals of the local store. `tests/replay.rs` tests its behaviour.

use std::collections::HashSet;

use super::*;
use crate::time::Timestamp;
use crate::verifier::ReplayKey;

/// The shards are as large as by default, but there are fewer of them.
const CAPACITY: usize = 1 << 17;
const LEASE: Duration = Duration::from_secs(30);

fn at(seconds: u32) -> ClockReading {
    ClockReading {
        wall: Timestamp::from_unix(i64::from(seconds).saturating_add(1_800_000_000)),
        monotonic: Duration::from_secs(seconds.into()),
    }
}

fn key(number: u64) -> ReplayKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ReplayKey::from_bytes(bytes)
}

fn claim(store: &LocalReplay, number: u64, now: ClockReading) -> Result<Claim, StoreError> {
    let keys = [key(number)];
    store.claim_now(
        Delivery { webhook_id: "id", keys: &keys, until: now.wall, id: None }.into(),
        Claimant::new(1),
        LEASE,
        now,
    )
}

fn release(store: &LocalReplay, number: u64, now: ClockReading) -> bool {
    let keys = [key(number)];
    store.release_now(
        Delivery { webhook_id: "id", keys: &keys, until: now.wall, id: None }.into(),
        Claimant::new(1),
        now,
    )
}

/// Commits the delivery for 60 seconds.
fn commit(store: &LocalReplay, number: u64, now: ClockReading) -> bool {
    let keys = [key(number)];
    let delivery = Delivery { webhook_id: "id", keys: &keys, until: now.wall.later_by(60), id: None };
    store.commit_now(delivery.into(), Claimant::new(1), now)
}

fn entries(store: &LocalReplay) -> usize {
    store.keys.shards.iter().map(|slot| slot.shard.lock().unwrap().len()).sum()
}

fn bytes(store: &LocalReplay) -> usize {
    let tables: usize = store.keys.shards.iter().map(|slot| slot.shard.lock().unwrap().bytes()).sum();
    let locks = store.keys.shards.len().saturating_mul(size_of::<table::Slot>());
    tables.saturating_add(locks).saturating_add(size_of::<LocalReplay>())
}

#[test]
fn entry_takes_at_most_64_bytes() {
    let store = LocalReplay::new(CAPACITY);
    let (mut number, mut worst) = (0, 0);
    while number < 2 << 17 {
        number += 1;
        if claim(&store, number, at(0)).is_err() {
            break;
        }
        if number % 997 == 0 && number > 4_000 {
            worst = worst.max(bytes(&store).div_ceil(entries(&store)));
            assert!(worst <= 64, "{worst} bytes for each of {number} entries");
        }
    }
    assert!(entries(&store) >= CAPACITY, "full at {number}");
    assert!(entries(&store) < CAPACITY + CAPACITY / 10, "full at {number}");
    assert!(worst > 40, "{worst} bytes are too few for an entry: the measurement is wrong");
}

#[test]
fn steady_use_stays_within_64_bytes_per_entry() {
    for rate in [170_u64, 210, 260, 300, 330] {
        let store = LocalReplay::new(1 << 14);
        for second in 0..400 {
            for number in 0..rate {
                assert_eq!(claim(&store, u64::from(second) * rate + number, at(second)), Ok(Claim::Granted));
            }
            let (bytes, entries) = (bytes(&store), entries(&store));
            assert!(second < 15 || bytes <= 64 * entries, "{bytes} bytes for {entries} entries at {rate} a second");
            assert!(entries <= usize::try_from(rate).unwrap() * 62, "{entries} entries at {rate} a second");
        }
    }
}

/// Deliveries whose leases ended before their commit take new entries, and expired ones must make room for them.
#[test]
fn late_commits_do_not_grow_the_table() {
    let store = LocalReplay::new(1 << 13);
    for second in 0..400 {
        for number in 0..200 {
            assert!(commit(&store, u64::from(second) * 200 + number, at(second)));
        }
        assert!(bytes(&store) <= 64 * 200 * 62 * 2, "{} bytes after {second} seconds", bytes(&store));
    }
}

/// Removed entries leave tombstones that cannot all be reused. The table must not double because of them.
#[test]
fn releasing_and_claiming_does_not_grow_the_table() {
    const HELD: u64 = 6_500;
    let store = LocalReplay::new(1 << 13);
    for number in 0..HELD {
        assert_eq!(claim(&store, number, at(0)), Ok(Claim::Granted));
    }
    let before = bytes(&store);
    for number in 0..20_000 {
        assert!(release(&store, number, at(0)));
        assert_eq!(claim(&store, HELD + number, at(0)), Ok(Claim::Granted));
        assert_eq!(bytes(&store), before, "after {number} more");
    }
}

#[test]
fn store_shrinks_after_a_burst() {
    let store = LocalReplay::default();
    for number in 0..200_000 {
        assert_eq!(claim(&store, number, at(0)), Ok(Claim::Granted));
    }
    assert!(bytes(&store) > 4_000_000);
    for number in 0..200 {
        assert_eq!(claim(&store, 1_000_000 + number, at(60)), Ok(Claim::Granted));
    }
    assert_eq!(entries(&store), 200);
    assert!(bytes(&store) < 100_000, "{} bytes", bytes(&store));
}

#[test]
fn fingerprint_is_two_hashes() {
    let store = LocalReplay::new(10);
    let keys: [ReplayKey; 8] = std::array::from_fn(|n| key(u64::try_from(n).unwrap()));
    let delivery = Delivery { webhook_id: "id", keys: &keys, until: at(0).wall, id: None };
    let locked = store.lock(&delivery.into()).unwrap();
    let words: HashSet<u64> = locked.0.prints.iter().flat_map(|(_, print)| [print.0, print.1]).collect();
    assert_eq!(words.len(), 16);
}

#[test]
fn every_store_has_its_own_hash_key() {
    let [one, other] =
        [LocalReplay::new(1), LocalReplay::new(1)].map(|store| store.keys.prints.map(|hash| hash.of([0; 3])));
    assert_ne!(one, other);
}

#[test]
fn debug_prints_no_entries() {
    let store = LocalReplay::new(10);
    claim(&store, 1, at(0)).unwrap();
    assert_eq!(format!("{store:?}"), "LocalReplay { shards: 1, shard_limit: 10, .. }");
}

#[test]
fn poisoned_shard_lock_is_still_taken() {
    let store = LocalReplay::new(10);
    claim(&store, 1, at(0)).unwrap();
    let _ = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _shard = store.keys.shards[0].shard.lock();
                panic!("on purpose");
            })
            .join()
    });
    assert!(store.keys.shards[0].shard.is_poisoned());
    assert_eq!(claim(&store, 2, at(0)), Ok(Claim::Granted));
}
