//! Metrics with one label whose values are not known in advance.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

/// Handles by label, created when first needed: at most `capacity`, and one for all other labels.
#[derive(Debug)]
pub(super) struct Family<T> {
    /// The first labels, which are compared one by one. Most families have one or two.
    first: [OnceLock<(Arc<str>, T)>; FIRST],
    /// Further labels. A new one copies the table; later lookups only read it.
    further: ArcSwap<HashMap<Arc<str>, T>>,
    capacity: usize,
    others: OnceLock<T>,
}

impl<T: Clone> Family<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let first = [const { OnceLock::new() }; FIRST];
        Self { first, further: ArcSwap::default(), capacity, others: OnceLock::new() }
    }

    /// Calls `then` with the member of `label`. `make` receives the label that the member will have.
    pub(super) fn with(&self, label: &str, make: impl Fn(&str) -> T, then: impl FnOnce(&T)) {
        for slot in self.first.iter().take(self.capacity) {
            // Another thread may fill the slot first, with another label.
            let (known, member) = slot.get_or_init(|| (label.into(), make(label)));
            if **known == *label {
                return then(member);
            }
        }
        let room = self.capacity.saturating_sub(FIRST);
        let further = self.further.load();
        if let Some(member) = further.get(label) {
            return then(member);
        }
        if further.len() >= room {
            return then(self.others.get_or_init(|| make(OTHER)));
        }
        drop(further);
        // If two threads do this for one label, the recorder returns the same metric to both.
        let member = make(label);
        let label: Arc<str> = label.into();
        self.further.rcu(|further| {
            let mut further = HashMap::clone(further);
            if further.len() < room {
                further.insert(Arc::clone(&label), member.clone());
            }
            further
        });
        then(&member);
    }
}

const FIRST: usize = 4;

/// The label of everything beyond the capacity.
pub(super) const OTHER: &str = "other";
