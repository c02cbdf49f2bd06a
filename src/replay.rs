//! Remembers which deliveries were handled.
//!
//! [`LocalReplay`] does it in this process; a [`ReplayStore`] does it elsewhere.

mod local;
mod store;

pub use local::LocalReplay;
pub use store::{Claim, Claimant, Delivery, ReplayStore};
