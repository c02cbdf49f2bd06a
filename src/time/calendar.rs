//! Dates of the proleptic Gregorian calendar.

/// A date and a time of day in UTC, from the year 0 to 9999.
#[derive(Debug, Clone, Copy)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// 0 for Sunday to 6 for Saturday.
    pub(super) weekday: i64,
}

impl Civil {
    /// Returns the date and time of day `seconds` after 1970-01-01T00:00:00Z.
    pub(super) fn of(seconds: i64) -> Option<Self> {
        let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // The mean length of a year gives an estimate that is at most one year off.
        let guess = days.checked_mul(400)?.div_euclid(146_097).checked_add(1970)?;
        let years = [guess.checked_add(1)?, guess, guess.checked_sub(1)?];
        let year = years.into_iter().find(|year| days_from_civil(*year, 1, 1).is_some_and(|first| first <= days))?;
        if !(0..=9999).contains(&year) {
            return None;
        }
        let month = (1..=12).rev().find(|month| days_from_civil(year, *month, 1).is_some_and(|first| first <= days))?;
        let day = days.checked_sub(days_from_civil(year, month, 1)?)?.checked_add(1)?;
        let (hour, minute, second) =
            (clock.div_euclid(3_600), clock.rem_euclid(3_600).div_euclid(60), clock.rem_euclid(60));
        Some(Self { year, month, day, hour, minute, second, weekday: weekday(days)? })
    }
}

/// Returns the day of the week, 0 for Sunday, of the day `days` after 1970-01-01, a Thursday.
pub(super) fn weekday(days: i64) -> Option<i64> {
    Some(days.checked_add(4)?.rem_euclid(7))
}

/// Parses 1 to 19 ASCII digits. Any 19 digits fit into a `u64`, so one range check at the end is enough.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<i64> {
    let (value, most) = text.iter().fold((0_u64, 0), |(value, most), byte| {
        let digit = byte.wrapping_sub(b'0');
        (value.wrapping_mul(10).wrapping_add(u64::from(digit)), most.max(digit))
    });
    if (1..=19).contains(&text.len()) && most <= 9 { i64::try_from(value).ok() } else { None }
}

pub(super) fn clock_field(text: &[u8; 2], most: i64) -> Option<i64> {
    number(text).filter(|value| *value <= most)
}

/// Returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar. The computation uses years that
/// start in March, so that the leap day is the last day of its year.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year.rem_euclid(4) == 0 && year.rem_euclid(100) != 0) || year.rem_euclid(400) == 0;
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let leap_days = year.div_euclid(4).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    let day_of_year = month.checked_mul(153)?.checked_add(2)?.div_euclid(5).checked_add(day)?.checked_sub(1)?;
    year.checked_mul(365)?.checked_add(leap_days)?.checked_add(day_of_year)?.checked_sub(DAYS_TO_EPOCH)
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;
