//! Timestamps, their wire formats, and the tolerance for clock differences.
//!
//! A [`Timestamp`] is a count of whole seconds since the Unix epoch. A scheme has one [`TimestampFormat`]; the format
//! is never guessed from a request. A request is fresh if its timestamp differs from the receiver's clock by at most
//! the [`Tolerance`], in either direction.
//!
//! ```
//! use hookwarden::time::{Timestamp, Tolerance};
//!
//! let sent = Timestamp::from_unix(1_800_000_000); // 2027-01-15T08:00:00Z
//! assert!(sent < Timestamp::from_unix(1_800_000_001));
//! assert_eq!(Tolerance::DEFAULT.as_duration().as_secs(), 300);
//! ```

mod calendar;
mod http_date;

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use crate::error::{ConfigError, Reason};
use calendar::{Civil, clock_field, days_from_civil, number};

/// A point in time, in whole seconds since 1970-01-01T00:00:00Z. It is negative before that.
///
#[cfg_attr(feature = "std", doc = "```")]
#[cfg_attr(not(feature = "std"), doc = "```ignore")]
/// use hookwarden::Timestamp;
///
/// let deadline = Timestamp::from_unix(Timestamp::now().as_unix() + 3_600);
/// assert!(Timestamp::now() < deadline);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a timestamp from seconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix(self) -> i64 {
        self.0
    }

    /// Reads the wall clock, rounded down to the second. A clock set before 1970 reads as 0.
    #[cfg(all(feature = "std", not(all(target_family = "wasm", target_os = "unknown"))))]
    #[must_use]
    pub fn now() -> Self {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
    }

    /// Adds `seconds`, saturating at the end of `i64`.
    #[cfg(feature = "warden")]
    pub(crate) fn later_by(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(i64::from(seconds)))
    }

    /// Returns the previous second, saturating at the end of `i64`.
    #[cfg(feature = "warden")]
    pub(crate) const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns the next second, or `None` at the end of `i64`.
    #[cfg(feature = "warden")]
    pub(crate) const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(seconds) => Some(Self(seconds)),
            None => None,
        }
    }

    /// `self - earlier` in seconds, saturating at the ends of `i64`.
    pub(crate) const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How a scheme writes its timestamp. A request with a timestamp in another format is refused.
///
/// ```
/// use hookwarden::time::TimestampFormat;
/// use hookwarden::{Keyring, Scheme, Signer, Timestamp};
///
/// let scheme = Scheme::timestamped().into_builder().timestamp_format(TimestampFormat::Rfc3339).build()?;
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let headers = [("Content-Type", "application/json")];
/// let signed = Signer::new(scheme, keys)?.sign_at(&headers, b"{}", Timestamp::from_unix(1_800_000_000))?;
/// assert!(signed.iter().any(|header| header == ("X-Webhook-Timestamp", "2027-01-15T08:00:00Z")));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum TimestampFormat {
    /// Seconds since the Unix epoch: `[1-9][0-9]{0,18}` and nothing else, at most `i64::MAX`.
    #[default]
    Seconds,
    /// Milliseconds since the Unix epoch, in the same form; rounded down to seconds.
    Milliseconds,
    /// [RFC 3339 section 5.6](https://www.rfc-editor.org/rfc/rfc3339#section-5.6) with an upper-case `T`, seconds 00 to
    /// 59, and `Z` or a numeric offset; a fraction is rounded down.
    Rfc3339,
    /// An HTTP date, such as `Fri, 15 Jan 2027 08:00:00 GMT`: the form `IMF-fixdate` of [RFC 9110 section
    /// 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7), with seconds 00 to 59. The obsolete forms, and a
    /// date with the wrong day of the week, are refused.
    HttpDate,
}

