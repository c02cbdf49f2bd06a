//! A signed request is accepted in any chunks. With a bit flipped in body, signature or timestamp it is refused.
#![no_main]

use arbitrary::Arbitrary;
use hookwarden::Verifier;
use hookwarden_fuzz::clock::DrawnNow;
use hookwarden_fuzz::draft::Draft;
use hookwarden_fuzz::keys::{DrawnKeys, keyring};
use hookwarden_fuzz::round_trip::{round_trip, with_flipped_body, with_flipped_stamp, with_flipped_tag};
use hookwarden_fuzz::scheme::DrawnScheme;
use hookwarden_fuzz::verdict::verdict;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case {
    scheme: DrawnScheme,
    keys: DrawnKeys,
    now: DrawnNow,
    draft: Draft,
    sizes: Vec<u8>,
    bit: u16,
}

fuzz_target!(|case: Case| {
    let Ok(scheme) = case.scheme.build() else { return };
    let now = case.now.seconds();
    let keys = case.keys.plain(&scheme, now);
    let Some(ring) = keyring(&scheme, &keys) else { return };
    let request = case.draft.prepared(&scheme);
    let Some(sent) = round_trip(&scheme, &ring, &request, &case.sizes, now) else { return };
    let verifier = Verifier::new(scheme.clone(), ring).expect("the signer took the keys");
    let bit = case.bit.into();
    let has_single_key = keys.iter().filter(|key| key.is_live(now)).count() == 1;
    let tag = if has_single_key { with_flipped_tag(&scheme, &sent, bit) } else { None };
    let flipped = [with_flipped_body(&sent, bit), with_flipped_stamp(&scheme, &sent, bit), tag];
    for spoiled in flipped.into_iter().flatten() {
        let verdict = verdict(&verifier, &spoiled, &case.sizes, now);
        assert!(verdict.is_err(), "{sent:?} became {spoiled:?}, which is accepted under {scheme:?}");
    }
});
