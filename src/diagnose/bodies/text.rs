//! Bodies that went through the wrong character encoding.

use super::super::cause::{Cause, CauseKind};
use super::Bodies;

/// A character encoding of one byte a character, by its name and how it writes a character.
type Narrow = (&'static str, fn(char) -> Option<u8>);

pub(super) fn offer(bodies: &mut Bodies<'_>) {
    let body = bodies.original;
    if body.is_ascii() {
        return;
    }
    if let Ok(text) = core::str::from_utf8(body) {
        let narrow: [Narrow; 2] = [("Latin-1", latin1), ("Windows-1252", windows_1252)];
        for (name, to_byte) in narrow {
            // Either the body is UTF-8 twice over, or the sender signed in the narrow encoding itself.
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
    let widened: String = body.iter().map(|byte| char::from(*byte)).collect();
    bodies.offer(widened.into_bytes(), cause("the sender signed the body as Latin-1 read into UTF-8".to_owned()));
    let widened: String = body.iter().map(|byte| from_windows_1252(*byte)).collect();
    bodies.offer(widened.into_bytes(), cause("the sender signed the body as Windows-1252 read into UTF-8".to_owned()));
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

/// What Windows-1252 has at 0x80 to 0x9f; the five bytes that it leaves open stand for themselves.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];
