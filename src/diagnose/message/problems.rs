//! The causes for what a verifier reads from the head and refuses.

use super::{shown, written};
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::head;
use crate::headers::{FieldName, Head, Occurrence};
use crate::message_signatures::{Inspection, Parameter, Problem, Profile};

/// Returns a cause for each problem of the head.
pub(super) fn causes(profile: &Profile, inspection: &Inspection<'_>, head: &dyn Head) -> Vec<Cause> {
    let label = inspection.signed.as_ref().map(|signed| signed.label.as_str());
    let of = |problem: &Problem| match problem {
        Problem::NoSignatureBytes | Problem::MalformedHeader("signature") => {
            written::unreadable(profile, label, head).unwrap_or_else(|| cause(problem, profile, head))
        }
        _ => cause(problem, profile, head),
    };
    let mut causes: Vec<Cause> = inspection.problems.iter().map(of).collect();
    let Some(signed) = &inspection.signed else { return causes };
    for (identifier, field) in inspection.without_value(signed) {
        let cause = match field {
            Some(name) => unreadable_header(name, head),
            None if head.method().is_none() || head.path().is_none() => Cause::new(
                CauseKind::RequestLineMissing,
                "the signature covers the method or the URL, and the capture has no request line",
                "on the receiver, pass a head with its request line, for example by RequestHead::new",
            ),
            None => Cause::new(
                CauseKind::ComponentUnsupported,
                format!(
                    "the request has no single value for the component {}, which the signature covers",
                    shown(identifier)
                ),
                "on the sender, cover a component that the request has once; a query parameter must occur once, and the \
                 request target must begin with a slash",
            ),
        };
        let is_same = |known: &Cause| known.kind() == cause.kind() && known.header() == cause.header();
        if !causes.iter().any(is_same) {
            causes.push(cause);
        }
    }
    causes
}

fn unreadable_header(name: &FieldName, head: &dyn Head) -> Cause {
    let shown = name.as_str();
    match head.header(name) {
        Occurrence::Absent => head::missing(name),
        Occurrence::Repeated => Cause::new(
            CauseKind::HeaderDuplicated,
            format!("{shown}, which the signature covers, occurs more than once"),
            "send it once: look for a proxy that adds it again; for a list or a dictionary in several lines, set \
             structured_field in the receiver's profile",
        )
        .at_header(shown),
        Occurrence::Once(_) => Cause::new(
            CauseKind::HeaderMalformed,
            format!(
                "{shown} cannot be covered: its value is not the structured field that the signature names, is not \
                     visible ASCII, has a comma where only one value is permitted, or is too long"
            ),
            "on the sender, correct the header; or set its type with structured_field in the receiver's profile",
        )
        .at_header(shown),
    }
}

