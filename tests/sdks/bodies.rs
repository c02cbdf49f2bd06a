//! Bodies in the forms that an SDK takes.

use hookwarden::Timestamp;
use serde_json::{Map, Value};

use crate::script::{BodyForm, Limits};

/// A body without its variable fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Utf8,
    LineBreaks,
    Binary,
    Large,
}

impl Content {
    pub(crate) const ALL: [Self; 5] = [Self::Empty, Self::Utf8, Self::LineBreaks, Self::Binary, Self::Large];

    /// Returns the body, or `None` if the SDK does not take it. It has the letter k, so that [`flipped`] leaves it valid.
    pub(crate) fn body(self, limits: &Limits, now: Timestamp) -> Option<Vec<u8>> {
        let is_any = limits.body == BodyForm::Any;
        let text = match self {
            Self::Empty => return (is_any && limits.empty).then(Vec::new),
            Self::Binary => return (is_any && limits.binary).then(|| (0..=255).chain(*b"k\xff\xfe\0").collect()),
            Self::Utf8 => "k grüße 日本 \u{2028}".to_owned(),
            Self::LineBreaks => "k\r\n\r\nk\r\n".to_owned(),
            Self::Large => "k".repeat(300 * 1024),
        };
        if is_any {
            return Some(text.into_bytes());
        }
        let mut members: Map<_, _> =
            limits.fields.iter().map(|(name, field)| (name.clone(), value(field, now))).collect();
        members.insert("text".to_owned(), text.into());
        let is_spaced = self == Self::LineBreaks && limits.body == BodyForm::Json;
        let body = if is_spaced {
            format!("{:#}\n", Value::from(members)).replace('\n', "\r\n")
        } else {
            Value::from(members).to_string()
        };
        Some(if limits.ascii { escaped(&body) } else { body }.into_bytes())
    }
}

/// Returns a field's or a header's value. `now_ms` is replaced by the time in milliseconds.
pub(crate) fn value(template: &Value, now: Timestamp) -> Value {
    if template == "now_ms" { (now.as_unix() * 1000).into() } else { template.clone() }
}

/// Flips a bit of the body. If it has the letter k, it stays valid UTF-8 and JSON. An empty body gets a letter.
pub(crate) fn flipped(body: &[u8]) -> Vec<u8> {
    let mut flipped = body.to_vec();
    match flipped.iter().rposition(|byte| *byte == b'k') {
        Some(position) => flipped[position] ^= 1,
        None => flipped.push(b'k'),
    }
    flipped
}

/// Escapes the characters of a JSON text that are not ASCII.
fn escaped(json: &str) -> String {
    let mut units = [0; 2];
    let escape = |letter: char| match letter {
        _ if letter.is_ascii() => letter.to_string(),
        _ => letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    json.chars().map(escape).collect()
}
