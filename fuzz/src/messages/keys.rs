//! The keys of drawn profiles. Signatures are verified by another implementation.

use std::sync::LazyLock;

use hookwarden::crypto::Algorithm;
use hookwarden::scheme::SignedPart;
use hookwarden::{Key, Keyring, Scheme, Secret, Signer};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};

use crate::oracle::text::from_hex;

/// One key for each algorithm. Its id is the name of the algorithm.
#[derive(Debug)]
pub struct Keys {
    /// Of the secrets.
    texts: [&'static str; 3],
    secrets: [Secret; 3],
    signers: [Signer; 3],
}

/// The keys that sign.
pub static SENDER: LazyLock<Keys> = LazyLock::new(|| {
    Keys::new([
        "9c1fe40753b82daa61f08e35c9741bd6",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    ])
});

/// Keys of another sender.
pub static OTHER: LazyLock<Keys> = LazyLock::new(|| {
    Keys::new([
        "9c1fe40753b82daa61f08e35c9741bd7",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "0f56db78ca460b055c500064824bed999a25aaf48ebb519ac201537b85479813",
    ])
});

impl Keys {
    fn new(texts: [&'static str; 3]) -> Self {
        let schemes = ALGORITHMS.map(|(algorithm, _)| {
            let bare = Scheme::builder("bare").algorithm(algorithm).signature_header("X-Signature");
            bare.signed([SignedPart::Body]).build().expect("a consistent description")
        });
        let [hmac, ed25519, p256] = &schemes;
        let secrets = [
            Secret::from_bytes(from_hex(texts[0]).expect("hex")).expect("the secret is not blank"),
            ed25519.secret(texts[1]).expect("a private key"),
            p256.secret(texts[2]).expect("a private key"),
        ];
        let signer = |at: usize, scheme: &Scheme| {
            Signer::new(scheme.clone(), Keyring::new(secrets[at].clone())).expect("a private key")
        };
        let signers = [signer(0, hmac), signer(1, ed25519), signer(2, p256)];
        Self { texts, secrets, signers }
    }

    /// The text of the key for an algorithm, in hex.
    pub fn text(&self, algorithm: Algorithm) -> &'static str {
        self.texts[place(algorithm)]
    }

    /// The keys of the sender, newest first.
    pub fn private(&self, algorithms: &[Algorithm]) -> Keyring {
        let key = |algorithm: &Algorithm| Key::new(name(*algorithm), self.secrets[place(*algorithm)].clone());
        Keyring::from_keys(algorithms.iter().map(|algorithm| key(algorithm).expect("a valid id"))).expect("other keys")
    }

    /// The keys of the receiver.
    pub fn public(&self, algorithms: &[Algorithm]) -> Keyring {
        let key = |algorithm: &Algorithm| {
            let secret = &self.secrets[place(*algorithm)];
            let id = name(*algorithm);
            secret.public_key().map_or_else(|| Key::new(id, secret.clone()), |public| Key::new(id, public.clone()))
        };
        Keyring::from_keys(algorithms.iter().map(|algorithm| key(algorithm).expect("a valid id"))).expect("other keys")
    }

    /// Signs a signature base.
    pub fn sign(&self, algorithm: Algorithm, base: &str) -> Vec<u8> {
        let signed = self.signers[place(algorithm)].sign_body(base.as_bytes()).expect("a private key signs any body");
        from_hex(signed.iter().next().expect("one header").1).expect("hex")
    }

    /// Whether a signature is that of this base with the key for the algorithm.
    pub fn is_genuine(&self, algorithm: Algorithm, base: &str, signature: &[u8]) -> bool {
        let secret = &self.secrets[place(algorithm)];
        let oracle: &dyn VerificationAlgorithm = match algorithm {
            Algorithm::Ed25519 => &ED25519,
            Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_FIXED,
            _ => {
                let bytes = from_hex(self.text(algorithm)).expect("hex");
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes);
                return ring::hmac::verify(&key, base.as_bytes(), signature).is_ok();
            }
        };
        let key = UnparsedPublicKey::new(oracle, secret.public_key().expect("a key pair").as_bytes());
        key.verify(base.as_bytes(), signature).is_ok()
    }
}

/// The name of an algorithm in RFC 9421.
pub fn name(algorithm: Algorithm) -> &'static str {
    ALGORITHMS[place(algorithm)].1
}

fn place(algorithm: Algorithm) -> usize {
    ALGORITHMS.iter().position(|(known, _)| *known == algorithm).expect("an algorithm that profiles draw")
}

/// RSA is missing: its signatures take too long. The target `public_keys` has it.
const ALGORITHMS: [(Algorithm, &str); 3] = [
    (Algorithm::HmacSha256, "hmac-sha256"),
    (Algorithm::Ed25519, "ed25519"),
    (Algorithm::EcdsaP256, "ecdsa-p256-sha256"),
];
