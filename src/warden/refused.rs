//! A refused request.

use super::answer::{Answer, RetryHint};
use super::request_log::RequestLog;
use crate::error::Fault;
use crate::event::RefusalReason;

/// A refused request with its answer.
///
/// `Display` says only that the request was refused. [`reason`](Self::reason) is for the operator;
/// [`into_answer`](Self::into_answer) is what the sender gets.
#[derive(Debug, thiserror::Error)]
#[error("webhook refused")]
pub struct Refused {
    reason: RefusalReason,
    answer: Answer,
}

impl Refused {
    pub(super) fn new(log: &mut RequestLog, reason: RefusalReason, hint: RetryHint) -> Self {
        log.refuse(reason);
        let inner = &log.inner;
        let answer = Answer::to(reason, hint, inner.duplicates_conflict, inner.answer_writer.as_ref());
        Self { reason, answer: answer.with_header(inner.accept.header_for(reason)) }
    }

    /// A request that did not pass verification.
    pub(super) fn unverified(log: &mut RequestLog, fault: Fault) -> Self {
        log.note_fault(fault);
        Self::new(log, fault.reason.into(), RetryHint::None)
    }

    /// Why, for the operator.
    #[must_use]
    pub const fn reason(&self) -> RefusalReason {
        self.reason
    }

    /// The answer to the sender.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The answer to the sender.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        self.answer
    }
}
