//! The spelling of paths that AdCP signs: its
//! [URL canonicalization](https://adcontextprotocol.org/docs/reference/url-canonicalization). The host is a part of the
//! origin, and a query is never changed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Returns `path` without dot segments, with upper-case escapes, and without escapes of unreserved characters. `path`
/// starts with a slash.
pub(super) fn path(path: &str) -> String {
    escapes(&without_dot_segments(path))
}

/// Removes dot segments (RFC 3986 section 5.2.4). Empty segments stay, and `%2F` separates none.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // `/a/.` is `/a/`.
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    kept.iter().fold(String::with_capacity(path.len()), |mut path, segment| {
        path.push('/');
        path.push_str(segment);
        path
    })
}

/// Normalizes percent-encoding (RFC 3986 section 6.2.2). A percent sign that starts no escape stays as it is.
fn escapes(path: &str) -> String {
    let mut normalized = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        normalized.push_str(before);
        let byte = after.get(..2).and_then(|digits| {
            let mut byte = [0];
            const_hex::decode_to_slice(digits, &mut byte).ok().map(|()| byte[0])
        });
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => normalized.push(char::from(byte)),
            Some(byte) => {
                let _ = write!(normalized, "%{byte:02X}");
            }
            None => normalized.push('%'),
        }
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    normalized.push_str(rest);
    normalized
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn dot_segments_are_removed() {
        for (received, expected) in [
            ("/", "/"),
            ("/a/./b", "/a/b"),
            ("/a/b/../c", "/a/c"),
            ("/a//b", "/a//b"),
            ("/a/.//b", "/a//b"),
            ("/a//../b", "/a/b"),
            ("/../../a", "/a"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/...", "/..."),
            // Only dots that are not escaped are segments, in the order of the specification.
            ("/a/%2e%2E/b", "/a/../b"),
        ] {
            assert_eq!(path(received), expected, "{received}");
        }
    }

    #[test]
    fn escapes_are_normalized_once() {
        for (received, expected) in [
            ("/%e2%98%83", "/%E2%98%83"),
            ("/%7Efoo%2dbar%5F%2E%41%39", "/~foo-bar_.A9"),
            ("/a%2fb%3ac%3F", "/a%2Fb%3Ac%3F"),
            ("/%2541", "/%2541"),
            ("/%zz%2", "/%zz%2"),
            ("/%", "/%"),
        ] {
            assert_eq!(path(received), expected, "{received}");
        }
    }
}
