//! The failures of many subjects, and the alerts that are raised.

use std::hash::{Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Alert, AlertState, AlertSubject, AlertThreshold};
use crate::bounded::{BoundedTable, Expires, nanos};
use crate::keyed_hash::HashedKey;

/// Counts failures by subject against one threshold.
///
/// Lock order: the alerts first, then an entry. An entry is marked as raised exactly while its alert is in the list.
#[derive(Debug)]
pub(super) struct Watch {
    threshold: AlertThreshold,
    table: BoundedTable<Failures>,
    hasher: RandomState,
    raised: Mutex<Vec<RaisedAlert>>,
    /// The step (a tenth of the window) of the last search for ended alerts. One search in each step is enough, because a
    /// count only falls when a step begins.
    cleared_at: AtomicU64,
}

/// An alert that was raised and not cleared.
#[derive(Debug)]
struct RaisedAlert {
    key: HashedKey,
    subject: AlertSubject,
}

impl Watch {
    pub(super) fn new(threshold: AlertThreshold, capacity: usize) -> Self {
        Self {
            threshold,
            table: BoundedTable::new(capacity),
            hasher: RandomState::new(),
            raised: Mutex::default(),
            cleared_at: AtomicU64::new(0),
        }
    }

    /// Counts a failure of the subject with the key `by`, and returns an alert if it reaches the threshold.
    pub(super) fn count(&self, by: impl Hash, now: Duration, subject: impl FnOnce() -> AlertSubject) -> Option<Alert> {
        let (key, step, now) = (HashedKey::new(&self.hasher, by), self.step(now), nanos(now));
        let expires_at = step.saturating_add(STEPS_WIDE).saturating_mul(self.step_nanos());
        let counted = self.table.update(key, now, |failures| {
            let count = failures.add(step, expires_at);
            !failures.raised && count >= self.threshold.raise_at
        });
        // During a flood only the request that reaches the threshold takes the lock.
        if counted != Ok(true) {
            return None;
        }
        let mut alerts = self.lock();
        if alerts.len() >= MAX_RAISED {
            return None;
        }
        let raised = self.table.update(key, now, |failures| {
            let count = failures.at(step);
            let first = !failures.raised && count >= self.threshold.raise_at;
            failures.raised |= first;
            first.then_some(count)
        });
        let count = raised.ok().flatten()?;
        let subject = subject();
        alerts.push(RaisedAlert { key, subject: subject.clone() });
        Some(self.alert(subject, AlertState::Raised, count))
    }

    /// Reports the alerts that ended, once for each step. If the callback panics, the other alerts follow in the next
    /// step.
    pub(super) fn clear_due(&self, now: Duration, report: impl Fn(&Alert)) {
        let step = self.step(now);
        if self.cleared_at.load(Ordering::Relaxed) >= step || self.cleared_at.fetch_max(step, Ordering::Relaxed) >= step
        {
            return;
        }
        let mut rest = usize::MAX;
        while let Some(alert) = self.next_cleared(&mut rest, step, nanos(now)) {
            report(&alert);
        }
    }

    /// Returns the next alert that ended, searching backwards from index `rest`.
    fn next_cleared(&self, rest: &mut usize, step: u64, now: u64) -> Option<Alert> {
        let mut alerts = self.lock();
        *rest = alerts.len().min(*rest);
        while let Some(index) = rest.checked_sub(1) {
            *rest = index;
            let cleared = self.table.update(alerts.get(index)?.key, now, |failures| {
                let count = failures.at(step);
                failures.raised = count >= self.threshold.clear_below;
                (!failures.raised).then_some(count)
            });
            if let Ok(Some(count)) = cleared {
                let ended = alerts.swap_remove(index);
                return Some(self.alert(ended.subject, AlertState::Cleared, count));
            }
        }
        None
    }

    const fn alert(&self, subject: AlertSubject, state: AlertState, count: u32) -> Alert {
        Alert { subject, state, count, window: self.threshold.window }
    }

