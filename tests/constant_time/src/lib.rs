//! Shared code of the programs that check whether hookwarden's branches, addresses and times depend on its secrets. The
//! README describes what they check, and what they cannot.

pub mod message;
pub mod receiver;
pub mod requests;

/// A comparison in variable time, for the controls.
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
