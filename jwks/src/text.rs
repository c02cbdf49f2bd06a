//! Texts from documents and servers, which can have any length.

/// Returns the first `chars` characters of a text. The precision of a format does not limit `{:?}`.
pub(crate) fn start_of(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or(text)
}

/// The maximum length of a problem in an error or in the log.
pub(crate) const MAX_PROBLEM: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        for (text, start) in [("", ""), ("ab", "ab"), ("abc", "abc"), ("abcd", "abc"), ("äöüß", "äöü")] {
            assert_eq!(start_of(text, 3), start);
        }
    }
}
