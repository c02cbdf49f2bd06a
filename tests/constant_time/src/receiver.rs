//! A verifier and a Warden whose keys are not marked as secrets for valgrind.

use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Quotas, Refused};
use hookwarden::{Keyring, Scheme, Secret, Verifier, Warden};

use crate::message::{BODY, NOW, Sort};

/// The secret that signs messages for both.
pub const SECRET: &str = "a-secret-of-fifty-characters-or-more-for-valgrind";

/// The webhook id that the Warden knows.
pub const KNOWN: &str = "acme";

/// An unknown id of the same length.
pub const UNKNOWN: &str = "nope";

/// Creates a verifier for `sort`.
#[must_use]
pub fn verifier(sort: &Sort) -> Verifier {
    Verifier::new(sort.scheme.clone(), keyring()).expect("a verifier")
}

/// Creates a Warden that does not block peers, because most of the requests here are refused.
#[must_use]
pub fn warden() -> Warden {
    Warden::builder(Scheme::timestamped())
        .sender(KNOWN, keyring())
        .quotas(Quotas::new().danger_unlimited_rejected())
        .clock(TestClock::new(NOW))
        .build()
        .expect("a warden")
}

/// Receives a message with the body [`BODY`].
///
/// # Errors
/// The message is refused.
pub fn receive(warden: &Warden, id: &str, head: &[(String, String)]) -> Result<Admitted, Refused> {
    let mut receiving = warden.examine(head, None)?.identify(id)?;
    receiving.update(BODY)?;
    receiving.finish()
}

fn keyring() -> Keyring {
    Keyring::new(Secret::from_bytes(SECRET).expect("a secret"))
}
