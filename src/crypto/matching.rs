//! The comparison of MACs in constant time.

use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq as _};

use crate::encoding::Tag;
use crate::secret::MAX_KEYS;

/// A signature of a request.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) tag: Tag,
    /// The index of the timestamp that it belongs to.
    pub(crate) stamp: u8,
}

/// The MAC of a request with one of its timestamps, under one key.
#[derive(Clone)]
pub(crate) struct KeyMac {
    /// The index of the key in the keyring.
    pub(crate) key: u8,
    /// The index of the timestamp.
    pub(crate) stamp: u8,
    pub(crate) tag: Tag,
}

/// The MACs of one message under each valid key.
pub(crate) type Macs = SmallVec<[KeyMac; MAX_KEYS]>;

/// Which keys match: one bit for each key and timestamp, in the order of the keys.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Matches(u16);

impl Matches {
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn first_bit(self) -> u32 {
        self.0.trailing_zeros()
    }

    /// Adds the match of one key and timestamp.
    pub(super) fn with(self, key: u8, stamp: u8) -> Self {
        Self(self.0 | 1_u16.wrapping_shl(bit(key, stamp)))
    }
}

#[inline]
fn bit(key: u8, stamp: u8) -> u32 {
    u32::from(key).wrapping_mul(STAMPS).wrapping_add(u32::from(stamp))
}

const _: () = assert!(MAX_KEYS * MAX_STAMPS <= 16, "`Matches` has one bit for each key and timestamp");

/// Compares every candidate with every MAC in full, without branching on a result.
#[inline]
pub(crate) fn matches(candidates: &[Candidate], macs: &Macs) -> Matches {
    let mut found = 0;
    for mac in macs {
        let bit = bit(mac.key, mac.stamp);
        for candidate in candidates {
            // A candidate for another timestamp is compared too. Which timestamp it belongs to is public.
            let same_stamp = Choice::from(u8::from(mac.stamp == candidate.stamp));
            let equal = same_stamp & tags_equal(&mac.tag, &candidate.tag);
            found |= u16::from(equal.unwrap_u8()).wrapping_shl(bit);
        }
    }
    Matches(found)
}

/// The maximum number of different timestamps in a request.
pub(crate) const MAX_STAMPS: usize = 2;

/// [`MAX_STAMPS`] as the distance between the bits of two keys.
const STAMPS: u32 = 2;

const _: () = assert!(MAX_STAMPS == 2, "`STAMPS` is the same number");

fn tags_equal(mac: &Tag, candidate: &Tag) -> Choice {
    // Sizes are public: the scheme fixes them, and decoding refuses any other size.
    let same_size = Choice::from(u8::from(mac.as_bytes().len() == candidate.as_bytes().len()));
    let differing = mac.words().zip(candidate.words()).fold(0, |bits, (a, b)| bits | (a ^ b));
    same_size & differing.ct_eq(&0)
}
