//! The value of a query parameter (RFC 9421 section 2.2.8).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Returns the value of the parameter of `query` whose encoded name is `encoded_name`, decoded and encoded again. Returns
/// `None` unless exactly one parameter has this name and its value is UTF-8.
pub(super) fn parameter(query: &str, encoded_name: &str) -> Option<String> {
    let mut values = query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (encoded(name).as_deref() == Some(encoded_name)).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) => encoded(value),
        _ => None,
    }
}

/// Decodes a part of an `application/x-www-form-urlencoded` query, and percent-encodes it with the set of that format.
fn encoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escape = after.first_chunk::<2>().filter(|_| *byte == b'%').and_then(|digits| {
            let mut decoded = [0];
            const_hex::decode_to_slice(digits, &mut decoded).ok().map(|()| decoded[0])
        });
        bytes.push(match (byte, escape) {
            (_, Some(decoded)) => {
                rest = after.get(2..).unwrap_or_default();
                decoded
            }
            (b'+', _) => b' ',
            (byte, _) => *byte,
        });
    }
    let decoded = String::from_utf8(bytes).ok()?;
    let mut text = String::with_capacity(decoded.len());
    for byte in decoded.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").ok()?;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded_as_in_the_rfc() {
        // The examples of RFC 9421 section 2.2.8.
        let query =
            "var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something";
        let found = |name| parameter(query, name);
        assert_eq!(found("var").as_deref(), Some("this%20is%20a%20big%0Amultiline%20value"));
        assert_eq!(found("bar").as_deref(), Some("with%20plus%20whitespace"));
        assert_eq!(found("fa%C3%A7ade%22%3A%20").as_deref(), Some("something"));
        let query = "param=value&foo=bar&baz=batman&qux=";
        assert_eq!(parameter(query, "baz").as_deref(), Some("batman"));
        assert_eq!(parameter(query, "qux").as_deref(), Some(""));
    }

    #[test]
    fn missing_repeated_or_undecodable_parameter_has_no_value() {
        for query in ["", "b=1", "a=1&a=2", "a=1&%61=2", "a=%FF", "A=1"] {
            assert_eq!(parameter(query, "a"), None, "{query}");
        }
        assert_eq!(parameter("a=%zz%2", "a").as_deref(), Some("%25zz%252"));
    }
}
