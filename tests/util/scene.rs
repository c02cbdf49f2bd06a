//! A Warden under a clock that is set by hand, without a server, and everything that its observer is told.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hookwarden::clock::Clock as _;
use hookwarden::error::StoreError;
use hookwarden::event::RefusalReason;
use hookwarden::event::{Observer, Outcome, SecurityEvent, StoreKind, Warning};
use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Refused, WardenBuilder};
use hookwarden::{Scheme, Warden};

use crate::util::sender::Post;

/// A Warden of the scheme `timestamped`, with the limits and the memory that a Warden has by default.
pub(crate) struct Scene {
    pub(crate) warden: Warden,
    pub(crate) clock: TestClock,
    pub(crate) told: Arc<Told>,
}

impl Scene {
    /// `set` has at least to say who the senders are.
    pub(crate) fn new(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        Self::of(Scheme::timestamped(), set)
    }

    pub(crate) fn of(scheme: Scheme, set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        let (clock, told) = (TestClock::default(), Arc::new(Told::default()));
        let builder = Warden::builder(scheme).clock(clock.clone()).observer(told.clone());
        Self { warden: set(builder).build().expect("a Warden"), clock, told }
    }

    /// Signed by the one sender, now.
    pub(crate) fn signed(&self, body: impl Into<Vec<u8>>) -> Post {
        Post::signed_at(body, self.clock.now().wall)
    }

    /// All steps up to the handler.
    pub(crate) fn judge(&self, peer: Option<IpAddr>, id: &str, post: &Post) -> Result<Admitted, Refused> {
        let mut receiving = self.warden.examine(&post.headers, peer)?.identify(id)?;
        receiving.update(&post.body)?;
        receiving.finish()
    }

    /// All steps, the work being done.
    pub(crate) fn deliver(&self, peer: Option<IpAddr>, id: &str, post: &Post) -> Result<(), RefusalReason> {
        self.judge(peer, id, post).map(Admitted::commit).map_err(|refused| refused.reason())
    }
}

/// What an observer was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) requests: Kept<(Outcome, Option<IpAddr>)>,
    pub(crate) warnings: Kept<Warning>,
    pub(crate) failures: Kept<(StoreKind, String)>,
}

/// In the order of their coming.
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

    /// All since the last call.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().expect("no test panics under the lock"))
    }
}

impl Observer for Told {
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
