//! The limits on the input that a scheme reads.

use core::ops::RangeInclusive;

/// The maximum number of signature candidates in a request, unless the scheme sets another.
pub(super) const MAX_CANDIDATES: u8 = 32;

/// The maxima that a scheme can set. A signer makes one signature for each of up to eight keys.
pub(super) const MAX_CANDIDATES_RANGE: RangeInclusive<u8> = 8..=128;

/// The maximum number of signatures in a request of a scheme with public keys.
pub(super) const MAX_PUBLIC_KEY_SIGNATURES: u8 = 16;

/// The maximum length, in bytes, of a header value that a scheme reads.
pub(crate) const MAX_VALUE_BYTES: usize = 8_192;

/// The maximum length of a timestamp's text in bytes. It is enough for RFC 3339 with an offset and a fraction that is
/// finer than that of any clock.
pub(super) const MAX_TIMESTAMP_BYTES: usize = 64;

/// The maximum number of names in a list of headers.
pub(super) const MAX_LISTED: usize = 32;

/// The maximum number of signed parts.
pub(super) const MAX_PARTS: usize = 16;
