//! The receiver's clock.

use arbitrary::Arbitrary;

/// A time of day for a receiver: mostly a usual one, at times any at all.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum DrawnNow {
    /// Around [`NOW`].
    Usual(i8),
    /// Another usual one.
    Later(u16),
    /// Any second.
    Any(i64),
}

impl DrawnNow {
    /// Seconds since the Unix epoch.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Usual(offset) => NOW + i64::from(offset),
            Self::Later(hours) => NOW + 3_600 * i64::from(hours),
            Self::Any(seconds) => seconds,
        }
    }
}

/// 2027-01-15T08:00:00Z.
pub const NOW: i64 = 1_800_000_000;
