//! A sender's verifier and Warden, their keys being no secret to valgrind.

use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Quotas, Refused};
use hookwarden::{Keyring, Scheme, Secret, Verifier, Warden};

use crate::message::{BODY, NOW, Sort};

/// The secret that messages for these two are signed with.
pub const SECRET: &str = "a-secret-of-fifty-characters-or-more-for-valgrind";

/// The webhook id that the Warden knows.
pub const KNOWN: &str = "acme";

/// An id that it does not know, of the same length.
pub const UNKNOWN: &str = "nope";

/// A verifier for `sort`.
#[must_use]
pub fn verifier(sort: &Sort) -> Verifier {
    Verifier::new(sort.scheme.clone(), keyring()).expect("a verifier")
}

/// A Warden that turns nobody away for earlier refusals, since most of what it gets here is refused.
#[must_use]
pub fn warden() -> Warden {
    Warden::builder(Scheme::timestamped())
        .sender(KNOWN, keyring())
        .quotas(Quotas::new().danger_unlimited_rejected())
        .clock(TestClock::new(NOW))
        .build()
        .expect("a warden")
}

/// Judges a message with the body [`BODY`].
///
/// # Errors
/// It is refused.
pub fn judge(warden: &Warden, id: &str, head: &[(String, String)]) -> Result<Admitted, Refused> {
    let mut receiving = warden.examine(head, None)?.identify(id)?;
    receiving.update(BODY)?;
    receiving.finish()
}

fn keyring() -> Keyring {
    Keyring::new(Secret::from_bytes(SECRET).expect("a secret"))
}
