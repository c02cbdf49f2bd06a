//! The ways in which a message may have been signed with a key.

use super::cause::{Cause, CauseKind};
use super::form::Form;
use crate::crypto::mac::Algorithm;
use crate::crypto::wrong_mac::{KeyPlace, Method};

/// Every way to sign, the scheme's own first.
pub(super) fn methods(own: Algorithm) -> Vec<Form<Method>> {
    let algorithms = [
        (Algorithm::HmacSha256, "SHA-256", "Algorithm::HmacSha256"),
        (Algorithm::HmacSha1, "SHA-1", "Algorithm::HmacSha1"),
        (Algorithm::HmacSha512, "SHA-512", "Algorithm::HmacSha512"),
    ];
    let mut methods = vec![Form::plain(Method::Hmac(own))];
    for (algorithm, hash, setting) in algorithms.into_iter().filter(|(algorithm, ..)| *algorithm != own) {
        let cause = Cause::new(
            CauseKind::AlgorithmDiffers,
            format!("the sender signs with HMAC-{hash}, which is not the scheme's algorithm"),
            format!("on the receiver, set the scheme's algorithm to {setting}; or change the sender's"),
        );
        methods.push(Form::faulty(Method::Hmac(algorithm), [cause]));
    }
    let cause = Cause::new(
        CauseKind::AlgorithmDiffers,
        "the sender signs with HMAC-SHA-384, which no scheme of this library knows",
        "on the sender, sign with the scheme's algorithm",
    );
    methods.push(Form::faulty(Method::HmacSha384, [cause]));
    for (algorithm, hash, _) in algorithms {
        for (place, made) in [
            (KeyPlace::Before, "of the secret followed by what is signed"),
            (KeyPlace::Behind, "of what is signed followed by the secret"),
            (KeyPlace::Nowhere, "of what is signed, without any secret"),
        ] {
            let cause = Cause::new(
                CauseKind::AlgorithmNotHmac,
                format!("the sender sends a plain {hash} {made}, and no HMAC"),
                "on the sender, use an HMAC function with the secret as its key: a plain hash can be forged",
            );
            methods.push(Form::faulty(Method::Hash(algorithm, place), [cause]));
        }
    }
    let cause = Cause::new(
        CauseKind::AlgorithmSwapped,
        "the sender gave the HMAC function its key and its message in the wrong order",
        "on the sender, swap the two arguments: the secret is the key, and what is signed is the message",
    );
    methods.push(Form::faulty(Method::Swapped(own), [cause]));
    methods
}
