//! One log line: its level, its message and its fields.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use tracing::Level;

use super::RefusalReason;
use super::sampling::Suppressed;
use super::{Outcome, SecurityEvent, StoreKind, Warning};
use crate::error::StoreError;
use crate::escape::Escaped;
use crate::secret::KeyId;

/// The key by which events are sampled.
#[derive(Hash)]
pub(super) enum Subject<'e> {
    Request {
        outcome: Outcome,
        scheme: Cow<'e, str>,
        webhook_id: Option<Cow<'e, str>>,
        peer: Option<IpAddr>,
        report_only: bool,
    },
    Warning(Warning),
    StoreFailed(StoreKind, Option<Cow<'e, str>>),
    StoreRecovered(StoreKind, Option<Cow<'e, str>>),
}

impl Subject<'_> {
    pub(super) fn to_owned(&self) -> Subject<'static> {
        let owned = |text: &Cow<'_, str>| Cow::Owned(String::from(&**text));
        match self {
            Self::Request { outcome, scheme, webhook_id, peer, report_only } => Subject::Request {
                outcome: *outcome,
                scheme: owned(scheme),
                webhook_id: webhook_id.as_ref().map(owned),
                peer: *peer,
                report_only: *report_only,
            },
            Self::Warning(warning) => Subject::Warning(*warning),
            Self::StoreFailed(store, shard) => Subject::StoreFailed(*store, shard.as_ref().map(owned)),
            Self::StoreRecovered(store, shard) => Subject::StoreRecovered(*store, shard.as_ref().map(owned)),
        }
    }
}

/// One line, before it is written.
pub(super) struct Line<'e> {
    level: Level,
    message: &'static str,
    outcome: Option<Outcome>,
    /// `Some(true)` for a request that is not enforced.
    report_only: Option<bool>,
    status: Option<StatusCode>,
    webhook_id: Option<&'e str>,
    most_charged_id: Option<&'e str>,
    key_id: Option<&'e str>,
    peer: Option<IpAddr>,
    skew: Option<i64>,
    body_bytes: Option<u64>,
    duration: Option<Duration>,
    scheme: Option<&'e str>,
    header: Option<&'e str>,
    capture: Option<&'e str>,
    suppressed: Option<u64>,
    warning: Option<Warning>,
    store: Option<StoreKind>,
    shard: Option<&'e str>,
    error: Option<&'e StoreError>,
}

impl<'e> Line<'e> {
    const fn new(level: Level, message: &'static str) -> Self {
        Self {
            level,
            message,
            outcome: None,
            report_only: None,
            status: None,
            webhook_id: None,
            most_charged_id: None,
            key_id: None,
            peer: None,
            skew: None,
            body_bytes: None,
            duration: None,
            scheme: None,
            header: None,
            capture: None,
            suppressed: None,
            warning: None,
            store: None,
            shard: None,
            error: None,
        }
    }

    fn of_outcome(outcome: Outcome, report_only: bool) -> Self {
        let (level, message) = match outcome {
            Outcome::Refused(reason) if report_only && reason.is_receiver_fault() => {
                (Level::ERROR, "webhook would be refused, the receiver is at fault")
            }
            Outcome::Refused(_) if report_only => (Level::WARN, "webhook would be refused"),
            Outcome::Accepted => (Level::INFO, "webhook accepted"),
            Outcome::Released => (Level::WARN, NOT_COMMITTED),
            Outcome::Refused(reason) if reason.is_receiver_fault() => {
                (Level::ERROR, "webhook refused, the receiver is at fault")
            }
            Outcome::Refused(_) => (Level::WARN, "webhook refused"),
            Outcome::Handshake => (Level::INFO, "handshake answered"),
            Outcome::Abandoned => (Level::INFO, "webhook abandoned"),
        };
        Self { outcome: Some(outcome), report_only: report_only.then_some(true), ..Self::new(level, message) }
    }

