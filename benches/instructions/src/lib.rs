//! The requests whose instructions `benches/requests.rs` counts.
//!
//! Each function prepares [`REQUESTS`] requests and returns what handles them. Everything that happens only once, such as
//! filling a table for the first time, is done before, with [`WARMED_UP`] requests.

#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "../../util/floor.rs"]
mod floor;
#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "../../util/pipeline.rs"]
mod pipeline;
#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "../../util/sender.rs"]
mod sender;

pub mod frameworks;
pub mod refused;

use std::hint::black_box;

use hookwarden::Timestamp;
use hookwarden::event::SecurityEvent;
use hookwarden::warden::{Quotas, Replay, WardenBuilder};
use http::HeaderMap;

/// How many requests one run handles. The work of a single one varies, because tables grow.
pub const REQUESTS: u64 = 100;

/// How many requests are handled before.
const WARMED_UP: usize = 20;

/// Handles the requests. It keeps what it can, because dropping a message is not the Warden's work.
pub type Work = Box<dyn FnMut()>;

/// The minimum work of any verifier, with bodies of `size` bytes.
#[must_use]
pub fn floor(size: usize) -> Work {
    let (floor, (head, body)) = (floor::Floor::new(), sender::message(size));
    // The floor does not find its headers.
    let signed = floor::Signed::of(Box::leak(Box::new(head)));
    repeated(move || floor.verify(black_box(&signed), black_box(&body)))
}

/// `verify_at`, with bodies of `size` bytes.
#[must_use]
pub fn verify_at(size: usize) -> Work {
    let (verifier, (head, body)) = (sender::verifier(), sender::message(size));
    repeated(move || {
        black_box(verifier.verify_at(black_box(&head), black_box(&body), sender::NOW).expect("it is signed"));
    })
}

/// A whole Warden without a framework, with bodies of `size` bytes.
#[must_use]
pub fn warden(size: usize) -> Work {
    let pipeline = pipeline::Pipeline::with(settings);
    fill(&pipeline);
    each(messages(size), move |(head, body)| pipeline.accept("acme", black_box(head), black_box(body)))
}

/// The replay store has one shard, which [`fill`] fills to where it does not grow soon: in a store that has run for hours,
/// tables seldom grow.
fn settings(builder: WardenBuilder) -> WardenBuilder {
    builder
        .quotas(Quotas::new().accepted(pipeline::ample()))
        .replay(Replay::new().capacity(8_192))
        .observer(|_: &SecurityEvent<'_>| {})
}

fn fill(pipeline: &pipeline::Pipeline) {
    for number in 1_000..1_500 {
        let (head, body) = sender::numbered(number, 32);
        pipeline.accept("acme", &head, &body);
    }
}

/// Calls `work` as often as there are requests.
fn repeated(mut work: impl FnMut() + 'static) -> Work {
    work();
    Box::new(move || (0..REQUESTS).for_each(|_| work()))
}

/// Calls `work` for each item. The first ones are not counted.
fn each<T: 'static>(items: impl Iterator<Item = T>, mut work: impl FnMut(&mut T) + 'static) -> Work {
    let mut counted: Vec<T> = items.collect();
    let mut first: Vec<T> = counted.drain(..WARMED_UP).collect();
    first.iter_mut().for_each(&mut work);
    Box::new(move || counted.iter_mut().for_each(&mut work))
}

/// Returns different messages, all fresh, also if their bodies are empty.
fn messages(size: usize) -> impl Iterator<Item = (HeaderMap, Vec<u8>)> {
    let now = Timestamp::now().as_unix();
    let count = WARMED_UP + usize::try_from(REQUESTS).expect("few");
    (0..count).map(move |number| {
        let age = i64::try_from(number).expect("few");
        sender::signed(sender::body(number, size), Timestamp::from_unix(now - age))
    })
}
