//! Every peer at every size: `cargo bench --manifest-path benches/peers/Cargo.toml`. The plot and the table in the README
//! are made from what it leaves behind, by `cargo run --manifest-path benches/peers/Cargo.toml --bin plot`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hookwarden_peers::{PEERS, SIZES};

fn peers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peers");
    // Size by size and no longer than needed, so that those which are compared are measured soon after each other.
    for size in SIZES {
        for peer in &PEERS {
            let call = peer.call(size);
            group.bench_function(BenchmarkId::new(peer.name, size), |bencher| bencher.iter(&call));
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    targets = peers
}
criterion_main!(benches);
