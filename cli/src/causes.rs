//! Prints the causes of a refusal.

use anstyle::Style;
use hookwarden::diagnose::Cause;
use serde_json::{Value, json};

/// Prints each cause with its fix, most likely first.
pub(crate) fn print(causes: &[Cause]) {
    let bold = Style::new().bold();
    for cause in causes {
        let certainty = if cause.is_proven() { "proven" } else { "suspected" };
        let place = cause.offset().map(|offset| format!(" (at byte {offset} of the body)")).unwrap_or_default();
        anstream::println!("{bold}{}{bold:#}, {certainty}: {}{place}", cause.kind(), cause.what());
        anstream::println!("  fix: {}", cause.fix());
    }
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
