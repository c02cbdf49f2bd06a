//! Reads the signatures of a request, and accepts forms that a verifier must refuse.

mod spelling;

use super::cause::{Cause, CauseKind};
use super::form::Form;
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{Entry, Layout, Scheme};

#[cfg(feature = "message-signatures")]
pub(super) use spelling::MIN_BYTES;
#[cfg(feature = "message-signatures")]
pub(super) use spelling::RESTORE_PLUS;
pub(super) use spelling::{Spelling, decoded, wrong_spelling};

/// A possible signature.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) bytes: Vec<u8>,
    header: String,
}

impl Candidate {
    /// Returns the cause for a signature that was truncated from `size` bytes.
    pub(super) fn truncated(&self, size: usize) -> Cause {
        Cause::new(
            CauseKind::SignatureTruncated,
            format!(
                "the signature is truncated: {} of its {size} bytes arrived, and these are right",
                self.bytes.len()
            ),
            "send or store the whole signature: look for a column, log field or header limit that truncates it",
        )
        .at_header(&*self.header)
    }
}

/// Returns every candidate in the signature headers, first those that the scheme reads.
pub(super) fn candidates<H: Head + ?Sized>(scheme: &Scheme, head: &H) -> Vec<Form<Candidate>> {
    let mut found: Vec<Form<Candidate>> = Vec::new();
    let values = scheme.signature_headers().iter().flat_map(|name| match head.header(name) {
        Occurrence::Absent => Vec::new(),
        Occurrence::Once(value) => vec![(name, value)],
        Occurrence::Repeated if scheme.repeats_signature_headers() => {
            let values = (0..MAX_REPEATED).map_while(|index| head.nth_value(name, index));
            values.map(|value| (name, value)).collect()
        }
        Occurrence::Repeated => Vec::new(),
    });
    for (name, value) in values {
        let value = value.get(..MAX_VALUE).unwrap_or(value);
        let strict = strict(scheme.layout(), value);
        for text in &strict {
            offer(&mut found, scheme, name, text, true, Vec::new());
        }
        if let Some(value) = with_plus(scheme.layout(), value) {
            for text in self::strict(scheme.layout(), &value).into_iter().filter(|text| text.starts_with(b"+")) {
                let cause = wrong_spelling(Spelling::SpaceForPlus, scheme.encoding(), name);
                let decoded = decoded(text, scheme.encoding()).into_iter();
                found.extend(decoded.map(|(bytes, _)| Form::with_causes(candidate(bytes, name), cause.clone())));
            }
        }
        let mut tokens = tokens(value);
        // A signature is named with the shortest text before it, unless that text is a known prefix: a longer one may
        // contain a timestamp or an id, which differ in each delivery.
        tokens.sort_by_key(|token| if is_known(token.prefix) { 0 } else { token.prefix.len() });
        for token in tokens {
            let causes = wrong_layout(scheme.layout(), &token, name);
            offer(&mut found, scheme, name, token.text, strict.contains(&token.text), causes);
        }
    }
    found.sort_by_key(|form| form.weight);
    found.truncate(MAX_CANDIDATES);
    found
}

/// The signatures that a verifier reads.
fn strict<'v>(layout: &Layout, value: &'v [u8]) -> Vec<&'v [u8]> {
    let mut strict: Vec<&[u8]> = Vec::new();
    for group in layout.groups(value) {
        let _ = layout.visit(group, |entry| {
            if let Entry::Signature(text) = entry {
                strict.push(text);
            }
            Ok::<(), core::convert::Infallible>(())
        });
    }
    strict
}

/// The value with a plus sign in place of a space after each prefix of a signature. Returns `None` if it has none.
fn with_plus(layout: &Layout, value: &[u8]) -> Option<Vec<u8>> {
    let prefix = expected_prefix(layout);
    let spaced = [prefix.as_bytes(), b" "].concat();
    if prefix.is_empty() || !value.windows(spaced.len()).any(|part| part == spaced) {
        return None;
    }
    let mut out: Vec<u8> = Vec::new();
    for byte in value {
        let is_first = *byte == b' ' && out.ends_with(prefix.as_bytes());
        out.push(if is_first { b'+' } else { *byte });
    }
    Some(out)
}

/// The text that the layout has before a signature.
fn expected_prefix(layout: &Layout) -> String {
    match layout {
        Layout::Plain { prefix } | Layout::List { prefix, .. } => prefix.to_string(),
        Layout::Fields { signature, .. } | Layout::FieldGroups { signature, .. } => format!("{signature}="),
        Layout::Positional { .. } => String::new(),
    }
}

fn offer(
    found: &mut Vec<Form<Candidate>>,
    scheme: &Scheme,
    name: &FieldName,
    text: &[u8],
    in_place: bool,
    before: Vec<Cause>,
) {
    for (bytes, spelling) in decoded(text, scheme.encoding()) {
        let mut causes = before.clone();
        causes.extend(wrong_spelling(spelling, scheme.encoding(), name));
        // A candidate that a verifier would not read must have a cause.
        if causes.is_empty() && !in_place {
            causes.push(surrounded(name));
        } else if causes.is_empty() && !is_canonical(scheme, text, bytes.len()) {
            causes.extend(scheme.algorithm().signature_sizes().contains(&bytes.len()).then(|| not_canonical(name)));
        }
        found.push(Form::with_causes(candidate(bytes, name), causes));
    }
}

