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
    for separator in ['|', ';', ',', ' ', '\n', '\t'] {
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

/// Returns the text with its escapes undone, each escape by itself.
fn unescaped((text, before): &Reading) -> Vec<Reading> {
    let undone = ESCAPES.iter().filter_map(|escape| {
        let plain = (escape.undo)(text).filter(|plain| plain != &**text && !plain.is_empty())?;
        let cause = Cause::new(CauseKind::SecretEscaped, escape.what, escape.fix);
        Some((Zeroizing::new(plain), before.iter().cloned().chain([cause]).collect()))
    });
    undone.collect()
}

/// A way in which a secret is escaped.
struct Escape {
    undo: fn(&str) -> Option<String>,
    what: &'static str,
    fix: &'static str,
}

/// Every escape, in the order in which they are tried.
const ESCAPES: [Escape; 8] = [
    Escape {
        undo: |text| Some(text.replace("$$", "$")),
        what: "the secret's text has $$ where the key has $: Docker Compose escapes a dollar sign like this, and \
               nothing undid it",
        fix: "on the receiver, write one $ for each: only files that Compose itself interpolates need two",
    },
    Escape {
        undo: |text| Some(text.replace("%%", "%")),
        what: "the secret's text has %% where the key has %: systemd and INI files escape a percent sign like this, \
               and nothing undid it",
        fix: "on the receiver, write one % for each",
    },
    Escape {
        undo: |text| percent_decode_str(text).decode_utf8().ok().map(Into::into),
        what: "the secret's text is percent-encoded, as in a URL, and the key is not",
        fix: "on the receiver, configure the secret decoded: %2F is a slash, %2B a plus sign, %3D an equals sign",
    },
    Escape {
        undo: with_plus,
        what: "each + of the secret's base64 became a space: something decoded the secret as if it were part of a URL",
        fix: "on the receiver, write a + for each space in the secret",
    },
    Escape {
        undo: |text| Some(text.replace(r"\r\n", "\n").replace(r"\n", "\n")),
        what: r"the secret's text has line breaks that are written out, as \n",
        fix: "on the receiver, write real line breaks: the env file or manifest keeps a backslash and a letter",
    },
    Escape {
        undo: without_backslashes,
        what: "the secret's text has backslashes before other characters, as a shell or an env file needs them, and \
               nothing removed them",
        fix: r"on the receiver, remove the backslashes: write $ for \$",
    },
    Escape {
        undo: |text| serde_json::from_str(&format!("\"{text}\"")).ok().filter(|_| text.contains(r"\u")),
        what: r"the secret's text has JSON escapes, such as \u0026 for &",
        fix: "on the receiver, configure the secret itself, without JSON escapes",
    },
    Escape {
        undo: without_entities,
        what: "the secret's text has HTML entities, such as &amp; for &",
        fix: "on the receiver, configure the secret itself, as the provider's page shows it and not as its source does",
    },
];

/// Base64 with a plus sign for each space.
fn with_plus(text: &str) -> Option<String> {
    let letters = text.strip_prefix(WHSEC).unwrap_or(text).bytes();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b' ');
    (text.contains(' ') && letters.into_iter().all(is_base64)).then(|| text.replace(' ', "+"))
}

fn without_backslashes(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '\\' && characters.peek().is_some_and(|next| next.is_ascii_punctuation() || *next == ' ') {
            plain.extend(characters.next());
        } else {
            plain.push(c);
        }
    }
    Some(plain)
}

fn without_entities(text: &str) -> Option<String> {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c)))
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
const LAYERS: [Layer; 8] = [
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
        strip: without_key,
        kind: CauseKind::SecretAssignment,
        what: "the secret's text is a whole line of YAML, including its key",
        fix: "on the receiver, configure only the text after the colon",
    },
    Layer {
        strip: without_comment,
        kind: CauseKind::SecretAssignment,
        what: "the secret's text has a comment after it: docker run --env-file, for example, keeps comments",
        fix: "on the receiver, remove the # and the text after it",
    },
    Layer {
        strip: without_separator,
        kind: CauseKind::SecretList,
        what: "the secret's text ends with a separator, which is not part of it",
        fix: "on the receiver, remove the separator at the end of the secret: it was probably copied from a list of secrets",
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

fn without_key(text: &str) -> Option<&str> {
    let (name, value) = text.split_once(": ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'"'));
    (is_name && !name.is_empty() && !value.is_empty()).then_some(value)
}

fn without_comment(text: &str) -> Option<&str> {
    let (value, _) = text.split_once(" #")?;
    Some(value.trim_end()).filter(|value| !value.is_empty())
}

fn without_separator(text: &str) -> Option<&str> {
    text.strip_suffix([',', ';']).filter(|inner| !inner.is_empty())
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
