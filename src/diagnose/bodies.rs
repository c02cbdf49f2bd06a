//! The bodies that may have been signed instead of the captured one.

mod form;
mod json;
mod printed;
mod text;

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::cause::{Cause, CauseKind};
use super::form::Form;
pub(super) use json::whole_json;

/// Returns every body to try. `declared` is the value of `Content-Length`.
pub(super) fn bodies(body: &[u8], declared: Option<usize>) -> Bodies<'_> {
    let mut bodies =
        Bodies { original: body, forms: vec![Form::plain(Cow::Borrowed(body))], held: 0, omitted: Vec::new() };
    ends(&mut bodies);
    if let Some(start) = declared.and_then(|length| body.get(..length)) {
        bodies.offer(
            start,
            Cause::new(
                CauseKind::BodyTooLong,
                format!(
                    "the captured body has {} bytes more than Content-Length says",
                    body.len().abs_diff(start.len())
                ),
                "on the receiver, verify exactly the bytes of the body: something was appended, or a buffer was not \
                 cut to length",
            ),
        );
    }
    line_ends(&mut bodies);
    if body.len() <= MAX_REWRITTEN {
        text::offer(&mut bodies);
        form::offer(&mut bodies);
        encoded(&mut bodies);
        compressed(&mut bodies);
        printed::offer(&mut bodies);
        json::offer(&mut bodies);
        with_newline(&mut bodies);
        json::offer_numbers(&mut bodies);
    } else {
        bodies.omit("a body of more than 1 MiB is not decoded or rewritten");
    }
    bodies
}

/// The bodies that are found so far.
pub(super) struct Bodies<'c> {
    original: &'c [u8],
    /// The captured body is the first.
    pub(super) forms: Vec<Form<Cow<'c, [u8]>>>,
    /// The total size of the owned bodies, in bytes.
    held: usize,
    /// Why some forms are not tried.
    pub(super) omitted: Vec<&'static str>,
}

impl<'c> Bodies<'c> {
    fn offer(&mut self, body: impl Into<Cow<'c, [u8]>>, cause: Cause) {
        self.offer_all(body, vec![cause]);
    }

    fn offer_all(&mut self, body: impl Into<Cow<'c, [u8]>>, causes: Vec<Cause>) {
        let body = body.into();
        if self.forms.iter().any(|form| form.value == body) {
            return;
        }
        let size = if matches!(body, Cow::Owned(_)) { body.len() } else { 0 };
        if size > self.left() {
            return self.omit(TOO_LARGE);
        }
        self.held = self.held.saturating_add(size);
        let offset = self.original.iter().zip(&*body).take_while(|(a, b)| a == b).count();
        let causes: Vec<Cause> = causes.into_iter().map(|cause| cause.at_offset(offset)).collect();
        self.forms.push(Form::with_causes(body, causes));
    }

    /// The number of bytes that further owned bodies may have.
    const fn left(&self) -> usize {
        MAX_HELD.saturating_sub(self.held)
    }

    /// Records that some forms are not tried.
    fn omit(&mut self, why: &'static str) {
        if !self.omitted.contains(&why) {
            self.omitted.push(why);
        }
    }
}

fn ends(bodies: &mut Bodies<'_>) {
    let body = bodies.original;
    let bare = body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n")).or_else(|| body.strip_suffix(b"\r"));
    if let Some(bare) = bare {
        bodies.offer(
            bare,
            Cause::new(
                CauseKind::BodyNewlineAdded,
                "the body ends with a line break that was not signed",
                "on the receiver, verify the raw bytes: an editor, echo or a template appended a line break",
            ),
        );
    }
    for end in ["\n", "\r\n"] {
        bodies.offer([body, end.as_bytes()].concat(), newline_lost());
    }
    if let Some(bare) = body.strip_prefix(BOM) {
        bodies.offer(
            bare,
            Cause::new(
                CauseKind::BodyBomAdded,
                "the body begins with a byte order mark that was not signed",
                "write UTF-8 without a byte order mark where the body is created or captured",
            ),
        );
    }
    bodies.offer(
        [BOM, body].concat(),
        Cause::new(
            CauseKind::BodyBomLost,
            "the sender signed a byte order mark before the body, and it was lost",
            "on the receiver, verify the raw bytes before anything decodes them as text; or sign without the mark",
        ),
    );
    let white_space = || {
        Cause::new(
            CauseKind::BodyWhiteSpace,
            "the body starts or ends with white space or zero bytes that were not signed",
            "on the receiver, verify the raw bytes; on the sender, sign exactly the bytes that are sent",
        )
    };
    bodies.offer(body.trim_ascii_end(), white_space());
    bodies.offer(body.trim_ascii(), white_space());
    let zeros = body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    bodies.offer(body.get(..zeros).unwrap_or_default(), white_space());
}

