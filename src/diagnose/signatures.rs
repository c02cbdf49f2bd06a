//! The signatures of a request, read with every indulgence that a verifier must not have.

mod spelling;

use super::cause::{Cause, CauseKind};
use super::form::Form;
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{Entry, Layout, Scheme};
use spelling::{decoded, wrong_spelling};

/// What may be a signature.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) bytes: Vec<u8>,
    header: String,
}

impl Candidate {
    /// What is wrong with a signature that is the start of one of `size` bytes.
    pub(super) fn truncated(&self, size: usize) -> Cause {
        Cause::new(
            CauseKind::SignatureTruncated,
            format!("the signature is cut off: {} of its {size} bytes arrived and are right", self.bytes.len()),
            "send or store the whole signature: look for a column, log field or header limit that cuts it",
        )
        .at_header(&*self.header)
    }
}

/// Every candidate in the signature headers, those that the scheme itself reads first.
pub(super) fn candidates<H: Head + ?Sized>(scheme: &Scheme, head: &H) -> Vec<Form<Candidate>> {
    let mut found: Vec<Form<Candidate>> = Vec::new();
    for name in scheme.signature_headers() {
        let Occurrence::Once(value) = head.header(name) else { continue };
        let value = value.get(..MAX_VALUE).unwrap_or(value);
        let mut strict: Vec<&[u8]> = Vec::new();
        let _ = scheme.layout().visit(value, |entry| {
            if let Entry::Signature(text) = entry {
                strict.push(text);
            }
            Ok::<(), core::convert::Infallible>(())
        });
        for text in &strict {
            offer(&mut found, scheme, name, text, true, Vec::new());
        }
        for token in tokens(value) {
            let causes = wrong_layout(scheme.layout(), &token, name);
            offer(&mut found, scheme, name, token.text, strict.contains(&token.text), causes);
        }
    }
    found.sort_by_key(|form| form.weight);
    found.truncate(MAX_CANDIDATES);
    found
}

fn offer(
    found: &mut Vec<Form<Candidate>>,
    scheme: &Scheme,
    name: &FieldName,
    text: &[u8],
    in_place: bool,
    before: Vec<Cause>,
) {
    for (bytes, spelling) in decoded(text) {
        let mut causes = before.clone();
        causes.extend(wrong_spelling(spelling, scheme.encoding(), name));
        // What a verifier would not read is never without a cause.
        if causes.is_empty() && !in_place {
            causes.push(surrounded(name));
        } else if causes.is_empty() && scheme.encoding().decode_tag(text, bytes.len().min(MAX_TAG)).is_none() {
            causes.extend((bytes.len() == scheme.algorithm().tag_size()).then(|| not_canonical(name)));
        }
        found.push(Form::faulty(candidate(bytes, name), causes));
    }
}

fn surrounded(name: &FieldName) -> Cause {
    Cause::new(
        CauseKind::SignatureQuoted,
        "the signature is right and stands among other text or white space",
        "on the sender, send the signature alone; or give the receiver's scheme the layout that the header has",
    )
    .at_header(name.as_str())
}

fn not_canonical(name: &FieldName) -> Cause {
    Cause::new(
        CauseKind::SignatureEncoding,
        "the signature is right and its base64 is not in the one canonical form: bits at its end are set",
        "on the sender, encode the signature with a base64 library",
    )
    .at_header(name.as_str())
}

fn candidate(bytes: Vec<u8>, name: &FieldName) -> Candidate {
    Candidate { bytes, header: name.as_str().to_owned() }
}

/// A piece of a signature header that may be a signature.
struct Token<'h> {
    /// What stands before it, from the last separator on.
    prefix: &'h [u8],
    text: &'h [u8],
    quoted: bool,
}

fn tokens(value: &[u8]) -> Vec<Token<'_>> {
    let separated = value.split(|byte| matches!(byte, b',' | b';' | b' ' | b'\t'));
    let mut tokens = Vec::new();
    for entry in std::iter::once(value).chain(separated).map(<[u8]>::trim_ascii) {
        let (entry, quoted) = unquoted(entry);
        tokens.push(Token { prefix: b"", text: entry, quoted });
        for (place, byte) in entry.iter().enumerate().take(MAX_PREFIX) {
            if matches!(byte, b'=' | b':' | b',' | b' ')
                && let Some((prefix, text)) = entry.split_at_checked(place.saturating_add(1))
            {
                let (text, inner) = unquoted(text.trim_ascii());
                tokens.push(Token { prefix, text, quoted: quoted || inner });
            }
        }
    }
    tokens
}

fn unquoted(text: &[u8]) -> (&[u8], bool) {
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => (inner, true),
        _ => (text, false),
    }
}

fn wrong_layout(layout: &Layout, token: &Token<'_>, name: &FieldName) -> Vec<Cause> {
    let expected = match layout {
        Layout::Plain { prefix } | Layout::List { prefix, .. } => prefix.to_string(),
        Layout::Fields { signature, .. } => format!("{signature}="),
    };
    let mut causes = Vec::new();
    if token.quoted {
        causes.push(Cause::new(
            CauseKind::SignatureQuoted,
            "the signature stands between quotes",
            "on the sender, send the bare signature without quotes",
        ));
    }
    let found = shown_prefix(token.prefix);
    if token.prefix.is_empty() && !expected.is_empty() {
        causes.push(Cause::new(
            CauseKind::SignaturePrefixMissing,
            format!("the signature is right and lacks the prefix {expected:?} that the scheme expects"),
            format!("on the sender, put {expected:?} before it; or take the prefix out of the receiver's scheme"),
        ));
    } else if expected.is_empty() && !token.prefix.is_empty() {
        causes.push(Cause::new(
            CauseKind::SignaturePrefixExtra,
            format!("the signature is right and stands behind {found}, where the scheme expects no prefix"),
            format!("on the receiver, give the scheme the layout with {found}; or have the sender leave it out"),
        ));
    } else if token.prefix != expected.as_bytes() {
        causes.push(Cause::new(
            CauseKind::SignaturePrefixDiffers,
            format!("the signature is right and stands behind {found}, where the scheme expects {expected:?}"),
            format!("on the receiver, give the scheme the layout with {found}; or have the sender write {expected:?}"),
        ));
    }
    causes.into_iter().map(|cause| cause.at_header(name.as_str())).collect()
}

/// A prefix is quoted only if it is one that senders are known to use, for it comes from a stranger.
fn shown_prefix(prefix: &[u8]) -> String {
    match core::str::from_utf8(prefix) {
        Ok(text) if PREFIXES.iter().any(|known| known.eq_ignore_ascii_case(text)) => format!("the prefix {text:?}"),
        _ => format!("a prefix of {} bytes", prefix.len()),
    }
}

/// Prefixes that senders write.
const PREFIXES: &[&str] = &[
    "sha256=",
    "sha1=",
    "sha512=",
    "sha384=",
    "sha-256=",
    "hmac-sha256=",
    "hmac=",
    "v0=",
    "v1=",
    "v2=",
    "v1,",
    "v1a,",
    "s=",
    "sig=",
    "signature=",
    "sha256:",
    "sha1:",
    "sha512:",
    "hmac ",
    "hmac-sha256 ",
    "sha256 ",
    "bearer ",
    "h1=",
    "hex=",
];

/// The size of the longest signature, in bytes.
const MAX_TAG: usize = 64;

/// The longest value that is looked at, in bytes.
const MAX_VALUE: usize = 8_192;

/// The most candidates that are compared.
const MAX_CANDIDATES: usize = 96;

/// The longest prefix, in bytes.
const MAX_PREFIX: usize = 24;
