//! Why a call failed, and whether that concerns the server or only the call.

use std::time::Duration;

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use super::sentinel::Trouble;
use crate::error::StoreError;

/// Why a call failed.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether the server is unavailable; otherwise it refused only this command.
    pub(super) outage: bool,
    /// Whether the server refused the command, for lack of memory for example. This does not include redirections, and
    /// slots without an owner.
    pub(super) refused: bool,
    /// Whether the server answers, but accepts no writes: it is a replica, or its cluster is down.
    pub(super) refuses_writes: bool,
    /// Whether the server refused the user or the password.
    pub(super) credentials: bool,
    /// Where the call has to be repeated.
    pub(super) redirect: Option<Redirect>,
}

/// What a node of a cluster answers if it does not own a slot, or not alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirect {
    /// The node in `host:port` form owns the slot.
    Moved(String),
    /// The keys may be at this node, because the slot is being migrated to it.
    Ask(String),
    /// Some of the keys are at one node and some at the other.
    TryAgain,
    /// The node knows no owner of the slot. It may have left the cluster.
    Unserved,
}

impl Failure {
    pub(super) fn new(error: &RedisError) -> Self {
        let kind = error.kind();
        let redirect = match (kind, error.redirect_node()) {
            (ErrorKind::Server(ServerErrorKind::Moved), Some((node, _))) => Some(Redirect::Moved(node.into())),
            (ErrorKind::Server(ServerErrorKind::Ask), Some((node, _))) => Some(Redirect::Ask(node.into())),
            (ErrorKind::Server(ServerErrorKind::TryAgain), _) => Some(Redirect::TryAgain),
            (ErrorKind::Server(ServerErrorKind::ClusterDown), _) if error.detail() == Some(NOT_SERVED) => {
                Some(Redirect::Unserved)
            }
            _ => None,
        };
        Self {
            error: describe(error),
            outage: is_outage(error),
            refused: error.code().is_some() && redirect.is_none(),
            refuses_writes: matches!(kind, ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::ClusterDown)),
            credentials: kind == ErrorKind::AuthenticationFailed || error.code() == Some("NOAUTH"),
            redirect,
        }
    }

    /// No connection could be opened.
    pub(super) fn connecting(trouble: &Trouble) -> Self {
        let error = StoreError::new(match trouble {
            Trouble::Client(error) => return Self::new(error),
            Trouble::Silent => "no Sentinel answered in time".into(),
            Trouble::Refused(host, error) => format!("Sentinel {host}: {}", describe(error)),
            Trouble::NoSentinel(host) => format!("{host} must be a Sentinel: use redis:// for one server"),
            Trouble::UnknownName(host) => format!("Sentinel {host} knows no primary of the name in the URL"),
            Trouble::Replica(host) => format!("the Sentinels name {host} as the primary, but it is a replica"),
        });
        Self { outage: true, ..Self::from(error) }
    }

    /// The server of a cluster's URL is not in cluster mode.
    pub(super) fn no_cluster() -> Self {
        StoreError::new("redis is not in cluster mode: use a redis:// URL for one server").into()
    }

    pub(super) fn timed_out(waited: Duration, outage: bool) -> Self {
        Self { outage, ..Self::from(StoreError::new(format!("redis did not answer within {waited:?}"))) }
    }
}

/// A failure of one call only.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, outage: false, refused: false, refuses_writes: false, credentials: false, redirect: None }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Returns whether the server failed, rather than one command.
fn is_outage(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::AuthenticationFailed => true,
        // The cluster serves other slots.
        ErrorKind::Server(ServerErrorKind::ClusterDown) => error.detail() != Some(NOT_SERVED),
        ErrorKind::Server(kind) => {
            matches!(kind, ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ReadOnly)
        }
        _ => error.is_unrecoverable_error(),
    }
}

/// Describes an error without the client's text, which may contain parts of the address.
fn describe(error: &RedisError) -> StoreError {
    StoreError::new(match (error.code(), error.kind()) {
        (Some(code), _) => format!("redis refused with {code}"),
        (None, ErrorKind::Io) if error.is_timeout() => "redis did not answer in time".into(),
        (None, ErrorKind::Io) if error.is_connection_refusal() => "redis refused the connection".into(),
        (None, ErrorKind::Io) => "the connection to redis failed".into(),
        (None, ErrorKind::AuthenticationFailed) => "redis did not accept the user or the password".into(),
        (None, kind) => format!("redis failed: {kind:?}"),
    })
}

/// The text of `CLUSTERDOWN` if only the slot has no owner.
const NOT_SERVED: &str = "Hash slot not served";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn failure(reply: &str) -> Failure {
        let reply = ::redis::parse_redis_value(format!("-{reply}\r\n").as_bytes()).unwrap();
        Failure::new(&reply.extract_error().unwrap_err())
    }

    #[test]
    fn slot_without_owner_closes_no_link() {
        for (reply, outage, redirect) in [
            ("CLUSTERDOWN Hash slot not served", false, Some(Redirect::Unserved)),
            ("CLUSTERDOWN The cluster is down", true, None),
            ("TRYAGAIN Multiple keys request during rehashing of slot", false, Some(Redirect::TryAgain)),
            ("MOVED 5 10.0.0.1:7000", false, Some(Redirect::Moved("10.0.0.1:7000".into()))),
            ("ASK 5 10.0.0.1:7000", false, Some(Redirect::Ask("10.0.0.1:7000".into()))),
            ("LOADING Redis is loading the dataset in memory", true, None),
            ("READONLY You can't write against a read only replica.", true, None),
            ("OOM command not allowed when used memory > 'maxmemory'.", false, None),
            ("MISCONF Redis is configured to save RDB snapshots", false, None),
            ("NOREPLICAS Not enough good replicas to write.", false, None),
            ("NOPERM User app has no permissions to run the 'evalsha' command", false, None),
        ] {
            let failure = failure(reply);
            // Only a node that is at fault is named.
            assert_eq!(failure.refused, redirect.is_none(), "{reply}");
            assert_eq!((failure.outage, failure.redirect), (outage, redirect), "{reply}");
        }
    }

    #[test]
    fn ping_proves_nothing_after_refused_writes() {
        for (reply, refuses) in [
            ("CLUSTERDOWN The cluster is down", true),
            ("READONLY You can't write against a read only replica.", true),
            ("LOADING Redis is loading the dataset in memory", false),
        ] {
            assert_eq!(failure(reply).refuses_writes, refuses, "{reply}");
        }
    }
}
