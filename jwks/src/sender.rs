//! The keys of one sender: when they are fetched, and which of them count.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use hookwarden::Scheme;
use hookwarden::clock::Clock;
use hookwarden::error::StoreError;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until};

use crate::fetch::{Document, Fetcher};
use crate::freshness::declared;
use crate::report;
use crate::set::{KeySet, Skipped};
use crate::source::Kind;
use crate::text::{MAX_PROBLEM, start_of};

pub(crate) use list::RevocationSource;
pub(crate) use state::{Ages, State};
use state::{Answer, Failure, Flight, Loaded};

mod list;
mod state;

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
    pub(crate) revocations: Option<Arc<RevocationSource>>,
}

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
                self.wait(flight).await;
                self.lock().answer(keyid, self.clock.now(), self.ages)
            }
        }
    }

    /// Starts a fetch unless there are fresh keys. The future waits for it.
    pub(crate) fn begin_load(self: &Arc<Self>) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (sender, now) = (self.clone(), self.clock.now());
        let joined = {
            let mut state = self.lock();
            if state.is_fresh(now) { None } else { Some(self.join(&mut state, now.monotonic)) }
        };
        let flight = joined.map(|joined| joined.map(Joined::start));
        async move {
            if let Some(flight) = flight {
                sender.wait(flight?).await;
            }
            let state = sender.lock();
            let now = sender.clock.now();
            if state.is_fresh(now) { Ok(()) } else { Err(state.error(now)) }
        }
    }

    /// Refuses a key from now on.
    pub(crate) fn revoke(&self, keyid: String) {
        self.lock().revoked.insert(keyid);
    }

    fn step(self: &Arc<Self>, keyid: &str) -> Step {
        let now = self.clock.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.revoked.contains(keyid) {
            return Step::Answer(Ok(None));
        }
        let is_known =
            state.usable(now, self.ages).is_some_and(|set| set.keys.contains_key(keyid) || state.is_revoked(keyid));
        let is_fresh = state.is_fresh(now);
        // Known keys are used at once while they are fresh or the source fails. Everything else can wait for a fetch.
        let is_enough = is_known && (is_fresh || state.fails(now.monotonic));
        let is_due = match (is_fresh, is_known) {
            (false, _) => true,
            (true, true) => state.is_ageing(now.monotonic),
            (true, false) => state.may_have_new_keys(now.monotonic),
        };
        let joined = if is_due && state.may_retry(now.monotonic) {
            self.join(state, now.monotonic).map(Some)
        } else {
            Ok(state.flight().map(|flight| Joined { flight, fetch: None }))
        };
        // Without an unknown key, there would be no fetch.
        if is_fresh && !is_known && matches!(&joined, Ok(Some(Joined { fetch: Some(_), .. }))) {
            state.searched = Some(now.monotonic);
        }
        let step = match &joined {
            Ok(Some(joined)) if !is_enough => Step::Wait(joined.flight.clone()),
            Err(error) if !is_enough => Step::Answer(Err(error.clone())),
            _ => Step::Answer(state.answer(keyid, now, self.ages)),
        };
        drop(guard);
        if let Ok(Some(joined)) = joined {
            joined.start();
        }
        step
    }

    /// Joins the fetch in progress, or begins one.
    fn join(self: &Arc<Self>, state: &mut State, now: Duration) -> Result<Joined, StoreError> {
        if let Some(flight) = state.flight() {
            return Ok(Joined { flight, fetch: None });
        }
        let runtime = Handle::try_current().map_err(|_| StoreError::new("keys are fetched only in a Tokio runtime"))?;
        let (done, end) = watch::channel(());
        state.fetches = state.fetches.wrapping_add(1);
        let number = state.fetches;
        let began = Instant::now();
        let deadline = began.checked_add(self.patience()).unwrap_or(began);
        let flight = Flight { number, end, deadline };
        state.flight = Some(flight.clone());
        let task = Task { sender: self.clone(), number, began: now, is_settled: false, done };
        Ok(Joined { flight, fetch: Some((runtime, task)) })
    }

    /// Waits for a fetch. One that does not end, because its runtime does not run, has failed.
    async fn wait(&self, flight: Flight) {
        let number = flight.number;
        if !ended(flight).await {
            self.fail(number, &format!("the runtime of the fetch did not run for {:?}", self.patience()));
        }
    }

    /// How long a request waits. It is longer than the time limit of the fetch, which says more about the problem.
    fn patience(&self) -> Duration {
        self.fetcher.limits.total.saturating_add(GRACE)
    }

    /// Uses the keys of a document. Returns their number, or `None` if later ones are in use.
    fn accept(&self, began: Duration, document: &Document) -> Result<Option<usize>, String> {
        let lists = self.revocations.as_ref().map(|source| &source.verifier);
        let mut set = KeySet::read(self.kind, &self.scheme, lists, &self.name, &document.bytes)?;
        let fresh_for = declared(&document.headers).unwrap_or(UNDECLARED).clamp(MIN_INTERVAL, self.ages.fresh);
        let (skipped, keys) = (std::mem::take(&mut set.skipped), set.keys.len());
        let mut state = self.lock();
        // A fetch whose runtime did not run can end after a later one.
        if state.loaded.as_ref().is_some_and(|loaded| loaded.since > began) {
            return Ok(None);
        }
        let reported = skipped.iter().map(Skipped::to_string).collect();
        let before = std::mem::replace(&mut state.reported, reported);
        state.loaded = Some(Loaded { set, since: began, fresh_for });
        drop(state);
        report::skipped(self, &skipped, &before);
        Ok(Some(keys))
    }

    /// Records that a fetch succeeded.
    fn succeed(&self, keys: usize) {
        let failures = self.lock().failure.take().map_or(0, |failure| failure.in_a_row);
        report::loaded(self, keys, failures);
    }

    /// Records that a fetch failed, unless a later one began or it has failed already.
    fn fail(&self, number: u64, problem: &str) {
        let problem = start_of(problem, MAX_PROBLEM);
        let now = self.clock.now();
        let mut state = self.lock();
        if state.flight.take_if(|flight| flight.number == number).is_none() {
            return;
        }
        let before = state.failure.as_ref();
        let in_a_row = before.map_or(0, |failure| failure.in_a_row).saturating_add(1);
        let exponent = in_a_row.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(exponent)).min(MIN_INTERVAL);
        let error = StoreError::new(format!("keys of {}: {problem}", self.name)).with_retry_after(pause);
        let is_usable = state.usable(now, self.ages).is_some();
        // A source that fails for a day fails more than a thousand times.
        let is_news = in_a_row.is_power_of_two() || before.is_some_and(|failure| failure.is_usable != is_usable);
        let age = state.loaded.as_ref().map(|loaded| now.monotonic.saturating_sub(loaded.since));
        state.failure = Some(Failure { error, in_a_row, retry_at: now.monotonic.saturating_add(pause), is_usable });
        drop(state);
        report::failed(self, problem, in_a_row, age.filter(|_| is_usable), is_news);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch to wait for, which can be still to be started.
