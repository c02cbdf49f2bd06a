//! The crate accepts exactly what an independent verifier accepts, and reports the same key.
#![no_main]

use arbitrary::Arbitrary;
use hookwarden::{Timestamp, Verifier};
use hookwarden_fuzz::clock::DrawnNow;
use hookwarden_fuzz::draft::Draft;
use hookwarden_fuzz::keys::{DrawnKeys, keyring};
use hookwarden_fuzz::mutation::Mutation;
use hookwarden_fuzz::oracle;
use hookwarden_fuzz::scheme::DrawnScheme;
use hookwarden_fuzz::verdict::verdict;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case {
    scheme: DrawnScheme,
    keys: DrawnKeys,
    now: DrawnNow,
    later: i16,
    is_signed: bool,
    draft: Draft,
    mutations: Vec<Mutation>,
    sizes: Vec<u8>,
}

fuzz_target!(|case: Case| {
    let Ok(scheme) = case.scheme.build() else { return };
    let sent = case.now.seconds();
    let keys = case.keys.plain(&scheme, sent);
    let Some(ring) = keyring(&scheme, &keys) else { return };
    let verifier = Verifier::new(scheme.clone(), ring).expect("the keys are those of the scheme");
    let mut request = if case.is_signed { case.draft.signed(&scheme, &keys, sent) } else { case.draft.unsigned() };
    case.mutations.iter().for_each(|mutation| mutation.apply(&mut request));
    let now = sent.saturating_add(case.later.into());
    let expected = oracle::verify(&scheme, &keys, &request, now);
    let verdict = verdict(&verifier, &request, &case.sizes, now);
    match (&verdict, &expected) {
        (Ok(verified), Some(expected)) => {
            assert_eq!(verified.key_id().as_str(), expected.key.to_string());
            assert_eq!(verified.timestamp().map(Timestamp::as_unix), expected.stamp);
            assert_eq!(verified.skew(), expected.stamp.map(|stamp| now.saturating_sub(stamp)));
            let live = keys.iter().filter(|key| key.is_live(now)).count();
            // With public keys, the replay keys do not depend on the key.
            let per_stamp = if scheme.algorithm().uses_public_keys() { 1 } else { live.min(8 / expected.stamps) };
            assert_eq!(verified.replay_keys().len(), per_stamp * expected.stamps);
        }
        (Err(_), None) => {}
        _ => panic!("{verdict:?}, but the oracle returned {expected:?}, of {request:?} under {scheme:?}"),
    }
});
