//! HTTP Message Signatures: profiles and requests from a fuzzer's bytes, and a simple reader of signatures that shares no
//! code with the crate.

pub mod draft;
pub mod mutation;
pub mod peer;
pub mod profile;
pub mod reader;
pub mod structured;
pub mod verdict;
mod words;

#[cfg(test)]
mod tests {
    use arbitrary::{Arbitrary, Unstructured};

    use super::draft::{DrawnMessage, DrawnSigning};
    use super::mutation::DrawnMutation;
    use super::profile::{DrawnProfile, verifier};
    use super::verdict::Receiver;
    use crate::clock::NOW;

    /// Random bytes from a seed.
    fn bytes(seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..256).map(|_| next()).collect()
    }

    #[test]
    fn drawn_messages_are_often_accepted_and_often_refused() {
        let (mut by_signer, mut by_hand, mut changed) = (0, 0, 0);
        for seed in 0..4_000 {
            let bytes = bytes(seed);
            let mut source = Unstructured::new(&bytes);
            let (profile, message, signing, mutation): (DrawnProfile, DrawnMessage, DrawnSigning, DrawnMutation) =
                Arbitrary::arbitrary(&mut source).unwrap();
            let Ok((profile, settings)) = profile.build() else { continue };
            let Some(sent) = message.sign(&signing, &profile, &settings) else { continue };
            let receiver = Receiver { verifier: verifier(&profile), profile, settings };
            if !receiver.accepts(&sent.request, &sent, &[], NOW) {
                continue;
            }
            by_signer += usize::from(sent.is_by_signer);
            by_hand += usize::from(!sent.is_by_signer);
            let mut received = sent.request.clone();
            mutation.apply(&mut received);
            changed += usize::from(!receiver.accepts(&received, &sent, &[], NOW));
        }
        let counts = [by_signer, by_hand, changed];
        assert!(counts.iter().all(|count| (40..4_000).contains(count)), "{counts:?}");
    }
}
