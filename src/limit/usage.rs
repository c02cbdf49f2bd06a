//! The use of a quota, computed by `governor`.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, RateLimiter, StateStore};

use super::{Decision, Quota, QuotaState};
use crate::bounded::{Expires, nanos};

/// The used part of a quota, as the time at which it is full again. This is the theoretical arrival time of GCRA, in
/// nanoseconds of the monotonic clock. The default is an unused quota.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    full_at: u64,
}

impl Usage {
    /// Counts one request at `now` if it passes.
    ///
    /// A governor limiter measures time from its creation. A limiter is created here for each decision, so its times
    /// are relative to `now`. Creating one is cheap and needs no lock, and the caller keeps the arrival time, which a
    /// stored governor limiter hides.
    pub(super) fn count(&mut self, quota: &Quota, now: u64) -> Decision {
        if self.full_at <= now {
            // An unused quota permits at least one request.
            self.full_at = now.saturating_add(nanos(quota.period()));
            let remaining = quota.burst().saturating_sub(1);
            return Decision::Allowed(QuotaState { remaining, reset: quota.period() });
        }
        let ahead = Cell::new(self.full_at.saturating_sub(now));
        let limiter = RateLimiter::<_, _, _, StateInformationMiddleware>::new(quota.into(), Ahead(&ahead), Now);
        let verdict = limiter.check();
        let reset = Duration::from_nanos(ahead.get());
        match verdict {
            Ok(state) => {
                self.full_at = now.saturating_add(ahead.get());
                Decision::Allowed(QuotaState { remaining: state.remaining_burst_capacity(), reset })
            }
            Err(not_until) => Decision::Denied {
                retry_after: not_until.wait_time_from(Now.now()),
                quota_state: QuotaState { remaining: 0, reset },
            },
        }
    }

    /// Divides the used part by `factor`.
    pub(super) fn shrink(&mut self, factor: u32, now: u64) {
        let ahead = self.full_at.saturating_sub(now).checked_div(factor.into()).unwrap_or(0);
        self.full_at = now.saturating_add(ahead);
    }

    /// Reverses the count of one request.
    pub(super) fn take_back(&mut self, quota: &Quota) {
        self.full_at = self.full_at.saturating_sub(nanos(quota.period()));
    }
}

impl Expires for Usage {
    /// A full quota needs no entry.
    fn expires_at(&self) -> u64 {
        self.full_at
    }
}

impl From<&Quota> for governor::Quota {
    fn from(quota: &Quota) -> Self {
        // A period is never zero, so the fallback is unreachable.
        let one_each = Self::with_period(quota.period).unwrap_or(Self::per_second(NonZeroU32::MIN));
        one_each.allow_burst(quota.burst)
    }
}

/// The state of one key for governor: how far its arrival time is ahead of now. Zero is equivalent to no arrival time.
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

/// The clock of a limiter for one decision. It is always zero.
struct Now;

impl Clock for Now {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::default()
    }
}
