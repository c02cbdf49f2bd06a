//! Timestamps that were signed in a form other than the sent one, or that the scheme does not read.

use super::{Content, Contents, Element, header_value, joined};
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::form::Form;
use crate::diagnose::names::{IDS, TIMESTAMPS};
use crate::diagnose::search::Piece;
use crate::diagnose::time;
use crate::headers::Head;
use crate::scheme::{Scheme, SignedPart};
use crate::time::{Timestamp, TimestampFormat};

/// Offers the template with the timestamp in other forms.
pub(super) fn forms(contents: &mut Contents, scheme: &Scheme, elements: &[Element<'_>]) {
    let place = elements.iter().position(|element| *element.part == SignedPart::Timestamp);
    let Some((index, element)) = place.and_then(|index| Some((index, elements.get(index)?))) else { return };
    let Piece::Bytes(text) = &element.piece else { return };
    let Some(format) = scheme.timestamp().map(|place| place.format) else { return };
    let Some((time, _)) = time::read_loosely(text, format) else { return };
    let cause = |how: &str| {
        Cause::new(
            CauseKind::TimestampSignedForm,
            format!("the sender signed the timestamp {how}, but sent it in another form"),
            "on the sender, format the timestamp once, and sign and send the same text",
        )
    };
    for (other, how) in written(time) {
        contents.replace(elements, index, other.into_bytes(), [cause(how)]);
    }
    if format == TimestampFormat::Seconds {
        // Only 999 values of the dropped milliseconds are possible. They differ, so no check for equal contents is
        // needed.
        contents.forms.extend((1..1000).map(|millisecond| {
            let form = replaced(elements, index, &format!("{}{millisecond:03}", time.as_unix()));
            Form::with_causes(form, [cause("in milliseconds")]).uncombined()
        }));
    }
}

fn replaced(elements: &[Element<'_>], index: usize, text: &str) -> Content {
    joined(elements.iter().enumerate().map(|(place, element)| {
        if place == index { Piece::Bytes(text.as_bytes().to_vec()) } else { element.piece.clone() }
    }))
}

/// Writes a time in the forms that senders use.
fn written(time: Timestamp) -> Vec<(String, &'static str)> {
    let mut forms = vec![
        (time.as_unix().to_string(), "in seconds"),
        (format!("{}000", time.as_unix()), "in milliseconds"),
        (format!("{}.0", time.as_unix()), "in seconds with a fraction"),
    ];
    if let Some(date) = TimestampFormat::Rfc3339.write(time) {
        let bare = date.trim_end_matches('Z');
        forms.extend([
            (format!("{bare}.000Z"), "in RFC 3339 with milliseconds"),
            (format!("{bare}+00:00"), "in RFC 3339 with an offset"),
            (bare.to_owned(), "in ISO 8601 without a zone"),
            (bare.replace('T', " "), "as a date and a time with a space between"),
        ]);
        forms.push((date, "in RFC 3339"));
    }
    forms.extend(TimestampFormat::HttpDate.write(time).map(|date| (date, "as an HTTP date")));
    forms
}

/// Offers templates of other senders, with a timestamp or an id of the head that the scheme does not read.
pub(super) fn extra<H: Head + ?Sized>(contents: &mut Contents, scheme: &Scheme, head: &H) {
    let own = scheme.timestamp_text(head).map(|text| ("the timestamp", text));
    let mut stamps: Vec<(&str, &[u8])> = TIMESTAMPS
        .iter()
        .chain(&["Date"])
        .filter_map(|name| Some((*name, header_value(head, name)?)))
        .filter(|(_, value)| own.is_none_or(|(_, own)| own != *value))
        .collect();
    stamps.extend(own);
    let embedded = stamp_in_signature(scheme, head);
    stamps.extend(
        embedded
            .iter()
            .map(|(name, text)| (name.as_str(), *text))
            .filter(|(_, text)| own.is_none_or(|(_, own)| own != *text)),
    );
    let id = IDS.iter().find_map(|name| Some((*name, header_value(head, name)?)));
    for (name, stamp) in stamps {
        let mut offer = |before: &[&[u8]], template: String| {
            let cause = Cause::new(
                CauseKind::TemplatePartExtra,
                format!("the sender signed {template}, but the scheme signs another template"),
                "on the receiver, set this template in the scheme, and the place of the timestamp: its header, or its \
                 field or position (Layout::fields, Layout::positional); or change the sender's template",
            );
            let before = before.iter().map(|bytes| Piece::Bytes(bytes.to_vec()));
            contents.offer(joined(before.chain([Piece::Body])), cause);
        };
        offer(&[stamp, b"."], format!("{name} \".\" body"));
        offer(&[stamp, b":"], format!("{name} \":\" body"));
        offer(&[stamp], format!("{name} and body with nothing between"));
        offer(&[stamp, b"\n"], format!("{name}, a line feed and body"));
        offer(&[b"v0:", stamp, b":"], format!("\"v0:\" {name} \":\" body, as Slack does"));
        if let Some((id_name, id)) = id {
            offer(&[id, b".", stamp, b"."], format!("{id_name} \".\" {name} \".\" body, as Standard Webhooks does"));
            offer(&[id, stamp], format!("{id_name}, {name} and body with nothing between"));
        }
    }
    if let Some((name, id)) = id {
        let cause = Cause::new(
            CauseKind::TemplatePartExtra,
            format!("the sender signed {name} \".\" body, but the scheme signs another template"),
            "on the receiver, set this template in the scheme; or change the sender's template",
        );
        contents.offer(joined([Piece::Bytes([id, b"."].concat()), Piece::Body]), cause);
    }
}

/// Finds a number in a signature header that may be a timestamp, and describes its place.
fn stamp_in_signature<'h, H: Head + ?Sized>(scheme: &Scheme, head: &'h H) -> Option<(String, &'h [u8])> {
    scheme.signature_headers().iter().find_map(|name| {
        let value = header_value(head, name.as_str())?;
        let pieces = value.split(|byte| matches!(byte, b',' | b';' | b' ' | b'.' | b'=' | b':'));
        let is_stamp = |piece: &&[u8]| STAMP_DIGITS.contains(&piece.len()) && piece.iter().all(u8::is_ascii_digit);
        let text = pieces.take(MAX_PIECES).find(is_stamp)?;
        Some((format!("the timestamp in {}", name.as_str()), text))
    })
}

/// The number of digits of the current Unix time in seconds and in milliseconds.
const STAMP_DIGITS: [usize; 2] = [10, 13];

/// The maximum number of pieces of a signature header that are searched.
const MAX_PIECES: usize = 64;
