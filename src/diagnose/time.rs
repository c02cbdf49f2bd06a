//! Finds what is wrong with a timestamp.

use super::cause::{Cause, CauseKind};
use crate::time::{Timestamp, TimestampFormat, Tolerance};

/// How a timestamp's text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Seconds,
    SecondsWithFraction,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    Rfc3339,
    /// A date without a zone, read as UTC, or with another deviation from RFC 3339.
    LooseDate,
    HttpDate,
    /// A date like an HTTP date: in an obsolete form, with another name for UTC, or with a wrong day of the week.
    LooseHttpDate,
}

impl Written {
    const fn describe(self) -> &'static str {
        match self {
            Self::Seconds => "in seconds",
            Self::SecondsWithFraction => "in seconds with a fraction",
            Self::Milliseconds => "in milliseconds",
            Self::Microseconds => "in microseconds",
            Self::Nanoseconds => "in nanoseconds",
            Self::Rfc3339 => "a date in RFC 3339",
            Self::LooseDate => "a date that does not follow RFC 3339 strictly",
            Self::HttpDate => "an HTTP date",
            Self::LooseHttpDate => "a date like an HTTP date, but not in the form that RFC 9110 prescribes",
        }
    }

    const fn kind(self) -> CauseKind {
        match self {
            Self::Seconds | Self::SecondsWithFraction => CauseKind::TimestampSeconds,
            Self::Milliseconds | Self::Microseconds | Self::Nanoseconds => CauseKind::TimestampMilliseconds,
            Self::Rfc3339 | Self::LooseDate => CauseKind::TimestampRfc3339,
            Self::HttpDate | Self::LooseHttpDate => CauseKind::TimestampHttpDate,
        }
    }

    const fn setting(self) -> Option<&'static str> {
        match self {
            Self::Seconds => Some("TimestampFormat::Seconds"),
            Self::Milliseconds => Some("TimestampFormat::Milliseconds"),
            Self::Rfc3339 => Some("TimestampFormat::Rfc3339"),
            Self::HttpDate => Some("TimestampFormat::HttpDate"),
            _ => None,
        }
    }
}

/// Returns the cause if the scheme refuses the timestamp: its text is malformed, or it is too far from `now`.
pub(super) fn wrong(
    text: &[u8],
    format: TimestampFormat,
    tolerance: Tolerance,
    now: Timestamp,
    header: &str,
) -> Option<Cause> {
    let own = format.parse(text).filter(|_| text.len() <= MAX_TEXT);
    if own.is_some_and(|time| tolerance.check(time, now).is_ok()) {
        return None;
    }
    let far = own.is_none_or(|time| time.as_unix().abs_diff(now.as_unix()) > FAR);
    let near = |time: Timestamp| time.as_unix().abs_diff(now.as_unix()) <= FAR;
    let cause = match (own, read_loosely(text, format).filter(|(time, _)| far && near(*time))) {
        (_, Some((time, written))) if written.setting() != setting(format) => {
            let what = format!("the timestamp is {}, and must be {}", written.describe(), describe(format));
            let fix = match written.setting() {
                Some(set) => format!(
                    "on the receiver, set the scheme's timestamp format to {set}; or have the sender send {}",
                    describe(format)
                ),
                None => format!("on the sender, send the timestamp in {}", describe(format)),
            };
            Cause::new(written.kind(), what, fix).of_seconds(now.seconds_since(time))
        }
        (Some(time), _) => skewed(now.seconds_since(time), tolerance),
        (None, _) => Cause::new(
            CauseKind::TimestampMalformed,
            format!("the timestamp, of {} bytes, is not {}", text.len(), describe(format)),
            format!("on the sender, send the timestamp in {}, and nothing else in the header", describe(format)),
        ),
    };
    Some(cause.at_header(header))
}

/// Returns the cause for a timestamp `skew` seconds in the past, or in the future if negative.
fn skewed(skew: i64, tolerance: Tolerance) -> Cause {
    let (seconds, tolerance) = (skew.unsigned_abs(), tolerance.as_seconds());
    let side = if skew > 0 { "in the past" } else { "in the future" };
    let cause = if let Some(offset) = zone_offset(seconds) {
        Cause::new(
            CauseKind::TimestampTimeZone,
            format!("the timestamp is {seconds} s {side}, close to {offset}: a local time was probably used as UTC"),
            "on the sender, compute Unix time from UTC; for a stored request, check the time zone of its arrival time",
        )
    } else if skew > 0 {
        Cause::new(
            CauseKind::TimestampStale,
            format!("the timestamp is {seconds} s in the past, and {tolerance} s are tolerated"),
            "if this request was stored, diagnose it at the time it arrived; otherwise set both clocks by NTP, and \
             have the sender sign each retry again instead of sending an old signature from a queue",
        )
    } else {
        Cause::new(
            CauseKind::TimestampEarly,
            format!(
                "the timestamp is {seconds} s in the future, and {tolerance} s are tolerated: a delay cannot cause \
                 this, so a clock is wrong"
            ),
            "synchronize both clocks by NTP: the sender's is ahead, or the receiver's is behind",
        )
    };
    cause.of_seconds(skew)
}

