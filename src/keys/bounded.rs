//! A map with a maximum size.

use std::collections::HashMap;
use std::sync::Arc;

/// Values by id. When it is full, a new id replaces one that was not used in the last round: the "clock" approximation
/// of least recently used, at constant cost.
pub(super) struct Bounded<V> {
    places: HashMap<Arc<str>, usize>,
    slots: Vec<Slot<V>>,
    capacity: usize,
    hand: usize,
}

struct Slot<V> {
    id: Arc<str>,
    value: V,
    asked_for: bool,
}

impl<V> Bounded<V> {
    /// Memory is allocated as needed. A capacity of zero counts as one.
    pub(super) fn new(capacity: usize) -> Self {
        Self { places: HashMap::new(), slots: Vec::new(), capacity: capacity.max(1), hand: 0 }
    }

    pub(super) fn get(&mut self, id: &str) -> Option<&V> {
        let slot = self.slots.get_mut(*self.places.get(id)?)?;
        slot.asked_for = true;
        Some(&slot.value)
    }

    /// Inserts a value, and returns the value that it replaced: the id's own or the evicted one.
    pub(super) fn insert(&mut self, id: Arc<str>, value: V) -> Option<V> {
        let slot = Slot { id, value, asked_for: false };
        let place = if let Some(place) = self.places.get(&slot.id) {
            *place
        } else if self.slots.len() < self.capacity {
            self.places.insert(slot.id.clone(), self.slots.len());
            self.slots.push(slot);
            return None;
        } else {
            let place = self.free_place();
            if let Some(old) = self.slots.get(place) {
                self.places.remove(&old.id);
            }
            self.places.insert(slot.id.clone(), place);
            place
        };
        self.slots.get_mut(place).map(|old| std::mem::replace(old, slot).value)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<V> {
        let place = self.places.remove(id)?;
        if place >= self.slots.len() {
            return None;
        }
        let slot = self.slots.swap_remove(place);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.id.clone(), place);
        }
        Some(slot.value)
    }

    pub(super) fn clear(&mut self) {
        self.places = HashMap::new();
        self.slots = Vec::new();
        self.hand = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The next place that was not used since the last round. After one round of clearing there is one.
    fn free_place(&mut self) -> usize {
        loop {
            let place = if self.hand < self.slots.len() { self.hand } else { 0 };
            self.hand = place.saturating_add(1);
            match self.slots.get_mut(place) {
                Some(slot) if slot.asked_for => slot.asked_for = false,
                _ => return place,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(capacity: usize) -> Bounded<usize> {
        let mut map = Bounded::new(capacity);
        for n in 0..capacity {
            assert_eq!(map.insert(n.to_string().into(), n), None);
        }
        map
    }

    #[test]
    fn full_map_gives_up_what_was_not_asked_for() {
        let mut map = filled(4);
        for n in [0, 2, 3] {
            assert_eq!(map.get(&n.to_string()), Some(&n));
        }
        assert_eq!(map.insert("new".into(), 9), Some(1));
        assert_eq!((map.len(), map.get("1").copied(), map.get("new").copied()), (4, None, Some(9)));
        assert_eq!(map.get("3"), Some(&3));
    }

    #[test]
    fn value_of_the_same_id_is_replaced_in_a_full_map() {
        let mut map = filled(3);
        assert_eq!(map.insert("1".into(), 7), Some(1));
        assert_eq!(["1", "0", "2"].map(|id| map.get(id).copied()), [Some(7), Some(0), Some(2)]);
        assert_eq!(map.len(), 3);
    }

    #[test]
    fn ids_are_found_after_any_removal() {
        for removed in 0..5 {
            let mut map = filled(5);
            assert_eq!(map.remove(&removed.to_string()), Some(removed));
            assert_eq!(map.remove(&removed.to_string()), None);
            for n in (0..5).filter(|n| *n != removed) {
                assert_eq!(map.get(&n.to_string()), Some(&n));
            }
        }
    }

    #[test]
    fn flood_never_exceeds_the_capacity() {
        let mut map = Bounded::new(10);
        for n in 0..10_000_usize {
            map.insert(n.to_string().into(), n);
            map.get(&(n / 2).to_string());
            if n % 7 == 0 {
                map.remove(&n.to_string());
            }
            assert!(map.len() <= 10 && map.places.len() == map.slots.len());
        }
    }
}
