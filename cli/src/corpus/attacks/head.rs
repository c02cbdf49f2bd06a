//! Changes to headers and to the request line.

use hookwarden::Reason;
use hookwarden::scheme::{ListedHeaders, NamesIn, SignedPart, TimestampSource};

use super::super::message::Message;
use super::super::sample::Sample;
use super::{ACCEPTED, Attack, DUPLICATE, MISMATCH, MISSING, must, should};

pub(super) const ATTACKS: &[Attack] = &[
    should("signature-header-twice", "The signature header occurs twice with the same value.", DUPLICATE, |it| {
        twice(it, it.message.value(&it.header)?)
    }),
    should(
        "signature-header-after-a-wrong-one",
        "A signature header with a wrong signature precedes the right one.",
        DUPLICATE,
        |it| twice(it, &format!("{}{}", it.before, it.wrong())),
    ),
    must("header-names-in-upper-case", "The names of all headers are in upper case.", ACCEPTED, |it| {
        let mut message = it.message.clone();
        message.headers.iter_mut().for_each(|(name, _)| name.make_ascii_uppercase());
        Some(message)
    }),
    must("header-added", "The message has another header, which is not signed.", ACCEPTED, |it| {
        Some(it.message.clone().and("X-Not-Signed", "1"))
    }),
    must("signed-header-missing", "A signed header is missing.", MISSING, |it| {
        Some(it.message.clone().without(signed_header(it)?))
    }),
    must("signed-header-changed", "A signed header has another value.", MISMATCH, |it| {
        let name = signed_header(it)?;
        Some(it.message.clone().with(name, format!("{}0", it.message.value(name)?)))
    }),
    should("signed-header-twice", "A signed header occurs a second time, with another value.", DUPLICATE, |it| {
        let name = signed_header(it)?;
        Some(it.message.clone().and(name, format!("{}0", it.message.value(name)?)))
    }),
    must(
        "listed-name-removed",
        "A name is removed from the list of signed headers.",
        &[Reason::MissingHeader, Reason::Mismatch],
        |it| {
            let list = list(it)?;
            let shorter = list.rsplit_once(listed_separator(it)?)?.0;
            if it.message.value(&it.header)?.contains(list) {
                return Some(it.with_value(it.message.value(&it.header)?.replace(list, shorter)));
            }
            let (name, _) = it.message.headers.iter().find(|(_, value)| value == list)?;
            Some(it.message.clone().with(name, shorter))
        },
    ),
    must("method-changed", "The method is another one than the signed one.", MISMATCH, |it| {
        let signs = it.scheme.signed().contains(&SignedPart::Method);
        signs.then(|| Message { method: "PUT".into(), ..it.message.clone() })
    }),
    must("path-changed", "The path is another one than the signed one.", MISMATCH, |it| {
        signs_path(it).then(|| Message { path: format!("/another{}", it.message.path), ..it.message.clone() })
    }),
    must("query-added", "The URL has an additional parameter in its query.", MISMATCH, |it| {
        let mark = if it.message.path.contains('?') { '&' } else { '?' };
        signs_path(it).then(|| Message { path: format!("{}{mark}x=1", it.message.path), ..it.message.clone() })
    }),
    must(
        "boundary-moved",
        "A character is moved between the timestamp and the body, which meet in the signed content.",
        &[Reason::Stale, Reason::MalformedTimestamp],
        |it| {
            let (text, _) = it.stamp.as_ref()?;
            let (stamp, body) = it.scheme.signed().windows(2).find_map(|parts| match parts {
                [SignedPart::Timestamp, SignedPart::Body] => {
                    let (start, last) = text.split_at_checked(text.len().checked_sub(1)?)?;
                    Some((start, [last.as_bytes(), &it.message.body].concat()))
                }
                [SignedPart::Body, SignedPart::Timestamp] => {
                    let (first, rest) = text.split_at_checked(1)?;
                    Some((rest, [&it.message.body, first.as_bytes()].concat()))
                }
                _ => None,
            })?;
            Some(it.with_stamps(&[stamp])?.with_body(body))
        },
    ),
    should(
        "separator-in-signed-header",
        "The signed body begins like a timestamp and a separator, and both are moved to the end of the signed header.",
        &[Reason::MalformedHeader],
        |it| {
            let [
                SignedPart::Header(name),
                SignedPart::Literal(first),
                SignedPart::Timestamp,
                SignedPart::Literal(second),
                SignedPart::Body,
            ] = it.scheme.signed()
            else {
                return None;
            };
            let (stamp, _) = it.stamp.as_ref()?;
            let longer = it.message.clone().with_body([stamp.as_bytes(), second.as_bytes(), &it.message.body].concat());
            let value = format!("{}{first}{stamp}", it.message.value(name.as_str())?);
            Some(it.with_tag(&it.tag_of(&longer)?).with(name.as_str(), value))
        },
    ),
];

/// The message with another signature header before its own, if the header may occur only once.
fn twice(it: &Sample, value: &str) -> Option<Message> {
    (!it.scheme.repeats_signature_headers()).then(|| it.message.clone().after(&it.header, value))
}

/// The name of a signed header that is not the timestamp.
fn signed_header(it: &Sample) -> Option<&str> {
    it.scheme.signed().iter().find_map(|part| match (part, it.scheme.timestamp_source()) {
        (SignedPart::Header(name), Some(TimestampSource::Header(own))) if name == own => None,
        (SignedPart::Header(name), _) => Some(name.as_str()),
        _ => None,
    })
}

fn listed(it: &Sample) -> Option<&ListedHeaders> {
    it.scheme.signed().iter().find_map(|part| match part {
        SignedPart::ListedHeaders(listed) => Some(listed),
        _ => None,
    })
}

fn listed_separator(it: &Sample) -> Option<char> {
    listed(it).map(|listed| listed.separator)
}

/// The list of signed headers.
fn list(it: &Sample) -> Option<&str> {
    match &listed(it)?.names_in {
        NamesIn::Header(name) => it.message.value(name.as_str()),
        NamesIn::Field(key) => {
            let mut fields = it.before.split(it.separator()?);
            fields.find_map(|field| field.strip_prefix(&**key)?.strip_prefix('='))
        }
        _ => None,
    }
}

fn signs_path(it: &Sample) -> bool {
    it.scheme.signed().iter().any(|part| matches!(part, SignedPart::Path | SignedPart::Url { .. }))
}
