//! Keyed hashes, for tables whose keys unauthenticated clients choose. The hash keys are random, so clients cannot search
//! for collisions.

use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::LazyLock;

/// A keyed hash of a table key. It keeps entries small for keys of any size.
///
/// Among 65,536 keys, two share a hash with a probability of about 2⁻³³.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HashedKey(u64);

impl HashedKey {
    pub(crate) fn new(secret: &RandomState, key: impl Hash) -> Self {
        Self(secret.hash_one(key))
    }

    /// The hash of a webhook id. The tables that every request uses derive their keys from it, so that a request hashes
    /// its id once.
    pub(crate) fn of_id(webhook_id: &str) -> Self {
        Self::of_id_bytes(webhook_id.as_bytes())
    }

    fn of_id_bytes(webhook_id: &[u8]) -> Self {
        static SECRET: LazyLock<TextHash> = LazyLock::new(TextHash::default);
        SECRET.of(webhook_id)
    }

    /// The placeholder for a missing key.
    pub(crate) const NONE: Self = Self(0);

    #[cfg(test)]
    pub(crate) const fn from_u64(hash: u64) -> Self {
        Self(hash)
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns a number below `count`, or zero if `count` is zero.
    pub(crate) fn below(self, count: u8) -> u8 {
        self.0.checked_rem(count.into()).and_then(|rest| u8::try_from(rest).ok()).unwrap_or(0)
    }
}

/// A keyed hash of `N` words, which takes less time than a hash of their bytes.
///
/// It is strongly universal: two different inputs share a hash with a probability of 2⁻⁶⁴. This is multiply-shift for
/// vectors ([Thorup, High Speed Hashing for Integers and Strings](https://arxiv.org/abs/1504.06804), section 3.3).
#[derive(Debug)]
pub(crate) struct WordHash<const N: usize> {
    factors: [u128; N],
    offset: u128,
}

impl<const N: usize> WordHash<N> {
    #[inline]
    pub(crate) fn of(&self, words: [u64; N]) -> HashedKey {
        let add = |sum: u128, (factor, word): (&u128, u64)| sum.wrapping_add(factor.wrapping_mul(word.into()));
        let [high, ..] = split(self.factors.iter().zip(words).fold(self.offset, add));
        HashedKey(high)
    }
}

impl<const N: usize> Default for WordHash<N> {
    /// Chooses random factors.
    fn default() -> Self {
        let random = RandomState::new();
        let number = |index: usize| {
            let word = |half: bool| u128::from(random.hash_one((index, half)));
            (word(true) << 64) | word(false)
        };
        Self { factors: std::array::from_fn(number), offset: number(N) }
    }
}

/// A keyed hash of texts. Short ones, such as most ids, are hashed as words.
#[derive(Debug, Default)]
struct TextHash {
    words: WordHash<5>,
    long: RandomState,
}

impl TextHash {
    #[inline]
    fn of(&self, text: &[u8]) -> HashedKey {
        let mut words = [0; 5];
        let [length, parts @ ..] = &mut words;
        if text.len() > size_of_val(parts) {
            return HashedKey::new(&self.long, text);
        }
        *length = u64::try_from(text.len()).unwrap_or_default();
        for (word, chunk) in parts.iter_mut().zip(text.chunks(size_of::<u64>())) {
            let mut bytes = [0; size_of::<u64>()];
            bytes.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            *word = u64::from_ne_bytes(bytes);
        }
        self.words.of(words)
    }
}

/// Hashes webhook ids in a [`HashMap`](std::collections::HashMap) like [`HashedKey::of_id`].
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, id: &[u8]) {
        self.0 = HashedKey::of_id_bytes(id).as_u64();
    }

    /// The end of a text.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Splits a number into its high and its low word.
pub(crate) fn split(number: u128) -> [u64; 2] {
    [number >> 64, number & u128::from(u64::MAX)].map(|word| u64::try_from(word).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_word_changes_the_hash() {
        let hash = WordHash::<3>::default();
        let words = [0, 1, u64::MAX];
        let inputs = words.iter().flat_map(|a| words.iter().flat_map(|b| words.map(|c| [*a, *b, c])));
        let hashes: HashSet<HashedKey> = inputs.map(|words| hash.of(words)).collect();
        assert_eq!(hashes.len(), 27);
    }

    #[test]
    fn every_bit_of_the_hash_takes_both_values() {
        let hash = WordHash::<2>::default();
        let hashes = || (0..1_000).map(|number| hash.of([number, 0]).as_u64());
        assert_eq!(
            (hashes().fold(0, |or, hash| or | hash), hashes().fold(u64::MAX, |and, hash| and & hash)),
            (u64::MAX, 0)
        );
    }

    #[test]
    fn texts_differ_by_each_byte_and_their_length() {
        let hash = TextHash::default();
        let texts = (0..48).flat_map(|length| {
            let changed = (0..length).map(move |place| {
                let mut text = vec![0; length];
                text[place] = 1;
                text
            });
            changed.chain([vec![0; length]])
        });
        let texts: HashSet<Vec<u8>> = texts.collect();
        let hashes: HashSet<HashedKey> = texts.iter().map(|text| hash.of(text)).collect();
        assert_eq!(hashes.len(), texts.len());
    }

    #[test]
    fn each_hash_has_its_own_factors() {
        let [one, other] = [(); 2].map(|()| WordHash::<1>::default());
        assert_ne!((one.of([1]), one.of([2])), (other.of([1]), other.of([2])));
    }
}