    /// The number of the current tenth of a window, counted from the clock's origin.
    fn step(&self, now: Duration) -> u64 {
        nanos(now).checked_div(self.step_nanos()).unwrap_or_default()
    }

    fn step_nanos(&self) -> u64 {
        nanos(self.threshold.window).div_ceil(STEPS_WIDE)
    }

    /// Ignores poisoning: a panic under the lock leaves the list consistent.
    fn lock(&self) -> MutexGuard<'_, Vec<RaisedAlert>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failures of one subject, step by step, the latest first.
#[derive(Debug, Default)]
struct Failures {
    steps: [u32; STEPS],
    latest: u64,
    expires_at: u64,
    raised: bool,
}

impl Failures {
    fn add(&mut self, step: u64, expires_at: u64) -> u32 {
        self.advance(step);
        let [latest, ..] = &mut self.steps;
        *latest = latest.saturating_add(1);
        self.expires_at = self.expires_at.max(expires_at);
        self.at(step)
    }

    /// Returns the number of failures within the window that ends with `step`.
    fn at(&mut self, step: u64) -> u32 {
        self.advance(step);
        self.steps.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Drops the steps that have left the window. `step` can be older than `latest` if threads read the clock in
    /// another order than they count.
    fn advance(&mut self, step: u64) {
        let passed = step.saturating_sub(self.latest);
        let passed = usize::try_from(passed).unwrap_or(usize::MAX).min(self.steps.len());
        self.steps.rotate_right(passed);
        self.steps.iter_mut().take(passed).for_each(|count| *count = 0);
        self.latest = self.latest.max(step);
    }
}

impl Expires for Failures {
    /// An entry whose alert is raised is kept until the alert is cleared.
    fn expires_at(&self) -> u64 {
        if self.raised { u64::MAX } else { self.expires_at }
    }
}

/// The number of steps in a window: as a `usize` for arrays, and as a `u64` for times.
const STEPS: usize = 10;
const STEPS_WIDE: u64 = 10;

/// The maximum number of alerts that are raised at once.
const MAX_RAISED: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    fn subject(id: &str) -> AlertSubject {
        AlertSubject::Webhook(id.into())
    }

    #[test]
    fn entry_of_a_raised_alert_is_not_evicted() {
        let threshold = AlertThreshold::new(1, Duration::from_secs(10)).unwrap();
        let watch = Watch::new(threshold, 1);
        let raised = watch.count("a", Duration::ZERO, || subject("a"));
        assert_eq!(raised.map(|alert| alert.state), Some(AlertState::Raised));
        // Another thread may count before the alert is cleared, long after the last failure.
        let later = Duration::from_secs(60);
        assert_eq!(watch.count("b", later, || subject("b")), None);
        let reported = Mutex::new(Vec::new());
        watch.clear_due(later, |alert| reported.lock().unwrap().push((alert.subject.clone(), alert.state)));
        assert_eq!(reported.into_inner().unwrap(), [(subject("a"), AlertState::Cleared)]);
        let after = Duration::from_secs(61);
        assert_eq!(watch.count("b", after, || subject("b")).map(|alert| alert.subject), Some(subject("b")));
    }

    #[test]
    fn two_threads_at_once_raise_one_alert() {
        let watch = Watch::new(AlertThreshold::new(1, Duration::from_secs(10)).unwrap(), 16);
        let key = HashedKey::new(&watch.hasher, "a");
        let held = watch.lock();
        let raised = thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(|| watch.count("a", Duration::ZERO, || subject("a"))));
            // Wait until both have counted. The held lock keeps them from raising an alert.
            let began = Instant::now();
            while watch.table.read(key, |failures| failures.steps.iter().sum()) != Some(2_u32) {
                assert!(began.elapsed() < Duration::from_secs(10), "a thread does not count");
                thread::yield_now();
            }
            drop(held);
            threads.map(|thread| thread.join().unwrap()).into_iter().flatten().count()
        });
        assert_eq!(raised, 1);
    }
}
