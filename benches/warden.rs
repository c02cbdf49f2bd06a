//! The time of a Warden for an accepted delivery of 1 KiB, with each of its parts on and off, and of a verifier only:
//! `cargo bench --features metrics,tracing --bench warden`.
//!
//! Every delivery is new, because a Warden refuses replays. `tracing` is the observer without a subscriber.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic ends the measurement")]

#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "util/pipeline.rs"]
mod pipeline;
#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "util/sender.rs"]
mod sender;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use hookwarden::event::{MetricsObserver, TracingObserver};
use hookwarden::warden::{Quotas, Replay, WardenBuilder};
use http::HeaderMap;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pipeline::Pipeline;

fn warden(criterion: &mut Criterion) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();

    let mut group = criterion.benchmark_group("warden");
    let (verifier, mut messages) = (sender::verifier(), Messages::default());
    group.bench_function("verifier only", |bencher| {
        bencher.iter_custom(|count| messages.time(count, |(head, body)| drop(verifier.verify(head, body).unwrap())));
    });
    let every = PARTS.map(|(name, _)| name);
    let sets = [("without any", vec![])]
        .into_iter()
        .chain(every.map(|name| (name, vec![name])))
        .map(|(name, parts)| (name.to_owned(), parts))
        .chain(every.map(|left_out| {
            (format!("all but {left_out}"), every.into_iter().filter(|name| *name != left_out).collect())
        }))
        .chain([("all".to_owned(), every.to_vec())]);
    for (name, parts) in sets {
        group
            .bench_function(name, |bencher| bencher.iter_custom(|count| accept(count, &parts, &mut messages, &scrape)));
    }
    group.finish();
}

/// Returns the time of a new Warden with these parts for `count` deliveries.
fn accept(count: u64, parts: &[&str], messages: &mut Messages, scrape: &PrometheusHandle) -> Duration {
    let pipeline = Pipeline::with(|builder| {
        let settings = (builder, Quotas::new());
        let switched = |settings, (name, switch): &Part| switch(settings, parts.contains(name));
        let (builder, quotas) = PARTS.iter().fold(settings, switched);
        builder.quotas(quotas)
    });
    let taken = messages.time(count, |(head, body)| pipeline.accept("acme", head, body));
    // Without this, the samples of the histograms accumulate.
    scrape.run_upkeep();
    taken
}

#[derive(Default)]
struct Messages {
    next: usize,
}

impl Messages {
    /// Returns the time of `call` for `count` new messages.
    fn time(&mut self, mut count: u64, call: impl Fn(&(HeaderMap, Vec<u8>))) -> Duration {
        let mut taken = Duration::ZERO;
        while count > 0 {
            let batch = count.min(BATCH);
            let numbers = (self.next..).take(batch.try_into().unwrap());
            let messages: Vec<_> = numbers.map(|number| sender::numbered(number, 1 << 10)).collect();
            self.next += messages.len();
            let began = Instant::now();
            messages.iter().for_each(|message| call(black_box(message)));
            taken += began.elapsed();
            count -= batch;
        }
        taken
    }
}

/// The name of a part, and the function that switches it on or off.
type Part = (&'static str, fn(Settings, bool) -> Settings);

type Settings = (WardenBuilder, Quotas);

const PARTS: [Part; 5] = [
    ("quota", |(builder, quotas), on| {
        (builder, if on { quotas.accepted(pipeline::ample()) } else { quotas.danger_unlimited_accepted() })
    }),
    ("rejected quotas", |(builder, quotas), on| {
        (builder, if on { quotas } else { quotas.danger_unlimited_rejected() })
    }),
    ("replay", |(builder, quotas), on| (if on { builder } else { builder.replay(Replay::danger_off()) }, quotas)),
    ("metrics", |(builder, quotas), on| (if on { builder.observer(MetricsObserver::new()) } else { builder }, quotas)),
    ("tracing", |(builder, quotas), on| (if on { builder.observer(TracingObserver::new()) } else { builder }, quotas)),
];

/// The number of messages at a time, few enough to stay in a cache.
const BATCH: u64 = 400;

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = warden
}
criterion_main!(benches);
