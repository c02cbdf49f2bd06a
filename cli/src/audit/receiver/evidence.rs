//! Collects leaks and server errors from all responses.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wire::Answer;
use crate::input::SecretText;

/// The leaks and errors so far.
#[derive(Debug, Default)]
pub(super) struct Evidence(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    server_errors: BTreeSet<String>,
    traces: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

impl Evidence {
    /// Inspects the response to `what`.
    pub(super) fn inspect(&self, what: &str, answer: &Answer, secret: &SecretText) {
        let mut seen = self.seen();
        // A 5xx with Retry-After is a valid response under overload.
        if answer.status >= 500 && answer.header("retry-after").is_none() {
            seen.server_errors.insert(format!("{what}: {}", answer.status));
        }
        let headers = answer.headers.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("\n");
        let text = format!("{headers}\n{}", String::from_utf8_lossy(&answer.body));
        if text.contains(secret.as_str()) {
            seen.secrets.insert(format!("the secret in the response to {what}"));
        }
        if TRACES.iter().any(|trace| text.contains(trace)) {
            seen.traces.insert(format!("a stack trace in the response to {what}"));
        }
    }

    /// Records that the response to `what` contains a valid signature that its sender does not know.
    pub(super) fn record_signature(&self, what: &str) {
        self.seen().secrets.insert(format!("the valid signature in the response to {what}"));
    }

    /// The requests that were answered with a server error.
    pub(super) fn server_errors(&self) -> Vec<String> {
        self.seen().server_errors.iter().cloned().collect()
    }

    /// The responses with a stack trace.
    pub(super) fn traces(&self) -> Vec<String> {
        self.seen().traces.iter().cloned().collect()
    }

    /// The responses with a secret, without the secret.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.seen().secrets.iter().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Texts that occur only in stack traces, for common languages.
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
