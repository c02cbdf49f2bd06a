//! How signatures are written in a header: hex, base64 or base64url.
//!
//! A scheme has one [`Encoding`]. Decoding is strict: a signature must decode to as many bytes as the scheme's
//! algorithm has, and a base64 text must be in the canonical form of the scheme's alphabet and padding.
//!
//! ```
//! use hookwarden::Scheme;
//! use hookwarden::encoding::Encoding;
//!
//! assert_eq!(Scheme::github().encoding(), Encoding::Hex);
//! assert_eq!(Scheme::standard_webhooks().encoding(), Encoding::Base64);
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// How a scheme writes a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Encoding {
    /// Hexadecimal. Upper, lower and mixed case are accepted; signers write lower case.
    #[default]
    Hex,
    /// Base64 with the standard alphabet and padding ([RFC 4648 section
    /// 4](https://www.rfc-editor.org/rfc/rfc4648#section-4)). A text that is not in canonical form is refused.
    Base64,
    /// Base64 with the URL-safe alphabet, `-` and `_` for `+` and `/`, and with padding ([RFC 4648 section
    /// 5](https://www.rfc-editor.org/rfc/rfc4648#section-5)). A text that is not in canonical form is refused.
    #[cfg_attr(feature = "serde", serde(rename = "base64url"))]
    Base64Url,
    /// Base64 with the URL-safe alphabet and without padding ([RFC 7515 section
    /// 2](https://www.rfc-editor.org/rfc/rfc7515#section-2)). A text with padding, or otherwise not in canonical form,
    /// is refused.
    #[cfg_attr(feature = "serde", serde(rename = "base64url_unpadded"))]
    Base64UrlUnpadded,
}

impl Encoding {
    /// Decodes `text` if it encodes exactly `size` bytes.
    #[inline]
    pub(crate) fn decode_tag(self, text: &[u8], size: usize) -> Option<Tag> {
        match self {
            Self::Hex => {
                if text.len() != size.checked_mul(2)? {
                    return None;
                }
                // The decoder skips a prefix `0x`, and then fails because too few digits remain.
                let mut tag = Tag { bytes: [0; MAX_TAG], size: u8::try_from(size).ok()? };
                const_hex::decode_to_slice(text, tag.bytes.get_mut(..size)?).ok()?;
                Some(tag)
            }
            Self::Base64 => decode_base64(&STANDARD, text, size, size.div_ceil(3).checked_mul(4)?),
            Self::Base64Url => decode_base64(&URL_SAFE, text, size, size.div_ceil(3).checked_mul(4)?),
            Self::Base64UrlUnpadded => decode_base64(&URL_SAFE_NO_PAD, text, size, size.checked_mul(4)?.div_ceil(3)),
        }
    }

    /// Decodes a signature with a public key if its size is one of `sizes`.
    pub(crate) fn decode_signature(self, text: &[u8], sizes: &RangeInclusive<usize>) -> Option<Vec<u8>> {
        // No encoding needs more than two letters for a byte.
        if text.len() > sizes.end().checked_mul(2)? {
            return None;
        }
        self.decode(text).filter(|bytes| sizes.contains(&bytes.len()))
    }

