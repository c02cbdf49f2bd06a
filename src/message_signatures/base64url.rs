//! The encodings of byte sequences: base64 as in RFC 9651, or base64url without padding, as AdCP writes the signatures of
//! webhooks.

use alloc::string::String;

use crate::encoding::Encoding;

/// Rewrites the byte sequences of a `Signature` header to base64. One that is in base64 already belongs to another
/// profile: it becomes a boolean, so it does not count.
pub(super) fn signatures(field: &str) -> String {
    rewritten(field, |sequence, field| match from_base64url(sequence) {
        Some(base64) => push(field, &base64),
        // Neither of the two. The parser refuses it.
        None if !has_base64_alphabet(sequence) => push(field, sequence),
        None => field.push_str("?0"),
    })
}

/// Rewrites the byte sequences of a `Signature` header that are in base64 without its padding or with other bits at the
/// end: each becomes a boolean, so it does not count. The parser would accept them.
pub(super) fn padded(field: &str) -> String {
    rewritten(field, |sequence, field| match Encoding::Base64.decode(sequence.as_bytes()) {
        None if has_base64_alphabet(sequence) => field.push_str("?0"),
        // If it is not base64, the parser refuses it.
        Some(_) | None => push(field, sequence),
    })
}

/// Rewrites the byte sequences of a `Content-Digest` header to base64. Those in base64 stay: senders write digests in
/// either form.
pub(super) fn digests(field: &str) -> String {
    rewritten(field, |sequence, field| push(field, from_base64url(sequence).as_deref().unwrap_or(sequence)))
}

fn has_base64_alphabet(sequence: &str) -> bool {
    sequence.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

fn from_base64url(sequence: &str) -> Option<String> {
    Encoding::Base64UrlUnpadded.decode(sequence.as_bytes()).map(|bytes| Encoding::Base64.encode(&bytes))
}

/// Calls `write` with the text of each byte sequence, and copies the rest.
fn rewritten(field: &str, write: impl Fn(&str, &mut String)) -> String {
    let mut rewritten = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(start) = rest.find(['"', ':']) {
        let (before, after) = rest.split_at(start);
        rewritten.push_str(before);
        let length = match after.strip_prefix(':') {
            Some(sequence) => match sequence.split_once(':') {
                Some((sequence, _)) => {
                    write(sequence, &mut rewritten);
                    sequence.len().saturating_add(2)
                }
                None => copied(&mut rewritten, after, after.len()),
            },
            None => {
                let length = string_length(after);
                copied(&mut rewritten, after, length)
            }
        };
        rest = after.get(length..).unwrap_or_default();
    }
    rewritten.push_str(rest);
    rewritten
}

fn push(field: &mut String, sequence: &str) {
    field.push(':');
    field.push_str(sequence);
    field.push(':');
}

/// Copies the first `length` bytes of `text`. Returns `length`.
fn copied(field: &mut String, text: &str, length: usize) -> usize {
    field.push_str(text.get(..length).unwrap_or_default());
    length
}

/// The length of the string at the start of `text`, with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{digests, padded, signatures};

    #[test]
    fn sequences_in_base64url_are_rewritten() {
        for (received, expected) in [
            ("sig1=:_-8:", "sig1=:/+8=:"),
            ("sig1=:_-8:;a=\":_-8:\", b=:AAAA:", "sig1=:/+8=:;a=\":_-8:\", b=:AAAA:"),
            ("a=\"\\\":_-8:\", b=:_-8:", "a=\"\\\":_-8:\", b=:/+8=:"),
            // These are in base64.
            ("sig1=:/+8=:, sig2=:AA==:", "sig1=?0, sig2=?0"),
            // These are in neither form.
            ("sig1=:A+B-:", "sig1=:A+B-:"),
            ("sig1=:_-9:", "sig1=:_-9:"),
            ("sig1=:_-8=:", "sig1=:_-8=:"),
            ("sig1=:_-8:, sig2=:!?:", "sig1=:/+8=:, sig2=:!?:"),
            ("sig1=:AAAA", "sig1=:AAAA"),
            ("sig1=\":AAAA", "sig1=\":AAAA"),
            ("", ""),
        ] {
            assert_eq!(signatures(received), expected, "{received}");
        }
        assert_eq!(digests("sha-256=:_-8:, sha-512=:/+8=:, x=:A+B-:"), "sha-256=:/+8=:, sha-512=:/+8=:, x=:A+B-:");
    }

    #[test]
    fn only_padded_base64_stays() {
        for (received, expected) in [
            ("a=:AAAA:, b=:AA==:, c=::", "a=:AAAA:, b=:AA==:, c=::"),
            ("a=:AA:, b=:AAA:;p=:AA:", "a=?0, b=?0;p=?0"),
            // Bits after the last byte, and too much padding.
            ("a=:AB==:, b=:AAB=:, c=:AAAA=:", "a=?0, b=?0, c=?0"),
            ("a=\":AA:\", b=:A_-A:, c=:?:", "a=\":AA:\", b=:A_-A:, c=:?:"),
        ] {
            assert_eq!(padded(received), expected, "{received}");
        }
    }
}
