//! How signatures are written in a header: hex or base64.
//!
//! A scheme has one [`Encoding`]. Decoding is strict: a signature must decode to exactly as many bytes as the scheme's
//! MAC has, and a base64 text must be in its canonical form.
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

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a scheme writes a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Encoding {
    /// Hexadecimal: upper, lower and mixed case are accepted, lower case is written.
    #[default]
    Hex,
    /// Base64 with the standard alphabet and padding ([RFC 4648 section
    /// 4](https://www.rfc-editor.org/rfc/rfc4648#section-4)). A text that is not in canonical form is refused.
    Base64,
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
                // The decoder would skip a `0x`, but then it has too few bytes for the slice, and says so.
                let mut tag = Tag { bytes: [0; MAX_TAG], size: u8::try_from(size).ok()? };
                const_hex::decode_to_slice(text, tag.bytes.get_mut(..size)?).ok()?;
                Some(tag)
            }
            Self::Base64 => {
                // The decoder wants room for an estimate that is up to two bytes too high.
                let mut buffer = [0; MAX_TAG + 4];
                if text.len() != size.div_ceil(3).checked_mul(4)? {
                    return None;
                }
                let decoded = STANDARD.decode_slice(text, &mut buffer).ok()?;
                if decoded == size { Tag::from_bytes(buffer.get(..size)?) } else { None }
            }
        }
    }

    pub(crate) fn encode(self, tag: &Tag) -> String {
        match self {
            Self::Hex => const_hex::encode(tag.as_bytes()),
            Self::Base64 => STANDARD.encode(tag.as_bytes()),
        }
    }

    /// Decodes a secret's text. The codecs' errors are dropped because they quote their input.
    pub(crate) fn decode_secret(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => {
                let mut bytes = alloc::vec![0; text.len() / 2];
                const_hex::decode_to_slice(text, &mut bytes).ok()?;
                if text.len().is_multiple_of(2) { Some(bytes) } else { None }
            }
            Self::Base64 => STANDARD.decode(text).ok(),
        }
    }
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

    /// The tag in words of eight bytes; the last one is padded with zeros.
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

/// The size of the longest MAC in bytes: HMAC-SHA-512.
const MAX_TAG: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 32] = [0xfb; 32];

    #[test]
    fn hex_of_the_exact_length_decodes_in_any_case() {
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
    fn base64_only_in_its_canonical_form_decodes() {
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
    fn tag_of_64_bytes_survives_base64() {
        let text = STANDARD.encode([7; 64]);
        assert_eq!(Encoding::Base64.decode_tag(text.as_bytes(), 64).unwrap().as_bytes(), [7; 64]);
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
        assert_eq!(Encoding::Hex.decode_secret("00ffAb"), Some(alloc::vec![0, 0xff, 0xab]));
        assert_eq!(Encoding::Base64.decode_secret("+/8="), Some(alloc::vec![0xfb, 0xff]));
        for text in ["0", "0g", "00f", " 00", "0x00"] {
            assert_eq!(Encoding::Hex.decode_secret(text), None, "{text:?}");
        }
        for text in ["+/8", "-_8=", "+/9=", "a"] {
            assert_eq!(Encoding::Base64.decode_secret(text), None, "{text:?}");
        }
    }
}