    pub(super) fn of_event(event: &'e SecurityEvent<'_>) -> Self {
        Self {
            status: event.status,
            webhook_id: event.webhook_id,
            most_charged_id: event.most_charged_id,
            key_id: event.key_id.as_ref().map(KeyId::as_str),
            peer: event.peer,
            skew: event.skew,
            body_bytes: Some(event.body_bytes),
            duration: Some(event.duration),
            scheme: Some(event.scheme),
            header: event.header,
            capture: event.capture,
            ..Self::of_outcome(event.outcome, event.report_only)
        }
    }

    pub(super) const fn of_warning(warning: Warning) -> Self {
        let level = match warning {
            Warning::KeyReloadFailed | Warning::KeyEntryRejected => Level::ERROR,
            _ => Level::WARN,
        };
        Self { warning: Some(warning), ..Self::new(level, warning.text()) }
    }

    pub(super) const fn of_failed(store: StoreKind, shard: Option<&'e str>, error: Option<&'e StoreError>) -> Self {
        Self { store: Some(store), shard, error, ..Self::new(Level::ERROR, "a store failed") }
    }

    pub(super) const fn of_recovered(store: StoreKind, shard: Option<&'e str>) -> Self {
        Self { store: Some(store), shard, ..Self::new(Level::INFO, "a store answers again") }
    }

    pub(super) fn of_suppressed(suppressed: &'e Suppressed<Subject<'static>>, level: Level) -> Self {
        let line = match &suppressed.subject {
            Some(Subject::Request { outcome, scheme, webhook_id, peer, report_only }) => Self {
                scheme: Some(scheme),
                webhook_id: webhook_id.as_deref(),
                peer: *peer,
                ..Self::of_outcome(*outcome, *report_only)
            },
            Some(Subject::Warning(warning)) => Self::of_warning(*warning),
            Some(Subject::StoreFailed(store, shard)) => Self::of_failed(*store, shard.as_deref(), None),
            Some(Subject::StoreRecovered(store, shard)) => Self::of_recovered(*store, shard.as_deref()),
            None => Self::new(level, "further events were not logged"),
        };
        Self { suppressed: Some(suppressed.count), ..line }
    }

    pub(super) fn write(&self) {
        // `tracing` requires a constant level for each call site.
        macro_rules! write_at {
            ($level:ident) => {
                tracing::event!(
                    target: "hookwarden",
                    Level::$level,
                    outcome = self.outcome.map(Outcome::as_str),
                    report_only = self.report_only,
                    status = self.status.map(|status| status.as_u16()),
                    reason = self.outcome.and_then(Outcome::reason).map(RefusalReason::as_str),
                    webhook_id = self.webhook_id,
                    most_charged_id = self.most_charged_id,
                    key_id = self.key_id,
                    peer = self.peer.map(tracing::field::display),
                    skew_s = self.skew,
                    body_bytes = self.body_bytes,
                    duration_us = self.duration.map(whole_micros),
                    scheme = self.scheme,
                    header = self.header,
                    capture = self.capture,
                    suppressed = self.suppressed,
                    warning = self.warning.map(Warning::as_str),
                    store = self.store.map(StoreKind::as_str),
                    shard = self.shard.map(Escaped::line).map(tracing::field::display),
                    error = self.error.map(tracing::field::display),
                    "{}",
                    Message(self)
                )
            };
        }
        match self.level {
            Level::ERROR => write_at!(ERROR),
            Level::WARN => write_at!(WARN),
            _ => write_at!(INFO),
        }
    }
}

/// The text of a line. For a released delivery it contains the status of the answer, which is usually the handler's.
struct Message<'l>(&'l Line<'l>);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.outcome, self.0.status) {
            (Some(Outcome::Released), Some(status)) => {
                write!(f, "answered {}: delivery not committed, a retry will run it", status.as_u16())
            }
            _ => f.write_str(self.0.message),
        }
    }
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The message for a released delivery without a status.
const NOT_COMMITTED: &str = "delivery not committed, a retry will run it: the handler panicked, was dropped, or did \
                             not call `Admitted::commit`";