/// Returns the time zone offset that `seconds` is close to.
fn zone_offset(seconds: u64) -> Option<String> {
    let quarters = seconds.checked_add(SLACK)?.checked_div(QUARTER)?;
    let rest = seconds.abs_diff(quarters.checked_mul(QUARTER)?);
    let (hours, quarter) = (quarters.checked_div(4)?, quarters.checked_rem(4)?);
    let is_zone = match quarter {
        0 => (1..=14).contains(&hours),
        2 => matches!(hours, 2 | 3 | 4 | 5 | 6 | 9 | 10),
        3 => matches!(hours, 5 | 8 | 12),
        _ => false,
    };
    (is_zone && rest <= SLACK).then(|| match quarter {
        0 => format!("{hours} h"),
        2 => format!("{hours} h 30 min"),
        _ => format!("{hours} h 45 min"),
    })
}

/// Reads a time in any form that senders are known to write.
pub(super) fn read_loosely(text: &[u8], format: TimestampFormat) -> Option<(Timestamp, Written)> {
    let text = text.get(..MAX_TEXT).unwrap_or(text).trim_ascii();
    let text = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    if let Some(time) = TimestampFormat::Rfc3339.parse(text) {
        return Some((time, Written::Rfc3339));
    }
    if let Some(time) = TimestampFormat::HttpDate.parse(text) {
        return Some((time, Written::HttpDate));
    }
    if let Some(number) = TimestampFormat::Seconds.parse(text) {
        let number = number.as_unix();
        let (divisor, written) = match text.len() {
            0..=11 => (1, Written::Seconds),
            12..=14 => (1_000, Written::Milliseconds),
            15..=17 => (1_000_000, Written::Microseconds),
            _ => (1_000_000_000, Written::Nanoseconds),
        };
        // A small number is read in the scheme's unit.
        let (divisor, written) = if format == TimestampFormat::Milliseconds && text.len() < 10 {
            (1_000, Written::Milliseconds)
        } else {
            (divisor, written)
        };
        return Some((Timestamp::from_unix(number.div_euclid(divisor)), written));
    }
    if let Some(point) = text.iter().position(|byte| *byte == b'.')
        && let Some((seconds, fraction)) = text.split_at_checked(point)
        && fraction.iter().skip(1).all(u8::is_ascii_digit)
    {
        return Some((TimestampFormat::Seconds.parse(seconds)?, Written::SecondsWithFraction));
    }
    let date = loose_date(text).map(|time| (time, Written::LooseDate));
    date.or_else(|| Some((loose_http_date(text)?, Written::LooseHttpDate)))
}

/// Reads a date with the name of its month: an obsolete HTTP date (RFC 850 or asctime), a date of an e-mail in UTC, or
/// an HTTP date with a wrong day of the week.
fn loose_http_date(text: &[u8]) -> Option<Timestamp> {
    let text = core::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let words = || text.split([' ', ',', '-']).filter(|word| !word.is_empty());
    let clock = words().find(|word| word.contains(':'))?;
    let is_utc = match words().next_back()? {
        "gmt" | "utc" | "ut" | "z" | "+0000" | "0000" => true,
        last => last.len() == 4 && last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    let month = words().find_map(|word| MONTHS.iter().position(|month| word.starts_with(month)))?.checked_add(1)?;
    let mut numbers = words().filter_map(|word| word.parse::<u32>().ok().filter(|_| !word.starts_with('+')));
    let (day, year) = (numbers.next()?, numbers.next()?);
    let year = match year {
        0..=69 => year.checked_add(2000)?,
        70..=99 => year.checked_add(1900)?,
        year => year,
    };
    let date = is_utc.then(|| format!("{year:04}-{month:02}-{day:02}T{clock:0>8}Z"))?;
    TimestampFormat::Rfc3339.parse(date.as_bytes())
}

/// Reads a date with a space for its `T`, lower-case letters, an offset without a colon, or without a zone.
fn loose_date(text: &[u8]) -> Option<Timestamp> {
    let text = core::str::from_utf8(text).ok()?.to_ascii_uppercase();
    let text = text.trim_end_matches("UTC").trim_end();
    let (date, clock) = text.split_once(['T', ' '])?;
    let clock = clock.replace(' ', "");
    let strict = format!("{date}T{clock}");
    let with_colon = strict.split_at_checked(strict.len().checked_sub(2)?).map(|(a, b)| format!("{a}:{b}"));
    [Some(strict.clone()), Some(format!("{strict}Z")), with_colon]
        .into_iter()
        .flatten()
        .find_map(|text| TimestampFormat::Rfc3339.parse(text.as_bytes()))
}

const fn describe(format: TimestampFormat) -> &'static str {
    match format {
        TimestampFormat::Seconds => "Unix seconds",
        TimestampFormat::Milliseconds => "Unix milliseconds",
        TimestampFormat::Rfc3339 => "RFC 3339, such as 2027-01-15T08:00:00Z",
        TimestampFormat::HttpDate => "an HTTP date, such as Fri, 15 Jan 2027 08:00:00 GMT",
    }
}

const fn setting(format: TimestampFormat) -> Option<&'static str> {
    match format {
        TimestampFormat::Seconds => Some("TimestampFormat::Seconds"),
        TimestampFormat::Milliseconds => Some("TimestampFormat::Milliseconds"),
        TimestampFormat::Rfc3339 => Some("TimestampFormat::Rfc3339"),
        TimestampFormat::HttpDate => Some("TimestampFormat::HttpDate"),
    }
}

/// The names of the months by their first letters.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The maximum error of a clock, in seconds: twenty years.
const FAR: u64 = 630_720_000;

/// The maximum distance from a zone's offset, in seconds.
const SLACK: u64 = 60;

/// The step between time zones, in seconds.
const QUARTER: u64 = 900;

/// The maximum length of a text that is read, in bytes.
const MAX_TEXT: usize = 64;
