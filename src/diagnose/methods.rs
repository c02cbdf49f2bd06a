//! The algorithms with which a message may have been signed.

use super::cause::{Cause, CauseKind};
use super::form::Form;
use crate::crypto::Algorithm;
use crate::crypto::wrong_mac::{KeyPlace, Method};

/// Where a receiver sets its algorithm.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) name: &'static str,
    /// Says how to correct a request that is signed with the first algorithm, which has this name in the library, and not
    /// with the second, which the receiver has.
    pub(super) fix: fn(Algorithm, &str, Algorithm) -> String,
}

pub(super) const SCHEME: Settings = Settings {
    name: "scheme",
    fix: |_, setting, _| {
        format!("on the receiver, set the scheme's algorithm to {setting}; or change the sender's algorithm")
    },
};

/// Returns every algorithm to try, first that of the receiver's settings.
pub(super) fn methods(own: Algorithm, settings: Settings) -> Vec<Form<Method>> {
    if own.uses_public_keys() {
        return signatures(own, settings);
    }
    let name = settings.name;
    let algorithms = [
        (Algorithm::HmacSha256, "SHA-256", "Algorithm::HmacSha256"),
        (Algorithm::HmacSha1, "SHA-1", "Algorithm::HmacSha1"),
        (Algorithm::HmacSha512, "SHA-512", "Algorithm::HmacSha512"),
    ];
    let mut methods = vec![Form::plain(Method::Hmac(own))];
    for (algorithm, hash, setting) in algorithms.into_iter().filter(|(algorithm, ..)| *algorithm != own) {
        let cause = Cause::new(
            CauseKind::AlgorithmDiffers,
            format!("the sender signs with HMAC-{hash}, which is not the {name}'s algorithm"),
            (settings.fix)(algorithm, setting, own),
        );
        methods.push(Form::with_causes(Method::Hmac(algorithm), [cause]));
    }
    let cause = Cause::new(
        CauseKind::AlgorithmDiffers,
        "the sender signs with HMAC-SHA-384, which this library does not support",
        format!("on the sender, sign with the {name}'s algorithm"),
    );
    methods.push(Form::with_causes(Method::HmacSha384, [cause]));
    for (algorithm, hash, _) in algorithms {
        for (place, made) in [
            (KeyPlace::Before, "of the secret followed by the signed content"),
            (KeyPlace::Behind, "of the signed content followed by the secret"),
            (KeyPlace::Nowhere, "of the signed content, without any secret"),
        ] {
            let cause = Cause::new(
                CauseKind::AlgorithmNotHmac,
                format!("the sender sends a plain {hash} {made}, not an HMAC"),
                "on the sender, use an HMAC function with the secret as its key: a plain hash can be forged",
            );
            methods.push(Form::with_causes(Method::Hash(algorithm, place), [cause]));
        }
    }
    let cause = Cause::new(
        CauseKind::AlgorithmSwapped,
        "the sender gave the HMAC function its key and its message in the wrong order",
        "on the sender, swap the two arguments: the secret is the key, and the signed content is the message",
    );
    methods.push(Form::with_causes(Method::Swapped(own), [cause]));
    methods
}

/// Returns the algorithm of the settings, and the others with the same kind of key.
fn signatures(own: Algorithm, settings: Settings) -> Vec<Form<Method>> {
    let algorithms = [
        (Algorithm::EcdsaP256, "as the 64 bytes of r and s", "Algorithm::EcdsaP256"),
        (Algorithm::EcdsaP256Der, "as ASN.1 DER", "Algorithm::EcdsaP256Der"),
        (Algorithm::RsaPkcs1, "with the padding PKCS#1 v1.5", "Algorithm::RsaPkcs1"),
        (Algorithm::RsaPss, "with the padding PSS and SHA-256", "Algorithm::RsaPss"),
        (Algorithm::RsaPssSha512, "with the padding PSS and SHA-512", "Algorithm::RsaPssSha512"),
    ];
    let is_other = |algorithm: Algorithm| algorithm != own && algorithm.key_kind() == own.key_kind();
    let others = algorithms.into_iter().filter(|(algorithm, ..)| is_other(*algorithm));
    let mut methods = vec![Form::plain(Method::Signature(own))];
    methods.extend(others.map(|(algorithm, how, setting)| {
        let cause = Cause::new(
            CauseKind::AlgorithmDiffers,
            format!("the signature is right, but was made {how}, which is not the {}'s algorithm", settings.name),
            (settings.fix)(algorithm, setting, own),
        );
        Form::with_causes(Method::Signature(algorithm), [cause])
    }));
    methods
}
