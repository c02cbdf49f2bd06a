//! How a request ended.

use std::fmt;

use super::RefusalReason;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The delivery was admitted and committed: the handler answered 2xx, or called `commit`.
    Accepted,
    /// The delivery was admitted and not committed: the handler answered another status, panicked, was dropped or was
    /// not called. The sender's retry runs the handler.
    Released,
    /// The request was refused.
    Refused(RefusalReason),
    /// The request was a [handshake](crate::handshake), and was answered. A signed one was verified and is
    /// committed, or is a copy of one.
    Handshake,
    /// The client disconnected before the request was accepted or refused.
    Abandoned,
}

impl Outcome {
    /// The outcome in one word, for a log field or a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Released => "released",
            Self::Refused(_) => "refused",
            Self::Handshake => "handshake",
            Self::Abandoned => "abandoned",
        }
    }

    /// Why the request was refused, if it was.
    #[must_use]
    pub const fn reason(self) -> Option<RefusalReason> {
        match self {
            Self::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
