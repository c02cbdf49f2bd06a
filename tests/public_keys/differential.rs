//! Every verdict is that of ring, another implementation of all algorithms.

use hookwarden::crypto::Algorithm;
use hookwarden::{PublicKey, Reason};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::{ALGORITHMS, bare, public_half, signature, verdict};

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
            Self::Remove(at) if !bytes.is_empty() => drop(bytes.remove(at.index(bytes.len()))),
            Self::Truncate(at) if !bytes.is_empty() => bytes.truncate(at.index(bytes.len())),
            _ => {}
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => any::<Index>().prop_map(Change::Remove),
        1 => any::<Index>().prop_map(Change::Truncate),
    ];
    vec(change, 0..3)
}

/// Whether ring accepts the signature.
fn oracle(algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let by: &dyn VerificationAlgorithm = match algorithm {
        Algorithm::Ed25519 => &signature::ED25519,
        Algorithm::EcdsaP256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP256Der => &signature::ECDSA_P256_SHA256_ASN1,
        Algorithm::RsaPkcs1 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RsaPss => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        other => panic!("the oracle does not know {other:?}"),
    };
    UnparsedPublicKey::new(by, key.as_bytes()).verify(message, signature).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_message_gets_the_verdict_of_ring(
        (algorithm, privates) in select(&ALGORITHMS[..]),
        (signer, known) in (any::<bool>(), any::<bool>()),
        message in vec(any::<u8>(), 0..200),
        (of_message, of_signature) in (changes(), changes()),
    ) {
        let private = |first: bool| privates[usize::from(!first)];
        let key = public_half(&bare(algorithm).secret(private(known)).unwrap());
        let mut signature = signature(algorithm, private(signer), &message);
        let mut sent = message;
        of_message.iter().for_each(|change| change.apply(&mut sent));
        of_signature.iter().for_each(|change| change.apply(&mut signature));
        let accepts = oracle(algorithm, &key, &sent, &signature);
        match verdict(algorithm, key, &sent, &signature) {
            Ok(()) => prop_assert!(accepts),
            Err(Reason::Mismatch | Reason::MalformedSignature) => prop_assert!(!accepts),
            Err(reason) => prop_assert!(false, "{:?}", reason),
        }
    }
}
