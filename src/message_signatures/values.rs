//! The values of covered components (RFC 9421 section 2).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::component::{Component, Form, Kind};
use super::normalized;
use super::origin::Origin;
use super::problem::Problem;
use super::query;
use super::structured::{Dictionary, Item, List, byte_sequence};
use crate::headers::{FieldName, Head, Occurrence};

/// The type of a structured field ([RFC 9651 section 3](https://www.rfc-editor.org/rfc/rfc9651#section-3)).
///
/// ```
/// use hookwarden::crypto::Algorithm;
/// use hookwarden::message_signatures::{Profile, StructuredType};
///
/// let profile = Profile::builder("https://hooks.example.com")
///     .algorithms([Algorithm::HmacSha256])
///     .structured_field("Example-Dict", StructuredType::Dictionary)
///     .covers(["@method", "@target-uri", "content-digest", "example-dict;sf"])
///     .build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StructuredType {
    /// An item.
    Item,
    /// A list.
    List,
    /// A dictionary.
    Dictionary,
}

/// The request and the settings from which the values of a signature's components are taken. The query and each dictionary
/// are decoded once, however many of the components are in them.
pub(super) struct Source<'r> {
    head: &'r dyn Head,
    origin: &'r Origin,
    types: &'r [(FieldName, StructuredType)],
    normalized_target: bool,
    pub(super) components: &'r [Component],
    parameters: Option<query::Parameters<'r>>,
    /// The dictionaries of which a member is covered. `None` if the header has no usable dictionary.
    dictionaries: Vec<(&'r FieldName, Option<Dictionary>)>,
}

impl<'r> Source<'r> {
    pub(super) const fn new(
        head: &'r dyn Head,
        origin: &'r Origin,
        types: &'r [(FieldName, StructuredType)],
        normalized_target: bool,
        components: &'r [Component],
    ) -> Self {
        Self { head, origin, types, normalized_target, components, parameters: None, dictionaries: Vec::new() }
    }

    /// Returns the value of a component.
    pub(super) fn value(&mut self, kind: &'r Kind) -> Result<String, Problem> {
        Ok(match kind {
            Kind::Method => text(self.head.method().ok_or(Problem::NoRequestLine)?)?.into(),
            Kind::TargetUri => {
                let query = self.target()?.1.map_or(String::new(), |query| alloc::format!("?{query}"));
                alloc::format!("{}{}{query}", self.origin.as_str(), self.path()?)
            }
            Kind::Authority => self.origin.authority().into(),
            Kind::Scheme => self.origin.scheme().into(),
            Kind::Path => self.path()?.into(),
            // An absent query has the same value as an empty one.
            Kind::Query => alloc::format!("?{}", self.target()?.1.unwrap_or_default()),
            Kind::QueryParam(name) => self.parameters()?.value(name).ok_or(Problem::ComponentValue)?.into(),
            Kind::Field(name, Form::Member(key)) => self.member(name, key).ok_or(Problem::ComponentValue)?,
            Kind::Field(name, form) => self.field(name, form)?,
        })
    }

    /// Returns the covered parameters of the query.
    fn parameters(&mut self) -> Result<&mut query::Parameters<'r>, Problem> {
        let parameters = match self.parameters.take() {
            Some(parameters) => parameters,
            None => {
                let names = self.components.iter().filter_map(|component| match &component.kind {
                    Kind::QueryParam(name) => Some(name.as_str()),
                    _ => None,
                });
                query::Parameters::find(self.target()?.1.unwrap_or_default(), names)
            }
        };
        Ok(self.parameters.insert(parameters))
    }

    fn path(&self) -> Result<Cow<'_, str>, Problem> {
        let (path, _) = self.target()?;
        Ok(if self.normalized_target { Cow::Owned(normalized::path(path)) } else { Cow::Borrowed(path) })
    }

    fn target(&self) -> Result<(&'r str, Option<&'r str>), Problem> {
        target(self.head)
    }

    fn field(&self, name: &FieldName, form: &Form) -> Result<String, Problem> {
        let lines = lines(self.head, name).map_err(|_| Problem::ComponentValue)?;
        if lines.is_empty() {
            return Err(Problem::ComponentValue);
        }
        if name.as_str() == "content-type" && !lines.iter().all(|line| is_one_value(line)) {
            return Err(Problem::ComponentValue);
        }
        if *form == Form::Bytes {
            return Ok(lines.into_iter().map(byte_sequence).collect::<Vec<_>>().join(", "));
        }
        let text = self.combined(name, &lines)?;
        if *form == Form::Structured {
            return self.serialized(name, &text).ok_or(Problem::ComponentValue);
        }
        Ok(text)
    }

    /// Combines the lines of a header.
    fn combined(&self, name: &FieldName, lines: &[&[u8]]) -> Result<String, Problem> {
        // The combined value of two lines equals that of one, but a handler could use only one of the lines.
        if lines.len() > 1 && !self.permits_lines(name) {
            return Err(Problem::ComponentValue);
        }
        combined(lines).ok_or(Problem::ComponentValue)
    }

    /// Returns the strict serialization of a structured field, or `None` if its type is not known.
    fn serialized(&self, name: &FieldName, text: &str) -> Option<String> {
        let mut value = String::new();
        match self.type_of(name)? {
            StructuredType::Item => Item::parse(text.as_bytes())?.write(&mut value),
            StructuredType::List => List::parse(text.as_bytes())?.write(&mut value),
            StructuredType::Dictionary => Dictionary::parse(text.as_bytes())?.write(&mut value),
        }
        Some(value)
    }

    /// Returns the member `key` of the dictionary in the header `name`.
    fn member(&mut self, name: &'r FieldName, key: &str) -> Option<String> {
        let dictionary = match self.dictionaries.iter().position(|(known, _)| *known == name) {
            Some(index) => self.dictionaries.get(index),
            None => {
                let dictionary = self.field(name, &Form::Text).ok();
                let dictionary = dictionary.filter(|_| self.permits_dictionary(name));
                let dictionary = dictionary.and_then(|text| Dictionary::parse(text.as_bytes()));
                self.dictionaries.push((name, dictionary));
                self.dictionaries.last()
            }
        };
        let (_, Some(dictionary)) = dictionary? else { return None };
        let mut value = String::new();
        dictionary.get(key)?.write(&mut value);
        Some(value)
    }

    fn permits_dictionary(&self, name: &FieldName) -> bool {
        self.type_of(name).is_none_or(|known| known == StructuredType::Dictionary)
    }

    fn permits_lines(&self, name: &FieldName) -> bool {
        self.type_of(name).is_some_and(|known| known != StructuredType::Item)
    }

    fn type_of(&self, name: &FieldName) -> Option<StructuredType> {
        let set = self.types.iter().find(|(known, _)| known == name).map(|(_, known)| *known);
        set.or_else(|| DICTIONARIES.contains(&name.as_str()).then_some(StructuredType::Dictionary))
    }
}

