//! Escaping of untrusted text for output: a header, a body, a server's response, an error of a store.
//!
//! Such text can contain characters that control a terminal, are invisible, or change the order of the text around
//! them. A log line or a report can then display something other than its content. [`Escaped`] escapes these
//! characters. The log lines, store errors and diagnoses of this crate are already escaped.
//!
//! ```
//! use hookwarden::escape::Escaped;
//!
//! let answer = "\u{202e}ko\u{9b}2J";
//! assert_eq!(Escaped::line(answer).to_string(), r"\u{202e}ko\u{9b}2J");
//! assert_eq!(Escaped::line("naïve 日本\n").to_string(), r"naïve 日本\n");
//! assert_eq!(Escaped::lines("one\n\ttwo\r\n").to_string(), "one\n\ttwo\\r\n");
//! ```

use core::fmt::{self, Write as _};

/// Displays a text with escape sequences, such as `\n` or `\u{202e}`, for the characters of [`is_escaped`].
///
/// The output is for reading and cannot be decoded: backslashes are not escaped.
///
/// ```
/// use hookwarden::escape::Escaped;
///
/// let header = "gz\u{7f}ip\u{2066}";
/// println!("Content-Encoding: {}", Escaped::line(header)); // gz\u{7f}ip\u{2066}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escaped<'t> {
    text: &'t str,
    keeps_lines: bool,
}

impl<'t> Escaped<'t> {
    /// Escapes a text for output on one line.
    #[must_use]
    pub const fn line(text: &'t str) -> Self {
        Self { text, keeps_lines: false }
    }

    /// Escapes a text of several lines: line feeds and tabs are kept.
    #[must_use]
    pub const fn lines(text: &'t str) -> Self {
        Self { text, keeps_lines: true }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            if is_escaped(character) && !(self.keeps_lines && matches!(character, '\n' | '\t')) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Whether [`Escaped`] escapes the character: all control characters (C0, DEL and C1), and characters that are
/// invisible or change the direction, the lines or the joining of the text around them.
///
/// These are Unicode's general categories Cc, Zl and Zp, and those of Cf that are not part of a visible character.
#[must_use]
pub const fn is_escaped(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f' // C0
            | '\x7f'..='\u{9f}' // DEL, C1
            | '\u{ad}' // soft hyphen
            | '\u{61c}' // Arabic letter mark
            | '\u{180e}' // Mongolian vowel separator
            | '\u{200b}'..='\u{200f}' // zero-width space and joiners, left-to-right and right-to-left mark
            | '\u{2028}'..='\u{202e}' // line and paragraph separator, embeddings and overrides of the direction
            | '\u{2060}'..='\u{206f}' // word joiner, invisible operators, isolates, deprecated format characters
            | '\u{feff}' // byte order mark
            | '\u{fff9}'..='\u{fffb}' // interlinear annotation
            | '\u{e0000}'..='\u{e007f}' // tags
    )
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn every_control_and_invisible_character_is_escaped() {
        let ranges = [0..=0x1f, 0x7f..=0x9f, 0x200b..=0x200f, 0x2028..=0x202e, 0x2060..=0x206f, 0xfff9..=0xfffb];
        let single = [0xad, 0x61c, 0x180e, 0xfeff, 0xe0001, 0xe0020, 0xe007f];
        for code in ranges.into_iter().flatten().chain(single) {
            let character = char::from_u32(code).unwrap();
            for text in [Escaped::line(&character.to_string()), Escaped::lines(&character.to_string())] {
                let kept = text.keeps_lines && matches!(character, '\n' | '\t');
                let shown = text.to_string();
                assert_eq!(shown.chars().any(is_escaped), kept, "{code:x}");
                assert_eq!(shown, if kept { character.to_string() } else { character.escape_default().to_string() });
            }
        }
    }

    #[test]
    fn visible_text_is_not_changed() {
        for text in ["", " ", r"a \ b", "naïve Straße", "日本語", "עברית", "العربية", "👍🏽 é", "\u{a0}", "\u{fe0f}"]
        {
            assert_eq!(Escaped::line(text).to_string(), text);
        }
    }
}
