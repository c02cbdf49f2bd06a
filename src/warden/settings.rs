//! The grouped settings of a [`Warden`](super::Warden). Each group checks itself when the Warden is built, so that a chain of
//! setters reads in one piece.

mod body;
mod quotas;
mod replay;
mod senders;

use std::time::Duration;

use crate::error::ConfigError;

pub use body::BodyLimits;
pub use quotas::Quotas;
pub use replay::Replay;

pub(super) use senders::Senders;

/// Refuses a setting unless `holds`. `problem` says what must hold and how to get there.
fn require(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::new(field, problem)) }
}

/// The seconds of a duration without a fraction that fits 32 bits.
fn whole_seconds(duration: Duration) -> Option<u32> {
    u32::try_from(duration.as_secs()).ok().filter(|_| duration.subsec_nanos() == 0)
}
