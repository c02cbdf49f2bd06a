//! The result of a check.

use super::super::finding::Severity;

/// The result of a check, or the reason why it is inconclusive.
pub(super) type Verdict = Result<Outcome, Inconclusive>;

/// A conclusive result.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Nothing is wrong.
    Holds,
    /// Nothing is wrong, but there is a note.
    Note(String),
    /// Something is wrong. `None` means the check's default severity.
    Found(Option<Severity>, String),
}

impl Outcome {
    /// A finding with the texts of `found`, or `Holds` if it is empty.
    pub(super) fn of(found: &[String]) -> Self {
        if found.is_empty() { Self::Holds } else { Self::Found(None, found.join("; ")) }
    }
}

/// The reason why a check is inconclusive.
#[derive(Debug, Clone)]
pub(super) struct Inconclusive(String);

impl Inconclusive {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// Any signature is accepted, so a check of what is signed says nothing.
    pub(super) fn unverified() -> Self {
        Self::new("the receiver verifies no signature (see the check signature-verified)")
    }

    pub(super) fn reason(&self) -> &str {
        &self.0
    }
}
