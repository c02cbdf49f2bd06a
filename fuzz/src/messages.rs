//! HTTP Message Signatures: profiles and requests from a fuzzer's bytes, and a simple reader of signatures that shares no
//! code with the crate.

pub mod draft;
pub mod keys;
pub mod mutation;
pub mod normalized;
pub mod peer;
pub mod profile;
pub mod reader;
pub mod structured;
pub mod sufficient;
pub mod verdict;
mod words;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arbitrary::{Arbitrary, Unstructured};
    use hookwarden::crypto::Algorithm;

    use super::draft::{DrawnMessage, DrawnSigning};
    use super::mutation::DrawnMutation;
    use super::profile::{DrawnProfile, Settings};
    use super::reader::{choose, read_dictionary};
    use super::structured::Bare;
    use super::verdict::Receiver;
    use crate::clock::NOW;
    use crate::request::Request;

    /// Random bytes from a seed.
    fn bytes(seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..512).map(|_| next()).collect()
    }

    /// The settings that are reached by accepted messages.
    fn settings_of(receiver: &Receiver, request: &Request) -> Vec<&'static str> {
        let settings = &receiver.settings;
        let inputs = read_dictionary(request, "signature-input").unwrap();
        let (label, components, _) = choose(settings, request, &inputs).unwrap();
        let covers = |name: &str| components.iter().any(|(component, _)| *component == Bare::String(name.to_owned()));
        let all = Settings { preferred_label: None, ignores_insufficient: false, ..settings.clone() };
        let is_ambiguous = choose(&all, request, &inputs).is_none();
        let is_preferred = settings.preferred_label == Some(label.as_str());
        let path = request.line.as_ref().map_or("", |(_, target)| target.split('?').next().unwrap_or_default());
        let reached = [
            ("base64url", settings.is_base64url),
            ("normalized", settings.is_normalized && covers("@path") && settings.path(path) != path),
            ("with body", !settings.covered_with_body.is_empty() && !request.body.is_empty()),
            ("received as", settings.received_as == Some(settings.host)),
            ("preferred", is_ambiguous && is_preferred && !settings.ignores_insufficient),
            ("ignores insufficient", is_ambiguous && !is_preferred && settings.ignores_insufficient),
            ("Ed25519", settings.algorithms == [Algorithm::Ed25519]),
            ("ECDSA", settings.algorithms == [Algorithm::EcdsaP256]),
            ("two algorithms", settings.algorithms.len() == 2),
        ];
        reached.into_iter().filter(|(_, is_reached)| *is_reached).map(|(name, _)| name).collect()
    }

    #[test]
    fn drawn_messages_are_often_accepted_and_often_refused() {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for seed in 0..16_000 {
            let bytes = bytes(seed);
            let mut source = Unstructured::new(&bytes);
            let (profile, message, signing, mutation): (DrawnProfile, DrawnMessage, DrawnSigning, DrawnMutation) =
                Arbitrary::arbitrary(&mut source).unwrap();
            let Ok((profile, settings)) = profile.build(&message) else { continue };
            let Some(sent) = message.sign(&signing, &profile, &settings) else { continue };
            let receiver = Receiver::new(profile, settings);
            if !receiver.accepts(&sent.request, &sent, &[], NOW) {
                continue;
            }
            let mut reached = settings_of(&receiver, &sent.request);
            reached.push(if sent.is_by_signer { "by the signer" } else { "by hand" });
            if let Some(request) = sent.beside_another(&receiver.settings).filter(|_| sent.is_by_signer) {
                assert!(receiver.accepts(&request, &sent, &[], NOW), "{request:?}");
                reached.extend(settings_of(&receiver, &request));
            }
            let mut received = sent.request.clone();
            mutation.apply(&mut received);
            if !receiver.accepts(&received, &sent, &[], NOW) {
                reached.push("changed");
            }
            reached.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
        }
        let all = [
            "base64url",
            "normalized",
            "with body",
            "received as",
            "preferred",
            "ignores insufficient",
            "Ed25519",
            "ECDSA",
            "two algorithms",
            "by the signer",
            "by hand",
            "changed",
        ];
        let is_reached = |name| counts.get(name).is_some_and(|count| *count >= 10);
        assert!(all.into_iter().all(is_reached), "{counts:?}");
    }
}
