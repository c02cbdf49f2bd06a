//! A sender and a fault, with their places in a file.

use crate::error::ConfigError;
use crate::secret::Keyring;

/// The place of a sender: which file, which line.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: Option<usize>,
}

pub(super) struct FoundSender {
    pub(super) place: Place,
    pub(super) id: String,
    pub(super) keys: Keyring,
}

/// What is wrong at one line.
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    pub(super) problem: ConfigError,
}
