//! What is wrong with a head, and a head in which similarly named headers replace missing ones.

use super::Capture;
use super::cause::{Cause, CauseKind};
use super::names::{self, Role};
use crate::error::{Fault, Reason};
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{MAX_VALUE_BYTES, NamesIn, Scheme, SignedPart, TimestampSource};

/// A head in which other headers stand in for some.
pub(super) struct Overlay<'c, H: ?Sized> {
    head: &'c H,
    renamed: Vec<(FieldName, FieldName)>,
}

impl<H: Head + ?Sized> Head for Overlay<'_, H> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        match self.renamed.iter().find(|(wanted, _)| wanted == name) {
            Some((_, found)) => self.head.header(found),
            None => self.head.header(name),
        }
    }

    fn method(&self) -> Option<&str> {
        self.head.method()
    }

    fn path(&self) -> Option<&str> {
        self.head.path()
    }
}

/// What is wrong with the head, and the head as far as it can be put right.
pub(super) fn examine<'c, H: Head + ?Sized>(capture: &Capture<'c, H>) -> (Overlay<'c, H>, Vec<Cause>) {
    let (scheme, head) = (capture.scheme, capture.head);
    let mut overlay = Overlay { head, renamed: Vec::new() };
    let mut causes = Vec::new();
    let present = |name: &FieldName| head.header(name) != Occurrence::Absent;
    let mut wanted: Vec<(FieldName, Role)> = Vec::new();
    if !scheme.signature_headers().iter().any(present) {
        wanted.extend(scheme.signature_headers().first().map(|name| (name.clone(), Role::Signature)));
    }
    if let Some(TimestampSource::Header(name)) = scheme.timestamp().map(|place| &place.source) {
        wanted.push((name.clone(), Role::Timestamp));
    }
    for part in scheme.signed() {
        match part {
            SignedPart::Header(name) => wanted.push((name.clone(), Role::Other)),
            SignedPart::ListedHeaders(listed) => {
                if let NamesIn::Header(name) = &listed.names_in {
                    wanted.push((name.clone(), Role::Other));
                }
                wanted.extend(listed.require.iter().map(|name| (name.clone(), Role::Other)));
            }
            _ => {}
        }
    }
    let needed: Vec<FieldName> = wanted.iter().map(|(name, _)| name.clone()).collect();
    for (name, role) in wanted {
        if present(&name) || overlay.renamed.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let taken = |found: &FieldName| needed.contains(found);
        match names::similar(head, name.as_str(), role, &capture.header_names, taken) {
            Some(found) => {
                causes.push(renamed(&name, &found));
                overlay.renamed.push((name, found));
            }
            None => causes.push(missing(&name)),
        }
    }
    (overlay, causes)
}

fn renamed(wanted: &FieldName, found: &FieldName) -> Cause {
    let (wanted, found) = (wanted.as_str(), found.as_str());
    Cause::new(
        CauseKind::HeaderRenamed,
        format!("the header {wanted} is missing, and there is a {found}"),
        format!(
            "on the receiver, name {found} in the scheme if that is what the sender documents; or have {wanted} sent"
        ),
    )
    .at_header(wanted)
}

fn missing(name: &FieldName) -> Cause {
    let name = name.as_str();
    Cause::new(
        CauseKind::HeaderMissing,
        format!("the header {name} is missing"),
        format!(
            "on the sender, send {name}; if it does, look for a proxy, gateway or framework that drops it on the way"
        ),
    )
    .at_header(name)
}

