//! Verification allocates nothing, whether it succeeds or fails: an allocation per forgery would amplify floods.

use crate::preset::{NOW, PRESETS, keys, sign};
use allocation_counter::measure;
use hookwarden::crypto::{Algorithm, HashAlgorithm};
use hookwarden::encoding::Encoding;
use hookwarden::headers::{Head, NoHeaders};
use hookwarden::scheme::SignedPart;
use hookwarden::{Key, Keyring, Reason, Scheme, Secret, Verifier};
use http::{HeaderMap, HeaderName, HeaderValue};

const BODY: &[u8] = br#"{"event":"invoice.paid"}"#;

/// Returns the number of allocations during verification, and the verdict.
fn allocations<H: Head + ?Sized>(verifier: &Verifier, head: &H, body: &[u8]) -> (u64, Result<(), Reason>) {
    let mut verdict = None;
    let measured = measure(|| verdict = Some(verifier.verify_at(head, body, NOW)));
    let verdict = verdict.expect("the closure ran");
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

/// The state of the hash is one allocation while the body arrives, so that other schemes need no room for it.
#[test]
fn digest_of_the_body_allocates_one_state() {
    let digest = SignedPart::body_digest(HashAlgorithm::Sha512, Encoding::Hex);
    let parts = [SignedPart::Timestamp, SignedPart::literal("."), digest];
    let scheme = Scheme::timestamped().into_builder().signed(parts).build().unwrap();
    let both = ["new", "old"].map(|name| Key::new(name, Secret::from_text(name).unwrap()).unwrap());
    let verifier = Verifier::new(scheme.clone(), Keyring::from_keys(both.clone()).unwrap()).unwrap();
    let [_, old] = both;
    let headers = sign(&scheme, Keyring::from_keys([old]).unwrap(), BODY, NOW);
    for (body, expected) in [(BODY, Ok(())), (b"{}", Err(Reason::Mismatch))] {
        assert_eq!(allocations(&verifier, headers.as_slice(), body), (0, expected));
        let mut verdict = None;
        let measured = measure(|| {
            let mut verification = verifier.begin_at(headers.as_slice(), NOW).unwrap();
            body.chunks(3).for_each(|chunk| verification.update(chunk));
            verdict = Some(verification.finish().map(|verified| verified.key_id()));
        });
        let verdict = verdict.unwrap().map(|id| assert_eq!(id.as_str(), "old"));
        assert_eq!((measured.count_total, verdict.map_err(|rejection| rejection.reason())), (1, expected));
    }
}

/// The state of HMAC-SHA512 is twice as large as others, so it is one allocation for each live key.
#[test]
fn streamed_sha512_allocates_once_per_key() {
    for (algorithm, expected) in [(Algorithm::HmacSha512, 2), (Algorithm::HmacSha256, 0), (Algorithm::HmacSha1, 0)] {
        let scheme = Scheme::timestamped().into_builder().algorithm(algorithm).build().unwrap();
        let both = ["new", "old"].map(|name| Key::new(name, Secret::from_text(name).unwrap()).unwrap());
        let ring = || Keyring::from_keys(both.clone()).unwrap();
        let verifier = Verifier::new(scheme.clone(), ring()).unwrap();
        let headers = sign(&scheme, ring(), BODY, NOW);
        let mut verdict = None;
        let measured = measure(|| {
            let mut verification = verifier.begin_at(headers.as_slice(), NOW).unwrap();
            verification.update(BODY);
            verdict = Some(verification.finish().map(|verified| verified.key_id()));
        });
        assert_eq!(verdict.unwrap().unwrap().as_str(), "new");
        assert_eq!(measured.count_total, expected, "{algorithm:?}");
        assert_eq!(allocations(&verifier, headers.as_slice(), BODY), (0, Ok(())));
    }
}

#[test]
fn allocations_are_counted() {
    assert!(measure(|| drop(std::hint::black_box(vec![0_u8; 16]))).count_total > 0);
}