/// Returns the path and the query of the request target.
pub(super) fn target(head: &dyn Head) -> Result<(&str, Option<&str>), Problem> {
    let target = text(head.path().ok_or(Problem::NoRequestLine)?)?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    match path {
        "" => Ok(("/", query)),
        path if path.starts_with('/') => Ok((path, query)),
        // `*`, or a form with a host.
        _ => Err(Problem::ComponentValue),
    }
}

/// Reads a header as a dictionary. `None` if it is not one.
pub(super) fn as_dictionary(head: &dyn Head, name: &FieldName) -> Option<Dictionary> {
    let lines = lines(head, name).ok()?;
    Dictionary::parse(combined(&lines)?.as_bytes())
}

/// Reads a dictionary. `None` if the request does not have the header.
pub(super) fn dictionary(head: &dyn Head, name: &'static str) -> Result<Option<Dictionary>, Problem> {
    rewritten_dictionary(head, name, |text| text.into())
}

/// Reads a dictionary whose text is rewritten first.
pub(super) fn rewritten_dictionary(
    head: &dyn Head,
    name: &'static str,
    rewrite: fn(&str) -> String,
) -> Result<Option<Dictionary>, Problem> {
    let malformed = || Problem::MalformedHeader(name);
    let lines = lines(head, &FieldName::preset(name)).map_err(|_| malformed())?;
    if lines.is_empty() {
        return Ok(None);
    }
    let text = combined(&lines).ok_or_else(malformed)?;
    Dictionary::parse(rewrite(&text).as_bytes()).map(Some).ok_or_else(malformed)
}

/// A header is repeated although it must not be, or it is too large.
struct Unusable;

/// Returns the values of a header, trimmed. There are none if the request does not have it.
fn lines<'h>(head: &'h dyn Head, name: &FieldName) -> Result<Vec<&'h [u8]>, Unusable> {
    let lines: Vec<&[u8]> = match head.header(name) {
        Occurrence::Absent => return Ok(Vec::new()),
        Occurrence::Once(value) => alloc::vec![value],
        Occurrence::Repeated if SINGLE.iter().any(|single| name.as_str().eq_ignore_ascii_case(single)) => {
            return Err(Unusable);
        }
        Occurrence::Repeated => (0..=MAX_LINES).map_while(|index| head.nth_value(name, index)).collect(),
    };
    let bytes = lines.iter().fold(0_usize, |bytes, line| bytes.saturating_add(line.len()));
    // A head that does not list the values of a repeated header has none.
    if lines.is_empty() || lines.len() > MAX_LINES || bytes > MAX_VALUE_BYTES {
        return Err(Unusable);
    }
    Ok(lines.into_iter().map(trimmed).collect())
}

/// Combines the lines of a header (RFC 9421 section 2.1). `None` if the value is not visible ASCII, spaces and tabs.
fn combined(lines: &[&[u8]]) -> Option<String> {
    let lines: Option<Vec<&str>> =
        lines.iter().map(|line| core::str::from_utf8(line).ok().filter(|line| is_text(line))).collect();
    Some(lines?.join(", "))
}

/// Whether a value has no comma outside of quoted strings. With one, a proxy can have combined it from two lines.
pub(super) fn is_one_value(value: &[u8]) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for byte in value {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return false,
            _ => {}
        }
    }
    !is_quoted
}

pub(super) fn trimmed(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

/// Checks a part of the request line.
fn text(text: &str) -> Result<&str, Problem> {
    if text.len() <= MAX_VALUE_BYTES && is_text(text) { Ok(text) } else { Err(Problem::ComponentValue) }
}

fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

/// Dictionaries that are registered, and that a signature is likely to cover.
const DICTIONARIES: &[&str] = &["content-digest", "priority", "repr-digest", "signature", "signature-input"];

/// Headers of which a proxy and a receiver could use different lines.
const SINGLE: &[&str] = &["authorization", "content-length", "content-type", "date", "host"];

/// The maximum number of lines of a header.
const MAX_LINES: usize = 32;

/// The maximum length of the values of a header, and of the request target, in bytes.
pub(super) const MAX_VALUE_BYTES: usize = 8_192;