impl TimestampFormat {
    /// Reads a time that is written in this format. `None` if the text has another form.
    ///
    /// ```
    /// use hookwarden::Timestamp;
    /// use hookwarden::time::TimestampFormat;
    ///
    /// let time = TimestampFormat::Rfc3339.parse(b"2027-01-15T08:00:00Z");
    /// assert_eq!(time, Some(Timestamp::from_unix(1_800_000_000)));
    /// assert_eq!(TimestampFormat::Rfc3339.parse(b"1800000000"), None);
    /// ```
    #[inline]
    #[must_use]
    pub fn parse(self, text: &[u8]) -> Option<Timestamp> {
        match self {
            Self::Seconds => digits(text).map(Timestamp),
            Self::Milliseconds => digits(text).map(|ms| Timestamp(ms.div_euclid(1000))),
            Self::Rfc3339 => rfc3339(text).map(Timestamp),
            Self::HttpDate => http_date::parse(text).map(Timestamp),
        }
    }

    /// Writes the text for the wire, or returns `None` for a time that the format cannot express.
    pub(crate) fn write(self, time: Timestamp) -> Option<String> {
        match self {
            Self::Seconds if time.0 > 0 => Some(format!("{}", time.0)),
            Self::Milliseconds if time.0 > 0 => Some(format!("{}", time.0.checked_mul(1000)?)),
            Self::Seconds | Self::Milliseconds => None,
            Self::Rfc3339 => write_rfc3339(time.0),
            Self::HttpDate => http_date::write(time.0),
        }
    }
}

/// How far a timestamp may be from the receiver's clock, in whole seconds.
///
/// It applies to the past and the future, and includes both ends: at 300 s, a timestamp 300 s old is accepted and one
/// 301 s old is refused. No value turns the check off.
///
/// ```
/// use core::time::Duration;
/// use hookwarden::{Keyring, Scheme, Tolerance, Verifier};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let verifier = Verifier::new(scheme, keys)?.with_tolerance(Tolerance::new(Duration::from_secs(60))?);
///
/// assert!(Tolerance::new(Duration::ZERO).is_err());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// 1 to 86,400.
    seconds: u32,
}

impl Tolerance {
    /// 300 seconds, which most providers recommend.
    pub const DEFAULT: Self = Self { seconds: 300 };

    /// Creates a tolerance of 1 second to 1 day, in whole seconds.
    ///
    /// # Errors
    /// `tolerance` is outside that range or has a fraction of a second.
    pub fn new(tolerance: Duration) -> Result<Self, ConfigError> {
        match u32::try_from(tolerance.as_secs()) {
            Ok(seconds @ 1..=86_400) if tolerance.subsec_nanos() == 0 => Ok(Self { seconds }),
            _ => Err(ConfigError::new(
                "tolerance",
                format!("must be whole seconds from 1 s to 86400 s, not {tolerance:?}"),
            )),
        }
    }

    /// The tolerance, in whole seconds.
    #[must_use]
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    #[cfg(any(feature = "diagnose", feature = "warden"))]
    pub(crate) const fn as_seconds(self) -> u32 {
        self.seconds
    }

    #[inline]
    pub(crate) fn check(self, stamp: Timestamp, now: Timestamp) -> Result<(), Reason> {
        if stamp.0.abs_diff(now.0) <= u64::from(self.seconds) {
            Ok(())
        } else if stamp < now {
            Err(Reason::Stale)
        } else {
            Err(Reason::Early)
        }
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::DEFAULT
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.first() == Some(&b'0') { None } else { number(text) }
}

/// Parses RFC 3339 section 5.6 without its optional forms: lower-case letters, a space for `T`, and leap seconds. Date
/// libraries accept more forms, and each of them is a choice for an attacker.
fn rfc3339(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2] = *date_time else {
        return None;
    };
    let zone = match rest.split_first() {
        Some((b'.', fraction)) => {
            let end = fraction.iter().position(|byte| !byte.is_ascii_digit())?;
            if end == 0 {
                return None;
            }
            fraction.get(end..)?
        }
        _ => rest,
    };
    let offset = match *zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = clock_field(&[h1, h2], 23)?.checked_mul(60)?.checked_add(clock_field(&[m1, m2], 59)?)?;
            let seconds = minutes.checked_mul(60)?;
            if sign == b'-' { seconds.checked_neg()? } else { seconds }
        }
        _ => return None,
    };
    let days = days_from_civil(number(&[y1, y2, y3, y4])?, number(&[mo1, mo2])?, number(&[d1, d2])?)?;
    days.checked_mul(86_400)?
        .checked_add(clock_field(&[h1, h2], 23)?.checked_mul(3_600)?)?
        .checked_add(clock_field(&[mi1, mi2], 59)?.checked_mul(60)?)?
        .checked_add(clock_field(&[s1, s2], 59)?)?
        .checked_sub(offset)
}

