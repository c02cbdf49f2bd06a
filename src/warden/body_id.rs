//! Reads the id of a delivery from its verified JSON body.

use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::verifier::ReplayKey;

/// Returns the key of the string at `pointer`, a JSON pointer. `None` if the body is not JSON, if it has no string there,
/// if the string is empty, or if a name on the way to it occurs twice: the handler could read the other value.
pub(super) fn read(pointer: &str, body: &[u8]) -> Option<ReplayKey> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let id = At(Some(pointer.strip_prefix('/')?)).deserialize(&mut json).ok()?;
    json.end().ok()?;
    id
}

/// Finds the string at the rest of a pointer: its tokens after the first slash, or `None` at the end.
#[derive(Clone, Copy)]
struct At<'p>(Option<&'p str>);

impl<'p> At<'p> {
    /// Returns the next token and the place below it.
    fn step(self) -> Option<(&'p str, Self)> {
        let rest = self.0?;
        Some(rest.split_once('/').map_or((rest, Self(None)), |(token, rest)| (token, Self(Some(rest)))))
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<ReplayKey>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<ReplayKey>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok((self.0.is_none() && !text.is_empty()).then(|| ReplayKey::of_delivery_id(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((token, below)) = self.step() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        let (mut id, mut times) = (None, 0_u8);
        while let Some(is_next) = map.next_key_seed(IsToken(token))? {
            if is_next {
                id = map.next_value_seed(below)?;
                times = times.saturating_add(1);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(id.filter(|_| times == 1))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut id = None;
        if let Some((token, below)) = self.step()
            && let Some(index) = array_index(token)
        {
            for _ in 0..index {
                if seq.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            id = seq.next_element_seed(below)?.flatten();
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(id)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a name equals a token of a pointer, in which `~1` is a slash and `~0` a tilde.
struct IsToken<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for IsToken<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsToken<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        let mut parts = self.0.split('~');
        let mut rest = parts.next().and_then(|part| name.strip_prefix(part));
        for part in parts {
            let escaped = match part.as_bytes().first() {
                Some(b'0') => '~',
                _ => '/',
            };
            rest = rest.and_then(|rest| rest.strip_prefix(escaped)?.strip_prefix(part.get(1..)?));
        }
        Ok(rest == Some(""))
    }
}

/// RFC 6901 section 4: digits without a leading zero.
fn array_index(token: &str) -> Option<usize> {
    let is_index = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| is_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_id(pointer: &str, body: &str, id: Option<&str>) {
        assert_eq!(read(pointer, body.as_bytes()), id.map(ReplayKey::of_delivery_id), "{pointer} of {body}");
    }

    #[test]
    fn string_at_the_pointer_is_the_id() {
        assert_id("/id", r#"{"id":"evt_1","data":{"id":"other"}}"#, Some("evt_1"));
        assert_id("/id", "\r\n {\"a\":[1,{\"id\":\"x\"}], \"id\" : \"evt_1\"}\n", Some("evt_1"));
        assert_id("/data/id", r#"{"id":"other","data":{"n":1.5,"id":"evt_1"}}"#, Some("evt_1"));
        assert_id("/1/id", r#"[{"id":"other"},{"id":"evt_1"},{"id":"third"}]"#, Some("evt_1"));
        assert_id("/0", r#"["evt_1"]"#, Some("evt_1"));
        assert_id("/id", r#"{"id":"evt_\u0031"}"#, Some("evt_1"));
        assert_id("/a~1b~0c", r#"{"a/b~c":"evt_1"}"#, Some("evt_1"));
        assert_id("/~01", r#"{"~1":"evt_1","/":"other"}"#, Some("evt_1"));
        assert_id("/", r#"{"":"evt_1"}"#, Some("evt_1"));
    }

    #[test]
    fn other_values_are_ignored() {
        for body in [
            "",
            "no JSON",
            "{}",
            "[]",
            "null",
            r#""evt_1""#,
            r#"{"ID":"evt_1"}"#,
            r#"{"id":null}"#,
            r#"{"id":7}"#,
            r#"{"id":7.5}"#,
            r#"{"id":-7}"#,
            r#"{"id":true}"#,
            r#"{"id":""}"#,
            r#"{"id":["evt_1"]}"#,
            r#"{"id":{"id":"evt_1"}}"#,
            r#"{"id":"evt_1"} {}"#,
            r#"{"id":"evt_1""#,
        ] {
            assert_id("/id", body, None);
        }
        for (pointer, body) in [
            ("/1", r#"["evt_1"]"#),
            ("/00", r#"["evt_1"]"#),
            ("/+0", r#"["evt_1"]"#),
            ("/-", r#"["evt_1"]"#),
            ("/id/id", r#"{"id":"evt_1"}"#),
        ] {
            assert_id(pointer, body, None);
        }
    }

    #[test]
    fn repeated_name_is_ignored() {
        assert_id("/id", r#"{"id":"evt_1","id":"evt_2"}"#, None);
        assert_id("/data/id", r#"{"data":{"id":"evt_1"},"data":{}}"#, None);
        assert_id("/id", r#"{"id":"evt_1","other":1,"other":2}"#, Some("evt_1"));
    }
}
