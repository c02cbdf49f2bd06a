//! The secrets that a configured text may mean.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::diagnose::cause::{Cause, CauseKind};
use crate::secret::WHSEC;

/// A possible secret, with the mistakes that hide it.
type Reading = (Zeroizing<String>, Vec<Cause>);

/// Returns every reading of the text except the text itself: without the characters around it, with its escapes undone,
/// and each of several secrets.
pub(super) fn readings(text: &str) -> Vec<Reading> {
    let mut found = stripped(text, &[]);
    let whole = (Zeroizing::new(text.to_owned()), Vec::new());
    let escaped: Vec<Reading> = std::iter::once(&whole).chain(&found).flat_map(unescaped).collect();
    found.extend(escaped);
    for separator in ['|', ';', ',', ' '] {
        let parts: Vec<&str> = text.split(separator).map(str::trim).filter(|part| part.len() >= MIN_PART).collect();
        if !(2..=MAX_PARTS).contains(&parts.len()) {
            continue;
        }
        let cause = Cause::new(
            CauseKind::SecretList,
            format!("the text contains {} secrets with {separator:?} between them", parts.len()),
            "on the receiver, configure each of them as a separate secret",
        );
        for part in parts {
            found.push((Zeroizing::new(part.to_owned()), vec![cause.clone()]));
            found.extend(stripped(part, std::slice::from_ref(&cause)));
        }
    }
    found
}

/// Returns the text with its escapes undone.
fn unescaped((text, before): &Reading) -> Vec<Reading> {
    let dollars = text.contains("$$").then(|| {
        let cause = Cause::new(
            CauseKind::SecretEscaped,
            "the secret's text has $$ where the key has $: Docker Compose escapes a dollar sign like this, and \
             nothing undid it",
            "on the receiver, write one $ for each: only files that Compose itself interpolates need two",
        );
        (text.replace("$$", "$"), cause)
    });
    let percent = percent_decode_str(text).decode_utf8().ok().filter(|plain| **plain != **text).map(|plain| {
        let cause = Cause::new(
            CauseKind::SecretEscaped,
            "the secret's text is percent-encoded, as in a URL, and the key is not",
            "on the receiver, configure the secret decoded: %2F is a slash, %2B a plus sign, %3D an equals sign",
        );
        (plain.into_owned(), cause)
    });
    let forms = dollars.into_iter().chain(percent);
    forms.map(|(plain, cause)| (Zeroizing::new(plain), before.iter().cloned().chain([cause]).collect())).collect()
}

/// Removes white space, quotes, an assignment, a version and a written-out line break, one after the other. Returns the
/// text after each step.
fn stripped(text: &str, before: &[Cause]) -> Vec<Reading> {
    let mut found: Vec<Reading> = Vec::new();
    let mut inner = text;
    let mut causes: Vec<Cause> = before.to_vec();
    for _ in 0..MAX_LAYERS {
        let outermost = LAYERS.iter().find_map(|layer| Some((layer, (layer.strip)(inner)?)));
        let Some((layer, next)) = outermost else { break };
        causes.push(Cause::new(layer.kind, layer.what, layer.fix));
        found.push((Zeroizing::new(next.to_owned()), causes.clone()));
        inner = next;
    }
    found
}

/// Something around a secret that is not part of it.
struct Layer {
    strip: fn(&str) -> Option<&str>,
    kind: CauseKind,
    what: &'static str,
    fix: &'static str,
}

/// Every layer, in the order in which they are tried.
const LAYERS: [Layer; 5] = [
    Layer {
        strip: trimmed,
        kind: CauseKind::SecretWhiteSpace,
        what: "the secret's text starts or ends with a line break, other white space or an invisible character",
        fix: "on the receiver, trim the secret: it was probably read from a file or pasted with white space",
    },
    Layer {
        strip: unquoted,
        kind: CauseKind::SecretQuoted,
        what: "the secret's text is in quotes, which are not part of it",
        fix: "on the receiver, remove the quotes: the env file or manifest keeps them literally",
    },
    Layer {
        strip: assigned,
        kind: CauseKind::SecretAssignment,
        what: "the secret's text is a whole assignment, including the name of a variable",
        fix: "on the receiver, configure only the text after the equals sign",
    },
    Layer {
        strip: unversioned,
        kind: CauseKind::SecretPrefix,
        what: "the secret's text has `v1,` before its whsec_, as Supabase shows it, and that is not part of the secret",
        fix: "on the receiver, configure the secret from whsec_ on",
    },
    Layer {
        strip: without_written_end,
        kind: CauseKind::SecretEscaped,
        what: r"the secret's text ends with a line break that is written out, as \n",
        fix: "on the receiver, remove the backslash and the letter: the env file or manifest keeps them literally",
    },
];

fn trimmed(text: &str) -> Option<&str> {
    let inner = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\0'));
    (inner != text).then_some(inner)
}

fn unquoted(text: &str) -> Option<&str> {
    ['"', '\'', '`'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

fn assigned(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b' ');
    (is_name && !value.trim_matches('=').is_empty()).then_some(value)
}

fn unversioned(text: &str) -> Option<&str> {
    text.strip_prefix(VERSION).filter(|inner| inner.starts_with(WHSEC))
}

/// The text before a line break or tab that is written out.
fn without_written_end(text: &str) -> Option<&str> {
    [r"\r\n", r"\n", r"\r", r"\t"].iter().find_map(|end| text.strip_suffix(end)).filter(|inner| !inner.is_empty())
}

/// The maximum number of layers that are removed from a secret.
const MAX_LAYERS: usize = 4;

/// The version that Supabase puts before a secret of Standard Webhooks.
const VERSION: &str = "v1,";

/// The minimum length of a secret in a list, in bytes.
const MIN_PART: usize = 8;

/// The maximum number of secrets in a list.
const MAX_PARTS: usize = 8;
