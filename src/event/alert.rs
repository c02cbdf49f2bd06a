//! Alerts: a callback when the failures of a webhook id or a peer exceed a threshold, and another when they end.

mod observer;
mod threshold;
mod watch;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub use self::observer::AlertObserver;
pub use self::threshold::AlertThreshold;

/// The failures of one webhook id or one peer crossed a threshold, upwards or downwards.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// Whose failures they are.
    pub subject: AlertSubject,
    /// Whether the alert was raised or cleared.
    pub state: AlertState,
    /// The number of failures within the window.
    pub count: u32,
    /// The window of the threshold.
    pub window: Duration,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            AlertState::Raised => "raised",
            AlertState::Cleared => "cleared",
        };
        write!(f, "alert {state}: {} failures of {} within {:?}", self.count, self.subject, self.window)
    }
}

/// Whose failures an [`Alert`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertSubject {
    /// A webhook id that the Warden has keys for, as in
    /// [`SecurityEvent::webhook_id`](super::SecurityEvent::webhook_id).
    Webhook(Box<str>),
    /// A peer: an IPv4 address, or the first address of an IPv6 /64 network.
    Peer(IpAddr),
}

impl fmt::Display for AlertSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(id) => write!(f, "webhook {id}"),
            Self::Peer(peer) => write!(f, "peer {peer}"),
        }
    }
}

/// Whether an [`Alert`] was raised or cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertState {
    /// The failures reached the threshold. The alert is not raised again before it is cleared.
    Raised,
    /// The failures fell below the lower threshold.
    Cleared,
}
