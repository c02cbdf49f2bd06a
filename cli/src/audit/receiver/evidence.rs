//! What any answer may betray, whatever was being tried.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wire::Answer;
use crate::input::SecretText;

/// What was seen in answers and should not be.
#[derive(Debug, Default)]
pub(super) struct Evidence(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    server_errors: BTreeSet<String>,
    traces: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

impl Evidence {
    /// Looks at the answer to `what`.
    pub(super) fn look_at(&self, what: &str, answer: &Answer, secret: &SecretText) {
        let mut seen = self.seen();
        // An overload that says so is an answer that senders know what to do with.
        if answer.status >= 500 && answer.header("retry-after").is_none() {
            seen.server_errors.insert(format!("{what}: {}", answer.status));
        }
        let headers = answer.headers.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("\n");
        let text = format!("{headers}\n{}", String::from_utf8_lossy(&answer.body));
        if text.contains(secret.as_str()) {
            seen.secrets.insert(format!("the secret in the answer to {what}"));
        }
        if TRACES.iter().any(|trace| text.contains(trace)) {
            seen.traces.insert(format!("a stack trace in the answer to {what}"));
        }
    }

    /// Says that the answer to `what` told a signature that its sender ought not to know.
    pub(super) fn told_a_signature(&self, what: &str) {
        self.seen().secrets.insert(format!("the right signature in the answer to {what}"));
    }

    /// What was answered with an error of the receiver's own.
    pub(super) fn server_errors(&self) -> Vec<String> {
        self.seen().server_errors.iter().cloned().collect()
    }

    /// Which stack traces were told.
    pub(super) fn traces(&self) -> Vec<String> {
        self.seen().traces.iter().cloned().collect()
    }

    /// Which secrets were told, never the secrets themselves.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.seen().secrets.iter().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What only a stack trace says, in the languages that receivers are written in.
const TRACES: [&str; 10] = [
    "Traceback (most recent call last)",
    "' panicked at ",
    "stack backtrace:",
    "\tat java.",
    "\n\tat ",
    "\n    at ",
    "goroutine 1 [",
    "node_modules/",
    "\n#0 /",
    ".rb:in `",
];
