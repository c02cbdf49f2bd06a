//! JSON documents from a fuzzer's bytes.

use arbitrary::Arbitrary;

/// A JSON value.
#[derive(Debug, Clone, Arbitrary)]
pub enum DrawnJson {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number with a fraction or an exponent.
    Number(i32, Option<u8>, Option<i8>),
    /// A string, with only the necessary escapes.
    Text(String),
    /// An array.
    Array(Vec<DrawnJson>),
    /// An object.
    Object(Vec<(String, DrawnJson)>),
}

impl DrawnJson {
    /// Returns the document, without white space.
    pub fn text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(whole, fraction, exponent) => {
                let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
                let exponent = exponent.map(|exponent| format!("e{exponent}")).unwrap_or_default();
                format!("{whole}{fraction}{exponent}")
            }
            Self::Text(text) => quoted(text),
            Self::Array(values) => format!("[{}]", values.iter().map(Self::text).collect::<Vec<_>>().join(",")),
            Self::Object(fields) => {
                let field = |(key, value): &(String, Self)| format!("{}:{}", quoted(key), value.text());
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            character if character < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}