fn cause(problem: &Problem, profile: &Profile, head: &dyn Head) -> Cause {
    let (kind, what, fix, header): (_, String, &'static str, _) = match problem {
        Problem::MissingHeader(name) => return head::missing(&FieldName::preset(name)),
        Problem::MalformedHeader("signature") => (
            CauseKind::SignatureMalformed,
            "Signature is not a dictionary of byte sequences, such as sig1=:…:".into(),
            "on the sender, write the base64 of each signature between two colons",
            Some("Signature"),
        ),
        Problem::MalformedHeader(name) => (
            CauseKind::HeaderMalformed,
            format!("{name} is not a dictionary of the right form, has a key or a parameter twice, or is too large"),
            "on the sender, write it with a library for structured fields (RFC 9651): strings in double quotes, byte \
             sequences between colons",
            Some(*name),
        ),
        Problem::TooManySignatures | Problem::AmbiguousSignature => (
            CauseKind::SignatureCount,
            format!("{problem}"),
            "on the receiver, set the label and the tag of the signature that counts; or have the sender send one signature",
            Some("Signature-Input"),
        ),
        Problem::NoSuchSignature => return no_such_signature(profile, head),
        Problem::NoSignatureBytes => (
            CauseKind::SignatureLabel,
            "Signature has no byte sequence with the label of the signature in Signature-Input".into(),
            "on the sender, use the same label in Signature-Input and Signature",
            Some("Signature"),
        ),
        Problem::Component(why) => (
            CauseKind::ComponentUnsupported,
            format!("the signature covers a component that cannot be verified: {why}"),
            "on the sender, cover only components that the profile names",
            Some("Signature-Input"),
        ),
        Problem::DuplicateComponent => (
            CauseKind::ComponentUnsupported,
            "the signature covers a component twice".into(),
            "on the sender, list each component once",
            Some("Signature-Input"),
        ),
        Problem::Uncovered(identifier) => (
            CauseKind::TemplatePartMissing,
            format!("the signature does not cover {identifier}, which the profile requires"),
            "on the sender, add this component to the covered ones, and sign again",
            Some("Signature-Input"),
        ),
        Problem::MissingParameter(parameter) => (
            CauseKind::FieldMissing,
            format!("the signature lacks the parameter {parameter}, which the profile requires"),
            "on the sender, add the parameter to Signature-Input before signing",
            Some("Signature-Input"),
        ),
        Problem::MalformedParameter(parameter @ (Parameter::Created | Parameter::Expires)) => (
            CauseKind::TimestampMalformed,
            format!("the parameter {parameter} is not a time in Unix seconds, or expires is not after created"),
            "on the sender, write whole Unix seconds without quotes, such as created=1800000000",
            Some("Signature-Input"),
        ),
        Problem::WrongAlgorithm => (
            CauseKind::AlgorithmDiffers,
            format!(
                "the parameter alg names an algorithm that the profile does not permit; it permits {}",
                profile.algorithm_names().join(", ")
            ),
            "on the sender, sign with one of them; or on the receiver, set `algorithms` if you trust keys of that kind: the \
             message never chooses",
            Some("Signature-Input"),
        ),
        Problem::NoSupportedDigest => (
            CauseKind::DigestUnsupported,
            "Content-Digest has neither a sha-256 nor a sha-512 digest".into(),
            "on the sender, add a sha-256 digest: other algorithms prove nothing",
            Some("Content-Digest"),
        ),
        Problem::OtherAuthority { expected } => (
            CauseKind::HostDiffers,
            format!("the request was sent to another host than {expected}, the authority of the profile's origin"),
            "if a proxy changes Host, name what it sends with received_as in the receiver's profile (--received-as of the \
             command); otherwise correct the URL at the sender",
            Some("Host"),
        ),
        Problem::AmbiguousHost => (
            CauseKind::HeaderMalformed,
            "Host occurs twice, is not host or host:port, or is not the authority of the request target".into(),
            "on the sender, send one Host; look for a proxy that adds it",
            Some("Host"),
        ),
        // The rest is a parameter that is forbidden, malformed or out of its limits. The times and the body have causes of
        // their own.
        other => (
            CauseKind::SignatureParameter,
            format!("{other}"),
            "on the sender, write the parameter as the profile demands; or change the receiver's profile",
            Some("Signature-Input"),
        ),
    };
    let cause = Cause::new(kind, what, fix);
    match header {
        Some(name) => cause.at_header(name),
        None => cause,
    }
}

/// Says whether the label or the tag is the wrong one.
fn no_such_signature(profile: &Profile, head: &dyn Head) -> Cause {
    let cause = match profile.label().filter(|label| !has_label(head, label)) {
        Some(label) => Cause::new(
            CauseKind::SignatureLabel,
            format!("no signature has the label {label}, which the profile names"),
            "on the sender, use this label; or set the sender's label in the receiver's profile",
        ),
        None if profile.refuses_tags() => Cause::new(
            CauseKind::SignatureTag,
            "each signature has a tag, and the profile has none, so they are for another application",
            "on the receiver, set the sender's tag in the profile; or on the sender, sign without a tag",
        ),
        None => Cause::new(
            CauseKind::SignatureTag,
            "no signature has the tag of the profile in its parameter tag",
            "on the sender, set the tag and sign again; or set the sender's tag in the receiver's profile",
        ),
    };
    cause.at_header("Signature-Input")
}

fn has_label(head: &dyn Head, label: &str) -> bool {
    let Occurrence::Once(value) = head.header(&FieldName::preset("Signature-Input")) else { return false };
    let start = format!("{label}=");
    value.split(|byte| matches!(byte, b',' | b' ')).any(|part| part.starts_with(start.as_bytes()))
}
