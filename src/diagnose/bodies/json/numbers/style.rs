//! Forms of numbers that senders write and JSON parsers do not keep.

use std::ops::RangeInclusive;

use crate::diagnose::cause::{Cause, CauseKind};

/// How a sender wrote its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Whole numbers with `.0`, and exponents beyond 1e16, as Python writes a float.
    Point,
    /// One more zero after the fraction: `10.50`.
    Zero,
    /// Two decimal places: `10.50`, `10.00`.
    TwoPlaces,
    /// `1.0E7`, as Java writes a double.
    Java,
    /// `1e7`, without a point.
    Exponent,
}

impl Style {
    pub(super) const ALL: [Self; 5] = [Self::Point, Self::Zero, Self::TwoPlaces, Self::Java, Self::Exponent];

    pub(super) fn cause(self) -> Cause {
        let what = match self {
            Self::Point => {
                "the sender signed whole numbers with a fraction, and a JSON parser dropped it: 136.0 became 136"
            }
            Self::Zero => {
                "the sender signed numbers with a trailing zero, and a JSON parser dropped it: 10.50 became 10.5"
            }
            Self::TwoPlaces => {
                "the sender signed numbers with two decimal places, and a JSON parser dropped zeros: 10.00 became 10"
            }
            Self::Java => {
                "the sender signed numbers as Java writes them, and a JSON parser changed them: 1.0E7 became 10000000"
            }
            Self::Exponent => {
                "the sender signed numbers with an exponent, and a JSON parser wrote them out: 1e7 became 10000000"
            }
        };
        Cause::new(CauseKind::BodyJsonNumbers, what, FIX)
    }

    /// Returns `number` in this style, or `None` if the style does not change it.
    pub(super) fn respell(self, number: &str) -> Option<String> {
        let digits = number.strip_prefix('-').unwrap_or(number);
        let fraction = match digits.split_once('.') {
            Some((_, fraction)) => fraction.len(),
            None => 0,
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        match self {
            Self::Point => match scientific(number, 1e-4, 1e16) {
                Some((mantissa, exponent)) => Some(format!("{mantissa}e{exponent:+03}")),
                None => (fraction == 0).then(|| format!("{number}.0")),
            },
            Self::Zero => (fraction > 0).then(|| format!("{number}0")),
            Self::TwoPlaces => match fraction {
                0 => Some(format!("{number}.00")),
                1 => Some(format!("{number}0")),
                _ => None,
            },
            Self::Java => match scientific(number, 1e-3, 1e7) {
                Some((mantissa, exponent)) => {
                    let point = if mantissa.contains('.') { "" } else { ".0" };
                    Some(format!("{mantissa}{point}E{exponent}"))
                }
                None => (fraction == 0).then(|| format!("{number}.0")),
            },
            Self::Exponent => {
                scientific(number, 1e-4, 1e4).map(|(mantissa, exponent)| format!("{mantissa}e{exponent}"))
            }
        }
    }
}

/// Returns the mantissa and exponent of a nonzero number whose absolute value is outside `small..large`.
fn scientific(number: &str, small: f64, large: f64) -> Option<(String, i32)> {
    let value: f64 = number.parse().ok()?;
    let size = value.abs();
    if !size.is_finite() || size == 0.0 || (small..large).contains(&size) {
        return None;
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    Some((mantissa.to_owned(), exponent.parse().ok()?))
}

/// JavaScript rounds large integers. Returns the integers, without their sign, that it rounds to `number`. Returns
/// `None` if `number` is below 2^53 or not below 2^64, or is not in the form that JavaScript writes.
pub(super) fn rounded_from(number: &str) -> Option<RangeInclusive<u64>> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let value: f64 = digits.parse().ok()?;
    // `{value}` prints the shortest digits, padded with zeros.
    if digits.contains(['.', 'e', 'E']) || format!("{value}") != digits {
        return None;
    }
    // The exact value of the double.
    let exact: u64 = format!("{value:.0}").parse().ok()?;
    let half = 1_u64.checked_shl(exact.checked_ilog2()?.checked_sub(53)?)?;
    Some(exact.saturating_sub(half)..=exact.saturating_add(half))
}

/// Whether `number` is an integer with more digits than a double keeps, and ends with zeros.
pub(super) fn is_probably_rounded(number: &str) -> bool {
    rounded_from(number).is_some() && number.trim_start_matches('-').len() > DOUBLE_DIGITS
}

/// The maximum number of digits that a double keeps.
const DOUBLE_DIGITS: usize = 17;

pub(super) const FIX: &str = "on the receiver, verify the raw bytes before any JSON parser: a parser keeps the value \
                              of a number, but not its text";
