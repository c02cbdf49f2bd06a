//! The library's presets, each with a secret in its format.

use hookwarden::{Keyring, Scheme};

use super::scratch::SECRET;

pub(crate) fn presets() -> [(Scheme, &'static str); 6] {
    [
        (Scheme::timestamped(), SECRET),
        (Scheme::standard_webhooks(), "whsec_bm90LWEtc2VjcmV0LW9mLWFueS1vbmUtYXQtYWxs"),
        (Scheme::standard_webhooks_v1a(), "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="),
        (Scheme::stripe(), "whsec_not_a_secret_of_anyone"),
        (Scheme::github(), SECRET),
        (Scheme::slack(), SECRET),
    ]
}

pub(crate) fn keyring(scheme: &Scheme, secret: &str) -> Keyring {
    Keyring::new(scheme.secret(secret).unwrap())
}
