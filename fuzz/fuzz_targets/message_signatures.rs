//! A message is accepted exactly if its signature is that of the base which a simple reader builds, and then it has what
//! was signed. What the crate signs is accepted.
#![no_main]

use arbitrary::Arbitrary;
use hookwarden_fuzz::clock::NOW;
use hookwarden_fuzz::messages::draft::{DrawnMessage, DrawnSigning};
use hookwarden_fuzz::messages::mutation::DrawnMutation;
use hookwarden_fuzz::messages::profile::{DrawnProfile, verifier};
use hookwarden_fuzz::messages::verdict::Receiver;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case {
    profile: DrawnProfile,
    message: DrawnMessage,
    signing: DrawnSigning,
    mutations: Vec<DrawnMutation>,
    later: i16,
    sizes: Vec<u8>,
}

fuzz_target!(|case: Case| {
    let Ok((profile, settings)) = case.profile.build() else { return };
    let Some(sent) = case.message.sign(&case.signing, &profile, &settings) else { return };
    let receiver = Receiver { verifier: verifier(&profile), profile, settings };
    let is_accepted = receiver.accepts(&sent.request, &sent, &case.sizes, NOW);
    if sent.is_by_signer {
        assert!(is_accepted, "{sent:?} is refused: {:?}", receiver.explain(&sent.request, NOW));
    }
    let mut received = sent.request.clone();
    case.mutations.iter().for_each(|mutation| mutation.apply(&mut received));
    receiver.accepts(&received, &sent, &case.sizes, NOW.saturating_add(case.later.into()));
});