    /// Decodes `text`, or returns `None` if it is anything but the encoding of some bytes. Hex can be in upper and lower
    /// case. For a [`CustomScheme`](crate::scheme::CustomScheme); the time depends on the bytes, so it is not for secrets.
    ///
    /// ```
    /// use hookwarden::encoding::Encoding;
    ///
    /// assert_eq!(Encoding::Hex.decode(b"0aFF").as_deref(), Some(&[10, 255][..]));
    /// assert_eq!(Encoding::Hex.decode(b"0x0a"), None);
    /// assert_eq!(Encoding::Base64UrlUnpadded.decode(b"_-8").as_deref(), Some(&[255, 239][..]));
    /// ```
    #[must_use]
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => {
                // The decoder skips a prefix `0x`, so that the size is wrong then.
                let mut bytes = alloc::vec![0; text.len() / 2];
                const_hex::decode_to_slice(text, &mut bytes).ok()?;
                if text.len().is_multiple_of(2) { Some(bytes) } else { None }
            }
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Base64Url => URL_SAFE.decode(text).ok(),
            Self::Base64UrlUnpadded => URL_SAFE_NO_PAD.decode(text).ok(),
        }
    }

    /// Encodes `bytes`. Hex is in lower case.
    #[must_use]
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => const_hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base64Url => URL_SAFE.encode(bytes),
            Self::Base64UrlUnpadded => URL_SAFE_NO_PAD.encode(bytes),
        }
    }

    /// Encodes `tag` without allocation.
    pub(crate) fn encode_in_place(self, tag: &Tag) -> Option<EncodedTag> {
        let mut text = EncodedTag { bytes: [0; MAX_TAG * 2], size: 0 };
        let size = match self {
            Self::Hex => {
                let size = tag.as_bytes().len().checked_mul(2)?;
                const_hex::encode_to_slice(tag.as_bytes(), text.bytes.get_mut(..size)?).ok()?;
                size
            }
            Self::Base64 => STANDARD.encode_slice(tag.as_bytes(), &mut text.bytes).ok()?,
            Self::Base64Url => URL_SAFE.encode_slice(tag.as_bytes(), &mut text.bytes).ok()?,
            Self::Base64UrlUnpadded => URL_SAFE_NO_PAD.encode_slice(tag.as_bytes(), &mut text.bytes).ok()?,
        };
        text.size = u8::try_from(size).ok()?;
        Some(text)
    }

    /// Whether a signature can contain the character.
    pub(crate) fn can_write(self, character: char) -> bool {
        let is_special = match self {
            Self::Hex | Self::Base64 => false,
            Self::Base64Url | Self::Base64UrlUnpadded => matches!(character, '-' | '_'),
        };
        // For hex and unpadded base64 these are more than needed, so that a separator fits any standard encoding.
        is_special || character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=')
    }
}

/// Decodes the hex of a secret. The errors of the codecs are dropped, because they quote their input.
pub(crate) fn decode_secret_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(alloc::vec![0; text.len() / 2]);
    const_hex::decode_to_slice(text, &mut bytes[..]).ok()?;
    if text.len().is_multiple_of(2) { Some(bytes) } else { None }
}

/// Decodes the padded base64 of a secret.
pub(crate) fn decode_secret_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    decode_wiped(&STANDARD, text)
}

/// Decodes the base64 of a secret with its whole padding or without any.
pub(crate) fn decode_secret_base64_any_padding(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    decode_wiped(if text.ends_with('=') { &STANDARD } else { &STANDARD_NO_PAD }, text)
}

/// Decodes base64 or base64url, with its whole padding or without any.
pub(crate) fn decode_base64_any(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let engine = match (text.contains(['-', '_']), text.ends_with('=')) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    };
    decode_wiped(engine, text)
}

/// Decodes base64url without padding.
pub(crate) fn decode_base64url_unpadded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    decode_wiped(&URL_SAFE_NO_PAD, text)
}

