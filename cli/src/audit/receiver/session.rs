//! One audit under way: what it may spend, what it sent, and what it has learned from the answers so far.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::delivery::Delivery;
use super::evidence::Evidence;
use super::sender::Sender;
use super::shape::Shape;
use super::target::Target;
use super::verdict::Unjudged;
use super::wire::{Answer, Link, Reply};
use crate::input::SecretText;

/// An audit.
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

/// What the caller expects of the receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Deliveries, and in what time.
    pub(super) quota: u64,
    pub(super) period: Duration,
    /// Bytes.
    pub(super) body_limit: usize,
    pub(super) deadline: Duration,
    /// Seconds.
    pub(super) tolerance: i64,
}

impl Expected {
    /// How long an answer may take that waits for nothing.
    pub(super) fn promptly(&self) -> Duration {
        self.deadline.mul_f32(0.75).min(Duration::from_secs(2))
    }

    /// How long the answer to a body that does not end may take.
    pub(super) fn at_last(&self) -> Duration {
        self.deadline.saturating_add(self.deadline.mul_f32(0.25).max(Duration::from_millis(1500)))
    }
}

/// What the first answers told.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The answer to a delivery that is new and valid.
    pub(super) fresh: OnceLock<(Answer, Shape)>,
    /// The answer to a forged one.
    pub(super) forged: OnceLock<(Answer, Shape)>,
    /// Whether signatures are verified at all.
    pub(super) verifies: OnceLock<bool>,
    /// Whether a delivery that comes again is known again.
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

    /// Requests that may still be sent.
    pub(super) fn left(&self) -> usize {
        self.most.saturating_sub(self.sent())
    }

    /// Says that the check of this id found something.
    pub(super) fn has_found(&self, id: &'static str) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Whether the check of this id found something, so that another one would find the same again.
    pub(super) fn is_found(&self, id: &str) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Deliveries that were accepted so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connects for one request, within what the audit may spend.
    pub(super) async fn open(&self) -> Result<Link, Unjudged> {
        if self.sent.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(Unjudged::new("the audit had sent all requests that it may, see --max-requests"));
        }
        if self.began.elapsed() >= self.time {
            return Err(Unjudged::new("the audit had taken all the time that it may, see --timeout"));
        }
        match tokio::time::timeout(PATIENCE, Link::open(&self.target)).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(Unjudged::new(format!("no connection: {error}"))),
            Err(_) => Err(Unjudged::new("no connection in time")),
        }
    }

    /// Delivers on a connection of its own. `what` says in a few words what is special about it.
    pub(super) async fn tell(&self, what: &str, delivery: &Delivery) -> Result<Reply, Unjudged> {
        self.send(what, &delivery.sized(self.target.host())).await
    }

    /// Sends bytes on a connection of their own. An answer that judges nothing is an error here.
    pub(super) async fn send(&self, what: &str, bytes: &[u8]) -> Result<Reply, Unjudged> {
        let reply = self.open().await?.exchange(bytes, self.patience()).await;
        self.note(what, &reply);
        match &reply {
            Reply::Silence => Err(Unjudged::new(format!("{what}: no answer in time"))),
            Reply::Answer(Answer { status: 429, .. }) => {
                Err(Unjudged::new(format!("{what}: turned away with 429 before it was judged; come back later")))
            }
            _ => Ok(reply),
        }
    }

    /// How long a whole request may wait for its answer.
    pub(super) fn patience(&self) -> Duration {
        self.expected.at_last().max(PATIENCE)
    }

    /// Looks at an answer for what none may betray, and counts it.
    pub(super) fn note(&self, what: &str, reply: &Reply) {
        let Some(answer) = reply.answer() else { return };
        if self.is_accepted(reply) {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
        self.evidence.look_at(what, answer, &self.secret);
    }

    /// Whether the receiver took the delivery: a success that is not its answer to a forgery.
    pub(super) fn is_accepted(&self, reply: &Reply) -> bool {
        let forged = self.known.forged.get().map(|(_, shape)| shape);
        reply.answer().is_some_and(|answer| answer.is_success() && forged != Some(&Shape::of(answer)))
    }

    /// Whether the answer is the one that a new delivery gets.
    pub(super) fn is_as_fresh(&self, reply: &Reply) -> bool {
        let fresh = self.known.fresh.get().map(|(_, shape)| shape);
        reply.answer().is_some_and(|answer| answer.is_success() && fresh == Some(&Shape::of(answer)))
    }

    /// Whether the answer is the one that a forgery gets.
    pub(super) fn is_as_forged(&self, reply: &Reply) -> bool {
        let forged = self.known.forged.get().map(|(_, shape)| shape);
        reply.answer().is_some_and(|answer| forged == Some(&Shape::of(answer)))
    }
}

/// What an audit may spend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) requests: usize,
    pub(super) time: Duration,
}

/// How long anything may take that ought to happen at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
