//! Which link serves which slot.

use std::collections::HashSet;
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

    /// Returns a table in which these owners have these slots, and the other slots keep their owners. If a slot is given
    /// twice, the last one counts.
    #[must_use]
    pub(super) fn with<'g>(&self, given: impl IntoIterator<Item = (RangeInclusive<u16>, &'g Arc<T>)>) -> Self
    where
        T: 'g,
    {
        let mut owners = Vec::new();
        for (last, owner) in self.ranges() {
            owners.resize(usize::from(last).saturating_add(1), owner);
        }
        for (slots, owner) in given {
            if let Some(slots) = owners.get_mut(usize::from(*slots.start())..=usize::from(*slots.end())) {
                slots.fill(owner);
            }
        }
        let mut ranges: Vec<(u16, Arc<T>)> = Vec::new();
        for (slot, owner) in (0..=LAST_SLOT).zip(owners) {
            match ranges.last_mut() {
                Some((last, known)) if Arc::ptr_eq(known, owner) => *last = slot,
                _ => ranges.push((slot, Arc::clone(owner))),
            }
        }
        let highest = ranges.pop().map_or_else(|| Arc::clone(&self.highest), |(_, owner)| owner);
        Self { ranges, highest }
    }

    /// Returns whether two tables are equal.
    pub(super) fn same(&self, other: &Self) -> bool {
        let ends = |table: &Self| table.ranges().map(|(last, owner)| (last, Arc::as_ptr(owner))).collect::<Vec<_>>();
        ends(self) == ends(other)
    }

    /// Returns every owner once.
    pub(super) fn owners(&self) -> Vec<&Arc<T>> {
        let mut known = HashSet::new();
        self.ranges().map(|(_, owner)| owner).filter(|owner| known.insert(Arc::as_ptr(owner))).collect()
    }

    fn ranges(&self) -> impl Iterator<Item = (u16, &Arc<T>)> {
        self.ranges.iter().map(|(last, owner)| (*last, owner)).chain([(LAST_SLOT, &self.highest)])
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
            let changed = table.with([(slots.clone(), owner)]);
            assert_eq!(text(&changed), expected, "after {slots:?}:{owner}");
            assert!(changed.same(&changed.with([(slots.clone(), owner)])), "{slots:?}:{owner}");
            assert_eq!(changed.same(&table), expected == text(&table), "after {slots:?}:{owner}");
            table = changed;
        }
    }

    #[test]
    fn owner_of_each_slot_is_its_ranges() {
        let [a, b] = ["a", "b"].map(Arc::new);
        let table = SlotTable::new(a).with([(100..=200, &b)]);
        for (slot, owner) in [(0, "a"), (99, "a"), (100, "b"), (200, "b"), (201, "a"), (16_383, "a")] {
            assert_eq!(**table.owner(slot), owner, "{slot}");
        }
        let owners: Vec<_> = table.owners().into_iter().map(|owner| **owner).collect();
        assert_eq!(owners, ["a", "b"]);
    }

    #[test]
    fn last_owner_of_a_slot_counts() {
        let [a, b, c] = ["a", "b", "c"].map(Arc::new);
        let table = SlotTable::new(a).with([(100..=200, &b), (0..=49, &c), (150..=150, &c), (201..=300, &b)]);
        assert_eq!(text(&table), "49:c 99:a 149:b 150:c 300:b 16383:a");
    }
}
