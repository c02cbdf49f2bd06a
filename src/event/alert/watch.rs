//! The failures of many subjects, and the alerts that are raised.

use std::hash::{Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Alert, AlertState, AlertSubject, AlertThreshold};
use crate::bounded::{BoundedTable, Expires, HashedKey, nanos};

/// Counts failures by subject against one threshold.
///
/// If both locks are held, the one of the alerts is taken before the one of an entry. So an entry is marked as raised
/// exactly while its alert is in the list.
#[derive(Debug)]
pub(super) struct Watch {
    threshold: AlertThreshold,
    table: BoundedTable<Failures>,
    hasher: RandomState,
    quota_state: Mutex<Vec<QuotaState>>,
    /// The step in which alerts were last cleared: counts fall only from one step to the next.
    looked_at: AtomicU64,
}

/// An alert that was raised and not cleared.
#[derive(Debug)]
struct QuotaState {
    key: HashedKey,
    subject: AlertSubject,
}

impl Watch {
    pub(super) fn new(threshold: AlertThreshold, capacity: usize) -> Self {
        Self {
            threshold,
            table: BoundedTable::new(capacity),
            hasher: RandomState::new(),
            quota_state: Mutex::default(),
            looked_at: AtomicU64::new(0),
        }
    }

    /// Counts a failure of the subject with the key `by`, and returns an alert if it reaches the threshold.
    pub(super) fn count(&self, by: impl Hash, now: Duration, subject: impl FnOnce() -> AlertSubject) -> Option<Alert> {
        let (key, step, now) = (HashedKey::new(&self.hasher, by), self.step(now), nanos(now));
        let lapses = step.saturating_add(STEPS_WIDE).saturating_mul(self.step_nanos());
        let counted = self.table.update(key, now, |failures| {
            let count = failures.add(step, lapses);
            !failures.raised && count >= self.threshold.raise_at
        });
        // Under a flood this is the way of one request, and of all others none takes the lock.
        if counted != Ok(true) {
            return None;
        }
        let mut quota_state = self.lock();
        if quota_state.len() >= MAX_STANDING {
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
        quota_state.push(QuotaState { key, subject: subject.clone() });
        Some(self.alert(subject, AlertState::Raised, count))
    }

    /// Reports the alerts that ended, once for each step. If the callback panics, the other alerts follow in the next
    /// step.
    pub(super) fn clear_due(&self, now: Duration, tell: impl Fn(&Alert)) {
        let step = self.step(now);
        if self.looked_at.load(Ordering::Relaxed) >= step || self.looked_at.fetch_max(step, Ordering::Relaxed) >= step {
            return;
        }
        let mut rest = usize::MAX;
        while let Some(alert) = self.next_cleared(&mut rest, step, nanos(now)) {
            tell(&alert);
        }
    }

    /// The next alert that ended, from the `rest`-th backwards.
    fn next_cleared(&self, rest: &mut usize, step: u64, now: u64) -> Option<Alert> {
        let mut quota_state = self.lock();
        *rest = quota_state.len().min(*rest);
        while let Some(index) = rest.checked_sub(1) {
            *rest = index;
            let cleared = self.table.update(quota_state.get(index)?.key, now, |failures| {
                let count = failures.at(step);
                failures.raised = count >= self.threshold.clear_below;
                (!failures.raised).then_some(count)
            });
            if let Ok(Some(count)) = cleared {
                let over = quota_state.swap_remove(index);
                return Some(self.alert(over.subject, AlertState::Cleared, count));
            }
        }
        None
    }

    const fn alert(&self, subject: AlertSubject, state: AlertState, count: u32) -> Alert {
        Alert { subject, state, count, window: self.threshold.window }
    }

    /// Which tenth of a window, since the clock's beginning.
    fn step(&self, now: Duration) -> u64 {
        nanos(now).checked_div(self.step_nanos()).unwrap_or_default()
    }

    fn step_nanos(&self) -> u64 {
        nanos(self.threshold.window).div_ceil(STEPS_WIDE)
    }

    /// A panic under the lock leaves every alert whole.
    fn lock(&self) -> MutexGuard<'_, Vec<QuotaState>> {
        self.quota_state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failures of one subject, step by step, the latest first.
#[derive(Debug, Default)]
struct Failures {
    steps: [u32; STEPS],
    latest: u64,
    lapses: u64,
    raised: bool,
}

impl Failures {
    fn add(&mut self, step: u64, lapses: u64) -> u32 {
        self.advance(step);
        let [latest, ..] = &mut self.steps;
        *latest = latest.saturating_add(1);
        self.lapses = self.lapses.max(lapses);
        self.at(step)
    }

    /// How many there are within the window that ends with `step`.
    fn at(&mut self, step: u64) -> u32 {
        self.advance(step);
        self.steps.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Lets the steps go that have left the window. A thread that read the clock before another may come after it.
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
        if self.raised { u64::MAX } else { self.lapses }
    }
}

/// A window has so many steps, as the length of an array and as a factor of time.
const STEPS: usize = 10;
const STEPS_WIDE: u64 = 10;

/// The maximum number of raised alerts; an operator cannot use more.
const MAX_STANDING: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    fn subject(id: &str) -> AlertSubject {
        AlertSubject::Webhook(id.into())
    }

    #[test]
    fn entry_of_a_standing_alert_gives_its_place_to_nobody() {
        let threshold = AlertThreshold::new(1, Duration::from_secs(10)).unwrap();
        let watch = Watch::new(threshold, 1);
        let raised = watch.count("a", Duration::ZERO, || subject("a"));
        assert_eq!(raised.map(|alert| alert.state), Some(AlertState::Raised));
        // Another thread may count before the alert is cleared, long after the last failure.
        let later = Duration::from_secs(60);
        assert_eq!(watch.count("b", later, || subject("b")), None);
        let told = Mutex::new(Vec::new());
        watch.clear_due(later, |alert| told.lock().unwrap().push((alert.subject.clone(), alert.state)));
        assert_eq!(told.into_inner().unwrap(), [(subject("a"), AlertState::Cleared)]);
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
            // Until both have counted, and neither could raise.
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
