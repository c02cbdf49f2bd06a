//! What is usually one or two and seldom more.

use alloc::vec::Vec;

use arrayvec::ArrayVec;

/// Up to `MOST` values. `INLINE` of them are kept in place, so that a value of this type is no larger than those and is
/// moved at little cost; more go to the heap, at once into room for all.
#[derive(Debug)]
pub(crate) enum Few<T, const INLINE: usize, const MOST: usize> {
    Inline(ArrayVec<T, INLINE>),
    Many(Vec<T>),
}

impl<T, const INLINE: usize, const MOST: usize> Few<T, INLINE, MOST> {
    pub(crate) const fn new() -> Self {
        Self::Inline(ArrayVec::new_const())
    }

    /// Adds a value where it is, as it may be large. One beyond `MOST` is left out.
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        match self {
            Self::Inline(inline) => {
                if let Err(full) = inline.try_push(value) {
                    let mut many = Vec::with_capacity(MOST);
                    many.extend(inline.drain(..).chain([full.element()]));
                    *self = Self::Many(many);
                }
            }
            Self::Many(many) if many.len() < MOST => many.push(value),
            Self::Many(_) => {}
        }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Inline(values) => values,
            Self::Many(values) => values,
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::Inline(values) => values,
            Self::Many(values) => values,
        }
    }
}

impl<T, const INLINE: usize, const MOST: usize> FromIterator<T> for Few<T, INLINE, MOST> {
    /// Values beyond `MOST` are left out.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Self::new();
        values.into_iter().for_each(|value| few.push(value));
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_up_to_the_most_is_kept_in_order() {
        for count in 0..=6_u8 {
            let mut few: Few<u8, 2, 4> = (0..count).collect();
            let kept: Vec<u8> = (0..count.min(4)).collect();
            assert_eq!(few.as_slice(), kept);
            assert_eq!(few.as_mut_slice(), kept);
            assert_eq!(matches!(few, Few::Inline(_)), count <= 2);
        }
    }
}
