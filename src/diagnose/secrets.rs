//! The keys that a secret's text may stand for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::cause::{Cause, CauseKind};
use super::form::Form;
use super::search::KeyForm;
use crate::encoding::Encoding;
use crate::scheme::{Scheme, SecretFormat};
use crate::secret::WHSEC;

/// A text with what had to be done to get at it.
type Reading = (Zeroizing<String>, Vec<Cause>);

/// Every key, those that the scheme itself takes the texts for first.
pub(super) fn keys(scheme: &Scheme, texts: &[Zeroizing<String>]) -> Vec<Form<KeyForm>> {
    let mut keys = Keys { forms: Vec::new() };
    for (secret, text) in texts.iter().enumerate() {
        keys.read(scheme, secret, text);
    }
    keys.forms
}

struct Keys {
    forms: Vec<Form<KeyForm>>,
}

impl Keys {
    fn read(&mut self, scheme: &Scheme, secret: usize, text: &str) {
        if let Ok(right) = scheme.secret(text) {
            self.offer(secret, right.expose(), Vec::new());
        }
        let stripped = stripped(text);
        for (inner, causes) in &stripped {
            if let Ok(right) = scheme.secret(inner) {
                self.offer(secret, right.expose(), causes.clone());
            }
        }
        let whole = (Zeroizing::new(text.to_owned()), Vec::new());
        for (text, causes) in std::iter::once(&whole).chain(&stripped) {
            self.reinterpret(scheme.secret_format(), secret, text, causes);
        }
    }

    /// The text taken for what the scheme does not take it for.
    fn reinterpret(&mut self, format: SecretFormat, secret: usize, text: &str, before: &[Cause]) {
        let mut offer = |bytes: &[u8], kind, what: &str, fix: &str| {
            let cause = Cause::new(kind, what.to_owned(), fix.to_owned());
            self.offer(secret, bytes, before.iter().cloned().chain([cause]).collect());
        };
        let bare = text.strip_prefix(WHSEC);
        if let Some(bytes) = bare.and_then(base64).filter(|_| format != SecretFormat::Whsec) {
            offer(
                &bytes,
                CauseKind::SecretPrefix,
                "the key is the base64 behind whsec_, decoded, where the scheme takes the text otherwise",
                "on the receiver, set the scheme's secret format to SecretFormat::Whsec",
            );
        }
        if let Some(bare) = bare {
            offer(
                bare.as_bytes(),
                CauseKind::SecretPrefix,
                "the key is the text without its whsec_, not decoded",
                "on the receiver, use SecretFormat::Literal and the secret without whsec_",
            );
        }
        if let Some(bytes) = base64(text).filter(|_| !matches!(format, SecretFormat::Base64 | SecretFormat::Whsec)) {
            offer(
                &bytes,
                CauseKind::SecretBase64,
                "the secret is base64 and the sender decodes it; the receiver takes its text otherwise",
                "on the receiver, set the scheme's secret format to SecretFormat::Base64, or decode the secret before Secret::from_bytes",
            );
        }
        if let Some(bytes) = bare.into_iter().chain([text]).find_map(loose_base64) {
            offer(
                &bytes,
                CauseKind::SecretBase64Url,
                "the secret is base64 in its URL-safe or unpadded form and the sender decodes it",
                "on the receiver, write the secret in padded base64 (+ / =) under SecretFormat::Base64, or decode it before Secret::from_bytes",
            );
        }
        if let Some(bytes) = Encoding::Hex.decode_secret(text).filter(|_| format != SecretFormat::Hex) {
            offer(
                &bytes,
                CauseKind::SecretHex,
                "the secret is hex and the sender decodes it; the receiver takes its text otherwise",
                "on the receiver, set the scheme's secret format to SecretFormat::Hex",
            );
        }
        if format != SecretFormat::Literal {
            offer(
                text.as_bytes(),
                CauseKind::SecretLiteral,
                "the sender signs with the secret's text itself; the receiver decodes it first",
                "on the sender, decode the secret before signing; or set the receiver's SecretFormat::Literal",
            );
        } else if text.trim() != text && before.is_empty() {
            offer(
                text.as_bytes(),
                CauseKind::SecretWhiteSpace,
                "the sender's key includes the white space at the secret's end",
                "on the sender, trim the secret; or give the receiver these very bytes by Secret::from_bytes",
            );
        }
        for end in ["\n", "\r\n", " ", "\0"] {
            offer(
                format!("{text}{end}").as_bytes(),
                CauseKind::SecretWhiteSpace,
                "the sender's key is the secret's text with a line break, space or zero byte behind it",
                "on the sender, trim the secret: it was probably read from a file, or written by echo without -n",
            );
        }
        for quote in ['"', '\''].into_iter().filter(|_| before.is_empty()) {
            offer(
                Zeroizing::new(format!("{quote}{text}{quote}")).as_bytes(),
                CauseKind::SecretQuoted,
                "the sender's key is the secret's text with quotes around it",
                "on the sender, take the quotes away: its env file or manifest keeps them literally",
            );
        }
        if format == SecretFormat::Literal && !text.starts_with(WHSEC) {
            offer(
                format!("{WHSEC}{text}").as_bytes(),
                CauseKind::SecretPrefix,
                "the sender's key is the text with whsec_ before it",
                "on the receiver, give the secret with its whsec_, as the provider shows it",
            );
        }
        for other in [text.to_lowercase(), text.to_uppercase()].map(Zeroizing::new) {
            if **other != *text {
                offer(
                    other.as_bytes(),
                    CauseKind::SecretCase,
                    "the sender's key is the secret with its letters in the other case",
                    "copy the secret again: its letters changed case on one side",
                );
            }
        }
        // Kubernetes shows secrets in base64, and what was in it may be of any form.
        let decoded = base64(text).and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()).map(Zeroizing::new);
        if let Some(inner) = decoded {
            let inner = inner.trim();
            let bytes = inner.strip_prefix(WHSEC).and_then(base64);
            let bytes = bytes.unwrap_or_else(|| Zeroizing::new(inner.as_bytes().to_vec()));
            offer(
                &bytes,
                CauseKind::SecretBase64,
                "the secret is base64 of the secret's text, as Kubernetes shows it",
                "on the receiver, decode the secret once and configure the text inside",
            );
        }
    }

    fn offer(&mut self, secret: usize, bytes: &[u8], causes: Vec<Cause>) {
        let known = |form: &Form<KeyForm>| *form.value.bytes == *bytes;
        if !bytes.is_empty() && !self.forms.iter().any(known) {
            let bytes = Zeroizing::new(bytes.to_vec());
            self.forms.push(Form::faulty(KeyForm { bytes, secret }, causes));
        }
    }
}