fn newline_lost() -> Cause {
    Cause::new(
        CauseKind::BodyNewlineLost,
        "the sender signed a line break at the end of the body, and it was lost",
        "on the receiver, don't trim the body before verifying; on the sender, sign exactly the bytes that are sent",
    )
}

fn line_ends(bodies: &mut Bodies<'_>) {
    let body = bodies.original;
    let lf = replaced(body, b"\r\n", b"\n");
    let lost = || {
        Cause::new(
            CauseKind::BodyCrlfLost,
            "the sender signed CRLF line ends, and the body has LF",
            "on the receiver, verify the raw bytes: a text mode, git or an editor turned CRLF into LF",
        )
    };
    bodies.offer(replaced(&lf, b"\n", b"\r\n"), lost());
    bodies.offer(
        lf,
        Cause::new(
            CauseKind::BodyCrlfAdded,
            "the sender signed LF line ends, and the body has CRLF",
            "on the receiver, verify the raw bytes: a text mode, git or a form turned LF into CRLF",
        ),
    );
    if let Some(bare) = body.strip_suffix(b"\n") {
        bodies.offer_all(replaced(bare, b"\n", b"\r\n"), vec![lost(), newline_lost()]);
    }
}

fn encoded(bodies: &mut Bodies<'_>) {
    let body = bodies.original;
    let cause = |what: &'static str, fix: &'static str| Cause::new(CauseKind::BodyEncoded, what, fix);
    let trimmed = body.trim_ascii();
    if let Ok(inner) = STANDARD.decode(trimmed) {
        bodies.offer(
            inner,
            cause(
                "the body is base64 of the signed bytes",
                "on the receiver, decode the body before verifying: a gateway such as AWS's passes binary bodies on \
                 as base64",
            ),
        );
    }
    if let Ok(inner) = const_hex::decode(trimmed) {
        bodies.offer(
            inner,
            cause("the body is hex of the signed bytes", "on the receiver, decode the body before verifying"),
        );
    }
    let fix = "on the sender, sign the bytes that are sent, not an encoded form of them";
    bodies.offer(STANDARD.encode(body).into_bytes(), cause("the sender signed base64 of the body", fix));
    bodies
        .offer(URL_SAFE_NO_PAD.encode(body).into_bytes(), cause("the sender signed URL-safe base64 of the body", fix));
    bodies.offer(const_hex::encode(body).into_bytes(), cause("the sender signed hex of the body", fix));
}

fn compressed(bodies: &mut Bodies<'_>) {
    let body = bodies.original;
    let cause = || {
        Cause::new(
            CauseKind::BodyCompressed,
            "the body is compressed, and the sender signed it before compressing",
            "on the receiver, decompress before verifying, under a size limit; or have the sender sign the compressed \
             bytes",
        )
    };
    for inner in [read_some(MultiGzDecoder::new(body)), read_some(ZlibDecoder::new(body))].into_iter().flatten() {
        if inner.len() > MAX_INFLATED {
            bodies.omit("a decompressed body of more than 8 MiB is not tried");
        } else {
            bodies.offer(inner, cause());
        }
    }
}

/// Reads at most one byte more than `MAX_INFLATED`. Returns `None` for an error, and for output that is empty.
fn read_some(decoder: impl std::io::Read) -> Option<Vec<u8>> {
    let mut inner = Vec::new();
    let most = u64::try_from(MAX_INFLATED).ok()?;
    decoder.take(most.saturating_add(1)).read_to_end(&mut inner).ok()?;
    (!inner.is_empty()).then_some(inner)
}

/// Offers each small body that has one mistake a second time, with a line break at its end.
fn with_newline(bodies: &mut Bodies<'_>) {
    let single = |form: &&Form<Cow<'_, [u8]>>| form.weight == 1 && form.value.len() <= MAX_DOUBLED;
    let doubles: Vec<_> = bodies
        .forms
        .iter()
        .filter(single)
        .map(|form| ([&*form.value, b"\n"].concat(), form.causes.iter().cloned().chain([newline_lost()]).collect()))
        .collect();
    for (body, causes) in doubles {
        bodies.offer_all(body, causes);
    }
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// Why a form of the body is not tried that would exceed `MAX_HELD`.
const TOO_LARGE: &str = "the forms of the body are limited to 64 MiB";

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The largest body that is decoded or serialized again, in bytes.
const MAX_REWRITTEN: usize = 1 << 20;

/// The maximum size of a decompressed body, in bytes.
const MAX_INFLATED: usize = 8 << 20;

/// The largest body that is tried with two mistakes, in bytes.
const MAX_DOUBLED: usize = 64 << 10;

/// The maximum total size of the owned bodies, in bytes.
const MAX_HELD: usize = 64 << 20;
