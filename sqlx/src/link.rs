//! The calls of a store: their timeout, their retries, and what happens while the database is away.
//!
//! A call that fails because of the connection starts a background task, which opens a connection outside of the pool
//! to find out whether the database is away. While it is, calls fail at once, so that requests do not wait in line. When
//! it is back, the task sends the settlements that could not be sent.

mod failure;
mod pending;
mod server_clock;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hookwarden::error::StoreError;
use sqlx::{ConnectOptions as _, Connection as _, Pool};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout, timeout_at};

use crate::call::{Call, Reply};
use crate::dialect::{Dialect, SWEEP_BATCH};
use failure::Failure;
use pending::Queue;
pub(crate) use pending::Settlement;
pub(crate) use server_clock::ServerClock;

pub(crate) struct Link<DB: Dialect> {
    pub(crate) pool: Pool<DB>,
    pub(crate) statements: DB::Statements,
    pub(crate) timeout: Duration,
    pub(crate) clock: ServerClock,
    down: AtomicBool,
    recovering: AtomicBool,
    pending: Queue,
    start: Instant,
    /// When the next sweep is due, in milliseconds since `start`.
    next_sweep: AtomicU64,
}

impl<DB: Dialect> Link<DB> {
    pub(crate) fn new(pool: Pool<DB>, statements: DB::Statements, timeout: Duration) -> Self {
        Self {
            pool,
            statements,
            timeout,
            clock: ServerClock::default(),
            down: AtomicBool::new(false),
            recovering: AtomicBool::new(false),
            pending: Queue::default(),
            start: Instant::now(),
            next_sweep: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// Makes a call, within the timeout.
    pub(crate) async fn call(self: &Arc<Self>, call: Call<'_>) -> Result<Reply, StoreError> {
        if self.is_down() {
            return Err(StoreError::new("the database is away, the request was not sent"));
        }
        self.attempt(call, self.timeout).await.map_err(|failure| {
            if failure.suspect {
                self.start_recovery();
            }
            failure.error
        })
    }

    /// Settles a claim. If that fails or the caller is dropped, the settlement is sent later.
    pub(crate) async fn settle(self: &Arc<Self>, settlement: Settlement) -> Result<Reply, StoreError> {
        let mut unsent = Unsent { link: self, settlement: Some(settlement.clone()) };
        let reply = self.call(settlement.call()).await?;
        unsent.settlement = None;
        Ok(reply)
    }

    /// Repeats a call that the database aborted because of others, such as a deadlock. A lock is awaited for at most
    /// `patience`.
    async fn attempt(&self, call: Call<'_>, patience: Duration) -> Result<Reply, Failure> {
        let deadline = tokio::time::Instant::now().checked_add(self.timeout).unwrap_or_else(tokio::time::Instant::now);
        let mut pause = SHORTEST_PAUSE;
        loop {
            let failure = match self.once(call, deadline, patience).await {
                Err(failure) if failure.repeats => failure,
                outcome => return outcome,
            };
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                return Err(failure);
            }
            pause = pause.saturating_mul(2);
        }
    }

    async fn once(&self, call: Call<'_>, deadline: tokio::time::Instant, patience: Duration) -> Result<Reply, Failure> {
        let mut connection = match timeout_at(deadline, self.pool.acquire()).await {
            Ok(acquired) => acquired.map_err(|error| Failure::new(&error))?,
            Err(_) => return Err(Failure::no_connection(self.timeout)),
        };
        // Less than the remaining time, so that the server's answer names the lock before the caller stops waiting.
        let patience = patience.min(deadline.saturating_duration_since(tokio::time::Instant::now()).mul_f64(0.75));
        let calling = DB::call(&mut connection, &self.statements, call, Some(patience));
        let outcome = match timeout_at(deadline, calling).await {
            Ok(reply) => reply.map_err(|error| Failure::new(&error)),
            Err(_) => Err(Failure::no_answer(self.timeout)),
        };
        if outcome.as_ref().is_err_and(|failure| failure.suspect) {
            // The pool would keep a place for this connection until the server answers or the network gives up.
            connection.close_on_drop();
        }
        outcome
    }

    /// Removes expired rows in the background, at most once a second unless there are more than one batch.
    pub(crate) fn sweep_if_due(self: &Arc<Self>) {
        let now = self.millis();
        let due = self.next_sweep.load(Ordering::Relaxed);
        let next = now.saturating_add(SWEEP_PAUSE);
        if now < due || self.next_sweep.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let link = Arc::clone(self);
        runtime.spawn(async move {
            match link.attempt(Call::Sweep, link.timeout).await {
                Ok(Reply::Rows(count)) if count >= SWEEP_BATCH.unsigned_abs() => {
                    link.next_sweep.store(link.millis(), Ordering::Relaxed);
                }
                Ok(_) => {}
                Err(failure) => tracing::warn!(error = %failure.error, "expired deliveries were not removed"),
            }
        });
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Starts the task that finds out whether the database is away, unless it runs already.
    fn start_recovery(self: &Arc<Self>) {
        if let Ok(runtime) = Handle::try_current()
            && !self.recovering.swap(true, Ordering::AcqRel)
        {
            runtime.spawn(recover(Arc::downgrade(self)));
        }
    }

    /// Tries once to reach the database and to send what is pending. Returns whether nothing is left to do.
    async fn try_recover(&self) -> bool {
        let is_there = self.is_there().await;
        self.down.store(!is_there, Ordering::Release);
        is_there && self.send_pending().await
    }

    /// Opens a connection outside of the pool: those in it may all wait for a server that does not answer.
    /// A server that permits no further connection, or that has another password now, is there too: connections of the
    /// pool may still work.
    async fn is_there(&self) -> bool {
        let options = self.pool.connect_options();
        let connecting = async { options.connect().await?.close().await };
        match timeout(self.timeout.min(LONGEST_PROBE), connecting).await {
            Ok(Err(error)) => failure::is_answer(&error),
            Ok(Ok(())) => true,
            Err(_) => false,
        }
    }

    /// Returns whether nothing is left to send.
    async fn send_pending(&self) -> bool {
        let (mut next, mut locked) = (Vec::new(), Vec::new());
        let is_sent = loop {
            let Some(batch) = next.pop().or_else(|| self.pending.take()) else { break locked.is_empty() };
            let Err(failure) = self.attempt(batch.call(), BACKGROUND_PATIENCE).await else { continue };
            if failure.suspect || failure.repeats {
                next.push(batch);
                break false;
            }
            match batch.split() {
                // One of the deliveries is locked by a transaction: the others need not wait for it.
                Ok(halves) if failure.is_locked => next.extend(halves),
                Err(single) if failure.is_locked => locked.push(single),
                _ => tracing::warn!(error = %failure.error, "a claim was not settled, it ends with its lease"),
            }
        };
        next.into_iter().for_each(|settlement| self.pending.put_back(settlement));
        locked.into_iter().for_each(|settlement| self.pending.put_back(settlement));
        is_sent
    }
}

/// Keeps a settlement for later on drop.
struct Unsent<'l, DB: Dialect> {
    link: &'l Arc<Link<DB>>,
    settlement: Option<Settlement>,
}

impl<DB: Dialect> Drop for Unsent<'_, DB> {
    fn drop(&mut self) {
        if let Some(settlement) = self.settlement.take() {
            self.link.pending.push(settlement);
            self.link.start_recovery();
        }
    }
}

/// Runs the background task. It ends when everything is sent, or when the last clone of the store is dropped.
async fn recover<DB: Dialect>(link: Weak<Link<DB>>) {
    let mut pause = FIRST_RECOVERY_PAUSE;
    while let Some(link) = link.upgrade() {
        if link.try_recover().await {
            link.recovering.store(false, Ordering::Release);
            // Look again: a settlement may have been queued before the flag was cleared.
            if link.pending.is_empty() || link.recovering.swap(true, Ordering::AcqRel) {
                return;
            }
        }
        drop(link);
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_RECOVERY_PAUSE);
    }
}

/// How long the background task waits for a lock: what waits behind the settlement may not be locked.
const BACKGROUND_PATIENCE: Duration = Duration::from_millis(20);
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const FIRST_RECOVERY_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_RECOVERY_PAUSE: Duration = Duration::from_millis(250);

/// A connection that takes longer counts as none.
const LONGEST_PROBE: Duration = Duration::from_secs(1);

/// In milliseconds.
const SWEEP_PAUSE: u64 = 1_000;
