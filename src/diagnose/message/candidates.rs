//! The signature as it was sent, and in the forms that a verifier must refuse.

use super::shown;
use super::written::{Delimiter, members, write_sequence};
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::form::Form;
use crate::diagnose::signatures::{Candidate, MIN_BYTES, candidate, decoded, wrong_spelling};
use crate::encoding::Encoding;
use crate::headers::{FieldName, Head};
use crate::message_signatures::{Profile, Signed};

/// Returns each signature that the request may mean, first the one that a verifier reads.
pub(super) fn candidates(profile: &Profile, signed: &Signed, head: &dyn Head) -> Vec<Form<Candidate>> {
    let name = FieldName::preset("Signature");
    let expected = profile.signature_encoding();
    let mut found: Vec<Form<Candidate>> = Vec::new();
    let long_enough = signed.signature.iter().filter(|bytes| bytes.len() >= MIN_BYTES);
    found.extend(long_enough.map(|bytes| Form::plain(candidate(bytes.clone(), &name))));
    for member in members(head) {
        let mistake = match member.delimiter {
            Delimiter::Colons => None,
            Delimiter::Quotes => Some(quoted(expected)),
            Delimiter::Nothing => Some(bare(expected)),
        };
        for (bytes, spelling) in decoded(member.text, expected) {
            if signed.signature.as_ref() == Some(&bytes) {
                continue;
            }
            let mut causes: Vec<Cause> = mistake.iter().cloned().collect();
            let wrong = wrong_spelling(spelling, expected, &name);
            causes.extend(wrong.map(|cause| cause.with_fix(write_sequence(expected, Some(spelling)))));
            if member.label != signed.label.as_bytes() && causes.is_empty() {
                causes.push(other_label(&shown(&signed.label)));
            }
            if !causes.is_empty() {
                found.push(Form::with_causes(candidate(bytes, &name), causes));
            }
        }
    }
    found
}

fn quoted(expected: Encoding) -> Cause {
    let what = "the signature is right, but is a string in quotes";
    Cause::new(CauseKind::SignatureQuoted, what, write_sequence(expected, None)).at_header("Signature")
}

fn bare(expected: Encoding) -> Cause {
    let what = "the signature is right, but is not between colons";
    Cause::new(CauseKind::SignaturePrefixMissing, what, write_sequence(expected, None)).at_header("Signature")
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
