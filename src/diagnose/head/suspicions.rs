//! What the head and the form of the body suggest, without a proof.

use super::{Capture, declared_length, once};
use crate::diagnose::bodies;
use crate::diagnose::cause::{Cause, CauseKind};
use crate::headers::Head;

/// Returns the causes that `Content-Encoding`, `Content-Length` and the form of the body suggest.
pub(in crate::diagnose) fn suspicions<H: Head + ?Sized>(capture: &Capture<'_, H>) -> Vec<Cause> {
    let body = capture.body;
    if let Some(cause) = not_captured(body, declared_length(capture.head)) {
        return vec![cause];
    }
    let mut causes = Vec::new();
    let compressed =
        matches!(once(capture.head, "Content-Encoding"), Some(b"gzip" | b"x-gzip" | b"deflate" | b"br" | b"zstd"));
    // Compressed bytes are not UTF-8.
    if compressed && core::str::from_utf8(body).is_ok() {
        let cause = Cause::new(
            CauseKind::BodyDecompressed,
            "Content-Encoding says that the body was compressed, but the captured body is not: it was decompressed \
             before it was verified",
            "on the receiver, verify the raw bytes before any decompression: put the verification outside that \
             middleware",
        );
        causes.push(cause.at_header("Content-Encoding"));
    }
    let declared = declared_length(capture.head).filter(|length| *length != body.len() && causes.is_empty());
    let numbers = bodies::whole_json(body);
    match declared {
        // Truncated JSON does not parse, so this body is complete.
        Some(length) if numbers.is_some() => {
            causes.push(reparsed(body, length, numbers.is_some_and(|numbers| numbers.count > 0)));
        }
        Some(length) if length > body.len() => {
            let missing = length.abs_diff(body.len());
            let cause = Cause::new(
                CauseKind::BodyTruncated,
                format!(
                    "Content-Length says {length} bytes, but the captured body has {}: {missing} are missing",
                    body.len()
                ),
                "on the receiver, read the whole body before verifying: look for a limit, a partial read or a cut log",
            );
            causes.push(cause.at_header("Content-Length").at_offset(body.len()));
        }
        Some(length) => {
            let cause = Cause::new(
                CauseKind::BodyTooLong,
                format!("Content-Length says {length} bytes, but the captured body has {}", body.len()),
                "on the receiver, verify the raw bytes: the body was rewritten, or something was appended",
            );
            causes.push(cause.at_header("Content-Length").at_offset(length));
        }
        None => causes.extend(numbers.filter(|numbers| numbers.rounded).map(|_| rounded())),
    }
    if let Some(offset) = body.windows(3).position(|window| window == "\u{fffd}".as_bytes()) {
        let cause = Cause::new(
            CauseKind::BodyLossy,
            "the body contains U+FFFD: bytes that were not UTF-8 were probably replaced when it was decoded",
            "on the receiver, verify the raw bytes; this capture does not contain the replaced bytes",
        );
        causes.push(cause.at_offset(offset));
    }
    causes
}

/// Returns the cause for a body that is empty, or a text that a program prints instead of one.
fn not_captured(body: &[u8], declared: Option<usize>) -> Option<Cause> {
    if declared == Some(body.len()) {
        return None;
    }
    let what = match (body, declared) {
        (b"", Some(length)) => format!("the captured body is empty, but Content-Length says {length} bytes"),
        (b"", None) => "the captured body is empty; if the sender sent one, something else read it first".to_owned(),
        (
            b"[object Object]" | b"[object Buffer]" | b"[object ReadableStream]" | b"undefined" | b"null" | b"None",
            _,
        ) => "the captured body is a text that a program prints in place of a body".to_owned(),
        (b"{}", _) => "the captured body is {}, as some body parsers leave it".to_owned(),
        _ => return None,
    };
    let fix = "on the receiver, take the raw bytes before anything else reads the body: a body parser, a logger or a \
               middleware that ran first has read it, and a stream can be read only once";
    Some(Cause::new(CauseKind::BodyNotCaptured, what, fix))
}

/// Returns the cause for complete JSON whose length is not `declared`.
fn reparsed(body: &[u8], declared: usize, has_numbers: bool) -> Cause {
    let (kind, example) = if has_numbers {
        (CauseKind::BodyJsonNumbers, "with its numbers in another form, such as 136 for 136.0 or 10.5 for 10.50")
    } else {
        (CauseKind::BodyJsonRewritten, "in another form")
    };
    let what = format!(
        "Content-Length says {declared} bytes, but the captured body is complete JSON of {}: it was probably parsed \
         and serialized again, {example}",
        body.len()
    );
    Cause::new(kind, what, VERIFY_RAW).at_header("Content-Length")
}

fn rounded() -> Cause {
    Cause::new(
        CauseKind::BodyJsonNumbers,
        "the body has an integer beyond 2^53, written as JavaScript writes it: a JSON parser that reads numbers as \
         doubles may have rounded it",
        VERIFY_RAW,
    )
}

const VERIFY_RAW: &str = "on the receiver, verify and capture the raw bytes before any JSON parser: nothing can \
                          restore what a parser dropped";
