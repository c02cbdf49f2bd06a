//! The keys of one sender: when they are fetched, and which of them count.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookwarden::clock::Clock;
use hookwarden::error::StoreError;
use hookwarden::{Keyring, Scheme};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::fetch::{Document, Fetcher};
use crate::freshness::declared;
use crate::report;
use crate::set::KeySet;
use crate::source::Kind;

/// One sender, and what is known about its keys.
pub(crate) struct Sender {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) url: String,
    pub(crate) scheme: Scheme,
    pub(crate) fetcher: Fetcher,
    pub(crate) ages: Ages,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Mutex<State>,
}

/// How old keys may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    /// The longest time for which a document is fresh.
    pub(crate) fresh: Duration,
    /// The age at which keys are not used any more.
    pub(crate) stale: Duration,
}

#[derive(Default)]
pub(crate) struct State {
    loaded: Option<Loaded>,
    /// When the last fetch began.
    began: Option<Duration>,
    failure: Option<Failure>,
    flight: Option<Flight>,
    /// The keys that the application refuses.
    revoked: BTreeSet<String>,
    /// The skipped keys that are in the log.
    reported: BTreeSet<String>,
}

struct Loaded {
    set: KeySet,
    /// When the fetch began.
    since: Duration,
    fresh_for: Duration,
}

/// The last fetch failed.
struct Failure {
    error: StoreError,
    in_a_row: u32,
    /// When the next fetch may begin.
    retry_at: Duration,
}

/// A fetch. It has ended when the other side is dropped.
type Flight = watch::Receiver<()>;

type Answer = Result<Option<Keyring>, StoreError>;

enum Step {
    Answer(Answer),
    /// Wait for the fetch, then answer from what is known.
    Wait(Flight),
}

impl Sender {
    /// Returns the key that a signature names.
    pub(crate) async fn find(self: &Arc<Self>, keyid: &str) -> Answer {
        match self.step(keyid) {
            Step::Answer(answer) => answer,
            Step::Wait(flight) => {
                ended(flight).await;
                self.lock().answer(keyid, self.clock.monotonic(), self.ages)
            }
        }
    }

