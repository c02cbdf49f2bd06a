//! Metrics with one label whose values are not known in advance.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use arrayvec::ArrayVec;

/// Handles by label, created when first needed: at most `capacity`, and one for all other labels. A new label copies
/// the table; later lookups only read it.
#[derive(Debug)]
pub(super) struct Family<T> {
    members: ArcSwap<Members<T>>,
    capacity: usize,
    others: OnceLock<T>,
}

impl<T: Clone> Family<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { members: ArcSwap::default(), capacity, others: OnceLock::new() }
    }

    /// Calls `then` with the member of `label`. `make` receives the label that the member will have.
    pub(super) fn with(&self, label: &str, make: impl FnOnce(&str) -> T, then: impl FnOnce(&T)) {
        let members = self.members.load();
        if let Some(member) = members.get(label) {
            return then(member);
        }
        if members.len() >= self.capacity {
            return then(self.others.get_or_init(|| make(OTHER)));
        }
        drop(members);
        // If two threads do this for one label, the recorder returns the same metric to both.
        let member = make(label);
        let label: Arc<str> = label.into();
        self.members.rcu(|members| {
            let mut members = Members::clone(members);
            if members.len() < self.capacity {
                members.insert(Arc::clone(&label), member.clone());
            }
            members
        });
        then(&member);
    }
}

/// The members of a family. Most families have one or two, and comparing those is faster than hashing.
#[derive(Debug, Clone)]
enum Members<T> {
    Few(ArrayVec<(Arc<str>, T), 4>),
    Many(HashMap<Arc<str>, T>),
}

impl<T> Members<T> {
    fn len(&self) -> usize {
        match self {
            Self::Few(members) => members.len(),
            Self::Many(members) => members.len(),
        }
    }

    fn get(&self, label: &str) -> Option<&T> {
        match self {
            Self::Few(members) => members.iter().find(|(known, _)| **known == *label).map(|(_, member)| member),
            Self::Many(members) => members.get(label),
        }
    }

    fn insert(&mut self, label: Arc<str>, member: T) {
        match self {
            Self::Many(members) => drop(members.insert(label, member)),
            // Another thread inserted the label first. The recorder returned the same metric to both.
            Self::Few(members) if members.iter().any(|(known, _)| *known == label) => {}
            Self::Few(members) => {
                if let Err(full) = members.try_push((label, member)) {
                    *self = Self::Many(members.drain(..).chain([full.element()]).collect());
                }
            }
        }
    }
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self::Few(ArrayVec::new_const())
    }
}

/// The label of everything beyond the capacity.
const OTHER: &str = "other";
