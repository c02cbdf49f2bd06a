//! JSON that every reader understands alike: an object that has a name twice is refused, because one reader would use the
//! first value and another the last.

use std::collections::BTreeMap;
use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::text::start_of;

/// A JSON value. Values that no member of a key has are not kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Text(String),
    Integer(i64),
    List(Vec<Self>),
    Object(Object),
    /// `true`, `false`, `null`, or another number.
    Other,
}

/// The members of an object. A map of members that an attacker names must not be slow.
pub(crate) type Object = BTreeMap<String, Json>;

impl Json {
    /// Reads a document.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let value = Value { depth: MAX_DEPTH }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads a value that contains at most `depth` levels of lists and objects.
struct Value {
    depth: u8,
}

impl Value {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Self { depth }).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(i64::try_from(number).map_or(Json::Other, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element_seed(self.inner()?)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                members.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format_args!("two members have the name {:?}", start_of(&name, 32))));
            }
            let value = members.next_value_seed(self.inner()?)?;
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}

/// The profile of a business has about 10 levels.
const MAX_DEPTH: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(text: &str, problem: &str) {
        let error = Json::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{text}: {error}");
    }

    #[test]
    fn document_is_read_with_its_values() {
        let read = Json::read(br#" {"a":["b\u0062",-1,1.5,true,null,18446744073709551615],"c":{}} "#).unwrap();
        let list = [Json::Text("bb".into()), Json::Integer(-1), Json::Other, Json::Other, Json::Other, Json::Other];
        let object = [("a".to_owned(), Json::List(list.into())), ("c".to_owned(), Json::Object(Object::new()))];
        assert_eq!(read, Json::Object(object.into()));
    }

    #[test]
    fn name_that_occurs_twice_is_refused() {
        assert_refused(r#"{"a":1,"a":1}"#, "two members have the name \"a\"");
        assert_refused(r#"{"keys":[{"x":1,"\u0078":2}]}"#, "two members have the name \"x\"");
    }

    #[test]
    fn deep_document_is_refused() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::read(nested(32).as_bytes()).is_ok());
        assert_refused(&nested(33), "nested too deep");
        assert_refused(&"[".repeat(100_000), "nested too deep");
        assert_refused(&"{\"a\":".repeat(100_000), "nested too deep");
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        for text in ["", "<html>", "{", "{}{}", "{\"a\":1,}", "\u{feff}{}", "{\"a\":\"\u{1}\"}", "[1e999]"] {
            assert!(Json::read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Json::read(b"\"\xff\"").is_err());
    }
}
