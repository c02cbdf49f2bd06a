//! One form of a part of a signature, with what would be wrong with it.

use super::cause::Cause;

/// One way in which a part of a signature may have been made, and what is then wrong.
pub(super) struct Form<T> {
    pub(super) value: T,
    pub(super) causes: Vec<Cause>,
    /// How much it takes of the two faults that are searched for together.
    pub(super) weight: usize,
}

impl<T> Form<T> {
    pub(super) const fn plain(value: T) -> Self {
        Self { value, causes: Vec::new(), weight: 0 }
    }

    pub(super) fn faulty(value: T, causes: impl IntoIterator<Item = Cause>) -> Self {
        let causes: Vec<Cause> = causes.into_iter().collect();
        Self { value, weight: causes.len(), causes }
    }

    /// A form too far-fetched to go with another one.
    pub(super) fn alone(self) -> Self {
        Self { weight: MOST_FAULTS, ..self }
    }
}

/// The most faults that are searched for together, those in how the signature is written aside.
pub(super) const MOST_FAULTS: usize = 2;
