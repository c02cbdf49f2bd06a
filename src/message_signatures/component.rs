//! The identifiers of covered components (RFC 9421 section 2).

use alloc::string::String;

use super::problem::Problem;
use super::structured::Item;
use crate::headers::FieldName;

/// A part of the request that a signature covers.
#[derive(Debug, Clone)]
pub(super) struct Component {
    /// The identifier as in the signature base.
    pub(super) identifier: String,
    pub(super) kind: Kind,
}

/// What a component is. Two identifiers of the same kind differ only in how they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Method,
    TargetUri,
    Authority,
    Scheme,
    Path,
    Query,
    /// The value of the query parameter of this encoded name.
    QueryParam(String),
    Field(FieldName, Form),
}

/// How the value of a field is covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// The values of all lines of the field, combined.
    Text,
    /// `sf`: serialized strictly as a structured field.
    Structured,
    /// `key`: the member of a dictionary.
    Member(String),
    /// `bs`: each line as a byte sequence.
    Bytes,
}

impl Component {
    /// Reads an identifier as in `Signature-Input`.
    pub(super) fn from_item(item: &Item) -> Result<Self, Problem> {
        let name = item.value.as_str().ok_or(Problem::Component("its name is not a string"))?;
        let mut identifier = String::new();
        item.write(&mut identifier);
        Ok(Self { identifier, kind: Kind::of(name, item)? })
    }

    /// Reads an identifier as in a profile, where its name needs no quotes: `@query-param;name="id"`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let name = text.split(';').next().unwrap_or_default();
        let quoted = if name.starts_with('"') {
            text.into()
        } else {
            alloc::format!("\"{name}\"{}", text.get(name.len()..).unwrap_or_default())
        };
        Self::from_item(&Item::parse(quoted.as_bytes()).ok_or(Problem::Component("it is malformed"))?)
    }

    /// Whether covering `self` covers all that `required` names. A form of a whole field covers the field in any form.
    pub(super) fn satisfies(&self, required: &Self) -> bool {
        match (&self.kind, &required.kind) {
            (Kind::Field(name, form), Kind::Field(required, Form::Text)) => name == required && form.is_whole(),
            (kind, required) => kind == required,
        }
    }

    /// Whether it covers the whole value of `Content-Digest`.
    pub(super) fn is_content_digest(&self) -> bool {
        matches!(&self.kind, Kind::Field(name, form) if name.as_str() == CONTENT_DIGEST && form.is_whole())
    }
}

impl Form {
    const fn is_whole(&self) -> bool {
        !matches!(self, Self::Member(_))
    }
}

impl Kind {
    fn of(name: &str, item: &Item) -> Result<Self, Problem> {
        let refuse = |why| Err(Problem::Component(why));
        let parameter = |key: &str| item.parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        let only = |keys: &[&str]| item.parameters.iter().all(|(name, _)| keys.contains(&name.as_str()));
        if parameter("req").is_some() {
            return refuse("`req` is only for the signature of a response");
        }
        if parameter("tr").is_some() {
            return refuse("`tr` is not supported: trailers arrive after the body");
        }
        if name == "@query-param" {
            let encoded = parameter("name").and_then(|value| value.as_str());
            return match encoded {
                Some(encoded) if only(&["name"]) => Ok(Self::QueryParam(encoded.into())),
                _ => refuse("`@query-param` needs the parameter `name` and no other"),
            };
        }
        if name.starts_with('@') {
            if !item.parameters.is_empty() {
                return refuse("a derived component has a parameter that is not for it");
            }
            return match name {
                "@method" => Ok(Self::Method),
                "@target-uri" => Ok(Self::TargetUri),
                "@authority" => Ok(Self::Authority),
                "@scheme" => Ok(Self::Scheme),
                "@path" => Ok(Self::Path),
                "@query" => Ok(Self::Query),
                "@status" => refuse("`@status` is only for the signature of a response"),
                "@request-target" => refuse("`@request-target` is not supported: use `@method` and `@target-uri`"),
                "@signature-params" => refuse("`@signature-params` is always covered and must not be listed"),
                _ => refuse("an unknown derived component"),
            };
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refuse("the name of a header is not in lower case");
        }
        let Ok(header) = FieldName::new(name) else { return refuse("not the name of a header") };
        if !only(&["sf", "key", "bs"]) {
            return refuse("an unknown parameter of a header");
        }
        let (sf, key, bs) = (parameter("sf"), parameter("key"), parameter("bs"));
        if [sf, bs].into_iter().flatten().any(|flag| !flag.is_true()) {
            return refuse("`sf` and `bs` take no value");
        }
        let form = match (sf, key, bs) {
            (None, None, None) => Form::Text,
            (Some(_), None, None) => Form::Structured,
            (_, Some(key), None) => match key.as_str() {
                Some(key) => Form::Member(key.into()),
                None => return refuse("`key` is not a string"),
            },
            (None, None, Some(_)) => Form::Bytes,
            _ => return refuse("`bs` must not be used with `sf` or `key`"),
        };
        Ok(Self::Field(header, form))
    }
}

/// The name of the header with the digests of the body (RFC 9530 section 2).
pub(super) const CONTENT_DIGEST: &str = "content-digest";
