//! One key's use of its quota, decided by governor.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, RateLimiter, StateStore};

use super::{Decision, Quota, QuotaState};
use crate::bounded::{Expires, nanos};

/// How much of a quota is used, as the time at which it is full again: the theoretical arrival time of GCRA, in
/// nanoseconds of the monotonic clock. By default nothing is used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    whole_at: u64,
}

impl Usage {
    /// Counts one request at `now`, if it passes.
    ///
    /// A governor limiter counts time from its creation. This one is created here and lives for one decision, so its
    /// times are relative to now. It costs no more than the few numbers in it, there is no list of limiters to lock,
    /// and the arrival time that governor hides is available.
    pub(super) fn count(&mut self, quota: &Quota, now: u64) -> Decision {
        let ahead = Cell::new(self.whole_at.saturating_sub(now));
        let limiter = RateLimiter::<_, _, _, StateInformationMiddleware>::new(quota.into(), Ahead(&ahead), Now);
        let verdict = limiter.check();
        let reset = Duration::from_nanos(ahead.get());
        match verdict {
            Ok(state) => {
                self.whole_at = now.saturating_add(ahead.get());
                Decision::Allowed(QuotaState { remaining: state.remaining_burst_capacity(), reset })
            }
            Err(not_until) => Decision::Denied {
                retry_after: not_until.wait_time_from(Now.now()),
                quota_state: QuotaState { remaining: 0, reset },
            },
        }
    }

    /// Takes back one request that was counted.
    pub(super) fn take_back(&mut self, quota: &Quota) {
        self.whole_at = self.whole_at.saturating_sub(nanos(quota.period()));
    }
}

impl Expires for Usage {
    /// A full quota needs no entry.
    fn expires_at(&self) -> u64 {
        self.whole_at
    }
}

impl From<&Quota> for governor::Quota {
    fn from(quota: &Quota) -> Self {
        // A period is never zero; the other arm is for the compiler.
        let one_each = Self::with_period(quota.period).unwrap_or(Self::per_second(NonZeroU32::MIN));
        one_each.allow_burst(quota.burst)
    }
}

/// The state of one key in the form that governor expects. A key without an arrival time is zero ahead, which gives the
/// same decision.
struct Ahead<'u>(&'u Cell<u64>);

impl StateStore for Ahead<'_> {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, NotKeyed::NonKey: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, ahead) = decide(Some(Nanos::new(self.0.get())))?;
        self.0.set(ahead.as_u64());
        Ok(outcome)
    }
}

/// The clock of a limiter that lives for one decision.
struct Now;

impl Clock for Now {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::default()
    }
}
