//! The parts of the library's test harness that these tests use.
#![expect(dead_code, reason = "it is shared with the tests of the library")]

#[path = "../../../tests/harness/client.rs"]
pub(crate) mod client;
#[path = "../../../tests/harness/program.rs"]
pub(crate) mod program;
#[path = "../../../tests/harness/sender.rs"]
pub(crate) mod sender;
#[path = "../../../tests/harness/store_comparison.rs"]
pub(crate) mod store_comparison;
#[path = "../../../tests/harness/store_model.rs"]
pub(crate) mod store_model;
#[path = "../../../tests/harness/trial.rs"]
pub(crate) mod trial;

use std::time::Duration;

/// The time limit for anything that should happen immediately.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
