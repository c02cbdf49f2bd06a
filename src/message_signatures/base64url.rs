//! Byte sequences in base64url without padding, as AdCP writes the signatures of webhooks. RFC 9651 only has base64.

use alloc::string::String;

use crate::encoding::Encoding;

/// Rewrites the byte sequences of a `Signature` header to base64. One that is in base64 already belongs to another
/// profile: it becomes a boolean, so it does not count.
pub(super) fn signatures(field: &str) -> String {
    rewritten(field, |sequence, field| match sequence.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        // Neither of the two. The parser refuses it.
        true => push(field, sequence),
        false => field.push_str("?0"),
    })
}

/// Rewrites the byte sequences of a `Content-Digest` header to base64. Those in base64 stay: senders write digests in
/// either form.
pub(super) fn digests(field: &str) -> String {
    rewritten(field, |sequence, field| push(field, sequence))
}

/// Rewrites every byte sequence in base64url, and calls `other` for the rest.
fn rewritten(field: &str, other: impl Fn(&str, &mut String)) -> String {
    let mut rewritten = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(start) = rest.find(['"', ':']) {
        let (before, after) = rest.split_at(start);
        rewritten.push_str(before);
        let length = match after.strip_prefix(':') {
            Some(sequence) => match sequence.split_once(':') {
                Some((sequence, _)) => {
                    match Encoding::Base64UrlUnpadded.decode(sequence.as_bytes()) {
                        Some(bytes) => push(&mut rewritten, &Encoding::Base64.encode(&bytes)),
                        None => other(sequence, &mut rewritten),
                    }
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
    use super::{digests, signatures};

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
            ("sig1=:AAAA", "sig1=:AAAA"),
            ("sig1=\":AAAA", "sig1=\":AAAA"),
            ("", ""),
        ] {
            assert_eq!(signatures(received), expected, "{received}");
        }
        assert_eq!(digests("sha-256=:_-8:, sha-512=:/+8=:, x=:A+B-:"), "sha-256=:/+8=:, sha-512=:/+8=:, x=:A+B-:");
    }
}
