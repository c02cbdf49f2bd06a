//! The signed content.

use hookwarden::Scheme;
use hookwarden::crypto::HashAlgorithm;
use hookwarden::scheme::{ListedHeaderForm, ListedHeaders, NamesIn, SignedPart, TimestampSource};

use ring::digest;

use super::signatures::{Signatures, signatures, split};
use super::written;
use crate::request::Request;

/// Returns the signed content of `request`, or `None` if a part is missing, repeated, too long or ambiguous.
pub fn content(scheme: &Scheme, request: &Request, stamp_text: &[u8]) -> Option<Vec<u8>> {
    let signatures = signatures(scheme, request)?;
    let parts = scheme.signed();
    let body = parts.iter().position(is_body).expect("a scheme signs the body");
    let mut content = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        match part {
            SignedPart::Literal(text) => content.extend_from_slice(text.as_bytes()),
            SignedPart::Timestamp => content.extend_from_slice(stamp_text),
            SignedPart::Body => content.extend_from_slice(&request.body),
            SignedPart::BodyDigest { hash, encoding } => {
                let algorithm = match hash {
                    HashAlgorithm::Sha256 => &digest::SHA256,
                    HashAlgorithm::Sha512 => &digest::SHA512,
                    other => panic!("the oracle does not know {other:?}"),
                };
                let digest = digest::digest(algorithm, &request.body);
                content.extend_from_slice(written(*encoding, digest.as_ref()).as_bytes());
            }
            SignedPart::Method => content.extend(short(request.line.as_ref()?.0.as_bytes())?),
            SignedPart::Path => content.extend(short(request.line.as_ref()?.1.as_bytes())?),
            SignedPart::Url { base, decode } => {
                content.extend_from_slice(base.as_bytes());
                content.extend(decoded(&short(request.line.as_ref()?.1.as_bytes())?, decode));
            }
            SignedPart::Header(name) => {
                let value = short(request.single(name.as_str())?)?;
                let is_stamp =
                    matches!(scheme.timestamp_source(), Some(TimestampSource::Header(stamp)) if stamp == name);
                let cut = if is_stamp {
                    false
                } else if place < body {
                    literal(parts.get(place + 1)).is_some_and(|literal| first_cut(&value, literal) != value.len())
                } else {
                    let before = place.checked_sub(1).and_then(|place| parts.get(place));
                    literal(before).is_some_and(|literal| last_cut(&value, literal) != 0)
                };
                if cut {
                    return None;
                }
                content.extend(value);
            }
            SignedPart::Field(key) => content.extend(short(&signatures.field(key)?)?),
            SignedPart::ListedHeaders(listed) => content.extend(listed_headers(listed, request, &signatures)?),
            other => panic!("the oracle does not know {other:?}"),
        }
    }
    Some(content)
}

fn is_body(part: &SignedPart) -> bool {
    matches!(part, SignedPart::Body | SignedPart::BodyDigest { .. })
}

fn short(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() > 8_192 { None } else { Some(value.to_vec()) }
}

fn literal(part: Option<&SignedPart>) -> Option<&[u8]> {
    match part {
        Some(SignedPart::Literal(text)) if !text.is_empty() => Some(text.as_bytes()),
        _ => None,
    }
}

/// Returns where a reader from the front finds the literal after the value.
fn first_cut(value: &[u8], literal: &[u8]) -> usize {
    let text = [value, literal].concat();
    text.windows(literal.len()).position(|window| window == literal).expect("it is at the end")
}

/// Returns where a reader from the back finds the literal before the value.
fn last_cut(value: &[u8], literal: &[u8]) -> usize {
    let text = [literal, value].concat();
    text.windows(literal.len()).rposition(|window| window == literal).expect("it is at the beginning")
}

fn listed_headers(listed: &ListedHeaders, request: &Request, signatures: &Signatures) -> Option<Vec<u8>> {
    let list = match &listed.names_in {
        NamesIn::Header(name) => request.single(name.as_str())?.to_vec(),
        NamesIn::Field(key) => signatures.field(key)?,
        other => panic!("the oracle does not know {other:?}"),
    };
    let list = short(&list)?;
    let names = if list.is_empty() { Vec::new() } else { split(&list, listed.separator) };
    if names.len() > 32 {
        return None;
    }
    let mut lines = Vec::new();
    let mut lower_names = Vec::new();
    for name in names {
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || name.len() > 128 || !name.iter().all(token) {
            return None;
        }
        let name = String::from_utf8(name).ok()?.to_ascii_lowercase();
        let value = short(request.single(&name)?)?;
        if listed.pair == ListedHeaderForm::NameAndValue && embeds_header(&value, &listed.join) {
            return None;
        }
        lines.push(match listed.pair {
            ListedHeaderForm::NameAndValue => [name.as_bytes(), b":", &value].concat(),
            _ => value,
        });
        lower_names.push(name);
    }
    if listed.require.iter().any(|name| !lower_names.contains(&name.as_str().to_ascii_lowercase())) {
        return None;
    }
    Some(lines.join(listed.join.as_bytes()))
}

/// Whether `value` contains `join`, a name and a colon. A join that can be part of a name is not a separator.
fn embeds_header(value: &[u8], join: &str) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if join.is_empty() || join.bytes().any(|byte| is_token(&byte) || byte == b':') {
        return false;
    }
    let after_join = value.windows(join.len()).enumerate().filter(|(_, window)| *window == join.as_bytes());
    after_join.map(|(at, _)| &value[at + join.len()..]).any(|rest| match rest.iter().position(|byte| !is_token(byte)) {
        Some(end) => end > 0 && rest[end] == b':',
        None => false,
    })
}

/// Decodes the percent-encoded forms of the characters in `decode`.
fn decoded(path: &[u8], decode: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
            && decode.chars().any(|character| u32::from(character) == high * 16 + low)
        {
            out.push(u8::try_from(high * 16 + low).expect("two hex digits are a byte"));
            rest = after;
        } else {
            out.push(*first);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_characters_are_decoded() {
        assert_eq!(decoded(b"/a%3Fb%3fc%41%4", "?"), b"/a?b?c%41%4");
        assert_eq!(decoded(b"%%3f", "?"), b"%?");
        assert_eq!(decoded(b"%0x%x0", "\0"), b"%0x%x0");
    }

    #[test]
    fn cut_is_found_within_and_across_a_value() {
        for (value, literal, clean) in
            [("ab", ".", true), ("a.", ".", false), ("xab", "aba", false), ("xaba", "aba", false)]
        {
            assert_eq!(first_cut(value.as_bytes(), literal.as_bytes()) == value.len(), clean, "{value}");
        }
        // `ab` and `aba` make `ababa`, which can be cut at its beginning, too.
        assert_ne!(first_cut(b"ab", b"aba"), 2);
        assert_ne!(last_cut(b"ba", b"aba"), 0);
        assert_eq!(last_cut(b"b", b"aba"), 0);
    }
}
