//! One metric for each outcome of a request.

use crate::event::{Outcome, RefusalReason};

/// One handle for each outcome.
#[derive(Debug)]
pub(super) struct ByOutcome<T> {
    accepted: T,
    released: T,
    refused: T,
    handshake: T,
    abandoned: T,
}

impl<T> ByOutcome<T> {
    pub(super) fn new(make: impl Fn(&'static str) -> T) -> Self {
        Self {
            accepted: make(Outcome::Accepted.as_str()),
            released: make(Outcome::Released.as_str()),
            refused: make(REFUSED),
            handshake: make(Outcome::Handshake.as_str()),
            abandoned: make(Outcome::Abandoned.as_str()),
        }
    }

    pub(super) const fn of(&self, outcome: Outcome) -> &T {
        match outcome {
            Outcome::Accepted => &self.accepted,
            Outcome::Released => &self.released,
            Outcome::Refused(_) => &self.refused,
            Outcome::Handshake => &self.handshake,
            Outcome::Abandoned => &self.abandoned,
        }
    }
}

/// The text of [`Outcome::as_str`] for every refusal.
pub(super) const REFUSED: &str = Outcome::Refused(RefusalReason::UnknownId).as_str();
