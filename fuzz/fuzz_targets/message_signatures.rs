//! A message is accepted exactly if its signature is that of the base which a simple reader builds, with a key of the
//! sender, and if it meets the profile. Then it has what was signed. What the crate signs is accepted, also beside a
//! signature that the profile ignores.
#![no_main]

use arbitrary::Arbitrary;
use hookwarden_fuzz::clock::NOW;
use hookwarden_fuzz::messages::draft::{DrawnMessage, DrawnSigning};
use hookwarden_fuzz::messages::mutation::DrawnMutation;
use hookwarden_fuzz::messages::profile::DrawnProfile;
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
    let Ok((profile, settings)) = case.profile.build(&case.message) else { return };
    let Some(sent) = case.message.sign(&case.signing, &profile, &settings) else { return };
    let receiver = Receiver::new(profile, settings);
    let is_accepted = receiver.accepts(&sent.request, &sent, &case.sizes, NOW);
    if sent.is_by_signer {
        assert!(is_accepted, "{sent:?} is refused: {:?}", receiver.explain(&sent.request, NOW));
        if let Some(request) = sent.beside_another(&receiver.settings) {
            let is_accepted = receiver.accepts(&request, &sent, &[], NOW);
            assert!(is_accepted, "{request:?} is refused: {:?}", receiver.explain(&request, NOW));
        }
    }
    let mut received = sent.request.clone();
    case.mutations.iter().for_each(|mutation| mutation.apply(&mut received));
    receiver.accepts(&received, &sent, &case.sizes, NOW.saturating_add(case.later.into()));
});
