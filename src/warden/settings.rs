//! The grouped settings of a [`Warden`](super::Warden). Each group is checked when the Warden is built, so the setters
//! return no `Result`.

mod body;
mod captures;
mod quotas;
mod replay;
mod senders;

use std::time::Duration;

use crate::error::ConfigError;

pub use body::BodyLimits;
pub use captures::Captures;
pub use quotas::Quotas;
pub use replay::Replay;

pub(super) use senders::Senders;

/// Returns an error for the setting `field` unless `holds`. `problem` names the requirement and the fix.
fn require(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::new(field, problem)) }
}

/// Returns the seconds of a duration if it has no fraction of a second and fits 32 bits.
fn whole_seconds(duration: Duration) -> Option<u32> {
    u32::try_from(duration.as_secs()).ok().filter(|_| duration.subsec_nanos() == 0)
}
