//! Bodies that a program printed instead of writing their bytes.

use serde_json::value::RawValue;

use super::{Bodies, json};
use crate::diagnose::cause::{Cause, CauseKind};

pub(super) fn offer(bodies: &mut Bodies<'_>) {
    let Ok(text) = core::str::from_utf8(bodies.original) else { return };
    let text = text.trim_ascii();
    if let Some(bytes) = node_buffer(text) {
        bodies.offer(
            bytes,
            Cause::new(
                CauseKind::BodyEncoded,
                "the captured body is a Buffer of Node.js that was written as JSON, a list of numbers",
                "on the receiver, verify the Buffer itself; JSON.stringify of a Buffer is another text",
            ),
        );
    }
    if let Some(bytes) = python_bytes(text) {
        bodies.offer(
            bytes,
            Cause::new(
                CauseKind::BodyEncoded,
                "the captured body is a bytes object of Python as print shows it, with b and quotes",
                "on the receiver, verify the bytes themselves; str() of bytes is another text, and decode() is not \
                 needed",
            ),
        );
    }
    if let Some(text) = python_dict(text) {
        let cause = Cause::new(
            CauseKind::BodyJsonRewritten,
            "the captured body is a dict of Python as print shows it: the sender signed JSON, which was parsed",
            "on the receiver, verify the raw bytes before any JSON parser; str() of the parsed body is another text",
        );
        json::offer_text(bodies, &text, &cause);
    }
}

/// Reads `{"type":"Buffer","data":[123,125]}`.
fn node_buffer(text: &str) -> Option<Vec<u8>> {
    let mut value: serde_json::Value = serde_json::from_str(text).ok()?;
    if value.get("type")?.as_str()? != "Buffer" {
        return None;
    }
    serde_json::from_value(value.get_mut("data")?.take()).ok()
}

/// Reads `b'{"id":7}'`.
fn python_bytes(text: &str) -> Option<Vec<u8>> {
    let quoted = text.strip_prefix('b')?;
    let quote = quoted.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut characters = inner.bytes();
    while let Some(byte) = characters.next() {
        bytes.push(match byte {
            b'\\' => match characters.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [characters.next()?, characters.next()?];
                    *const_hex::decode(digits).ok()?.first()?
                }
                other @ (b'\\' | b'\'' | b'"') => other,
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(bytes)
}

/// Writes a dict or list of Python as JSON: `{'id': 7, 'ok': True}`.
fn python_dict(text: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) || serde_json::from_str::<&RawValue>(text).is_ok() {
        return None;
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(c) = rest.chars().next() {
        if matches!(c, '\'' | '"') {
            let mut inner = String::new();
            let mut characters = rest.char_indices().skip(1);
            let end = loop {
                match characters.next()? {
                    (place, end) if end == c => break place.checked_add(1)?,
                    (_, '\\') => match characters.next()?.1 {
                        'n' => inner.push('\n'),
                        'r' => inner.push('\r'),
                        't' => inner.push('\t'),
                        other @ ('\\' | '\'' | '"') => inner.push(other),
                        _ => return None,
                    },
                    (_, other) => inner.push(other),
                }
            };
            out.push_str(&serde_json::to_string(&inner).ok()?);
            rest = rest.get(end..)?;
        } else if let Some((word, json)) = PYTHON_WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            out.push_str(json);
            rest = rest.get(word.len()..)?;
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..)?;
        }
    }
    Some(out)
}

const PYTHON_WORDS: [(&str, &str); 3] = [("True", "true"), ("False", "false"), ("None", "null")];
