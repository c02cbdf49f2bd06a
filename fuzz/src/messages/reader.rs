//! A simple reader of signatures (RFC 9421). It returns the signature base of a request, or nothing.

use hookwarden::message_signatures::StructuredType;

use super::profile::{Settings, TagRule};
use super::structured::{
    Bare, Item, Member, Parameters, Sequences, dictionary, dictionary_of, is_dictionary_excessive, is_excessive, item,
    list, write_bare, write_dictionary, write_item, write_list, write_member,
};
use super::sufficient::is_sufficient;
use crate::request::Request;

/// A signature and what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// The label of the signature.
    pub label: String,
    /// The covered components.
    pub components: Vec<Item>,
    /// Its parameters.
    pub parameters: Parameters,
    /// The text that is signed.
    pub base: String,
    /// The bytes of the signature. There are none if `Signature` has no such label.
    pub signature: Vec<u8>,
}

impl Signed {
    /// Whether it covers the whole header.
    pub fn covers_header(&self, header: &str) -> bool {
        self.components.iter().any(|(name, parameters)| {
            *name == Bare::String(header.to_owned()) && parameters.iter().all(|(key, _)| key != "key")
        })
    }

    /// Whether it covers a component without parameters.
    pub fn covers(&self, component: &str) -> bool {
        self.components.contains(&(Bare::String(component.to_owned()), Vec::new()))
    }
}

/// The label, the components and the parameters of a signature.
pub type Candidate<'i> = (&'i String, &'i [Item], &'i Parameters);

/// Returns the one signature that counts.
pub fn choose<'i>(settings: &Settings, request: &Request, inputs: &'i [(String, Member)]) -> Option<Candidate<'i>> {
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for (label, member) in inputs {
        if settings.label.is_some_and(|wanted| wanted != label) {
            continue;
        }
        let Member::InnerList(components, parameters) = member else { return None };
        let tag = parameters.iter().find(|(key, _)| key == "tag").map(|(_, value)| value);
        let is_tag = |wanted: &str| tag == Some(&Bare::String(wanted.to_owned()));
        let has_tag = match settings.tag {
            TagRule::Untagged => tag.is_none(),
            TagRule::Exactly(wanted) => is_tag(wanted),
            TagRule::Optional(wanted) => tag.is_none() || is_tag(wanted),
            TagRule::Any => true,
        };
        if has_tag {
            candidates.push((label, components, parameters));
        }
    }
    if settings.ignores_insufficient && candidates.len() > 1 {
        candidates.retain(|candidate| is_sufficient(settings, request, *candidate));
    }
    let preferred = candidates.iter().find(|(label, _, _)| settings.preferred_label == Some(label.as_str()));
    match (preferred, &candidates[..]) {
        (Some(one), _) | (None, [one]) => Some(*one),
        _ => None,
    }
}

/// Reads the one signature that counts.
pub fn read(settings: &Settings, request: &Request) -> Option<Signed> {
    let inputs = read_dictionary(request, "signature-input")?;
    let (label, components, parameters) = choose(settings, request, &inputs)?;
    let signatures = read_sequences(settings, request, "signature")?;
    let signature = signatures.into_iter().find_map(|(key, member)| match member {
        Member::Item((Bare::Bytes(bytes), parameters)) if key == *label && parameters.is_empty() => Some(bytes),
        _ => None,
    });
    Some(Signed {
        label: label.clone(),
        components: components.to_vec(),
        parameters: parameters.clone(),
        base: base(settings, request, components, parameters)?,
        signature: signature.unwrap_or_default(),
    })
}

/// Returns the signature base.
pub fn base(settings: &Settings, request: &Request, components: &[Item], parameters: &Parameters) -> Option<String> {
    let mut base = String::new();
    for component in components {
        base.push_str(&format!("{}: {}\n", write_item(component), value(settings, request, component)?));
    }
    let list = Member::InnerList(components.to_vec(), parameters.clone());
    Some(base + &format!("\"@signature-params\": {}", write_member(&list)))
}

/// Parses a header as a dictionary. `None` if a key occurs twice.
pub fn read_dictionary(request: &Request, name: &str) -> Option<Vec<(String, Member)>> {
    dictionary(&combined(request, name)?).filter(|dictionary| !is_dictionary_excessive(dictionary))
}