#[must_use]
struct Joined {
    flight: Flight,
    fetch: Option<(Handle, Task)>,
}

impl Joined {
    /// Starts the fetch as a task, because requests that wait for it can be cancelled. The state must not be locked: a
    /// runtime that was shut down drops the task here, and the task then locks the state.
    fn start(self) -> Flight {
        if let Some((runtime, task)) = self.fetch {
            runtime.spawn(task.run());
        }
        self.flight
    }
}

/// A fetch as a task.
struct Task {
    sender: Arc<Sender>,
    number: u64,
    began: Duration,
    is_settled: bool,
    /// Ends the flight, after the state is changed.
    #[expect(dead_code, reason = "it is dropped")]
    done: watch::Sender<()>,
}

impl Task {
    async fn run(mut self) {
        let list = self.sender.begin_list(self.began);
        let document = self.sender.fetcher.fetch().await;
        let keys = document.and_then(|document| self.sender.accept(self.began, &document));
        // The keys of this document can be those that signed the list.
        let list = self.sender.end_list(list).await;
        self.is_settled = true;
        match (keys, list) {
            (Ok(Some(keys)), Ok(())) => self.sender.succeed(keys),
            (Ok(None), Ok(())) => {}
            (Err(problem), Ok(())) | (Ok(_), Err(problem)) => self.sender.fail(self.number, &problem),
            (Err(keys), Err(list)) => self.sender.fail(self.number, &format!("{keys}; {list}")),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.is_settled {
            self.sender.fail(self.number, "the fetch was cancelled, or its task panicked");
        }
    }
}

/// Waits for the end of a fetch or its deadline. Returns whether the fetch has ended.
async fn ended(Flight { mut end, deadline, .. }: Flight) -> bool {
    // Nothing is sent: an error means that the fetch has ended.
    let mut end = pin!(async move { while end.changed().await.is_ok() {} });
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        if Handle::try_current().is_err() {
            return Poll::Pending;
        }
        // Requests of several runtimes can share a lookup. The timer must be that of a runtime that runs.
        timer.insert(Box::pin(sleep_until(deadline.into()))).as_mut().poll(context).map(|()| false)
    })
    .await
}

/// The shortest time for which a document is fresh.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(60);

/// The shortest time between two fetches for unknown keys. It is that of AdCP.
const COOLDOWN: Duration = Duration::from_secs(30);

/// How long a document is fresh if the server does not say.
const UNDECLARED: Duration = Duration::from_secs(300);

/// The pause after a first failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How much longer than the time limit of a fetch requests wait for it.
const GRACE: Duration = Duration::from_secs(1);
