//! The values of query parameters (RFC 9421 section 2.2.8).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// The parameters of a query that a signature covers, found in one pass: a signature can cover many, and decoding a long
/// query for each of them would take as many times longer, before a key is known.
pub(super) struct Parameters<'r> {
    values: BTreeMap<&'r str, Found<'r>>,
    encoder: Encoder,
}

#[derive(Debug, Clone, Copy)]
enum Found<'r> {
    Absent,
    Once(&'r str),
    Repeated,
}

impl<'r> Parameters<'r> {
    /// Finds the parameters with these encoded names.
    pub(super) fn find(query: &'r str, encoded_names: impl Iterator<Item = &'r str>) -> Self {
        let mut values: BTreeMap<&str, Found<'r>> = encoded_names.map(|name| (name, Found::Absent)).collect();
        let mut encoder = Encoder::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some(found) = encoder.encode(name).and_then(|name| values.get_mut(name)) {
                *found = match found {
                    Found::Absent => Found::Once(value),
                    Found::Once(_) | Found::Repeated => Found::Repeated,
                };
            }
        }
        Self { values, encoder }
    }

    /// Returns the value of the parameter with this encoded name, decoded and encoded again. Returns `None` unless exactly one
    /// parameter has this name and its value is UTF-8.
    pub(super) fn value(&mut self, encoded_name: &str) -> Option<&str> {
        match self.values.get(encoded_name)? {
            Found::Once(value) => self.encoder.encode(value),
            Found::Absent | Found::Repeated => None,
        }
    }
}

/// Encodes one part of a query at a time, in the same memory.
#[derive(Default)]
struct Encoder {
    decoded: Vec<u8>,
    text: String,
}

impl Encoder {
    /// Decodes a part of an `application/x-www-form-urlencoded` query, and percent-encodes it with the set of that format.
    fn encode(&mut self, part: &str) -> Option<&str> {
        self.decoded.clear();
        self.text.clear();
        let mut rest = part.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            let escape = after.first_chunk::<2>().filter(|_| *byte == b'%').and_then(|digits| {
                let mut decoded = [0];
                const_hex::decode_to_slice(digits, &mut decoded).ok().map(|()| decoded[0])
            });
            self.decoded.push(match (byte, escape) {
                (_, Some(decoded)) => {
                    rest = after.get(2..).unwrap_or_default();
                    decoded
                }
                (b'+', _) => b' ',
                (byte, _) => *byte,
            });
        }
        for byte in core::str::from_utf8(&self.decoded).ok()?.bytes() {
            if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
                self.text.push(char::from(byte));
            } else {
                write!(self.text, "%{byte:02X}").ok()?;
            }
        }
        Some(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    fn parameter(query: &str, name: &str) -> Option<String> {
        Parameters::find(query, ["other", name].into_iter()).value(name).map(str::to_owned)
    }

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
        for query in ["", "b=1", "a=1&a=2", "a=1&%61=2", "a=1&a=2&a=3", "a=%FF", "A=1"] {
            assert_eq!(parameter(query, "a"), None, "{query}");
        }
        assert_eq!(parameter("a=%zz%2", "a").as_deref(), Some("%25zz%252"));
        assert_eq!(Parameters::find("a=1", core::iter::empty()).value("a"), None);
    }
}
