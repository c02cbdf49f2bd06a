//! Which link serves which slot.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::slot::LAST_SLOT;

/// The owner of every slot. A table does not change; a change makes another one.
pub(super) struct SlotTable<T> {
    /// The last slot of each range except the highest one, and its owner. In ascending order and without gaps.
    ranges: Vec<(u16, Arc<T>)>,
    /// The owner of the highest range.
    highest: Arc<T>,
}

impl<T> SlotTable<T> {
    /// Creates a table in which one owner has all slots.
    pub(super) const fn new(owner: Arc<T>) -> Self {
        Self { ranges: Vec::new(), highest: owner }
    }

    pub(super) fn owner(&self, slot: u16) -> &Arc<T> {
        let index = self.ranges.partition_point(|(last, _)| *last < slot);
        self.ranges.get(index).map_or(&self.highest, |(_, owner)| owner)
    }

    /// Returns whether `owner` has all of the slots.
    pub(super) fn has(&self, slots: &RangeInclusive<u16>, owner: &Arc<T>) -> bool {
        let index = self.ranges.partition_point(|(last, _)| last < slots.start());
        // Neighboring ranges have different owners.
        let (last, known) = self.ranges.get(index).map_or((LAST_SLOT, &self.highest), |(last, known)| (*last, known));
        Arc::ptr_eq(known, owner) && *slots.end() <= last
    }

    /// Returns a table in which `owner` has the slots, and the other slots keep their owners.
    #[must_use]
    pub(super) fn with(&self, slots: &RangeInclusive<u16>, owner: &Arc<T>) -> Self {
        let (first, last) = (*slots.start(), *slots.end());
        let mut next = Vec::new();
        for (end, other) in self.ranges().filter(|(end, _)| *end < first) {
            push(&mut next, end, other);
        }
        if let Some(before) = first.checked_sub(1) {
            push(&mut next, before, self.owner(before));
        }
        push(&mut next, last, owner);
        for (end, other) in self.ranges().filter(|(end, _)| *end > last) {
            push(&mut next, end, other);
        }
        let highest = next.pop().map_or_else(|| Arc::clone(&self.highest), |(_, owner)| owner);
        Self { ranges: next, highest }
    }

    /// Returns every owner once.
    pub(super) fn owners(&self) -> Vec<&Arc<T>> {
        let mut owners: Vec<&Arc<T>> = Vec::new();
        for (_, owner) in self.ranges() {
            if !owners.iter().any(|known| Arc::ptr_eq(known, owner)) {
                owners.push(owner);
            }
        }
        owners
    }

    fn ranges(&self) -> impl Iterator<Item = (u16, &Arc<T>)> {
        self.ranges.iter().map(|(last, owner)| (*last, owner)).chain([(LAST_SLOT, &self.highest)])
    }
}

/// Adds a range that ends at `last`, or extends the range before it if that has the same owner.
fn push<T>(ranges: &mut Vec<(u16, Arc<T>)>, last: u16, owner: &Arc<T>) {
    match ranges.last_mut() {
        Some((end, _)) if *end >= last => {}
        Some((end, before)) if Arc::ptr_eq(before, owner) => *end = last,
        _ => ranges.push((last, Arc::clone(owner))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranges and their owners, as `last:owner`.
    fn text(table: &SlotTable<&str>) -> String {
        table.ranges().map(|(last, owner)| format!("{last}:{owner}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn changes_keep_the_other_slots_owners() {
        let [a, b, c] = ["a", "b", "c"].map(Arc::new);
        let mut table = SlotTable::new(Arc::clone(&a));
        for (slots, owner, expected) in [
            (0..=16_383, &a, "16383:a"),
            (0..=99, &b, "99:b 16383:a"),
            (16_383..=16_383, &c, "99:b 16382:a 16383:c"),
            (50..=50, &c, "49:b 50:c 99:b 16382:a 16383:c"),
            (50..=50, &b, "99:b 16382:a 16383:c"),
            (90..=16_382, &c, "89:b 16383:c"),
            (0..=0, &a, "0:a 89:b 16383:c"),
            (0..=16_383, &b, "16383:b"),
        ] {
            table = table.with(&slots, owner);
            assert_eq!(text(&table), expected, "after {slots:?}:{owner}");
            assert!(table.has(&slots, owner), "{slots:?}:{owner}");
        }
    }

    #[test]
    fn owner_of_each_slot_is_its_ranges() {
        let [a, b] = ["a", "b"].map(Arc::new);
        let table = SlotTable::new(a).with(&(100..=200), &b);
        for (slot, owner) in [(0, "a"), (99, "a"), (100, "b"), (200, "b"), (201, "a"), (16_383, "a")] {
            assert_eq!(**table.owner(slot), owner, "{slot}");
        }
        for (slots, has) in
            [(100..=200, true), (150..=150, true), (99..=200, false), (100..=201, false), (0..=99, false)]
        {
            assert_eq!(table.has(&slots, &b), has, "{slots:?}");
        }
        let owners: Vec<_> = table.owners().into_iter().map(|owner| **owner).collect();
        assert_eq!(owners, ["a", "b"]);
    }
}
