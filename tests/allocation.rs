//! Judging a request takes nothing from the heap, whether it is accepted or not: under a flood, a verifier that
//! allocates is a lever.
#![cfg(feature = "http")]

#[path = "util/preset.rs"]
mod preset;

use allocation_counter::measure;
use hookwarden::headers::{Head, NoHeaders};
use hookwarden::{Reason, Verifier};
use http::{HeaderMap, HeaderName, HeaderValue};
use preset::{NOW, PRESETS, keys, sign};

const BODY: &[u8] = br#"{"event":"invoice.paid"}"#;

/// The number of allocations while `body` is judged, and the verdict.
fn allocations<H: Head + ?Sized>(verifier: &Verifier, head: &H, body: &[u8]) -> (u64, Result<(), Reason>) {
    let mut verdict = None;
    let measured = measure(|| verdict = Some(verifier.verify_at(head, body, NOW)));
    let verdict = verdict.expect("it was judged");
    (measured.count_total, verdict.map(drop).map_err(|rejection| rejection.reason()))
}

fn header_map(headers: &[(String, Vec<u8>)]) -> HeaderMap {
    let header = |(name, value): &(String, Vec<u8>)| {
        let name = HeaderName::try_from(name).expect("a header's name");
        (name, HeaderValue::from_bytes(value).expect("a header's value"))
    };
    headers.iter().map(header).collect()
}

#[test]
fn verify_at_allocates_nothing() {
    for (scheme, secret) in PRESETS.map(|(scheme, secret)| (scheme(), secret)) {
        let verifier = Verifier::new(scheme.clone(), keys(&scheme, secret)).unwrap();
        let headers = sign(&scheme, keys(&scheme, secret), BODY, NOW);
        let map = header_map(&headers);
        let twice = [&headers[..], &headers[..]].concat();
        for (body, expected) in [(BODY, Ok(())), (b"{}", Err(Reason::Mismatch)), (&[0; 4096], Err(Reason::Mismatch))] {
            assert_eq!(allocations(&verifier, headers.as_slice(), body), (0, expected), "{}", scheme.name());
            assert_eq!(allocations(&verifier, &map, body), (0, expected), "{}, HeaderMap", scheme.name());
        }
        assert_eq!(allocations(&verifier, &NoHeaders, BODY), (0, Err(Reason::MissingHeader)), "{}", scheme.name());
        assert_eq!(allocations(&verifier, &twice, BODY), (0, Err(Reason::DuplicateHeader)), "{}", scheme.name());
    }
}

#[test]
fn allocations_are_counted() {
    assert!(measure(|| drop(std::hint::black_box(vec![0_u8; 16]))).count_total > 0);
}