/// Decodes `text`. The bytes are wiped on drop, also those that were decoded before an error.
fn decode_wiped(engine: &GeneralPurpose, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(alloc::vec![0; base64::decoded_len_estimate(text.len())]);
    let length = engine.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// Decodes `text` if it has `length` letters that encode exactly `size` bytes. It is not inlined, so that hex, the most
/// common encoding, stays small.
#[inline(never)]
fn decode_base64(engine: &GeneralPurpose, text: &[u8], size: usize, length: usize) -> Option<Tag> {
    // The decoder requires room for its estimate of the size, which is up to two bytes too high.
    let mut buffer = [0; MAX_TAG + 4];
    if text.len() != length {
        return None;
    }
    let decoded = engine.decode_slice(text, &mut buffer).ok()?;
    if decoded == size { Tag::from_bytes(buffer.get(..size)?) } else { None }
}

/// A MAC or a candidate for one: up to 64 bytes, followed by zeros.
#[derive(Clone)]
pub(crate) struct Tag {
    bytes: [u8; MAX_TAG],
    size: u8,
}

impl Tag {
    #[inline]
    pub(crate) fn from_bytes(source: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_TAG];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        Some(Self { bytes, size: u8::try_from(source.len()).ok()? })
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.size)).unwrap_or_default()
    }

    /// Returns the tag in words of eight bytes. The last one is padded with zeros.
    #[inline]
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        self.bytes.as_chunks().0.iter().take(usize::from(self.size.div_ceil(8))).map(|word| u64::from_le_bytes(*word))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(…)")
    }
}

/// The text of a tag: up to 128 characters, the hex of 64 bytes.
pub(crate) struct EncodedTag {
    bytes: [u8; MAX_TAG * 2],
    size: u8,
}

impl EncodedTag {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.size)).unwrap_or_default()
    }
}

