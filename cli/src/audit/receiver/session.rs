//! The state of an audit: its budget, the requests sent, and the results so far.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::delivery::Delivery;
use super::evidence::Evidence;
use super::sender::Sender;
use super::shape::Shape;
use super::target::Target;
use super::verdict::Inconclusive;
use super::wire::{Answer, Link, Reply};
use crate::input::SecretText;

/// A running audit.
pub(super) struct Session {
    pub(super) target: Target,
    pub(super) sender: Sender,
    pub(super) expected: Expected,
    /// The path and query of another webhook id of the same receiver.
    pub(super) other_path: Option<String>,
    pub(super) strict_headers: bool,
    pub(super) known: Known,
    secret: SecretText,
    began: Instant,
    time: Duration,
    most: usize,
    sent: AtomicUsize,
    accepted: AtomicU64,
    pub(super) evidence: Evidence,
    found: Mutex<BTreeSet<&'static str>>,
}

/// The limits that the caller expects of the receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Deliveries per `period`.
    pub(super) quota: u64,
    pub(super) period: Duration,
    /// Bytes.
    pub(super) body_limit: usize,
    pub(super) deadline: Duration,
    /// Seconds.
    pub(super) tolerance: i64,
}

impl Expected {
    /// The limit for a response that waits for no body.
    pub(super) fn promptly(&self) -> Duration {
        self.deadline.mul_f32(0.75).min(Duration::from_secs(2))
    }

    /// The limit for the response to an endless body.
    pub(super) fn at_last(&self) -> Duration {
        self.deadline.saturating_add(self.deadline.mul_f32(0.25).max(Duration::from_millis(1500)))
    }
}

/// The results of the first requests.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The response to a new valid delivery.
    pub(super) fresh: OnceLock<(Answer, Shape)>,
    /// The response to a forged delivery.
    pub(super) forged: OnceLock<(Answer, Shape)>,
    /// Whether the receiver verifies signatures.
    pub(super) verifies: OnceLock<bool>,
    /// Whether the receiver recognises a replay.
    pub(super) knows_replays: OnceLock<bool>,
}

impl Session {
    pub(super) fn new(target: Target, sender: Sender, secret: SecretText, expected: Expected, budget: Budget) -> Self {
        Self {
            target,
            sender,
            expected,
            other_path: None,
            strict_headers: false,
            known: Known::default(),
            secret,
            began: Instant::now(),
            time: budget.time,
            most: budget.requests,
            sent: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            evidence: Evidence::default(),
            found: Mutex::default(),
        }
    }

    pub(super) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed).min(self.most)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The number of requests left in the budget.
    pub(super) fn left(&self) -> usize {
        self.most.saturating_sub(self.sent())
    }

    /// Records that the check with this id found something.
    pub(super) fn record_finding(&self, id: &'static str) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Whether the check with this id found something, so that a dependent check would report it again.
    pub(super) fn is_found(&self, id: &str) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// The number of deliveries accepted so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Opens a connection for one request, within the budget.
    pub(super) async fn open(&self) -> Result<Link, Inconclusive> {
        if self.sent.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(Inconclusive::new("the audit reached its limit of requests; raise --max-requests"));
        }
        if self.began.elapsed() >= self.time {
            return Err(Inconclusive::new("the audit reached its time limit; raise --timeout"));
        }
        match tokio::time::timeout(PATIENCE, Link::open(&self.target)).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(Inconclusive::new(format!("no connection: {error}"))),
            Err(_) => Err(Inconclusive::new("no connection in time; check the host and the port")),
        }
    }

    /// Sends a delivery on a new connection. `what` describes it in reports.
    pub(super) async fn send_delivery(&self, what: &str, delivery: &Delivery) -> Result<Reply, Inconclusive> {
        self.send(what, &delivery.sized(self.target.host())).await
    }

    /// Sends bytes on a new connection. A missing response and a 429 are errors, because they show no result.
    pub(super) async fn send(&self, what: &str, bytes: &[u8]) -> Result<Reply, Inconclusive> {
        let reply = self.open().await?.exchange(bytes, self.patience()).await;
        self.note(what, &reply);
        match &reply {
            Reply::Silence => Err(Inconclusive::new(format!("{what}: no response in time"))),
            Reply::Answer(Answer { status: 429, .. }) => {
                Err(Inconclusive::new(format!("{what}: refused with 429; run the audit again later")))
            }
            _ => Ok(reply),
        }
    }

    /// The limit for the response to a complete request.
    pub(super) fn patience(&self) -> Duration {
        self.expected.at_last().max(PATIENCE)
    }

    /// Inspects a response for leaks, and counts accepted deliveries.
    pub(super) fn note(&self, what: &str, reply: &Reply) {
        let Some(answer) = reply.answer() else { return };
        if self.is_accepted(reply) {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
        self.evidence.inspect(what, answer, &self.secret);
    }

    /// Whether the receiver accepted the delivery: a success that differs from the response to a forgery.
    pub(super) fn is_accepted(&self, reply: &Reply) -> bool {
        let forged = self.known.forged.get().map(|(_, shape)| shape);
        reply.answer().is_some_and(|answer| answer.is_success() && forged != Some(&Shape::of(answer)))
    }

    /// Whether the response equals that to a new delivery.
    pub(super) fn is_as_fresh(&self, reply: &Reply) -> bool {
        let fresh = self.known.fresh.get().map(|(_, shape)| shape);
        reply.answer().is_some_and(|answer| answer.is_success() && fresh == Some(&Shape::of(answer)))
    }

    /// Whether the response equals that to a forgery.
    pub(super) fn is_as_forged(&self, reply: &Reply) -> bool {
        let forged = self.known.forged.get().map(|(_, shape)| shape);
        reply.answer().is_some_and(|answer| forged == Some(&Shape::of(answer)))
    }
}

/// The limits of an audit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) requests: usize,
    pub(super) time: Duration,
}

/// The limit for connecting, and for prompt responses.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
