//! No text makes the loading of a scheme panic, and every scheme that loads can be used.
#![no_main]

use std::collections::BTreeSet;

use hookwarden::scheme::{SignedPart, TimestampSource};
use hookwarden::{Keyring, Scheme, Secret, Verifier};
use hookwarden_fuzz::clock::NOW;
use hookwarden_fuzz::document::mutate;
use hookwarden_fuzz::draft::Draft;
use hookwarden_fuzz::request::Request;
use hookwarden_fuzz::round_trip::round_trip;
use hookwarden_fuzz::verdict::verdict;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|text: &str| {
    let Ok(scheme) = toml::from_str::<Scheme>(text) else { return };
    assert_consistent(&scheme);
    let _ = scheme.secret("a-secret-that-may-be-of-another-form");
    let ring = Keyring::new(Secret::from_bytes(*b"of any scheme").expect("the secret is not blank"));
    let verifier = Verifier::new(scheme.clone(), ring.clone()).expect("bytes are of any form");
    // The text is also the forged request.
    let mut garbage = Request { line: Some(("POST".to_owned(), text.to_owned())), ..Request::default() };
    for (name, line) in names(&scheme).into_iter().zip(text.lines().cycle()) {
        garbage.headers.push((name, line.as_bytes().to_vec()));
    }
    garbage.body = text.as_bytes().to_vec();
    assert!(verdict(&verifier, &garbage, &[1], NOW).is_err(), "garbage is accepted under {scheme:?}");
    round_trip(&scheme, &ring, &Draft::plain(text.as_bytes()).prepared(&scheme), &[1], NOW);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match std::str::from_utf8(&data[..size]).map(|text| mutate(text, seed)) {
        Ok(text) if seed.is_multiple_of(2) && text.len() <= max_size => {
            data[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

fn is_body(part: &&SignedPart) -> bool {
    matches!(part, SignedPart::Body | SignedPart::BodyDigest { .. })
}

/// Checks what the documentation promises of every scheme.
fn assert_consistent(scheme: &Scheme) {
    assert_eq!(scheme.signed().iter().filter(is_body).count(), 1, "{scheme:?}");
    assert!(scheme.signed().len() <= 16 && (1..=86_400).contains(&scheme.tolerance().as_duration().as_secs()));
    assert!((1..=64).contains(&scheme.name().len()) && scheme.name().is_ascii());
    let headers = scheme.signature_headers();
    let distinct: BTreeSet<String> = headers.iter().map(|name| name.as_str().to_ascii_lowercase()).collect();
    assert!(distinct.len() == headers.len() && (1..=usize::from(scheme.max_signatures())).contains(&headers.len()));
    assert!((1..=128).contains(&scheme.max_signatures()), "{scheme:?}");
    let signs = |wanted: &dyn Fn(&SignedPart) -> bool| scheme.signed().iter().any(wanted);
    let is_stamp_signed = match scheme.timestamp_source() {
        Some(TimestampSource::Header(stamp)) => {
            assert!(!headers.contains(stamp), "{scheme:?}");
            signs(&|part| match part {
                SignedPart::Header(name) => name == stamp,
                SignedPart::ListedHeaders(listed) => listed.require.contains(stamp),
                part => *part == SignedPart::Timestamp,
            })
        }
        Some(TimestampSource::Field(stamp)) => {
            signs(&|part| *part == SignedPart::Timestamp || *part == SignedPart::field(stamp.clone()))
        }
        _ => true,
    };
    assert!(is_stamp_signed, "{scheme:?}");
    assert!(!signs(&|part| matches!(part, SignedPart::Header(name) if headers.contains(name))), "{scheme:?}");
    assert!(scheme.clone().into_builder().build().is_ok(), "{scheme:?}");
}

/// Returns every header that the scheme reads.
fn names(scheme: &Scheme) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = scheme.signature_headers().iter().map(|name| name.as_str().to_owned()).collect();
    if let Some(TimestampSource::Header(name)) = scheme.timestamp_source() {
        names.insert(name.as_str().to_owned());
    }
    for part in scheme.signed() {
        match part {
            SignedPart::Header(name) => names.extend([name.as_str().to_owned()]),
            SignedPart::ListedHeaders(listed) => {
                names.extend(listed.require.iter().map(|name| name.as_str().to_owned()))
            }
            _ => {}
        }
    }
    names
}