/// The size of the longest MAC in bytes: HMAC-SHA-512.
const MAX_TAG: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 32] = [0xfb; 32];

    #[test]
    fn hex_of_exact_length_decodes_in_any_case() {
        for text in [const_hex::encode(BYTES), const_hex::encode_upper(BYTES), "fBFb".repeat(16)] {
            let tag = Encoding::Hex.decode_tag(text.as_bytes(), 32).unwrap();
            assert_eq!(tag.as_bytes(), BYTES, "{text}");
        }
    }

    #[test]
    fn tag_of_any_other_length_is_refused() {
        for size in (0..=80).filter(|size| *size != 32) {
            let bytes = alloc::vec![0xfb; size];
            let (hex, base64) = (const_hex::encode(&bytes), STANDARD.encode(&bytes));
            assert!(Encoding::Hex.decode_tag(hex.as_bytes(), 32).is_none(), "{size}");
            assert!(Encoding::Base64.decode_tag(base64.as_bytes(), 32).is_none(), "{size}");
        }
        assert!(Encoding::Hex.decode_tag(&[b'a'; 63], 32).is_none());
        assert!(Encoding::Hex.decode_tag(&[b'a'; 65], 32).is_none());
        assert!(Encoding::Hex.decode_tag(alloc::format!("0x{}", "a".repeat(62)).as_bytes(), 32).is_none());
        assert!(Encoding::Hex.decode_tag(alloc::format!("0x{}", "a".repeat(64)).as_bytes(), 32).is_none());
    }

    #[test]
    fn hex_with_any_other_byte_is_refused() {
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_hexdigit()) {
            for place in [0, 31, 63] {
                let mut text = [b'a'; 64];
                text[place] = byte;
                assert!(Encoding::Hex.decode_tag(&text, 32).is_none(), "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn only_canonical_base64_decodes() {
        let good = STANDARD.encode(BYTES);
        assert_eq!(Encoding::Base64.decode_tag(good.as_bytes(), 32).unwrap().as_bytes(), BYTES);
        let unpadded = good.trim_end_matches('=');
        let url_safe = good.replace('+', "-").replace('/', "_");
        // The last letter before the padding carries two bits that must be zero.
        let trailing_bits = unpadded.strip_suffix('s').map(|head| alloc::format!("{head}t=")).unwrap();
        for text in [unpadded, &url_safe, &trailing_bits, &alloc::format!("{unpadded} "), &alloc::format!("{good}\n")] {
            assert!(Encoding::Base64.decode_tag(text.as_bytes(), 32).is_none(), "{text:?}");
        }
    }

    #[test]
    fn base64_tag_of_64_bytes_decodes() {
        let text = STANDARD.encode([7; 64]);
        assert_eq!(Encoding::Base64.decode_tag(text.as_bytes(), 64).unwrap().as_bytes(), [7; 64]);
    }

    #[test]
    fn only_the_named_form_of_base64url_decodes() {
        let (padded, unpadded) = (URL_SAFE.encode(BYTES), URL_SAFE_NO_PAD.encode(BYTES));
        let standard = STANDARD.encode(BYTES);
        let bare = standard.trim_end_matches('=');
        let trailing_bits = unpadded.strip_suffix('s').map(|head| alloc::format!("{head}t")).unwrap();
        let padded_bits = alloc::format!("{trailing_bits}=");
        let forms = [&padded, &unpadded, &standard, bare, &trailing_bits, &padded_bits];
        for (encoding, good) in [(Encoding::Base64Url, &padded), (Encoding::Base64UrlUnpadded, &unpadded)] {
            for text in forms.into_iter().chain([&*alloc::format!("{good} "), &alloc::format!("{good}=")]) {
                let tag = encoding.decode_tag(text.as_bytes(), 32);
                assert_eq!(tag.is_some(), text == good, "{encoding:?} {text:?}");
                assert!(tag.is_none_or(|tag| tag.as_bytes() == BYTES));
            }
        }
    }

    #[test]
    fn every_encoding_decodes_what_it_encodes() {
        for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64Url, Encoding::Base64UrlUnpadded] {
            for size in [20, 32, 64] {
                let bytes: Vec<u8> = (0_u8..).map(|byte| byte.wrapping_mul(37).wrapping_add(250)).take(size).collect();
                let tag = Tag::from_bytes(&bytes).unwrap();
                let text = encoding.encode(tag.as_bytes());
                assert_eq!(encoding.encode_in_place(&tag).unwrap().as_bytes(), text.as_bytes());
                assert_eq!(
                    encoding.decode_tag(text.as_bytes(), size).unwrap().as_bytes(),
                    bytes,
                    "{encoding:?} {size}"
                );
                assert!(text.chars().all(|character| encoding.can_write(character)), "{encoding:?} {text}");
                for other in (0..=64).filter(|other| *other != size) {
                    assert!(encoding.decode_tag(text.as_bytes(), other).is_none(), "{encoding:?} {size} {other}");
                }
            }
        }
    }

    #[test]
    fn words_cover_every_byte_of_a_tag() {
        for size in [20, 32, 64] {
            for flipped in 0..size {
                let mut bytes = alloc::vec![0x55; size];
                bytes[flipped] ^= 1;
                let (a, b) = (Tag::from_bytes(&alloc::vec![0x55; size]).unwrap(), Tag::from_bytes(&bytes).unwrap());
                assert!(!a.words().eq(b.words()), "byte {flipped} of {size}");
            }
        }
    }

    #[test]
    fn secret_text_decodes_strictly() {
        assert_eq!(decode_secret_hex("00ffAb"), Some(Zeroizing::new(alloc::vec![0, 0xff, 0xab])));
        assert_eq!(decode_secret_base64("+/8="), Some(Zeroizing::new(alloc::vec![0xfb, 0xff])));
        assert_eq!(decode_secret_base64_any_padding("+/8="), Some(Zeroizing::new(alloc::vec![0xfb, 0xff])));
        assert_eq!(decode_secret_base64_any_padding("+/8"), Some(Zeroizing::new(alloc::vec![0xfb, 0xff])));
        for text in ["0", "0g", "00f", " 00", "0x00"] {
            assert_eq!(decode_secret_hex(text), None, "{text:?}");
        }
        for text in ["-_8=", "+/9=", "a", "+w=", "+/8=="] {
            assert_eq!(decode_secret_base64(text), None, "{text:?}");
            assert_eq!(decode_secret_base64_any_padding(text), None, "{text:?}");
        }
        assert_eq!(decode_secret_base64("+/8"), None);
        assert_eq!(decode_secret_base64_any_padding("+/9"), None);
    }
}
