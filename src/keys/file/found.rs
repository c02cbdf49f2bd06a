//! A sender and a fault, with their places in a file.

use crate::error::ConfigError;
use crate::secret::Keyring;

/// The place of a sender: the index of the file, and the line.
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

/// A fault of an entry or of the whole file.
pub(super) struct Fault {
    /// The webhook id of the faulty entry, if it is readable.
    pub(super) id: Option<String>,
    pub(super) line: Option<usize>,
    pub(super) problem: ConfigError,
}

impl Fault {
    pub(super) const fn new(line: Option<usize>, problem: ConfigError) -> Self {
        Self { id: None, line, problem }
    }
}
