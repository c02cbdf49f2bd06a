//! When an alert is raised, and when it is cleared.

use std::time::Duration;

use crate::error::ConfigError;

/// How many failures within which window raise an [`Alert`](super::Alert), and how few clear it.
///
/// The window moves in steps of a tenth, so a count covers the last nine to ten tenths of the window. An alert is never
/// raised by fewer failures than the threshold within the window, and always by that many within nine tenths of it.
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::event::AlertThreshold;
///
/// // Raised by 50 failures within 5 minutes, cleared when there are fewer than 5.
/// let threshold = AlertThreshold::new(50, Duration::from_secs(300))?.with_clear_below(5)?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertThreshold {
    pub(super) raise_at: u32,
    pub(super) clear_below: u32,
    pub(super) window: Duration,
}

impl AlertThreshold {
    /// An alert is raised by `raise_at` failures within `window`, and cleared when there are fewer than half as many.
    ///
    /// # Errors
    /// `raise_at` is 0, or `window` is shorter than a second or longer than a day.
    pub fn new(raise_at: u32, window: Duration) -> Result<Self, ConfigError> {
        if raise_at == 0 {
            return Err(ConfigError::new("raise_at", "must be at least one failure"));
        }
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(ConfigError::new("window", "must be between a second and a day"));
        }
        Ok(Self { raise_at, clear_below: raise_at.div_ceil(2), window })
    }

    /// Sets the number of failures below which an alert is cleared. If it equals `raise_at`, there is no
    /// hysteresis: the alert is cleared as soon as the count falls below `raise_at`.
    ///
    /// # Errors
    /// `clear_below` is 0 or more than `raise_at`.
    pub fn with_clear_below(self, clear_below: u32) -> Result<Self, ConfigError> {
        if !(1..=self.raise_at).contains(&clear_below) {
            return Err(ConfigError::new(
                "clear_below",
                "must be from 1 to the number of failures that raise an alert",
            ));
        }
        Ok(Self { clear_below, ..self })
    }

    pub(super) const DEFAULT: Self = Self { raise_at: 20, clear_below: 10, window: Duration::from_secs(60) };
}

const MIN_WINDOW: Duration = Duration::from_secs(1);
const MAX_WINDOW: Duration = Duration::from_secs(86_400);