/// Whether a verifier decodes a text of `size` bytes.
fn is_canonical(scheme: &Scheme, text: &[u8], size: usize) -> bool {
    match scheme.algorithm().uses_public_keys() {
        true => scheme.encoding().decode_signature(text, &(size..=size)).is_some(),
        false => scheme.encoding().decode_tag(text, size.min(MAX_TAG)).is_some(),
    }
}

fn surrounded(name: &FieldName) -> Cause {
    Cause::new(
        CauseKind::SignatureQuoted,
        "the signature is right, but other text or white space surrounds it",
        "on the sender, send only the signature; or set the layout of the header in the receiver's scheme",
    )
    .at_header(name.as_str())
}

fn not_canonical(name: &FieldName) -> Cause {
    Cause::new(
        CauseKind::SignatureEncoding,
        "the signature is right, but its base64 is not canonical: unused bits at its end are set",
        "on the sender, encode the signature with a base64 library",
    )
    .at_header(name.as_str())
}

pub(super) fn candidate(bytes: Vec<u8>, name: &FieldName) -> Candidate {
    Candidate { bytes, header: name.as_str().to_owned() }
}

/// A piece of a signature header that may be a signature.
struct Token<'h> {
    /// The text before it, from the last separator on.
    prefix: &'h [u8],
    text: &'h [u8],
    quoted: bool,
    /// Whether the header has nothing else.
    is_whole: bool,
}

fn tokens(value: &[u8]) -> Vec<Token<'_>> {
    let separated = value.split(|byte| matches!(byte, b',' | b';' | b' ' | b'\t' | b'.'));
    let mut tokens = Vec::new();
    for entry in std::iter::once(value).chain(separated).map(<[u8]>::trim_ascii) {
        let is_whole = entry.len() == value.trim_ascii().len();
        let (entry, quoted) = unquoted(entry);
        tokens.push(Token { prefix: b"", text: entry, quoted, is_whole });
        for (place, byte) in entry.iter().enumerate().take(MAX_PREFIX) {
            if matches!(byte, b'=' | b':' | b',' | b' ')
                && !is_timestamp(entry.get(..place).unwrap_or_default())
                && let Some((prefix, text)) = entry.split_at_checked(place.saturating_add(1))
            {
                let (text, inner) = unquoted(text.trim_ascii());
                tokens.push(Token { prefix, text, quoted: quoted || inner, is_whole });
            }
        }
    }
    tokens
}

/// Whether a value before a signature is a timestamp and not a prefix.
fn is_timestamp(text: &[u8]) -> bool {
    text.len() >= TIMESTAMP_DIGITS && text.iter().all(u8::is_ascii_digit)
}

fn unquoted(text: &[u8]) -> (&[u8], bool) {
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => (inner, true),
        _ => (text, false),
    }
}

fn wrong_layout(layout: &Layout, token: &Token<'_>, name: &FieldName) -> Vec<Cause> {
    let expected = expected_prefix(layout);
    let mut causes = Vec::new();
    if token.quoted {
        causes.push(Cause::new(
            CauseKind::SignatureQuoted,
            "the signature is in quotes",
            "on the sender, send the bare signature without quotes",
        ));
    }
    let found = match is_known(token.prefix) {
        true => format!("the prefix {:?}", String::from_utf8_lossy(token.prefix)),
        false => format!("{} other bytes before it", token.prefix.len()),
    };
    let fix = if !token.is_whole && matches!(layout, Layout::Plain { .. }) {
        "on the receiver, set Layout::fields or Layout::list in the scheme, because the header has several values"
            .to_owned()
    } else if is_known(token.prefix) {
        format!("on the receiver, set a layout with {found} in the scheme")
    } else {
        "compare these bytes in two deliveries: if they are equal, set them as the prefix in the receiver's scheme; if \
         not, set Layout::fields or Layout::positional"
            .to_owned()
    };
    if token.prefix.is_empty() && !expected.is_empty() {
        causes.push(Cause::new(
            CauseKind::SignaturePrefixMissing,
            format!("the signature is right, but lacks the prefix {expected:?} that the scheme expects"),
            format!("on the sender, put {expected:?} before it; or remove the prefix from the receiver's scheme"),
        ));
    } else if expected.is_empty() && !token.prefix.is_empty() {
        causes.push(Cause::new(
            CauseKind::SignaturePrefixExtra,
            format!("the signature is right, but has {found}, and the scheme expects no prefix"),
            format!("{fix}; or have the sender send only the signature"),
        ));
    } else if token.prefix != expected.as_bytes() {
        causes.push(Cause::new(
            CauseKind::SignaturePrefixDiffers,
            format!("the signature is right, but has {found}, and the scheme expects {expected:?}"),
            format!("{fix}; or have the sender write {expected:?}"),
        ));
    }
    causes.into_iter().map(|cause| cause.at_header(name.as_str())).collect()
}

/// Whether senders write this prefix. No other prefix is quoted, because anyone can send the header.
fn is_known(prefix: &[u8]) -> bool {
    PREFIXES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(prefix))
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

/// The maximum number of values of a repeated header that are searched.
const MAX_REPEATED: usize = 128;

/// The maximum length of a value that is searched, in bytes.
const MAX_VALUE: usize = 8_192;

/// The maximum number of candidates that are compared.
const MAX_CANDIDATES: usize = 192;

/// The number of digits of a timestamp in seconds.
const TIMESTAMP_DIGITS: usize = 10;

/// The maximum length of a prefix, in bytes.
const MAX_PREFIX: usize = 24;
