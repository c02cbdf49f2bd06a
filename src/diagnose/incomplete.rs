//! Captures of a Warden that lack the body or the values of headers.

use super::cause::{Cause, CauseKind};
use crate::headers::{CAPTURE_NOTE, FieldName, Head, Occurrence};

/// Returns why the signature of a Warden's capture cannot be checked, if it cannot: the note that the Warden added says
/// what is missing.
pub(super) fn cause<H: Head + ?Sized>(head: &H) -> Option<Cause> {
    let Occurrence::Once(note) = head.header(&FieldName::preset(CAPTURE_NOTE)) else { return None };
    let has = |part: &str| note.split(|byte| *byte == b';').any(|found| found.trim_ascii() == part.as_bytes());
    let (what, fix) = if is_redacted(head) {
        (
            "secret-like headers of the capture are redacted, so its signature cannot be checked",
            "on the receiver, capture a request without `Captures::redacted` to check the signature",
        )
    } else if has("body=not-read") {
        (
            "the capture has no body, because the receiver refused the request for its head",
            "correct the head first; the signature can be checked once the receiver reads the body",
        )
    } else if has("body=incomplete") {
        (
            "the capture has no body, because it was too large, too slow or interrupted",
            "compare the body with the receiver's `BodyLimits`; look for a proxy that ends requests",
        )
    } else if has("body=left-out") {
        (
            "the capture has no body, because the request is larger than the receiver captures",
            "on the receiver, raise `Captures::max_request_bytes`, and capture a request again",
        )
    } else {
        return None;
    };
    Some(Cause::new(CauseKind::CaptureIncomplete, what, fix))
}

/// Returns whether the values of secret-like headers are missing.
pub(super) fn is_redacted<H: Head + ?Sized>(head: &H) -> bool {
    match head.header(&FieldName::preset(CAPTURE_NOTE)) {
        Occurrence::Once(note) => note.ends_with(b"; redacted"),
        Occurrence::Absent | Occurrence::Repeated => false,
    }
}
