//! The output of a command: text for people, or one JSON document for programs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use hookwarden::escape::is_escaped;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The format of a command's output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the output is JSON.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints the result as JSON, or calls `text` to print it.
    pub(crate) fn result(self, json: &Value, text: impl FnOnce()) {
        if self.json { document(json) } else { text() }
    }

    /// Prints the failure to standard error.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        if self.json {
            anstream::eprintln!("{}", escaped(&json!({ "error": failure.to_string() }).to_string()));
        } else {
            anstream::eprintln!("hookwarden: {failure}");
        }
        failure.exit_code()
    }
}

/// Writes to standard output. A closed pipe is not a failure.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // The reader closed the pipe, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::outside("standard output", error)),
    }
}

/// Prints a JSON document.
pub(crate) fn document(json: &Value) {
    anstream::println!("{}", escaped(&format!("{json:#}")));
}

/// A JSON document as one line.
pub(crate) fn line(json: &Value) -> String {
    format!("{}\n", escaped(&json.to_string()))
}

/// Prints lines. A closed pipe is an error, so that a command without an end ends.
pub(crate) fn print(lines: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()
}

/// Replaces each control and invisible character of a JSON document by a JSON escape sequence. Outside of strings only
/// line feeds occur.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_escaped(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_document_has_the_same_value() {
        let text: String = (0..=0x10ffff_u32).step_by(7).filter_map(char::from_u32).collect();
        for text in [text.as_str(), "\u{9b}\u{7f}\u{202e}\u{200b}\u{feff}\u{e0041}\0\n\"\\", "naïve 日本"] {
            let document = json!({ text: [text] });
            for written in [document.to_string(), format!("{document:#}")] {
                let escaped = escaped(&written);
                assert_eq!(serde_json::from_str::<Value>(&escaped).expect("JSON"), document);
                assert!(!escaped.chars().any(|character| is_escaped(character) && character != '\n'));
            }
        }
    }
}
