//! How a signature's bytes are written as text.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::diagnose::cause::{Cause, CauseKind};
use crate::encoding::Encoding;
use crate::headers::FieldName;

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnose) enum Spelling {
    Hex,
    Base64,
    Base64Unpadded,
    Base64Url,
    Base64UrlUnpadded,
    Base64OfHex,
    HexPrefixed,
    PercentEncoded,
    SpaceForPlus,
}

impl Spelling {
    pub(in crate::diagnose) const fn describe(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base64Unpadded => "base64 without its padding",
            Self::Base64Url => "URL-safe base64",
            Self::Base64UrlUnpadded => "URL-safe base64 without its padding",
            Self::Base64OfHex => "base64 of the hex text",
            Self::HexPrefixed => "hex after 0x",
            Self::PercentEncoded => "percent-encoded text",
            Self::SpaceForPlus => "base64 with spaces for its +",
        }
    }
}

/// Returns the cause for a spelling other than the expected one.
pub(in crate::diagnose) fn wrong_spelling(spelling: Spelling, expected: Encoding, name: &FieldName) -> Option<Cause> {
    let setting = match spelling {
        Spelling::Hex if expected == Encoding::Hex => return None,
        Spelling::Base64 if expected == Encoding::Base64 => return None,
        Spelling::Base64Url if expected == Encoding::Base64Url => return None,
        Spelling::Base64UrlUnpadded if expected == Encoding::Base64UrlUnpadded => return None,
        Spelling::Hex => Some("Encoding::Hex"),
        Spelling::Base64 => Some("Encoding::Base64"),
        Spelling::Base64Url => Some("Encoding::Base64Url"),
        Spelling::Base64UrlUnpadded => Some("Encoding::Base64UrlUnpadded"),
        Spelling::Base64Unpadded | Spelling::Base64OfHex | Spelling::HexPrefixed | Spelling::PercentEncoded => None,
        Spelling::SpaceForPlus => {
            let what = "the signature is right, but each + of its base64 became a space: something decoded the header \
                        as if it were a form";
            return Some(Cause::new(CauseKind::SignatureEncoding, what, RESTORE_PLUS).at_header(name.as_str()));
        }
    };
    let wanted = match expected {
        Encoding::Hex => "hex",
        Encoding::Base64 => "padded base64",
        Encoding::Base64Url => "padded URL-safe base64",
        Encoding::Base64UrlUnpadded => "URL-safe base64 without padding",
    };
    let fix = match setting {
        Some(setting) => {
            format!("on the receiver, set the scheme's encoding to {setting}; or have the sender write {wanted}")
        }
        None => format!("on the sender, write the signature's bytes once, in {wanted}"),
    };
    let found = spelling.describe();
    let what = format!("the signature is right, but is written as {found}, and must be {wanted}");
    Some(Cause::new(CauseKind::SignatureEncoding, what, fix).at_header(name.as_str()))
}

/// Decodes `text` in every known spelling. A text that has several spellings has the expected one.
pub(in crate::diagnose) fn decoded(text: &[u8], expected: Encoding) -> Vec<(Vec<u8>, Spelling)> {
    let mut found = decoded_once(text, expected);
    if let Some(digits) = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")) {
        found.extend(hex(digits).map(|bytes| (bytes, Spelling::HexPrefixed)));
    }
    let inner: Vec<_> = found
        .iter()
        .filter(|(_, spelling)| !matches!(spelling, Spelling::Hex))
        .filter_map(|(bytes, _)| Some((hex(bytes)?, Spelling::Base64OfHex)))
        .collect();
    found.extend(inner);
    let plus: Vec<u8> = text.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect();
    // A space at the start is lost with the white space around the value. Padded base64 is then one letter short.
    let with_first = (plus.len() % 4 == 3).then(|| [b"+", &*plus].concat());
    for plus in text.contains(&b' ').then_some(plus).into_iter().chain(with_first) {
        found.extend(decoded_once(&plus, expected).into_iter().map(|(bytes, _)| (bytes, Spelling::SpaceForPlus)));
    }
    if text.contains(&b'%') {
        let plain: Vec<u8> = percent_encoding::percent_decode(text).collect();
        found.extend(decoded_once(&plain, expected).into_iter().map(|(bytes, _)| (bytes, Spelling::PercentEncoded)));
    }
    found
}

fn decoded_once(text: &[u8], expected: Encoding) -> Vec<(Vec<u8>, Spelling)> {
    let mut found: Vec<_> = hex(text).map(|bytes| (bytes, Spelling::Hex)).into_iter().collect();
    // Truncation can leave a single letter at the end, which encodes no byte.
    let unpadded = text.trim_ascii_end();
    let letters = unpadded.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last.saturating_add(1));
    let text = if letters % 4 == 1 { unpadded.get(..letters.saturating_sub(1)).unwrap_or_default() } else { unpadded };
    // Without padding, a text of whole groups of four letters is written in the same way.
    let is_padded = text.len().is_multiple_of(4) && (text.ends_with(b"=") || expected != Encoding::Base64UrlUnpadded);
    let standard = (&alphabet::STANDARD, if is_padded { Spelling::Base64 } else { Spelling::Base64Unpadded });
    let url = (&alphabet::URL_SAFE, if is_padded { Spelling::Base64Url } else { Spelling::Base64UrlUnpadded });
    let is_url_expected = matches!(expected, Encoding::Base64Url | Encoding::Base64UrlUnpadded);
    for (alphabet, spelling) in if is_url_expected { [url, standard] } else { [standard, url] } {
        if let Ok(bytes) = GeneralPurpose::new(alphabet, LENIENT).decode(text) {
            found.push((bytes, spelling));
        }
    }
    found.retain(|(bytes, _)| (MIN_BYTES..=MAX_BYTES).contains(&bytes.len()));
    found
}

/// Decodes hex digits. A half byte at the end, left by truncation, is dropped.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, _) = text.as_chunks::<2>();
    let all_digits = text.iter().all(u8::is_ascii_hexdigit);
    if !all_digits || !(MIN_BYTES..=MAX_BYTES).contains(&pairs.len()) {
        return None;
    }
    const_hex::decode(pairs.as_flattened()).ok()
}

/// What to do if each + became a space.
pub(in crate::diagnose) const RESTORE_PLUS: &str =
    "on the receiver, read the header's value as it arrives: look for a gateway or code that URL-decodes it";

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// The minimum length of a signature or its start, in bytes: fewer could match by chance.
pub(in crate::diagnose) const MIN_BYTES: usize = 8;

/// The maximum length of a signature, or of the hex of one, in bytes.
const MAX_BYTES: usize = 1024;
