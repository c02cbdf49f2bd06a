//! A refused request.

use super::request_log::RequestLog;
use crate::error::{Reason, Rejection};
use crate::warden::answer::{Answer, RetryHint};

/// A refused request with its answer.
#[derive(Debug, thiserror::Error)]
#[error("webhook refused")]
pub struct Refused {
    reason: Reason,
    answer: Answer,
}

impl Refused {
    pub(super) fn new(record: &mut RequestLog, rejection: Rejection, delay: RetryHint) -> Self {
        record.refuse(rejection);
        let reason = rejection.reason();
        let inner = &record.warden.inner;
        let answer = Answer::to(reason, delay, inner.replay_is_conflict, inner.answer_writer.as_ref());
        let answer = answer.telling(inner.accept.told(reason));
        Self { reason, answer }
    }

    /// Why, for the operator.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What the sender is told.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// What the sender is told.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        self.answer
    }
}
