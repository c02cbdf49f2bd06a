//! Caches the server's denials until they end, so that a flood over quota causes no calls.

use std::hash::RandomState;
use std::time::{Duration, Instant};

use crate::bounded::{BoundedTable, Expires, nanos};
use crate::keyed_hash::HashedKey;
use crate::limit::{Quota, QuotaState};

#[derive(Debug)]
pub(super) struct Denials {
    table: BoundedTable<Denial>,
    secret: RandomState,
    start: Instant,
}

/// The times of a denial, in nanoseconds since the table's start.
#[derive(Debug, Default, Clone, Copy)]
struct Denial {
    ends_at: u64,
    whole_at: u64,
}

impl Expires for Denial {
    fn expires_at(&self) -> u64 {
        self.ends_at
    }
}

impl Denials {
    pub(super) fn new() -> Self {
        Self { table: BoundedTable::new(CAPACITY), secret: RandomState::new(), start: Instant::now() }
    }

    /// Caches a denial. `asked` is the time before the call to the server, so a denial is never cached for longer than
    /// it lasts.
    pub(super) fn insert(
        &self,
        webhook_id: &str,
        quota: &Quota,
        asked: Instant,
        retry_after: Duration,
        reset: Duration,
    ) {
        let at = |time: Duration| self.nanos(asked).saturating_add(nanos(time));
        let denial = Denial { ends_at: at(retry_after), whole_at: at(reset) };
        // If the table is full, the next request calls the server.
        let _ = self.table.update(self.key(webhook_id, quota), self.nanos(Instant::now()), |known| *known = denial);
    }

    /// Returns how long `webhook_id` is still denied, and the state of its quota.
    pub(super) fn find(&self, webhook_id: &str, quota: &Quota) -> Option<(Duration, QuotaState)> {
        let denial = self.table.read(self.key(webhook_id, quota), |denial| *denial)?;
        let now = self.nanos(Instant::now());
        let remaining = |until: u64| Duration::from_nanos(until.saturating_sub(now));
        let quota_state = QuotaState { remaining: 0, reset: remaining(denial.whole_at) };
        (now < denial.ends_at).then(|| (remaining(denial.ends_at), quota_state))
    }

    fn key(&self, webhook_id: &str, quota: &Quota) -> HashedKey {
        HashedKey::new(&self.secret, (webhook_id, quota))
    }

    fn nanos(&self, moment: Instant) -> u64 {
        nanos(moment.saturating_duration_since(self.start))
    }
}

/// The most webhook ids that can be over their quota at one time.
const CAPACITY: usize = 65_536;
