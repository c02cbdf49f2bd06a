//! Secrets and values computed with them, in every form in which they could leak.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hookwarden::{Scheme, Signer, Timestamp};

use super::sender::keyring;

/// Values that no output may contain.
#[derive(Debug, Default)]
pub(crate) struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    /// Adds a secret or a MAC in every form.
    pub(crate) fn add(&mut self, what: &str, bytes: &[u8]) {
        let numbers = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let hex = const_hex::encode(bytes);
        let forms = [
            ("raw", bytes.to_vec()),
            ("hex", hex.clone().into_bytes()),
            ("upper hex", hex.to_uppercase().into_bytes()),
            ("base64", STANDARD.encode(bytes).into_bytes()),
            ("base64 without padding", STANDARD_NO_PAD.encode(bytes).into_bytes()),
            ("base64 for URLs", URL_SAFE.encode(bytes).into_bytes()),
            ("base64 for URLs without padding", URL_SAFE_NO_PAD.encode(bytes).into_bytes()),
            ("numbers", numbers.into_bytes()),
            // Half of a secret must not leak either.
            ("half the hex", hex.into_bytes().into_iter().take(bytes.len()).collect()),
        ];
        self.0.extend(forms.map(|(form, bytes)| (format!("{what} in {form}"), bytes)));
    }

    /// Adds the MAC of a message under a secret.
    pub(crate) fn add_mac(&mut self, secret: &str, body: &[u8], time: Timestamp) {
        let scheme = Scheme::timestamped();
        let signer = Signer::new(scheme.clone(), keyring(&scheme, secret)).expect("a signer");
        let signed = signer.sign_body_at(body, time).expect("a message");
        let (_, hex) = signed.iter().find(|(name, _)| *name == "X-Webhook-Signature").expect("a signature");
        let mac = const_hex::decode(hex).expect("hex");
        self.add("a MAC", &mac);
        // The part that identifies a delivery.
        self.add("half a MAC", mac.first_chunk::<16>().expect("32 bytes"));
    }

    #[track_caller]
    pub(crate) fn assert_absent(&self, place: &str, output: &[u8]) {
        assert!(!output.is_empty(), "{place} is empty");
        for (what, bytes) in &self.0 {
            assert!(
                !output.windows(bytes.len()).any(|window| window == bytes),
                "{what} is in {place}: {}",
                String::from_utf8_lossy(output)
            );
        }
    }
}