    /// Starts a fetch unless there are fresh keys. The future waits for it.
    pub(crate) fn begin_load(self: &Arc<Self>) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (sender, now) = (self.clone(), self.clock.monotonic());
        let flight = {
            let mut state = self.lock();
            if state.is_fresh(now) { None } else { Some(self.join(&mut state, now)) }
        };
        async move {
            if let Some(flight) = flight {
                ended(flight?).await;
            }
            let state = sender.lock();
            if state.is_fresh(sender.clock.monotonic()) { Ok(()) } else { Err(state.error()) }
        }
    }

    /// Refuses a key from now on.
    pub(crate) fn revoke(&self, keyid: String) {
        self.lock().revoked.insert(keyid);
    }

    fn step(self: &Arc<Self>, keyid: &str) -> Step {
        let now = self.clock.monotonic();
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.revoked.contains(keyid) {
            return Step::Answer(Ok(None));
        }
        let is_known = state.usable(now, self.ages).is_some_and(|set| set.keys.contains_key(keyid));
        let is_fresh = state.is_fresh(now);
        // Known keys are used at once while they are fresh or the source fails. Everything else can wait for a fetch.
        let is_enough = is_known && (is_fresh || state.failure.is_some());
        let is_due = match (is_fresh, is_known) {
            (false, _) => true,
            (true, true) => state.is_ageing(now),
            // The last fetch could have been too early for this key.
            (true, false) => state.began.is_none_or(|began| now.saturating_sub(began) >= MIN_INTERVAL),
        };
        let may_retry = state.failure.as_ref().is_none_or(|failure| failure.retry_at <= now);
        let flight = if is_due && may_retry { self.join(state, now).map(Some) } else { Ok(state.flight()) };
        match flight {
            Ok(Some(flight)) if !is_enough => Step::Wait(flight),
            Err(error) if !is_enough => Step::Answer(Err(error)),
            _ => Step::Answer(state.answer(keyid, now, self.ages)),
        }
    }

    /// Joins the fetch in progress, or begins one. It runs as a task, because requests that wait for it can be cancelled.
    fn join(self: &Arc<Self>, state: &mut State, now: Duration) -> Result<Flight, StoreError> {
        if let Some(flight) = state.flight() {
            return Ok(flight);
        }
        let runtime = Handle::try_current().map_err(|_| StoreError::new("keys are fetched only in a Tokio runtime"))?;
        let (done, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        state.began = Some(now);
        let task = Task { sender: self.clone(), began: now, is_settled: false, done };
        runtime.spawn(task.run());
        Ok(flight)
    }

    /// Uses the keys of a document.
    fn accept(&self, began: Duration, document: &Document) -> Result<(), String> {
        let set = KeySet::read(self.kind, &self.scheme, &self.name, &document.bytes)?;
        let fresh_for = declared(&document.headers).unwrap_or(UNDECLARED).clamp(MIN_INTERVAL, self.ages.fresh);
        let mut state = self.lock();
        let reported = std::mem::take(&mut state.reported);
        state.reported = report::skipped(self, &set, &reported);
        let failures = state.failure.take().map_or(0, |failure| failure.in_a_row);
        report::loaded(self, &set, failures);
        state.loaded = Some(Loaded { set, since: began, fresh_for });
        Ok(())
    }

    fn fail(&self, problem: &str) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let in_a_row = state.failure.as_ref().map_or(0, |failure| failure.in_a_row).saturating_add(1);
        let exponent = in_a_row.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(exponent)).min(MIN_INTERVAL);
        let error = StoreError::new(format!("keys of {}: {problem}", self.name)).with_retry_after(pause);
        let age = state.loaded.as_ref().map(|loaded| now.saturating_sub(loaded.since));
        report::failed(self, problem, in_a_row, age.filter(|age| *age < self.ages.stale));
        state.failure = Some(Failure { error, in_a_row, retry_at: now.saturating_add(pause) });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns what the keys that are there say about a signature.
    fn answer(&self, keyid: &str, now: Duration, ages: Ages) -> Answer {
        if self.revoked.contains(keyid) {
            return Ok(None);
        }
        let Some(set) = self.usable(now, ages) else { return Err(self.error()) };
        match (set.keys.get(keyid), &self.failure) {
            (Some(keys), _) => Ok(Some(keys.clone())),
            // The key may be new. The sender can try again when the source answers.
            (None, Some(failure)) => Err(failure.error.clone()),
            (None, None) => Ok(None),
        }
    }

    fn usable(&self, now: Duration, ages: Ages) -> Option<&KeySet> {
        let loaded = self.loaded.as_ref()?;
        (now.saturating_sub(loaded.since) < ages.stale).then_some(&loaded.set)
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| now.saturating_sub(loaded.since) < loaded.fresh_for)
    }

    /// Whether fresh keys are fetched again, so that no request has to wait when they expire.
    fn is_ageing(&self, now: Duration) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| {
            let quarter = loaded.fresh_for.checked_div(4).unwrap_or_default();
            now.saturating_sub(loaded.since) >= loaded.fresh_for.saturating_sub(quarter).max(MIN_INTERVAL)
        })
    }

    /// The fetch in progress.
    fn flight(&self) -> Option<Flight> {
        self.flight.clone().filter(|flight| flight.has_changed().is_ok())
    }

    fn error(&self) -> StoreError {
        let failure = self.failure.as_ref().map(|failure| failure.error.clone());
        failure.unwrap_or_else(|| StoreError::new("keys are not fetched yet"))
    }
}

/// A fetch as a task.
struct Task {
    sender: Arc<Sender>,
    began: Duration,
    is_settled: bool,
    /// Ends the flight, after the state is changed.
    #[expect(dead_code, reason = "it is dropped")]
    done: watch::Sender<()>,
}

impl Task {
    async fn run(mut self) {
        let document = self.sender.fetcher.fetch().await;
        let accepted = document.and_then(|document| self.sender.accept(self.began, &document));
        self.is_settled = true;
        if let Err(problem) = accepted {
            self.sender.fail(&problem);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.is_settled {
            self.sender.fail("the fetch was cancelled, or its task panicked");
        }
    }
}

async fn ended(mut flight: Flight) {
    // Nothing is sent: an error means that the fetch has ended.
    while flight.changed().await.is_ok() {}
}

/// The shortest time for which a document is fresh, and between two fetches for unknown keys.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(60);

/// How long a document is fresh if the server does not say.
const UNDECLARED: Duration = Duration::from_secs(300);

/// The pause after a first failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
