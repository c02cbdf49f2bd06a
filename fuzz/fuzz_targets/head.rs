//! A verifier accepts no head that was made without the secret, and no head makes it panic.
#![no_main]

use arbitrary::Arbitrary;
use hookwarden::Verifier;
use hookwarden_fuzz::clock::DrawnNow;
use hookwarden_fuzz::draft::Draft;
use hookwarden_fuzz::keys::{PlainKey, keyring};
use hookwarden_fuzz::mutation::Mutation;
use hookwarden_fuzz::scheme::{DrawnPreset, DrawnScheme};
use hookwarden_fuzz::verdict::verdict;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case {
    /// A scheme in addition to the presets.
    scheme: DrawnScheme,
    now: DrawnNow,
    /// A request with noise for a signature, or with a signature by a key that is not the receiver's.
    draft: Draft,
    forger: Option<[u8; 4]>,
    mutations: Vec<Mutation>,
    sizes: Vec<u8>,
}

fuzz_target!(|case: Case| {
    let presets = DrawnPreset::ALL.map(DrawnPreset::scheme);
    for scheme in presets.into_iter().chain(case.scheme.build()) {
        let keys = keyring(&scheme, &[PlainKey::new(&SECRET)]).expect("one key");
        let verifier = Verifier::new(scheme.clone(), keys).expect("a key of the scheme");
        let now = case.now.seconds();
        let mut request = match &case.forger {
            // There are only two RSA keys, so the forger may have the receiver's.
            Some(forger)
                if scheme.algorithm().uses_public_keys()
                    && keyring(&scheme, &[PlainKey::new(&SECRET), PlainKey::new(forger)]).is_none() =>
            {
                continue;
            }
            Some(forger) => case.draft.signed(&scheme, &[PlainKey::new(forger)], now),
            None => case.draft.unsigned(),
        };
        case.mutations.iter().for_each(|mutation| mutation.apply(&mut request));
        let verdict = verdict(&verifier, &request, &case.sizes, now);
        assert!(verdict.is_err(), "a forged {request:?} is accepted under {scheme:?}");
    }
});

/// The receiver's secret, which no input contains.
const SECRET: [u8; 32] = *b"\x9c\x1f\xe4\x07\x53\xb8\x2d\xaa\x61\xf0\x8e\x35\xc9\x74\x1b\xd6\x02\xbd\x48\xe7\x90\x2c\x5f\xa3\x7e\x16\xdb\x89\x34\xc0\x6d\xf2";
