//! HTTP dates of RFC 9110 section 5.6.7.

use alloc::format;
use alloc::string::String;

use super::calendar::{Civil, clock_field, days_from_civil, number, weekday};

/// Parses an IMF-fixdate. A recipient of HTTP must also accept two obsolete forms, but a signed timestamp needs only
/// the one that senders must write.
#[inline(never)]
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let text: &[u8; 29] = text.try_into().ok()?;
    let [w1, w2, w3, b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', y1, y2, y3, y4, b' ', rest @ ..] = text else {
        return None;
    };
    let [h1, h2, b':', mi1, mi2, b':', s1, s2, b' ', b'G', b'M', b'T'] = rest else { return None };
    let index = |names: &[&[u8; 3]], name| i64::try_from(names.iter().position(|other| **other == name)?).ok();
    let month = index(&MONTHS, [*m1, *m2, *m3])?.checked_add(1)?;
    let days = days_from_civil(number(&[*y1, *y2, *y3, *y4])?, month, number(&[*d1, *d2])?)?;
    if index(&WEEKDAYS, [*w1, *w2, *w3]) != weekday(days) {
        return None;
    }
    days.checked_mul(86_400)?
        .checked_add(clock_field(&[*h1, *h2], 23)?.checked_mul(3_600)?)?
        .checked_add(clock_field(&[*mi1, *mi2], 59)?.checked_mul(60)?)?
        .checked_add(clock_field(&[*s1, *s2], 59)?)
}

/// Writes an IMF-fixdate, or returns `None` for a year that has not four digits.
pub(super) fn write(seconds: i64) -> Option<String> {
    let Civil { year, month, day, hour, minute, second, weekday } = Civil::of(seconds)?;
    let name =
        |names: &[&'static [u8; 3]], index: i64| core::str::from_utf8(*names.get(usize::try_from(index).ok()?)?).ok();
    let (weekday, month) = (name(&WEEKDAYS, weekday)?, name(&MONTHS, month.checked_sub(1)?)?);
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_imf_fixdate_parses() {
        for (text, seconds) in [
            // The example of RFC 9110.
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Fri, 15 Jan 2027 08:00:00 GMT", 1_800_000_000),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Sat, 01 Jan 0000 00:00:00 GMT", -62_167_219_200),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
        }
        for text in [
            "",
            "1800000000",
            "2027-01-15T08:00:00Z",
            // The obsolete forms of RFC 850 and of asctime.
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            // A wrong day of the week.
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sat, 06 Nov 1994 08:49:37 GMT",
            "Day, 06 Nov 1994 08:49:37 GMT",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun,  6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Mon, 29 Feb 2027 00:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn every_day_of_400_years_is_parsed_back() {
        // 400 years are a whole number of weeks, so that each date occurs with its weekday.
        for day in 0..146_097 {
            let seconds = day * 86_400 + 30_000;
            let text = write(seconds).unwrap();
            assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
        }
    }

    #[test]
    fn written_date_has_rfc_9110_form() {
        assert_eq!(write(784_111_777).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(write(253_402_300_799).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
