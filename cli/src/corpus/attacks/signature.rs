//! Changes to the signature.

use hookwarden::Reason;
use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::{Layout, SignedPart};

use super::super::message::Message;
use super::super::sample::Sample;
use super::{ACCEPTED, Attack, MALFORMED, MISMATCH, MISSING, must, should};

pub(super) const ATTACKS: &[Attack] = &[
    should(
        "signed-again",
        "Hookwarden signs the message: one signature, and a timestamp in whole seconds.",
        ACCEPTED,
        |it| it.tag_of(&it.message).map(|_| it.message.clone()),
    ),
    must("signature-missing", "The signature header is missing.", MISSING, |it| {
        Some(it.message.clone().without(&it.header))
    }),
    must("signature-header-empty", "The signature header is empty.", MALFORMED, |it| Some(it.with_value(""))),
    must(
        "signature-empty",
        "The signature header has the text around the signature, and no signature.",
        MALFORMED,
        |it| (!it.before.is_empty()).then(|| it.with_tag("")),
    ),
    must("signature-first-bit-flipped", "The first bit of the signature is flipped.", MISMATCH, |it| {
        Some(it.with_tag(&it.flipped(0, 0x80)))
    }),
    must("signature-last-bit-flipped", "The last bit of the signature is flipped.", MISMATCH, |it| {
        Some(it.with_tag(&it.flipped(it.raw().len().checked_sub(1)?, 1)))
    }),
    must("signature-of-one-byte", "Only the first byte of the signature is there.", WRONG_SIZE, |it| cut(it, 1)),
    must("signature-first-half", "Only the first half of the signature is there.", WRONG_SIZE, |it| {
        cut(it, it.raw().len() / 2)
    }),
    must("signature-truncated", "The last byte of the signature is missing.", WRONG_SIZE, |it| {
        cut(it, it.raw().len().checked_sub(1)?)
    }),
    should("signature-extended", "A zero byte follows the signature.", WRONG_SIZE, |it| {
        Some(it.with_tag(&it.scheme.encoding().encode(&[&it.raw()[..], &[0]].concat())))
    }),
    must("signature-of-zeros", "All bytes of the signature are zero.", MISMATCH, |it| {
        Some(it.with_tag(&it.scheme.encoding().encode(&vec![0; it.raw().len()])))
    }),
    must("signature-of-empty-body", "The signature is that of an empty body.", MISMATCH, |it| {
        let empty = it.message.clone().with_body("");
        Some(it.with_tag(&it.tag_of(&empty).filter(|_| !it.message.body.is_empty())?))
    }),
    must(
        "signature-of-body-alone",
        "The signature covers the body, and nothing else that the scheme signs.",
        MISMATCH,
        |it| {
            let is_more = !matches!(it.scheme.signed(), [SignedPart::Body | SignedPart::BodyDigest { .. }]);
            Some(it.with_tag(&it.tag_over(&it.message, &[SignedPart::Body]).filter(|_| is_more)?))
        },
    ),
    must("signature-under-another-key", "The message is signed with another key.", MISMATCH, |it| {
        Some(it.with_tag(&it.tag_under_another_key()?))
    }),
    should("signature-by-another-hash", "The MAC uses another hash function, with the same secret.", MALFORMED, |it| {
        Some(it.with_tag(&it.tag_by(other_hash(it).0)?))
    }),
    should(
        "signature-names-another-hash",
        "The MAC uses another hash function, which its prefix names.",
        MALFORMED,
        |it| {
            let (algorithm, prefix) = other_hash(it);
            let named = it.with_prefix(prefix).filter(|_| it.prefix().starts_with("sha"))?;
            let value = named.value(&it.header)?.strip_suffix(&it.tag)?.to_owned();
            Some(it.with_value(format!("{value}{}", it.tag_by(algorithm)?)))
        },
    ),
    must(
        "signature-hmac-of-public-key",
        "The signature is an HMAC whose secret is the text of the public key.",
        WRONG_SIZE,
        |it| Some(it.with_tag(&it.hmac_of_public_key()?)),
    ),
    must(
        "signature-letter-case-swapped",
        "The signature's base64 has lower-case letters for upper-case ones, and the other way round.",
        WRONG_SIZE,
        |it| (!it.is_hex()).then(|| it.with_tag(&case_swapped(&it.tag))),
    ),
    should("signature-in-upper-case", "The signature's hex is in upper case.", ACCEPTED, |it| {
        it.is_hex().then(|| it.with_tag(&it.tag.to_ascii_uppercase()))
    }),
    should(
        "signature-in-another-encoding",
        "The signature is in base64 in place of hex, or in hex.",
        WRONG_SIZE,
        |it| {
            let encoding = if it.is_hex() { Encoding::Base64 } else { Encoding::Hex };
            Some(it.with_tag(&encoding.encode(&it.raw())))
        },
    ),
    should("signature-with-0x", "The text 0x precedes the signature's hex.", MALFORMED, |it| {
        it.is_hex().then(|| it.with_tag(&format!("0x{}", it.tag)))
    }),
    should("signature-without-padding", "The signature's base64 lacks its padding.", MALFORMED, |it| {
        let (bare, padded) = (it.tag.trim_end_matches('='), it.scheme.encoding() != Encoding::Base64UrlUnpadded);
        (padded && bare != it.tag).then(|| it.with_tag(bare))
    }),
    should(
        "signature-with-padding",
        "The signature's base64 has padding, which the scheme does not use.",
        MALFORMED,
        |it| {
            let padded = Encoding::Base64Url.encode(&it.raw());
            (it.scheme.encoding() == Encoding::Base64UrlUnpadded).then(|| it.with_tag(&padded))
        },
    ),
    should(
        "signature-in-another-alphabet",
        "The signature's base64 uses the other alphabet: - and _ for + and /, or + and / for them.",
        MALFORMED,
        |it| {
            let swap = |letter| match letter {
                '+' => '-',
                '/' => '_',
                '-' => '+',
                '_' => '/',
                other => other,
            };
            let swapped: String = it.tag.chars().map(swap).collect();
            (swapped != it.tag).then(|| it.with_tag(&swapped))
        },
    ),
    should(
        "signature-with-trailing-bits",
        "The bits after the last byte of the signature's base64 are not zero.",
        MALFORMED,
        |it| {
            let bare = it.tag.trim_end_matches('=');
            let (start, last) = bare.split_at_checked(bare.len().checked_sub(1)?)?;
            // The letter after one with zero bits: these are A, E, I … and, of two bytes, A, Q, g and w.
            let next = char::from(last.bytes().next()?.checked_add(1)?);
            let is_partial = !it.is_hex() && !it.raw().len().is_multiple_of(3) && next.is_ascii_alphanumeric();
            let padding = it.tag.strip_prefix(bare)?;
            is_partial.then(|| it.with_tag(&format!("{start}{next}{padding}")))
        },
    ),
    should("signature-after-a-space", "A space precedes the signature, after the text before it.", MALFORMED, |it| {
        it.with_prefix(&format!("{} ", it.prefix())).filter(|_| !is_grouped(it))
    }),
    should("signature-without-prefix", "The signature lacks its prefix or its key.", MALFORMED, |it| {
        it.with_prefix("")
    }),
    should(
        "signature-with-unknown-prefix",
        "The signature has an unknown prefix or key, which ends like the right one.",
        MALFORMED,
        |it| it.with_prefix(&format!("x{}", it.prefix())),
    ),
    should(
        "signature-prefix-in-another-case",
        "The signature's prefix or key is in another letter case.",
        MALFORMED,
        |it| it.with_prefix(&case_swapped(&it.prefix())),
    ),
];

/// For signatures of the wrong size: schemes with public keys permit several sizes.
const WRONG_SIZE: &[Reason] = &[Reason::MalformedSignature, Reason::Mismatch];

/// The message with only the first bytes of its signature.
fn cut(it: &Sample, size: usize) -> Option<Message> {
    Some(it.with_tag(&it.scheme.encoding().encode(it.raw().get(..size)?)))
}

/// Another hash function, and the prefix that names it.
fn other_hash(it: &Sample) -> (Algorithm, &'static str) {
    match it.scheme.algorithm() {
        Algorithm::HmacSha1 => (Algorithm::HmacSha256, "sha256="),
        _ => (Algorithm::HmacSha1, "sha1="),
    }
}

/// Whether a space would separate groups of fields.
fn is_grouped(it: &Sample) -> bool {
    matches!(it.scheme.layout(), Layout::FieldGroups { .. })
}

fn case_swapped(text: &str) -> String {
    let swap = |letter: char| {
        if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    text.chars().map(swap).collect()
}
