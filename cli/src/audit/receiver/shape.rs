//! Compares responses by their stable parts.

use super::wire::Answer;

/// A response without the parts that differ between requests: dates, numbers, ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    status: u16,
    headers: Vec<String>,
    body: String,
}

impl Shape {
    pub(super) fn of(answer: &Answer) -> Self {
        let varies = |name: &str| VARYING.contains(&name);
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| !varies(name))
            .map(|(name, value)| format!("{name}: {}", masked(value)))
            .collect();
        headers.sort_unstable();
        Self { status: answer.status, headers, body: masked(&String::from_utf8_lossy(&answer.body)) }
    }

    /// The part in which two shapes differ.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.status != other.status {
            Some("status")
        } else if self.body != other.body {
            Some("body")
        } else if self.headers != other.headers {
            Some("headers")
        } else {
            None
        }
    }
}

/// Replaces each word that contains a digit.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if word.bytes().any(|byte| byte.is_ascii_digit()) {
            masked.push('#');
            masked.push_str(piece.strip_prefix(word).unwrap_or_default());
        } else {
            masked.push_str(piece);
        }
    }
    masked
}

/// Headers about the time, the connection or the path, not about the request.
const VARYING: [&str; 8] =
    ["date", "connection", "keep-alive", "content-length", "transfer-encoding", "age", "set-cookie", "via"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_text_keeps_words_and_loses_counts() {
        for (text, shape) in [
            ("", ""),
            ("ok", "ok"),
            (r#"{"bytes":21,"id":"acme"}"#, r#"{"bytes":#,"id":"acme"}"#),
            ("delivery 7f3a-12 of 9", "delivery #-# of #"),
            ("é9", "é#"),
        ] {
            assert_eq!(masked(text), shape);
        }
    }
}
