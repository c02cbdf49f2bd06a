//! What came of one check.

use super::super::finding::Severity;

/// What a check saw, if it could be judged.
pub(super) type Verdict = Result<Outcome, Unjudged>;

/// What a check saw.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Nothing is wrong.
    Holds,
    /// Nothing is wrong, and there is something to know.
    Note(String),
    /// Something is wrong. `None` is the check's own severity.
    Found(Option<Severity>, String),
}

impl Outcome {
    /// Wrong is what `found` lists.
    pub(super) fn of(found: &[String]) -> Self {
        if found.is_empty() { Self::Holds } else { Self::Found(None, found.join("; ")) }
    }
}

/// Why a check could not be judged.
#[derive(Debug, Clone)]
pub(super) struct Unjudged(String);

impl Unjudged {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    pub(super) fn reason(&self) -> &str {
        &self.0
    }
}
