//! The signature as it was sent, and in the forms that a verifier must refuse.

use super::shown;
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::form::Form;
use crate::diagnose::signatures::{Candidate, MIN_BYTES, candidate, decoded, wrong_spelling};
use crate::headers::{FieldName, Head, Occurrence};
use crate::message_signatures::{Profile, Signed};

/// Returns each signature that the request may mean, first the one that a verifier reads.
pub(super) fn candidates(profile: &Profile, signed: &Signed, head: &dyn Head) -> Vec<Form<Candidate>> {
    let name = FieldName::preset("Signature");
    let expected = profile.signature_encoding();
    let mut found: Vec<Form<Candidate>> = Vec::new();
    let long_enough = signed.signature.iter().filter(|bytes| bytes.len() >= MIN_BYTES);
    found.extend(long_enough.map(|bytes| Form::plain(candidate(bytes.clone(), &name))));
    let Occurrence::Once(value) = head.header(&name) else { return found };
    let members = value.get(..MAX_VALUE).unwrap_or(value).split(|byte| *byte == b',');
    for member in members.take(MAX_MEMBERS) {
        let member = member.trim_ascii();
        let middle = member.iter().position(|byte| *byte == b'=');
        let (label, text) = middle.and_then(|middle| member.split_at_checked(middle)).unwrap_or((b"", member));
        let text = text.strip_prefix(b"=").unwrap_or(text).trim_ascii();
        let is_labelled = label == signed.label.as_bytes();
        let (text, mistake) = match text {
            [b':', inner @ .., b':'] => (inner, None),
            [b'"', inner @ .., b'"'] => (inner, Some(quoted())),
            // A text without a label, which may contain `=` at its end.
            _ if middle.is_none() || text.iter().all(|byte| *byte == b'=') => (member, Some(bare())),
            _ => (text, Some(bare())),
        };
        for (bytes, spelling) in decoded(text, expected) {
            if signed.signature.as_ref() == Some(&bytes) {
                continue;
            }
            let spelling = wrong_spelling(spelling, expected, &name);
            let mut causes: Vec<Cause> = mistake.iter().cloned().collect();
            causes.extend(spelling.map(|cause| cause.with_fix(WRITE_SEQUENCE)));
            if !is_labelled && causes.is_empty() {
                causes.push(other_label(&shown(&signed.label)));
            }
            if !causes.is_empty() {
                found.push(Form::with_causes(candidate(bytes, &name), causes));
            }
        }
    }
    found
}

fn quoted() -> Cause {
    Cause::new(CauseKind::SignatureQuoted, "the signature is right, but is a string in quotes", WRITE_SEQUENCE)
        .at_header("Signature")
}

fn bare() -> Cause {
    let what = "the signature is right, but is not between colons";
    Cause::new(CauseKind::SignaturePrefixMissing, what, WRITE_SEQUENCE).at_header("Signature")
}

fn other_label(label: &str) -> Cause {
    Cause::new(
        CauseKind::SignatureLabel,
        format!(
            "the signature is right, but has another label in Signature than {label}, its label in Signature-Input"
        ),
        "on the sender, use the same label in Signature-Input and Signature",
    )
    .at_header("Signature")
}

const WRITE_SEQUENCE: &str =
    "on the sender, write the signature as a byte sequence: base64 with padding between two colons";

/// The maximum length of a value that is searched, in bytes.
const MAX_VALUE: usize = 8_192;

/// The maximum number of members that are searched.
const MAX_MEMBERS: usize = 8;
