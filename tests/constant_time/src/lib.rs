//! Whether hookwarden's branches, addresses and times depend on its secrets: what the programs of this package share.
//! What they check, and what they cannot, is in the README beside them.

pub mod message;
pub mod receiver;
pub mod requests;

/// A comparison as it must not be, for the controls.
#[inline(never)]
#[must_use]
pub fn early_exit(computed: &[u8], received: &[u8]) -> bool {
    for (a, b) in computed.iter().zip(received) {
        if a != b {
            return false;
        }
    }
    true
}
