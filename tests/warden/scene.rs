//! A Warden without a server, under a clock that tests set, with everything that it reports.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hookwarden::clock::Clock as _;
use hookwarden::error::StoreError;
use hookwarden::event::RefusalReason;
use hookwarden::event::{Observer, Outcome, SecurityEvent, StoreKind, Warning};
use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Refused, WardenBuilder};
use hookwarden::{Scheme, Warden};

use crate::harness::sender::Post;

/// A Warden of the scheme `timestamped` with default settings.
pub(crate) struct Scene {
    pub(crate) warden: Warden,
    pub(crate) clock: TestClock,
    pub(crate) reports: Arc<Reports>,
}

impl Scene {
    /// `set` must add the senders.
    pub(crate) fn new(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        Self::of(Scheme::timestamped(), set)
    }

    pub(crate) fn of(scheme: Scheme, set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        let (clock, reports) = (TestClock::default(), Arc::new(Reports::default()));
        let builder = Warden::builder(scheme).clock(clock.clone()).observer(reports.clone());
        Self { warden: set(builder).build().expect("a Warden"), clock, reports }
    }

    /// A message that the sender signs now.
    pub(crate) fn signed(&self, body: impl Into<Vec<u8>>) -> Post {
        Post::signed_at(body, self.clock.now().wall)
    }

    /// Runs all steps before the handler.
    pub(crate) fn receive(&self, peer: Option<IpAddr>, id: &str, post: &Post) -> Result<Admitted, Refused> {
        let mut receiving = self.warden.examine(&post.headers, peer)?.identify(id)?;
        receiving.update(&post.body)?;
        receiving.finish()
    }

    /// Runs all steps and commits.
    pub(crate) fn deliver(&self, peer: Option<IpAddr>, id: &str, post: &Post) -> Result<(), RefusalReason> {
        self.receive(peer, id, post).map(Admitted::commit).map_err(|refused| refused.reason())
    }
}

/// Everything that an observer received.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) requests: Kept<(Outcome, Option<IpAddr>)>,
    pub(crate) warnings: Kept<Warning>,
    pub(crate) failures: Kept<(StoreKind, String)>,
}

/// A list in order of arrival.
#[derive(Debug)]
pub(crate) struct Kept<T>(Mutex<Vec<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    fn push(&self, one: T) {
        self.0.lock().expect("no test panics under the lock").push(one);
    }

    /// Takes the entries so far.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().expect("no test panics under the lock"))
    }
}

impl Observer for Reports {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self.requests.push((event.outcome, event.peer));
    }

    fn warning(&self, warning: &Warning) {
        self.warnings.push(*warning);
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        self.failures.push((store, error.to_string()));
    }
}
