//! Parses and formats times and durations.

use std::time::Duration;

use hookwarden::Timestamp;
use jiff::SignedDuration;
use toml_edit::{Datetime, Item, value};

use crate::failure::Failure;

/// Parses an RFC 3339 time, rounded down to the second.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| "must be an RFC 3339 time, such as 2027-11-01T00:00:00Z".to_owned())?;
    Ok(Timestamp::from_unix(time.as_second()))
}

/// Parses a duration in seconds, minutes, hours or days, such as `90s`, `30m`, `24h` or `7d`; at most ten years.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let form = "must be a duration such as 90s, 30m, 24h or 7d, at most 3650d";
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => DAY,
        _ => return Err(form.into()),
    };
    let count = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    // `parse` accepts a sign.
    let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if digits { count.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)) } else { None };
    seconds.filter(|seconds| *seconds <= LONGEST).map(Duration::from_secs).ok_or_else(|| form.into())
}

/// Parses a time in Unix seconds or RFC 3339.
pub(crate) fn parse_point(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse().map(Timestamp::from_unix);
    seconds.or_else(|_| parse_time(text)).map_err(|_| "must be Unix seconds or an RFC 3339 time".into())
}

/// Parses a duration above zero and at most a day: seconds, or a number with a unit, such as `500ms`, `30s` or `5m`.
pub(crate) fn parse_wait(text: &str) -> Result<Duration, String> {
    let wait = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text.parse::<SignedDuration>().ok().and_then(|wait| wait.try_into().ok()),
    };
    match wait {
        Some(wait) if !wait.is_zero() && wait <= LONGEST_WAIT => Ok(wait),
        Some(_) => Err("must be more than zero and at most a day".into()),
        None => Err("must be seconds, or a number with a unit, such as 500ms, 30s or 5m".into()),
    }
}

/// `time` in RFC 3339, UTC.
pub(crate) fn text(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.as_unix()).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// The date of `time`, UTC.
pub(crate) fn date(time: Timestamp) -> String {
    text(time).chars().take_while(|c| *c != 'T').collect()
}

/// `time` as a TOML value.
pub(crate) fn item(time: Timestamp) -> Result<Item, Failure> {
    let time: Datetime =
        text(time).parse().map_err(|_| Failure::input(text(time), "must be a time that TOML can represent"))?;
    Ok(value(time))
}

/// `time` plus `span`.
pub(crate) fn later(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_unix(time.as_unix().saturating_add(seconds(span)))
}

/// A duration in whole seconds.
pub(crate) fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds.
pub(crate) const DAY: u64 = 86_400;

const LONGEST: u64 = 3_650 * DAY;

const LONGEST_WAIT: Duration = Duration::from_secs(DAY);