/// The text inside white space, quotes and an assignment, one after the other.
fn stripped(text: &str) -> Vec<Reading> {
    let mut found: Vec<Reading> = Vec::new();
    let mut inner = text;
    let mut causes: Vec<Cause> = Vec::new();
    for _ in 0..MAX_LAYERS {
        let (next, cause) = if let Some(next) = trimmed(inner) {
            let cause = Cause::new(
                CauseKind::SecretWhiteSpace,
                "the secret's text has a line break, another white space or an invisible character at an end",
                "on the receiver, trim the secret: it was probably read from a file or pasted with more than itself",
            );
            (next, cause)
        } else if let Some(next) = unquoted(inner) {
            let cause = Cause::new(
                CauseKind::SecretQuoted,
                "the secret's text stands between quotes, which are not part of it",
                "on the receiver, take the quotes away: the env file or manifest keeps them literally",
            );
            (next, cause)
        } else if let Some(next) = assigned(inner) {
            let cause = Cause::new(
                CauseKind::SecretAssignment,
                "the secret's text is a whole assignment, the name of a variable included",
                "on the receiver, configure only what stands behind the equals sign",
            );
            (next, cause)
        } else {
            break;
        };
        causes.push(cause);
        found.push((Zeroizing::new(next.to_owned()), causes.clone()));
        inner = next;
    }
    found
}

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

fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty()).map(Zeroizing::new)
}

fn loose_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    [URL_SAFE, URL_SAFE_NO_PAD, STANDARD_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(text).ok())
        .filter(|bytes| !bytes.is_empty())
        .map(Zeroizing::new)
}

/// How many layers of white space, quotes and assignments are taken off a secret.
const MAX_LAYERS: usize = 4;
