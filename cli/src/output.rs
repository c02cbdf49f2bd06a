//! What a command prints: text for people, or one JSON document for programs.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::failure::Failure;

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read what is printed.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints the result as JSON, or else as `text` prints it.
    pub(crate) fn result(self, json: &Value, text: impl FnOnce()) {
        if self.json { anstream::println!("{json:#}") } else { text() }
    }

    /// Says why there is no result, on standard error.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        if self.json {
            anstream::eprintln!("{}", json!({ "error": failure.to_string() }));
        } else {
            anstream::eprintln!("hookwarden: {failure}");
        }
        failure.exit_code()
    }
}
