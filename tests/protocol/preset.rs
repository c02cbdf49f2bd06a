//! The five presets, each with a secret, and signed messages.

use hookwarden::{Keyring, Scheme, Signer, Timestamp};

pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A scheme and the text of a secret for it.
pub(crate) type Preset = (fn() -> Scheme, &'static str);

pub(crate) const PRESETS: [Preset; 5] = [
    (Scheme::timestamped, "canary-timestamped-5b1c"),
    (Scheme::standard_webhooks, "whsec_Y2FuYXJ5LXN0YW5kYXJkLXdlYmhvb2tzLTViMWM="),
    (Scheme::stripe, "whsec_canary_stripe_5b1c"),
    (Scheme::github, "canary github 5b1c"),
    (Scheme::slack, "canary-slack-5b1c"),
];

pub(crate) fn keys(scheme: &Scheme, secret: &str) -> Keyring {
    Keyring::new(scheme.secret(secret).expect("the secret is of the scheme's form"))
}

/// Returns the head of a message signed at `now`.
pub(crate) fn sign(scheme: &Scheme, keys: Keyring, body: &[u8], now: Timestamp) -> Vec<(String, Vec<u8>)> {
    let mut head = Vec::new();
    if scheme.name() == "standard_webhooks" {
        head.push(("webhook-id".to_owned(), b"msg_1".to_vec()));
    }
    let signer = Signer::new(scheme.clone(), keys).expect("the secret fits the scheme");
    let signed = signer.sign_at(&head, body, now).expect("the message can be signed");
    head.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())));
    head
}
