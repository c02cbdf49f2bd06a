//! Prints the causes of a refusal.

use anstyle::Style;
use hookwarden::diagnose::Cause;
use serde_json::{Value, json};

/// Prints each cause with its fix, most likely first.
pub(crate) fn print(causes: &[Cause]) {
    anstream::print!("{}", text(causes));
}

/// The lines of each cause with its fix, most likely first.
pub(crate) fn text(causes: &[Cause]) -> String {
    let place = |cause: &Cause| cause.offset().map(|offset| format!(" (at byte {offset} of the body)"));
    causes.iter().map(|cause| lines(cause, &format!("{}{}", cause.what(), place(cause).unwrap_or_default()))).collect()
}

/// The lines of a cause and its fix, with this text about what is wrong.
pub(crate) fn lines(cause: &Cause, what: &str) -> String {
    let bold = Style::new().bold();
    let certainty = if cause.is_proven() { "proven" } else { "suspected" };
    format!("{bold}{}{bold:#}, {certainty}: {what}\n  fix: {}\n", cause.kind(), cause.fix())
}

/// A cause as JSON.
pub(crate) fn json(cause: &Cause) -> Value {
    json!({
        "kind": cause.kind().as_str(),
        "what": cause.what(),
        "fix": cause.fix(),
        "proven": cause.is_proven(),
        "header": cause.header(),
        "seconds": cause.seconds(),
        "offset": cause.offset(),
    })
}