fn write_rfc3339(seconds: i64) -> Option<String> {
    let Civil { year, month, day, hour, minute, second, .. } = Civil::of(seconds)?;
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_parses(format: TimestampFormat, text: &str, seconds: i64) {
        assert_eq!(format.parse(text.as_bytes()), Some(Timestamp(seconds)), "{text:?}");
    }

    #[track_caller]
    fn assert_refused(format: TimestampFormat, text: &str) {
        assert_eq!(format.parse(text.as_bytes()), None, "{text:?}");
    }

    #[test]
    fn seconds_accept_only_plain_decimals() {
        assert_parses(TimestampFormat::Seconds, "1", 1);
        assert_parses(TimestampFormat::Seconds, "1800000000", 1_800_000_000);
        assert_parses(TimestampFormat::Seconds, "9223372036854775807", i64::MAX);
        let refused = [
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.5",
            "1e9",
            "NaN",
            "inf",
            "Infinity",
            "0x10",
            "1_000",
            "１",
            "9223372036854775808",
            "-9223372036854775808",
            "9999999999999999999",
            "12345678901234567890",
            "1\n",
            "1\0",
        ];
        for text in refused {
            assert_refused(TimestampFormat::Seconds, text);
            assert_refused(TimestampFormat::Milliseconds, text);
        }
    }

    #[test]
    fn milliseconds_are_floored() {
        assert_parses(TimestampFormat::Milliseconds, "1800000000999", 1_800_000_000);
        assert_parses(TimestampFormat::Milliseconds, "999", 0);
    }

    #[test]
    fn only_strict_rfc3339_parses() {
        assert_parses(TimestampFormat::Rfc3339, "1970-01-01T00:00:00Z", 0);
        assert_parses(TimestampFormat::Rfc3339, "2027-01-15T08:00:00Z", 1_800_000_000);
        assert_parses(TimestampFormat::Rfc3339, "2027-01-15T08:00:00.999999999Z", 1_800_000_000);
        assert_parses(TimestampFormat::Rfc3339, "2027-01-15T01:00:00-07:00", 1_800_000_000);
        assert_parses(TimestampFormat::Rfc3339, "2027-01-15T13:30:00+05:30", 1_800_000_000);
        assert_parses(TimestampFormat::Rfc3339, "2024-02-29T23:59:59Z", 1_709_251_199);
        assert_parses(TimestampFormat::Rfc3339, "0000-01-01T00:00:00Z", -62_167_219_200);
        for text in [
            "2027-01-15t08:00:00Z",
            "2027-01-15T08:00:00z",
            "2027-01-15 08:00:00Z",
            "2027-01-15T08:00:00",
            "2027-01-15T08:00:00.Z",
            "2027-01-15T08:00:00.5",
            "2027-01-15T08:00:60Z",
            "2027-01-15T24:00:00Z",
            "2027-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-00-01T00:00:00Z",
            "2027-01-00T00:00:00Z",
            "2027-01-15T08:00:00+24:00",
            "2027-01-15T08:00:00+0530",
            "2027-1-15T08:00:00Z",
            "+027-01-15T08:00:00Z",
            "2027-01-15T08:00:00Z ",
            "1800000000",
            "",
        ] {
            assert_refused(TimestampFormat::Rfc3339, text);
        }
    }

    #[test]
    fn each_format_parses_what_it_writes() {
        use TimestampFormat::{HttpDate, Milliseconds, Rfc3339, Seconds};
        for format in [Seconds, Milliseconds, Rfc3339, HttpDate] {
            for seconds in
                [1, 59, 86_399, 86_400, 951_782_400, 1_709_164_800, 1_735_689_599, 1_800_000_000, 4_102_444_800]
            {
                let text = format.write(Timestamp(seconds)).unwrap();
                assert_parses(format, &text, seconds);
            }
        }
    }

    #[test]
    fn times_outside_the_format_are_not_written() {
        for seconds in [i64::MIN, -1, 0] {
            assert_eq!(TimestampFormat::Seconds.write(Timestamp(seconds)), None);
            assert_eq!(TimestampFormat::Milliseconds.write(Timestamp(seconds)), None);
        }
        assert_eq!(TimestampFormat::Milliseconds.write(Timestamp(i64::MAX)), None);
        for format in [TimestampFormat::Rfc3339, TimestampFormat::HttpDate] {
            assert_eq!(format.write(Timestamp(i64::MAX)), None);
            assert_eq!(format.write(Timestamp(i64::MIN)), None);
            // The last second before year 0 and the first second after year 9999.
            assert_eq!(format.write(Timestamp(-62_167_219_201)), None);
            assert_eq!(format.write(Timestamp(253_402_300_800)), None);
        }
    }

    #[test]
    fn rfc3339_writes_both_ends_of_every_month() {
        for year in 0..=9999 {
            for month in 1..=12 {
                let first = format!("{year:04}-{month:02}-01T00:00:00Z");
                let seconds = rfc3339(first.as_bytes()).unwrap();
                assert_eq!(write_rfc3339(seconds), Some(first));
                let before = write_rfc3339(seconds - 1);
                let month_before = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
                let expected = format!("{:04}-{:02}-", month_before.0, month_before.1);
                assert_eq!(before.is_some(), month_before.0 >= 0);
                assert!(before.is_none_or(|text| text.starts_with(&expected) && text.ends_with("T23:59:59Z")));
            }
        }
    }

    #[test]
    fn tolerance_includes_both_ends_and_nothing_beyond() {
        let now = Timestamp(1_800_000_000);
        let check = |seconds| Tolerance::DEFAULT.check(Timestamp(seconds), now);
        assert_eq!(check(1_799_999_700), Ok(()));
        assert_eq!(check(1_799_999_699), Err(Reason::Stale));
        assert_eq!(check(1_800_000_300), Ok(()));
        assert_eq!(check(1_800_000_301), Err(Reason::Early));
    }

    #[test]
    fn extreme_clocks_do_not_overflow() {
        for seconds in [1, 86_400] {
            let tolerance = Tolerance { seconds };
            for (stamp, now, expected) in [
                (i64::MIN, i64::MAX, Err(Reason::Stale)),
                (i64::MAX, i64::MIN, Err(Reason::Early)),
                (i64::MAX, i64::MAX, Ok(())),
                (i64::MIN, i64::MIN, Ok(())),
                (0, -1, Ok(())),
                (-2, 0, if seconds == 1 { Err(Reason::Stale) } else { Ok(()) }),
            ] {
                assert_eq!(tolerance.check(Timestamp(stamp), Timestamp(now)), expected, "{stamp} {now}");
            }
        }
    }

    #[test]
    fn tolerance_outside_its_range_is_a_config_error() {
        let second = Duration::from_secs(1);
        for tolerance in
            [Duration::ZERO, second / 2, second * 3 / 2, 86_400 * second + second / 2, 86_401 * second, Duration::MAX]
        {
            assert_eq!(Tolerance::new(tolerance).unwrap_err().field(), "tolerance", "{tolerance:?}");
        }
        for tolerance in [second, 86_400 * second] {
            assert_eq!(Tolerance::new(tolerance).unwrap().as_duration(), tolerance);
        }
    }
}
