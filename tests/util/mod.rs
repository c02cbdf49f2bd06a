//! What the tests of the adapters share: a sender, a client that speaks HTTP/1.1 byte by byte, receivers on the
//! loopback, and the events that they raise.
#![expect(dead_code, reason = "each test crate uses a part of its own")]

pub(crate) mod actix;
pub(crate) mod canaries;
pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod program;
pub(crate) mod receiver;
pub(crate) mod sender;
pub(crate) mod site;

use std::time::Duration;

/// How long anything that ought to happen at once may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
