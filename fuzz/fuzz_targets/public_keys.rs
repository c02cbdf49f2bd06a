//! A signature with a public key is accepted exactly when ring accepts it, in any chunks of the message.
//! `HOOKWARDEN_FUZZ_ALGORITHM` names one algorithm, such as `RsaPss`; without it each input chooses one.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use hookwarden::crypto::Algorithm;
use hookwarden::scheme::SignedPart;
use hookwarden::{Keyring, PublicKey, Scheme, Signer, Timestamp, Verifier};
use libfuzzer_sys::fuzz_target;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

#[derive(Debug, Arbitrary)]
struct Case {
    scheme: u8,
    /// Whether the verifier has the key that signs.
    is_known: bool,
    message: Vec<u8>,
    /// Replaces the signature.
    signature: Option<Vec<u8>>,
    of_message: Vec<Change>,
    of_signature: Vec<Change>,
    sizes: Vec<u8>,
}

/// A change of some bytes.
#[derive(Debug, Arbitrary)]
enum Change {
    Flip(u16, u8),
    Insert(u16, u8),
    Remove(u16),
    Truncate(u16),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &u16, length: usize| usize::from(*at).checked_rem(length);
        match self {
            Self::Flip(at, bits) => {
                if let Some(byte) = place(at, bytes.len()).and_then(|at| bytes.get_mut(at)) {
                    *byte ^= bits;
                }
            }
            Self::Insert(at, byte) => bytes.insert(place(at, bytes.len() + 1).unwrap_or_default(), *byte),
            Self::Remove(at) => drop(place(at, bytes.len()).map(|at| bytes.remove(at))),
            Self::Truncate(at) => bytes.truncate(place(at, bytes.len()).unwrap_or_default()),
        }
    }
}

/// A scheme that signs the body, its sender, and a receiver with the sender's key and one with another.
struct Pair {
    algorithm: Algorithm,
    oracle: &'static dyn VerificationAlgorithm,
    signer: Signer,
    receivers: [(PublicKey, Verifier); 2],
}

impl Pair {
    fn new(algorithm: Algorithm, oracle: &'static dyn VerificationAlgorithm, keys: [&str; 2]) -> Self {
        let scheme = Scheme::builder("bare").algorithm(algorithm).signature_header("X-Signature");
        let scheme = scheme.signed([SignedPart::Body]).build().expect("the description is consistent");
        let secrets = keys.map(|text| scheme.secret(text).expect("a private key"));
        let receivers = secrets.each_ref().map(|secret| {
            let key = secret.public_key().expect("a private key").clone();
            let verifier = Verifier::new(scheme.clone(), Keyring::new(key.clone())).expect("a public key");
            (key, verifier)
        });
        let [secret, _] = secrets;
        Self { algorithm, oracle, signer: Signer::new(scheme, Keyring::new(secret)).expect("a private key"), receivers }
    }
}

static PAIRS: LazyLock<[Pair; 6]> = LazyLock::new(|| {
    let ed25519 = [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        include_str!("../../tests/public_keys/keys/ed25519.pem"),
    ];
    let p256 = [
        "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
        include_str!("../../tests/public_keys/keys/p256.pem"),
    ];
    let rsa = [
        include_str!("../../tests/public_keys/keys/rsa_a.pem"),
        include_str!("../../tests/public_keys/keys/rsa_b.pem"),
    ];
    [
        Pair::new(Algorithm::Ed25519, &signature::ED25519, ed25519),
        Pair::new(Algorithm::EcdsaP256, &signature::ECDSA_P256_SHA256_FIXED, p256),
        Pair::new(Algorithm::EcdsaP256Der, &signature::ECDSA_P256_SHA256_ASN1, p256),
        Pair::new(Algorithm::RsaPkcs1, &signature::RSA_PKCS1_2048_8192_SHA256, rsa),
        Pair::new(Algorithm::RsaPss, &signature::RSA_PSS_2048_8192_SHA256, rsa),
        Pair::new(Algorithm::RsaPssSha512, &signature::RSA_PSS_2048_8192_SHA512, rsa),
    ]
});

/// The pairs that inputs choose from.
static CHOICE: LazyLock<Vec<&Pair>> = LazyLock::new(|| {
    let only = std::env::var("HOOKWARDEN_FUZZ_ALGORITHM").ok();
    let is_chosen = |pair: &&Pair| only.as_ref().is_none_or(|name| *name == format!("{:?}", pair.algorithm));
    let choice: Vec<_> = PAIRS.iter().filter(is_chosen).collect();
    assert!(!choice.is_empty(), "HOOKWARDEN_FUZZ_ALGORITHM: no algorithm {only:?}");
    choice
});

fuzz_target!(|case: Case| {
    let pair = CHOICE[usize::from(case.scheme) % CHOICE.len()];
    let (key, verifier) = &pair.receivers[usize::from(!case.is_known)];
    let now = Timestamp::from_unix(1_800_000_000);
    let mut signature = case.signature.unwrap_or_else(|| {
        let signed = pair.signer.sign_body_at(&case.message, now).expect("a private key signs any body");
        let text = signed.iter().next().expect("one header").1.as_bytes();
        text.chunks(2).map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap()).collect()
    });
    let mut message = case.message;
    case.of_message.iter().for_each(|change| change.apply(&mut message));
    case.of_signature.iter().for_each(|change| change.apply(&mut signature));

    let expected = UnparsedPublicKey::new(pair.oracle, key.as_bytes()).verify(&message, &signature).is_ok();
    let text: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let head = [("X-Signature", text)];
    let whole = verifier.verify_at(&head, &message, now);
    let streamed = verifier.begin_at(&head, now).and_then(|mut verification| {
        let mut rest = &message[..];
        for size in &case.sizes {
            let (chunk, after) = rest.split_at(usize::from(*size).min(rest.len()));
            verification.update(chunk);
            rest = after;
        }
        verification.update(rest);
        verification.finish()
    });
    assert_eq!((whole.is_ok(), streamed.is_ok()), (expected, expected), "{signature:02x?} of {message:02x?}");
    if let (Ok(whole), Ok(streamed)) = (whole, streamed) {
        assert_eq!(whole.replay_keys(), streamed.replay_keys());
    }
});
