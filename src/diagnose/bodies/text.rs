//! Bodies that were decoded or encoded with the wrong character encoding.

use super::super::cause::{Cause, CauseKind};
use super::Bodies;

/// A single-byte character encoding: its name, and the function that encodes a character.
type Narrow = (&'static str, fn(char) -> Option<u8>);

/// The same encoding, with the function that decodes a byte.
type Wide = (&'static str, fn(u8) -> char);

pub(super) fn offer(bodies: &mut Bodies<'_>) {
    let body = bodies.original;
    if body.is_ascii() {
        return;
    }
    if let Ok(text) = core::str::from_utf8(body) {
        let narrow: [Narrow; 2] = [("Latin-1", latin1), ("Windows-1252", windows_1252)];
        for (name, to_byte) in narrow {
            // Either the body was encoded as UTF-8 twice, or the sender signed it in the single-byte encoding.
            if let Some(bytes) = text.chars().map(to_byte).collect::<Option<Vec<u8>>>() {
                let what = if core::str::from_utf8(&bytes).is_ok() {
                    format!("the body was encoded twice: its UTF-8 was read as {name} and written as UTF-8 again")
                } else {
                    format!("the sender signed the body in {name}, and it arrived in UTF-8")
                };
                bodies.offer(bytes, cause(what));
            }
        }
    }
    let wide: [Wide; 2] = [("Latin-1", char::from), ("Windows-1252", from_windows_1252)];
    for (name, to_char) in wide {
        let widened: String = body.iter().map(|byte| to_char(*byte)).collect();
        let what = format!("the sender read the body as {name}, encoded it as UTF-8, and signed that");
        bodies.offer(widened.into_bytes(), cause(what));
    }
}

fn cause(what: String) -> Cause {
    Cause::new(
        CauseKind::BodyCharset,
        what,
        "on both sides, sign and verify the raw bytes of the body and never a text decoded from them",
    )
}

fn latin1(c: char) -> Option<u8> {
    u8::try_from(u32::from(c)).ok()
}

fn windows_1252(c: char) -> Option<u8> {
    let special = HIGH.iter().position(|high| *high == c).and_then(|place| u8::try_from(place).ok()?.checked_add(0x80));
    special.or_else(|| latin1(c))
}

fn from_windows_1252(byte: u8) -> char {
    let special = byte.checked_sub(0x80).and_then(|place| HIGH.get(usize::from(place)));
    special.copied().unwrap_or_else(|| char::from(byte))
}

/// The characters of Windows-1252 at 0x80 to 0x9f. The five unassigned bytes map to the code points of the same value.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];
