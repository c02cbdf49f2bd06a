//! Counts the accepted requests of each key in the log lines of `TracingObserver`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::input;

/// The number of accepted requests by webhook id and key id.
#[derive(Debug, Default)]
pub(super) struct Uses {
    counts: HashMap<(String, String), u64>,
}

impl Uses {
    pub(super) fn of(&self, webhook_id: &str, key_id: &str) -> u64 {
        self.counts.get(&(webhook_id.to_owned(), key_id.to_owned())).copied().unwrap_or_default()
    }

    fn add(&mut self, line: &str) {
        let line = line.trim();
        let pair = if line.starts_with('{') { from_json(line) } else { from_text(line) };
        if let Some(pair) = pair {
            let count = self.counts.entry(pair).or_default();
            *count = count.saturating_add(1);
        }
    }
}

/// Reads the log at `path`, `-` for standard input. Ignores the lines of other programs.
pub(super) fn read(path: &Path) -> Result<Uses, Failure> {
    if input::is_standard_input(path) {
        return read_from(io::stdin().lock()).map_err(|error| Failure::file(path, error));
    }
    let file = File::open(path).map_err(|error| Failure::file(path, error))?;
    read_from(BufReader::new(file)).map_err(|error| Failure::file(path, error))
}

fn read_from(mut source: impl BufRead) -> io::Result<Uses> {
    let mut uses = Uses::default();
    let mut line = Vec::new();
    while source.read_until(b'\n', &mut line)? > 0 {
        uses.add(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(uses)
}

/// The webhook id and the key id of an accepted request, from JSON of tracing-subscriber or flat JSON.
fn from_json(line: &str) -> Option<(String, String)> {
    let document: Value = serde_json::from_str(line).ok()?;
    let fields = document.get("fields").unwrap_or(&document);
    let field = |name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    pair(field("outcome")?.as_str(), field("webhook_id")?, field("key_id")?)
}

/// Reads the same from a line of text. Clients choose webhook ids, so text inside quotes is never read as a field name.
fn from_text(line: &str) -> Option<(String, String)> {
    let line: Cow<'_, str> = anstream::adapter::strip_str(line).to_string().into();
    let (_, mut rest) = line.split_once("hookwarden: ")?;
    let (mut outcome, mut webhook_id, mut key_id) = (None, None, None);
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(' ').next().unwrap_or_default();
        let (value, after) = value(after)?;
        match name {
            "outcome" => outcome = Some(value),
            "webhook_id" => webhook_id = Some(value),
            "key_id" => key_id = Some(value),
            _ => {}
        }
        rest = after;
    }
    pair(&outcome?, webhook_id?, key_id?)
}

/// A value and the rest: a string in Rust's `Debug` format, or the text up to the next space.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(' ').unwrap_or((text, ""));
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, quoted.get(at.saturating_add(1)..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                '0' => value.push('\0'),
                'u' => {
                    let code: String = characters.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect();
                    value.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

/// A released request had a valid signature too, but its handler failed.
fn pair(outcome: &str, webhook_id: String, key_id: String) -> Option<(String, String)> {
    matches!(outcome, "accepted" | "released").then_some((webhook_id, key_id))
}
