//! The time of an accepted verification: `cargo bench --features http --bench verify`.
//!
//! Measures each preset with bodies from 0 bytes to 1 MiB; then, at 1 KiB, several keys and several candidates.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic ends the measurement")]

#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "util/sender.rs"]
mod sender;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hookwarden::{Key, Keyring, Scheme, Secret, Verifier};
use http::{HeaderMap, HeaderValue};
use sender::NOW;

fn presets(criterion: &mut Criterion) {
    for scheme in PRESETS.map(|preset| preset()) {
        let mut group = criterion.benchmark_group(format!("verify/{}", scheme.name()));
        for size in SIZES {
            let (head, body) = sender::signed_by(scheme.clone(), keyring(1), sender::body(0, size), NOW);
            let verifier = Verifier::new(scheme.clone(), keyring(1)).unwrap();
            group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| verifier.verify_at(black_box(&head), black_box(&body), NOW).unwrap());
            });
        }
        group.finish();
    }
}

/// Every live key costs a MAC, and every candidate is compared with each MAC. The right candidate is the last.
fn keys_and_candidates(criterion: &mut Criterion) {
    let scheme = Scheme::standard_webhooks();
    let mut group = criterion.benchmark_group("verify/keys and candidates");
    for (keys, candidates) in [(1, 1), (2, 1), (8, 1), (1, 32), (2, 32), (8, 32)] {
        let (mut head, body) = sender::signed_by(scheme.clone(), keyring(1), sender::body(0, 1 << 10), NOW);
        add_candidates(&mut head, candidates);
        let verifier = Verifier::new(scheme.clone(), keyring(keys)).unwrap();
        group.bench_function(format!("{keys} and {candidates}"), |bencher| {
            bencher.iter(|| verifier.verify_at(black_box(&head), black_box(&body), NOW).unwrap());
        });
    }
    group.finish();
}

/// Creates a keyring of `count` keys. The oldest key is the same in all keyrings.
fn keyring(count: usize) -> Keyring {
    let keys = (0..count).rev().map(|number| {
        Key::new(&format!("k{number}"), Secret::from_bytes(format!("{}-{number}", sender::SECRET)).unwrap()).unwrap()
    });
    Keyring::from_keys(keys).unwrap()
}

/// Adds well-formed forgeries before the signature, up to `count` candidates.
fn add_candidates(head: &mut HeaderMap, count: usize) {
    let signature = head["webhook-signature"].to_str().unwrap();
    let forged = format!("v1,{}= ", "A".repeat(43)).repeat(count - 1);
    let all = HeaderValue::try_from(format!("{forged}{signature}")).unwrap();
    head.insert("webhook-signature", all);
}

const PRESETS: [fn() -> Scheme; 5] =
    [Scheme::timestamped, Scheme::standard_webhooks, Scheme::stripe, Scheme::github, Scheme::slack];

/// Sizes of bodies, in bytes.
const SIZES: [usize; 5] = [0, 256, 1 << 10, 16 << 10, 1 << 20];

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = presets, keys_and_candidates
}
criterion_main!(benches);
