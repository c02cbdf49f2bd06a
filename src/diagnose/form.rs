//! One form of an input of the search, with its mistakes.

use super::cause::Cause;

/// One form of a key, body, content, method or signature, and the mistakes that it means.
pub(super) struct Form<T> {
    pub(super) value: T,
    pub(super) causes: Vec<Cause>,
    /// How many of the [`MAX_MISTAKES`] that may be combined it uses up. A form with more uses all of them.
    pub(super) weight: usize,
}

impl<T> Form<T> {
    pub(super) const fn plain(value: T) -> Self {
        Self { value, causes: Vec::new(), weight: 0 }
    }

    pub(super) fn with_causes(value: T, causes: impl IntoIterator<Item = Cause>) -> Self {
        let causes: Vec<Cause> = causes.into_iter().collect();
        Self { value, weight: causes.len().min(MAX_MISTAKES), causes }
    }

    /// Excludes an unlikely form from combinations with other mistakes.
    pub(super) fn uncombined(self) -> Self {
        Self { weight: MAX_MISTAKES, ..self }
    }
}

/// The maximum number of mistakes that are combined, in addition to those in how the signature is written.
pub(super) const MAX_MISTAKES: usize = 2;
