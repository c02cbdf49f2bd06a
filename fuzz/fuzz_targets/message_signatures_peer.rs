//! The crate and another implementation build the same signature base and agree on a message. Where they don't, the
//! crate refuses what the other one accepts, for a reason listed here, or the other one is known to build another base.
#![no_main]

use arbitrary::Arbitrary;
use hookwarden::message_signatures::Problem;
use hookwarden_fuzz::clock::NOW;
use hookwarden_fuzz::messages::draft::{DrawnMessage, DrawnSigning};
use hookwarden_fuzz::messages::mutation::DrawnMutation;
use hookwarden_fuzz::messages::peer::{has_other_base, has_other_digests, has_right_digest, signatures};
use hookwarden_fuzz::messages::profile::DrawnProfile;
use hookwarden_fuzz::messages::reader::read;
use hookwarden_fuzz::messages::verdict::Receiver;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case {
    profile: DrawnProfile,
    message: DrawnMessage,
    signing: DrawnSigning,
    mutations: Vec<DrawnMutation>,
    later: i16,
}

fuzz_target!(|case: Case| {
    let Ok((profile, settings)) = case.profile.build(&case.message) else { return };
    let Some(sent) = case.message.sign(&case.signing, &profile, &settings) else { return };
    let mut request = sent.request.clone();
    case.mutations.iter().for_each(|mutation| mutation.apply(&mut request));
    let receiver = Receiver::new(profile, settings);
    let now = NOW.saturating_add(case.later.into());
    let is_accepted = receiver.accepts(&request, &sent, &[], now);
    let Some(theirs) = signatures(&receiver.settings, &request) else { return };

    let ours = read(&receiver.settings, &request);
    let of_label = ours.as_ref().and_then(|ours| theirs.iter().find(|theirs| theirs.label == ours.label));
    let is_known_to_differ = ours.as_ref().is_none_or(|ours| has_other_base(&receiver.settings, &request, ours));
    if let (Some(ours), Some(theirs)) = (&ours, of_label) {
        assert!(ours.base == theirs.base || is_known_to_differ, "{theirs:?}, but {ours:?} of {request:?}");
    }

    let covers_digest = ours.as_ref().is_some_and(|ours| ours.covers_header("content-digest"));
    let has_digest = !covers_digest || has_right_digest(&receiver.settings, &request);
    // They accept any of several signatures. Compare the one that counts, if there is one.
    let is_genuine = of_label.map_or(theirs.iter().any(|theirs| theirs.is_genuine), |theirs| theirs.is_genuine);
    if is_accepted {
        let accepted = of_label.is_some() && is_genuine && has_digest;
        let is_known = is_known_to_differ || (covers_digest && has_other_digests(&request));
        assert!(accepted || is_known, "they refuse {request:?}: {theirs:?}");
    } else if is_genuine && has_digest {
        let problem = receiver.explain(&request, now);
        assert!(
            is_stricter(problem.as_ref(), is_known_to_differ, has_other_digests(&request)),
            "{problem:?}, but they accept {request:?}"
        );
    }
});

/// Whether the crate is known to refuse what the other implementation accepts, for this reason.
fn is_stricter(problem: Option<&Problem>, has_other_base: bool, has_other_digests: bool) -> bool {
    match problem {
        // Only the signature is wrong: the other implementation verifies another text.
        None => has_other_base,
        // The other implementation has no profile, ignores the header `Host`, and the time is the caller's here.
        Some(
            Problem::NoSuchSignature
            | Problem::AmbiguousSignature
            | Problem::TooManySignatures
            | Problem::Uncovered(_)
            | Problem::MissingParameter(_)
            | Problem::ForbiddenParameter(_)
            | Problem::MalformedParameter(_)
            | Problem::WrongAlgorithm
            | Problem::ShortNonce
            | Problem::LongValidity
            | Problem::OtherAuthority { .. }
            | Problem::AmbiguousHost
            | Problem::MissingHeader("host")
            | Problem::Early
            | Problem::Stale
            | Problem::Expired,
        ) => true,
        // A key that occurs twice, a limit, a component that is missing, repeated, ambiguous or only for responses. The
        // other implementation takes the last key, and an empty value for a missing header.
        Some(
            Problem::MalformedHeader(_)
            | Problem::DuplicateComponent
            | Problem::Component(_)
            | Problem::ComponentValue
            | Problem::NoSignatureBytes,
        ) => true,
        // The other implementation compares only the digest of the first line.
        Some(Problem::OtherBody | Problem::NoSupportedDigest) => has_other_digests,
        // Another missing header is accepted by neither.
        _ => false,
    }
}
