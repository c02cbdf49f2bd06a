//! One metric for each outcome of a request.

use std::sync::OnceLock;

use crate::event::{Outcome, RefusalReason, SecurityEvent};

/// One handle for each outcome.
#[derive(Debug)]
pub(super) struct ByOutcome<T> {
    accepted: T,
    released: T,
    refused: T,
    /// Registered with the first event of a Warden that only reports, so that others have no such series.
    would_be_refused: OnceLock<T>,
    handshake: T,
    abandoned: T,
}

impl<T> ByOutcome<T> {
    pub(super) fn new(make: impl Fn(&'static str) -> T) -> Self {
        Self {
            accepted: make(Outcome::Accepted.as_str()),
            released: make(Outcome::Released.as_str()),
            refused: make(REFUSED),
            would_be_refused: OnceLock::new(),
            handshake: make(Outcome::Handshake.as_str()),
            abandoned: make(Outcome::Abandoned.as_str()),
        }
    }

    /// Returns the handle for the outcome of `event`. `make` is as for [`new`](Self::new).
    pub(super) fn of(&self, event: &SecurityEvent<'_>, make: impl Fn(&'static str) -> T) -> &T {
        let reported = event.report_only.then(|| self.would_be_refused.get_or_init(|| make(WOULD_BE_REFUSED)));
        match event.outcome {
            Outcome::Accepted => &self.accepted,
            Outcome::Released => &self.released,
            Outcome::Refused(_) => reported.unwrap_or(&self.refused),
            Outcome::Handshake => &self.handshake,
            Outcome::Abandoned => &self.abandoned,
        }
    }
}

/// The text of [`Outcome::as_str`] for every refusal.
pub(super) const REFUSED: &str = Outcome::Refused(RefusalReason::UnknownId).as_str();

/// The outcome of a refusal that is only reported. Alerts on refusals do not match it.
pub(super) const WOULD_BE_REFUSED: &str = "would_be_refused";
