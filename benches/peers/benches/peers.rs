//! Measures every peer at every size: `cargo bench --manifest-path benches/peers/Cargo.toml`. Then `cargo run
//! --manifest-path benches/peers/Cargo.toml --bin plot` creates the plot and the README's table from the results.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hookwarden_peers::{PEERS, SIZES};

fn peers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peers");
    // Measure size by size, so that the times of all peers at one size are close together.
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
