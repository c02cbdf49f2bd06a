//! Reads and writes timestamps by counting days.

use hookwarden::time::TimestampFormat;

/// Reads a timestamp, in seconds.
pub(super) fn read(format: TimestampFormat, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    match format {
        TimestampFormat::Seconds => decimal(text),
        TimestampFormat::Milliseconds => Some(decimal(text)? / 1000),
        TimestampFormat::Rfc3339 => rfc3339(text),
        TimestampFormat::HttpDate => http_date(text),
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// Writes `seconds`, with `millis` and an `offset` in minutes where the format has them.
pub fn write(format: TimestampFormat, seconds: i64, millis: Option<u16>, offset: Option<i16>) -> Option<String> {
    let millis = millis.map(|millis| millis % 1000);
    match format {
        TimestampFormat::Seconds => Some(seconds.to_string()),
        TimestampFormat::Milliseconds => {
            Some((i128::from(seconds) * 1000 + i128::from(millis.unwrap_or(0))).to_string())
        }
        TimestampFormat::HttpDate => {
            let (year, month, day) = date(seconds)?;
            let weekday = WEEKDAYS[usize::try_from((seconds.div_euclid(86_400) + 4).rem_euclid(7)).ok()?];
            let month = MONTHS[usize::try_from(month - 1).ok()?];
            let second = seconds.rem_euclid(86_400);
            let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
            Some(format!("{weekday}, {day:02} {month} {year:04} {clock} GMT"))
        }
        TimestampFormat::Rfc3339 => {
            let offset = offset.map(|offset| i64::from(offset % 1440));
            let local = seconds.checked_add(offset.unwrap_or(0) * 60)?;
            let (year, month, day) = date(local)?;
            let second = local.rem_euclid(86_400);
            let mut text = format!("{year:04}-{month:02}-{day:02}T");
            text += &format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
            text += &millis.map(|millis| format!(".{millis:03}")).unwrap_or_default();
            text += &offset.map_or("Z".to_owned(), |offset| {
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            });
            Some(text)
        }
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// Counts the days to a date: year, month and day.
fn date(seconds: i64) -> Option<(i64, i64, i64)> {
    let (mut year, mut month, mut day) = (1970, 1, seconds.div_euclid(86_400));
    if !(-700_000..2_900_000).contains(&day) {
        return None;
    }
    while day < 0 {
        year -= 1;
        day += 365 + i64::from(is_leap(year));
    }
    while day >= 365 + i64::from(is_leap(year)) {
        day -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    while day >= length(year, month) {
        day -= length(year, month);
        month += 1;
    }
    Some((year, month, day + 1))
}

/// Reads `Fri, 15 Jan 2027 08:00:00 GMT`: the date in the middle must be written as this text.
fn http_date(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(", ")?;
    let [day, month, year, clock, _] = rest.split(' ').collect::<Vec<_>>()[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let seconds = rfc3339(&format!("{year}-{month:02}-{day}T{clock}Z"))?;
    (write(TimestampFormat::HttpDate, seconds, None, None)? == text).then_some(seconds)
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `[1-9][0-9]{0,18}`, up to the maximum of an `i64`.
fn decimal(text: &str) -> Option<i64> {
    let well_formed = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if well_formed { text.parse().ok() } else { None }
}

/// Reads `2027-01-15T08:00:00.000+01:00`, or `Z` for the offset.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', &[4, 2, 2])?[..] else { return None };
    if !(1..=12).contains(&month) || day < 1 || day > length(year, month) {
        return None;
    }
    let (clock, offset) = match rest.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let (clock, offset) = rest.split_at_checked(rest.len().checked_sub(6)?)?;
            let [hours, minutes] = numbers(offset.get(1..)?, ':', &[2, 2])?[..] else { return None };
            let minutes = if hours <= 23 && minutes <= 59 { hours * 60 + minutes } else { return None };
            match offset.as_bytes()[0] {
                b'+' => (clock, minutes),
                b'-' => (clock, -minutes),
                _ => return None,
            }
        }
    };
    let clock = match clock.split_once('.') {
        Some((clock, fraction)) if !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) => clock,
        Some(_) => return None,
        None => clock,
    };
    let [hour, minute, second] = numbers(clock, ':', &[2, 2, 2])?[..] else { return None };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days before the year, from the year 0, which is a leap year.
    let years =
        |year: i64| if year == 0 { 0 } else { 365 * year + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + 1 };
    let days = years(year) - years(1970) + (1..month).map(|month| length(year, month)).sum::<i64>() + day - 1;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60)
}

/// Reads numbers of exactly these lengths.
fn numbers(text: &str, separator: char, lengths: &[usize]) -> Option<Vec<i64>> {
    let words: Vec<&str> = text.split(separator).collect();
    let fits =
        |(word, length): (&&str, &usize)| word.len() == *length && word.bytes().all(|byte| byte.is_ascii_digit());
    if words.len() != lengths.len() || !words.iter().zip(lengths).all(fits) {
        return None;
    }
    words.iter().map(|word| word.parse().ok()).collect()
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    if year % 100 == 0 { year % 400 == 0 } else { year % 4 == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2027-01-15T08:00:00Z", Some(1_800_000_000)),
            ("2027-01-15T13:30:00.5+05:30", Some(1_800_000_000)),
            ("2024-02-29T23:59:59Z", Some(1_709_251_199)),
            ("0000-01-01T00:00:00Z", Some(-62_167_219_200)),
            ("2027-02-29T00:00:00Z", None),
            ("2027-01-15T08:00:60Z", None),
            ("2027-01-15T08:00:00", None),
            ("2027-01-15T08:00:00.Z", None),
            ("2027-01-15T08:00:00+24:00", None),
        ] {
            assert_eq!(read(TimestampFormat::Rfc3339, text.as_bytes()), seconds, "{text}");
        }
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49:37.5 GMT", None),
        ] {
            assert_eq!(read(TimestampFormat::HttpDate, text.as_bytes()), seconds, "{text}");
        }
        for (text, seconds) in [("1800000000", Some(1_800_000_000)), ("01", None), ("+1", None), ("", None)] {
            assert_eq!(read(TimestampFormat::Seconds, text.as_bytes()), seconds, "{text}");
        }
        assert_eq!(read(TimestampFormat::Milliseconds, b"1800000000999"), Some(1_800_000_000));
    }

    #[test]
    fn written_timestamps_are_read() {
        for seconds in [1, 86_399, 951_782_400, 1_709_164_800, 1_735_689_599, 1_800_000_000, 4_102_444_800] {
            use TimestampFormat::{HttpDate, Milliseconds, Rfc3339, Seconds};
            for format in [Seconds, Milliseconds, Rfc3339, HttpDate] {
                for offset in [None, Some(-90), Some(330)] {
                    let text = write(format, seconds, Some(7), offset).unwrap();
                    assert_eq!(read(format, text.as_bytes()), Some(seconds), "{text}");
                }
            }
        }
    }
}
