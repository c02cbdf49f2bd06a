//! What the memory costs. How it behaves is tested from outside.

use std::collections::HashSet;

use super::*;
use crate::time::Timestamp;
use crate::verifier::ReplayKey;

/// As many entries in each shard as the default has, in fewer of them.
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

fn claim(memory: &LocalReplay, number: u64, now: ClockReading) -> Result<Claim, StoreError> {
    let keys = [key(number)];
    memory.claim_now(Delivery { webhook_id: "id", keys: &keys, until: now.wall }, Claimant::new(1), LEASE, now)
}

fn release(memory: &LocalReplay, number: u64, now: ClockReading) -> bool {
    let keys = [key(number)];
    memory.release_now(Delivery { webhook_id: "id", keys: &keys, until: now.wall }, Claimant::new(1), now)
}

fn entries(memory: &LocalReplay) -> usize {
    memory.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
}

fn bytes(memory: &LocalReplay) -> usize {
    let tables: usize = memory.shards.iter().map(|shard| shard.lock().unwrap().bytes()).sum();
    let locks = memory.shards.len().saturating_mul(size_of::<Mutex<Shard>>());
    tables.saturating_add(locks).saturating_add(size_of::<LocalReplay>())
}

#[test]
fn entry_takes_at_most_64_bytes_at_any_fill_level_above_a_few_thousand() {
    let memory = LocalReplay::new(CAPACITY);
    let (mut number, mut worst) = (0, 0);
    while number < 2 << 17 {
        number += 1;
        if claim(&memory, number, at(0)).is_err() {
            break;
        }
        if number % 997 == 0 && number > 4_000 {
            worst = worst.max(bytes(&memory).div_ceil(entries(&memory)));
            assert!(worst <= 64, "{worst} bytes for each of {number} entries");
        }
    }
    assert!(entries(&memory) >= CAPACITY, "full at {number}");
    assert!(entries(&memory) < CAPACITY + CAPACITY / 10, "full at {number}");
    assert!(worst > 40, "{worst} bytes is less than any table could do with");
}

#[test]
fn memory_in_steady_use_stays_below_64_bytes_for_an_entry() {
    for rate in [170_u64, 210, 260, 300, 330] {
        let memory = LocalReplay::new(1 << 14);
        for second in 0..400 {
            for number in 0..rate {
                assert_eq!(claim(&memory, u64::from(second) * rate + number, at(second)), Ok(Claim::Granted));
            }
            let (bytes, entries) = (bytes(&memory), entries(&memory));
            assert!(second < 15 || bytes <= 64 * entries, "{bytes} bytes for {entries} entries at {rate} a second");
            assert!(entries <= usize::try_from(rate).unwrap() * 62, "{entries} entries at {rate} a second");
        }
    }
}

/// The places of entries that went cannot all be used again, and still the table must not double.
#[test]
fn memory_of_claims_that_are_given_back_and_made_anew_does_not_grow() {
    const HELD: u64 = 6_500;
    let memory = LocalReplay::new(1 << 13);
    for number in 0..HELD {
        assert_eq!(claim(&memory, number, at(0)), Ok(Claim::Granted));
    }
    let before = bytes(&memory);
    for number in 0..20_000 {
        assert!(release(&memory, number, at(0)));
        assert_eq!(claim(&memory, HELD + number, at(0)), Ok(Claim::Granted));
        assert_eq!(bytes(&memory), before, "after {number} more");
    }
}

#[test]
fn memory_shrinks_after_a_burst() {
    let memory = LocalReplay::default();
    for number in 0..200_000 {
        assert_eq!(claim(&memory, number, at(0)), Ok(Claim::Granted));
    }
    assert!(bytes(&memory) > 4_000_000);
    for number in 0..200 {
        assert_eq!(claim(&memory, 1_000_000 + number, at(60)), Ok(Claim::Granted));
    }
    assert_eq!(entries(&memory), 200);
    assert!(bytes(&memory) < 100_000, "{} bytes", bytes(&memory));
}

#[test]
fn fingerprint_is_two_hashes() {
    let memory = LocalReplay::new(10);
    let keys: [ReplayKey; 8] = std::array::from_fn(|n| key(u64::try_from(n).unwrap()));
    let delivery = Delivery { webhook_id: "id", keys: &keys, until: at(0).wall };
    let locked = memory.lock(&delivery).unwrap();
    let words: HashSet<u64> = locked.prints.iter().flat_map(|(_, print)| [print.0, print.1]).collect();
    assert_eq!(words.len(), 16);
}

#[test]
fn every_memory_has_a_secret_of_its_own() {
    let [one, other] = [LocalReplay::new(1), LocalReplay::new(1)].map(|memory| memory.secret.hash_one(0));
    assert_ne!(one, other);
}

#[test]
fn debug_prints_no_entries() {
    let memory = LocalReplay::new(10);
    claim(&memory, 1, at(0)).unwrap();
    assert_eq!(format!("{memory:?}"), "LocalReplay { shards: 1, shard_limit: 10, .. }");
}

#[test]
fn lock_poisoned_by_a_panic_elsewhere_is_taken_all_the_same() {
    let memory = LocalReplay::new(10);
    claim(&memory, 1, at(0)).unwrap();
    let _ = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _shard = memory.shards[0].lock();
                panic!("on purpose");
            })
            .join()
    });
    assert!(memory.shards[0].is_poisoned());
    assert_eq!(claim(&memory, 2, at(0)), Ok(Claim::Granted));
}
