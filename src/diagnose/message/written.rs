//! How the values of `Signature` are written.

use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::signatures::{RESTORE_PLUS, Spelling, decoded};
use crate::encoding::Encoding;
use crate::headers::{FieldName, Head, Occurrence};
use crate::message_signatures::{Profile, Signed};

/// A member of `Signature`, correct or not.
pub(super) struct Member<'v> {
    /// Empty if there is none.
    pub(super) label: &'v [u8],
    /// The text between the delimiters.
    pub(super) text: &'v [u8],
    pub(super) delimiter: Delimiter,
}

/// What is around the text of a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    Colons,
    Quotes,
    Nothing,
}

/// Returns the members of `Signature`. There are none if the header is missing or repeated.
pub(super) fn members(head: &dyn Head) -> Vec<Member<'_>> {
    let Occurrence::Once(value) = head.header(&FieldName::preset("Signature")) else { return Vec::new() };
    let members = value.get(..MAX_VALUE).unwrap_or(value).split(|byte| *byte == b',');
    members.take(MAX_MEMBERS).map(|member| read(member.trim_ascii())).collect()
}

fn read(member: &[u8]) -> Member<'_> {
    let middle = member.iter().position(|byte| *byte == b'=');
    let (label, text) = middle.and_then(|middle| member.split_at_checked(middle)).unwrap_or((b"", member));
    let text = text.strip_prefix(b"=").unwrap_or(text).trim_ascii();
    match text {
        [b':', text @ .., b':'] => Member { label, text, delimiter: Delimiter::Colons },
        [b'"', text @ .., b'"'] => Member { label, text, delimiter: Delimiter::Quotes },
        // A text without a label, which may contain `=` at its end.
        _ if middle.is_none() || text.iter().all(|byte| *byte == b'=') => {
            Member { label: b"", text: member, delimiter: Delimiter::Nothing }
        }
        _ => Member { label, text, delimiter: Delimiter::Nothing },
    }
}

/// Returns the cause for a signature that a verifier cannot read because of how it is written. `label` is that of the
/// signature, if it is known.
pub(super) fn unreadable(profile: &Profile, label: Option<&str>, head: &dyn Head) -> Option<Cause> {
    let expected = profile.signature_encoding();
    let members = members(head);
    let is_meant = |member: &&Member<'_>| label.is_none_or(|label| member.label == label.as_bytes());
    // A single text without a label is the signature too.
    let member = members.iter().find(is_meant).or(match members.as_slice() {
        [only] if only.label.is_empty() => Some(only),
        _ => None,
    })?;
    let found = decoded(member.text, expected).first().map(|(_, spelling)| *spelling);
    let (kind, what) = match (member.delimiter, found) {
        (Delimiter::Colons, Some(found)) if !is_expected(found, expected) => {
            (CauseKind::SignatureEncoding, format!("the text between the colons of Signature is {}", name(found)))
        }
        (Delimiter::Colons, _) => return None,
        (Delimiter::Quotes, found) => {
            (CauseKind::SignatureQuoted, format!("the signature is a string in quotes{}", contents(found)))
        }
        (Delimiter::Nothing, Some(found)) => (
            CauseKind::SignaturePrefixMissing,
            format!("the signature is not between colons; its text looks like {}", name(found)),
        ),
        (Delimiter::Nothing, None) => return None,
    };
    Some(Cause::new(kind, what, write_sequence(expected, found)).at_header("Signature"))
}

/// Returns the cause for a signature that a verifier can read, but that is probably hex: each hex digit is also a letter of
/// base64.
pub(super) fn probable_hex(profile: &Profile, signed: &Signed, head: &dyn Head) -> Option<Cause> {
    let members = members(head);
    let member = members.iter().find(|member| member.label == signed.label.as_bytes())?;
    let is_hex = member.text.len() >= MIN_HEX && member.text.iter().all(u8::is_ascii_hexdigit);
    (is_hex && member.delimiter == Delimiter::Colons && signed.signature.is_some()).then(|| {
        let expected = profile.signature_encoding();
        let what = format!(
            "the text between the colons of Signature has only hex digits, so it is probably hex; it must be {}",
            encoding(expected)
        );
        Cause::new(CauseKind::SignatureEncoding, what, write_sequence(expected, None)).at_header("Signature")
    })
}

const fn is_expected(spelling: Spelling, expected: Encoding) -> bool {
    matches!(
        (spelling, expected),
        (Spelling::Base64, Encoding::Base64) | (Spelling::Base64UrlUnpadded, Encoding::Base64UrlUnpadded)
    )
}

const fn name(spelling: Spelling) -> &'static str {
    match spelling {
        Spelling::Base64 => "base64 with padding",
        Spelling::Base64Url => "URL-safe base64 with padding",
        other => other.describe(),
    }
}

fn contents(spelling: Option<Spelling>) -> String {
    spelling.map_or_else(String::new, |spelling| format!(", which looks like {}", name(spelling)))
}

const fn encoding(expected: Encoding) -> &'static str {
    match expected {
        Encoding::Base64UrlUnpadded => "URL-safe base64 without padding",
        _ => "base64 with padding",
    }
}

/// Says how to correct a signature in `found`, if its form is known, to `expected`.
pub(super) fn write_sequence(expected: Encoding, found: Option<Spelling>) -> String {
    if found == Some(Spelling::SpaceForPlus) {
        return RESTORE_PLUS.to_owned();
    }
    format!("on the sender, write the signature as a byte sequence: {} between two colons", encoding(expected))
}

/// The maximum length of a value that is searched, in bytes.
const MAX_VALUE: usize = 8_192;

/// The maximum number of members that are searched.
const MAX_MEMBERS: usize = 8;

/// The minimum number of hex digits that are taken for hex: base64 hardly ever has so many and no other letter.
const MIN_HEX: usize = 32;
