//! Messages at other times, and changes to the timestamp.

use hookwarden::Reason;
use hookwarden::time::TimestampFormat;

use super::super::message::Message;
use super::super::sample::Sample;
use super::{ACCEPTED, Attack, DUPLICATE, MISMATCH, must, should};
use crate::forgery;

pub(super) const ATTACKS: &[Attack] = &[
    should("age-at-tolerance", "The message is exactly as old as the tolerance.", ACCEPTED, |it| {
        it.aged(it.tolerance())
    }),
    should("age-over-tolerance", "The message is a second older than the tolerance.", &[Reason::Stale], |it| {
        it.aged(it.tolerance().saturating_add(1))
    }),
    must("age-of-two-days", "The message is two days old.", &[Reason::Stale], |it| it.aged(TWO_DAYS)),
    should("early-at-tolerance", "The timestamp is in the future by exactly the tolerance.", ACCEPTED, |it| {
        it.aged(it.tolerance().saturating_neg())
    }),
    should(
        "early-over-tolerance",
        "The timestamp is in the future by a second more than the tolerance.",
        &[Reason::Early],
        |it| it.aged(it.tolerance().saturating_add(1).saturating_neg()),
    ),
    should("early-by-two-days", "The timestamp is two days in the future.", &[Reason::Early], |it| {
        it.aged(TWO_DAYS.saturating_neg())
    }),
    must(
        "timestamp-missing",
        "The timestamp is missing.",
        &[Reason::MissingHeader, Reason::MalformedSignature],
        |it| it.with_stamps(&[]),
    ),
    must("timestamp-empty", "The timestamp is empty.", BAD_TIME, |it| it.with_stamps(&[""])),
    must("timestamp-changed", "The timestamp is a second later than the signed one.", MISMATCH, |it| {
        it.with_stamps(&[&*it.later(1)?])
    }),
    must(
        "timestamp-renewed",
        "The message is two days old, and its timestamp is replaced by the current time.",
        MISMATCH,
        |it| Some(Message { now: it.aged(TWO_DAYS)?.now, ..it.with_stamps(&[&*it.later(TWO_DAYS)?])? }),
    ),
    must(
        "timestamp-renewed-before",
        "The message is two days old, and a current timestamp precedes the signed one.",
        DUPLICATE,
        |it| {
            let stamps = [&*it.later(TWO_DAYS)?, it.stamp.as_ref()?.0.as_str()];
            Some(Message { now: it.aged(TWO_DAYS)?.now, ..it.with_stamps(&stamps)? })
        },
    ),
    must(
        "timestamp-renewed-after",
        "The message is two days old, and a current timestamp follows the signed one.",
        DUPLICATE,
        |it| {
            let stamps = [it.stamp.as_ref()?.0.as_str(), &*it.later(TWO_DAYS)?];
            Some(Message { now: it.aged(TWO_DAYS)?.now, ..it.with_stamps(&stamps)? })
        },
    ),
    should("timestamp-twice", "The timestamp occurs twice with the same value.", DUPLICATE, |it| {
        let (text, _) = it.stamp.as_ref()?;
        it.with_stamps(&[text, text])
    }),
    should("timestamp-with-plus", "A plus sign precedes the timestamp, which is signed this way.", BAD_TIME, |it| {
        it.stamped(&format!("+{}", number(it)?))
    }),
    should("timestamp-with-minus", "A minus sign precedes the timestamp, which is signed this way.", BAD_TIME, |it| {
        it.stamped(&format!("-{}", number(it)?))
    }),
    should("timestamp-with-leading-zero", "A zero precedes the timestamp, which is signed this way.", BAD_TIME, |it| {
        it.stamped(&format!("0{}", number(it)?))
    }),
    should("timestamp-with-fraction", "The timestamp has a fraction, and is signed this way.", BAD_TIME, |it| {
        it.stamped(&format!("{}.0", number(it)?))
    }),
    should("timestamp-over-64-bits", "The timestamp has 20 digits, and is signed this way.", BAD_TIME, |it| {
        number(it).and_then(|_| it.stamped("99999999999999999999"))
    }),
    should("timestamp-not-a-number", "The timestamp is NaN, and is signed this way.", BAD_TIME, |it| it.stamped("NaN")),
    should(
        "timestamp-in-another-unit",
        "The timestamp is in milliseconds in place of seconds, or in seconds.",
        &[Reason::Early, Reason::Stale],
        |it| {
            let seconds = it.stamp.as_ref()?.1;
            match it.scheme.timestamp_format()? {
                TimestampFormat::Seconds => it.stamped(&seconds.saturating_mul(1000).to_string()),
                TimestampFormat::Milliseconds => it.stamped(&seconds.to_string()),
                _ => None,
            }
        },
    ),
    should(
        "timestamp-in-another-format",
        "The timestamp is in RFC 3339 in place of a number, or a number of seconds.",
        BAD_TIME,
        |it| {
            let seconds = it.stamp.as_ref()?.1;
            let format = if number(it).is_some() { TimestampFormat::Rfc3339 } else { TimestampFormat::Seconds };
            it.stamped(&forgery::stamp(format, seconds)?)
        },
    ),
    should(
        "timestamp-in-lower-case",
        "The letters of the timestamp are in lower case, and are signed this way.",
        BAD_TIME,
        |it| {
            let (text, _) = it.stamp.as_ref()?;
            number(it).is_none().then(|| it.stamped(&text.to_ascii_lowercase()))?
        },
    ),
    should("timestamp-without-zone", "The timestamp lacks its zone, and is signed this way.", BAD_TIME, |it| {
        it.stamped(it.stamp.as_ref()?.0.trim_end_matches(['Z', 'G', 'M', 'T', ' '])).filter(|_| number(it).is_none())
    }),
];

/// More than any tolerance.
const TWO_DAYS: i64 = 2 * 86_400;

const BAD_TIME: &[Reason] = &[Reason::MalformedTimestamp];

/// The text of the timestamp, if it is a number.
fn number(it: &Sample) -> Option<&str> {
    let (text, _) = it.stamp.as_ref()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}
