//! Timestamps that were signed in another form than they were sent, or that the scheme does not know of.

use super::{Content, Contents, Element, header_value, joined};
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::form::Form;
use crate::diagnose::search::Piece;
use crate::diagnose::time;
use crate::headers::Head;
use crate::scheme::{Scheme, SignedPart};
use crate::time::{Timestamp, TimestampFormat};

/// The template with the timestamp in other forms.
pub(super) fn forms(contents: &mut Contents, scheme: &Scheme, elements: &[Element<'_>]) {
    let place = elements.iter().position(|element| *element.part == SignedPart::Timestamp);
    let Some((index, element)) = place.and_then(|index| Some((index, elements.get(index)?))) else { return };
    let Piece::Bytes(text) = &element.piece else { return };
    let Some(format) = scheme.timestamp().map(|place| place.format) else { return };
    let Some((time, _)) = time::read_loosely(text, format) else { return };
    let cause = |how: &str| {
        Cause::new(
            CauseKind::TimestampSignedForm,
            format!("the timestamp was signed {how}, which is not the text that was sent"),
            "on the sender, make the timestamp's text once, and both sign and send that very text",
        )
    };
    for (other, how) in written(time) {
        contents.replace(elements, index, other.into_bytes(), [cause(how)]);
    }
    if format == TimestampFormat::Seconds {
        // The milliseconds that were cut off are few enough to try them all. No two of them are equal.
        contents.forms.extend((1..1000).map(|millisecond| {
            let form = replaced(elements, index, &format!("{}{millisecond:03}", time.as_unix()));
            Form::faulty(form, [cause("in milliseconds")]).alone()
        }));
    }
}

fn replaced(elements: &[Element<'_>], index: usize, text: &str) -> Content {
    joined(elements.iter().enumerate().map(|(place, element)| {
        if place == index { Piece::Bytes(text.as_bytes().to_vec()) } else { element.piece.clone() }
    }))
}

/// The forms of a time that senders write.
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
    forms
}

/// Templates of other senders, with a timestamp or an id from the head that the scheme knows nothing of.
pub(super) fn extra<H: Head + ?Sized>(contents: &mut Contents, scheme: &Scheme, head: &H) {
    let own = scheme.timestamp_text(head).map(|text| ("the timestamp", text));
    let mut stamps: Vec<(&str, &[u8])> = TIMESTAMPS
        .iter()
        .filter_map(|name| Some((*name, header_value(head, name)?)))
        .filter(|(_, value)| own.is_none_or(|(_, own)| own != *value))
        .collect();
    stamps.extend(own);
    let id = IDS.iter().find_map(|name| Some((*name, header_value(head, name)?)));
    for (name, stamp) in stamps {
        let mut offer = |before: &[&[u8]], template: String| {
            let cause = Cause::new(
                CauseKind::TemplatePartExtra,
                format!("the sender signed {template}, which is not what the scheme signs"),
                "on the receiver, describe this template in the scheme, the timestamp's header included; or change the sender's",
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
            format!("the sender signed {name} \".\" body, which is not what the scheme signs"),
            "on the receiver, describe this template in the scheme; or change the sender's",
        );
        contents.offer(joined([Piece::Bytes([id, b"."].concat()), Piece::Body]), cause);
    }
}

/// Headers that are known to carry a timestamp or an id.
const TIMESTAMPS: [&str; 12] = [
    "X-Webhook-Timestamp",
    "Webhook-Timestamp",
    "X-Timestamp",
    "Timestamp",
    "X-Signature-Timestamp",
    "X-Request-Timestamp",
    "X-Slack-Request-Timestamp",
    "Svix-Timestamp",
    "X-Hub-Timestamp",
    "X-Hook-Timestamp",
    "X-Event-Time",
    "Date",
];
const IDS: [&str; 7] =
    ["webhook-id", "svix-id", "X-Webhook-Id", "X-Request-Id", "X-Event-Id", "X-Delivery-Id", "X-GitHub-Delivery"];