/// Parses `Signature` or `Content-Digest` with the byte sequences of the profile.
pub fn read_sequences(settings: &Settings, request: &Request, name: &str) -> Option<Vec<(String, Member)>> {
    let sequences = match name {
        "signature" if settings.is_base64url => Sequences::Base64Url,
        "content-digest" if settings.is_base64url => Sequences::Either,
        _ => Sequences::Base64,
    };
    let read = dictionary_of(sequences, &combined(request, name)?);
    read.filter(|dictionary| !is_dictionary_excessive(dictionary))
}

/// Returns the values of a header, combined.
pub fn combined(request: &Request, name: &str) -> Option<String> {
    let values = request.values(name);
    let is_text = |value: &&str| value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let texts: Option<Vec<&str>> =
        values.iter().map(|value| std::str::from_utf8(value).ok().filter(is_text).map(trim)).collect();
    texts.filter(|texts| !texts.is_empty()).map(|texts| texts.join(", "))
}

/// Returns the value of a query parameter that occurs once, as it was sent.
pub fn query_parameter<'q>(query: &'q str, wanted: &str) -> Option<&'q str> {
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if encoded(name).is_some_and(|name| name == wanted) && found.replace(value).is_some() {
            return None;
        }
    }
    found
}

fn value(settings: &Settings, request: &Request, (name, parameters): &Item) -> Option<String> {
    let Bare::String(name) = name else { return None };
    let parameter = |wanted: &str| parameters.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
    if !name.starts_with('@') {
        return field(settings, request, name, parameter("sf").is_some(), parameter("key"), parameter("bs").is_some());
    }
    let (scheme, authority) = settings.origin.split_once("://")?;
    match name.as_str() {
        "@scheme" => return Some(scheme.to_owned()),
        "@authority" => return Some(authority.to_owned()),
        _ => {}
    }
    let (method, target) = request.line.as_ref()?;
    let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    let path = settings.path(path);
    match name.as_str() {
        "@method" => Some(method.clone()),
        "@path" => Some(path),
        "@query" => Some(format!("?{}", query.unwrap_or_default())),
        "@target-uri" => {
            Some(format!("{scheme}://{authority}{path}{}", query.map(|query| format!("?{query}")).unwrap_or_default()))
        }
        "@query-param" => match parameter("name") {
            Some(Bare::String(wanted)) => encoded(query_parameter(query.unwrap_or_default(), wanted)?),
            _ => None,
        },
        _ => None,
    }
}

fn field(
    settings: &Settings,
    request: &Request,
    name: &str,
    is_structured: bool,
    key: Option<&Bare>,
    is_bytes: bool,
) -> Option<String> {
    if is_bytes {
        let lines: Vec<String> =
            request.values(name).iter().map(|value| write_bare(&Bare::Bytes(trimmed(value).to_vec()))).collect();
        return (!lines.is_empty()).then(|| lines.join(", "));
    }
    let text = combined(request, name)?;
    if let Some(key) = key {
        let Bare::String(key) = key else { return None };
        let dictionary = read_dictionary(request, name)?;
        return dictionary.iter().find(|(other, _)| other == key).map(|(_, member)| write_member(member));
    }
    if !is_structured {
        return Some(text);
    }
    let known = settings.types.iter().find(|(known, _)| *known == name).map(|(_, known)| *known);
    match known {
        Some(StructuredType::Item) => {
            item(&text).filter(|item| !is_excessive(&[], [&Member::Item(item.clone())])).map(|item| write_item(&item))
        }
        Some(StructuredType::List) => list(&text).filter(|list| !is_excessive(&[], list)).map(|list| write_list(&list)),
        _ => read_dictionary(request, name).map(|dictionary| write_dictionary(&dictionary)),
    }
}

/// Decodes a part of a query and encodes it as RFC 9421 says. `None` if it is not UTF-8.
pub fn encoded(text: &str) -> Option<String> {
    let mut decoded: Vec<u8> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escape =
            digits.filter(|_| bytes[at] == b'%').filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        match escape {
            Some(digits) => {
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
                at += 3;
            }
            None => {
                decoded.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    Some(decoded.bytes().map(encode).collect())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