/// The cause that a verifier's refusal is itself, for a fault of the head's form.
pub(super) fn refused(fault: Fault, scheme: &Scheme) -> Option<Cause> {
    let header = fault.slot.and_then(|slot| scheme.header_in(slot)).unwrap_or("a header").to_owned();
    let cause = match fault.reason {
        Reason::DuplicateHeader => Cause::new(
            CauseKind::HeaderDuplicated,
            format!("{header}, or a field in it, came more than once"),
            "send it once: look for a proxy that adds it again, or a client that sets it in two places",
        ),
        Reason::MissingHeader => Cause::new(
            CauseKind::FieldMissing,
            format!("{header} lacks a field or name that the scheme needs"),
            format!("on the sender, write every field of {header}; or correct the receiver's layout"),
        ),
        Reason::MalformedHeader => Cause::new(
            CauseKind::HeaderMalformed,
            format!("{header} is too long, or contains the text that separates it from the rest of what is signed"),
            format!("on the sender, write a {header} without separators such as a dot"),
        ),
        Reason::TooManyCandidates => Cause::new(
            CauseKind::SignatureCount,
            format!("{header} holds more than 32 signatures"),
            "on the sender, sign with the keys in use alone",
        ),
        Reason::NoRequestLine => {
            return Some(Cause::new(
                CauseKind::RequestLineMissing,
                "the scheme signs the method, path or URL, and the capture has none",
                "on the receiver, give the head with its request line, such as by RequestHead::new",
            ));
        }
        Reason::MalformedSignature => Cause::new(
            CauseKind::SignatureMalformed,
            format!("{header} holds no signature of the scheme's form and length"),
            format!("compare the value of {header} with the provider's documentation: prefix, encoding and length"),
        ),
        _ => return None,
    };
    Some(cause.at_header(header))
}

/// The cause for a request whose signature is valid and is not read by the scheme.
pub(super) fn unread(scheme: &Scheme, head: &impl Head) -> Option<Cause> {
    let is_long = |name: &&FieldName| match head.header(name) {
        Occurrence::Once(value) => value.len() > MAX_VALUE_BYTES,
        Occurrence::Absent | Occurrence::Repeated => false,
    };
    let header = scheme.signature_headers().iter().find(is_long)?.as_str();
    let cause = Cause::new(
        CauseKind::SignatureMalformed,
        format!("{header} is too long: a value of more than {MAX_VALUE_BYTES} bytes is not read"),
        "on the sender, send no more signatures and fields than are needed",
    );
    Some(cause.at_header(header).proven())
}

/// The causes suggested by the length and the encoding in the head.
pub(super) fn suspicions<H: Head + ?Sized>(capture: &Capture<'_, H>) -> Vec<Cause> {
    let body = capture.body;
    let mut causes = Vec::new();
    let compressed =
        matches!(once(capture.head, "Content-Encoding"), Some(b"gzip" | b"x-gzip" | b"deflate" | b"br" | b"zstd"));
    // What these make of a body is not text.
    if compressed && core::str::from_utf8(body).is_ok() {
        let cause = Cause::new(
            CauseKind::BodyDecompressed,
            "Content-Encoding says that the body was compressed, and the captured one is not: it was decompressed before it was verified",
            "on the receiver, verify the raw bytes before any decompression: put the verification outside that middleware",
        );
        causes.push(cause.at_header("Content-Encoding"));
    }
    match declared_length(capture.head) {
        Some(length) if length > body.len() && causes.is_empty() => {
            let missing = length.abs_diff(body.len());
            let cause = Cause::new(
                CauseKind::BodyTruncated,
                format!(
                    "Content-Length says {length} bytes, and the captured body has {}: {missing} are missing",
                    body.len()
                ),
                "on the receiver, read the whole body before verifying: look for a limit, a partial read or a cut log",
            );
            causes.push(cause.at_header("Content-Length").at_offset(body.len()));
        }
        Some(length) if length < body.len() && causes.is_empty() => {
            let cause = Cause::new(
                CauseKind::BodyTooLong,
                format!("Content-Length says {length} bytes, and the captured body has {}", body.len()),
                "on the receiver, verify the bytes as they came: the body was rewritten, or something was appended",
            );
            causes.push(cause.at_header("Content-Length").at_offset(length));
        }
        _ => {}
    }
    if let Some(offset) = body.windows(3).position(|window| window == "\u{fffd}".as_bytes()) {
        let cause = Cause::new(
            CauseKind::BodyLossy,
            "the body contains U+FFFD: bytes that were not UTF-8 were probably replaced when it was decoded",
            "on the receiver, verify the raw bytes; what was replaced cannot be restored from this capture",
        );
        causes.push(cause.at_offset(offset));
    }
    causes
}

pub(super) fn declared_length<H: Head + ?Sized>(head: &H) -> Option<usize> {
    core::str::from_utf8(once(head, "Content-Length")?).ok()?.trim().parse().ok()
}

fn once<'h, H: Head + ?Sized>(head: &'h H, name: &'static str) -> Option<&'h [u8]> {
    match head.header(&FieldName::preset(name)) {
        Occurrence::Once(value) => Some(value),
        Occurrence::Absent | Occurrence::Repeated => None,
    }
}
