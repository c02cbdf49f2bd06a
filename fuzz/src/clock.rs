//! The receiver's clock.

use arbitrary::Arbitrary;

/// The time of a receiver: usually a realistic one, sometimes any.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum DrawnNow {
    /// At most 128 seconds before or after [`NOW`].
    Usual(i8),
    /// Some hours after [`NOW`].
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
