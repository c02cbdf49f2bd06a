//! The keys that a secret's text may mean.

mod readings;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::cause::{Cause, CauseKind};
use super::form::Form;
use super::search::KeyForm;
use crate::encoding::decode_secret_hex;
use crate::scheme::{Scheme, SecretFormat};
use crate::secret::WHSEC;
use readings::readings;

/// Returns every key to try, first those that the scheme makes from the texts. Each text has its place.
pub(super) fn keys<'t>(
    scheme: &Scheme,
    texts: impl IntoIterator<Item = (usize, &'t Zeroizing<String>)>,
) -> Vec<Form<KeyForm>> {
    let mut keys = Keys { forms: Vec::new() };
    for (secret, text) in texts {
        keys.read(scheme, secret, text);
    }
    keys.forms
}

/// Returns each key of a JWK Set, with the mistake that the text is a set.
fn key_set(text: &str) -> Vec<(Zeroizing<String>, Vec<Cause>)> {
    let Ok(serde_json::Value::Object(mut set)) = serde_json::from_str(text) else { return Vec::new() };
    let Some(serde_json::Value::Array(keys)) = set.remove("keys") else { return Vec::new() };
    let keys = keys.into_iter().take(MAX_SET).map(|key| {
        let name = key.get("kid").and_then(serde_json::Value::as_str).map(|kid| format!(" {kid:?}"));
        let cause = Cause::new(
            CauseKind::SecretList,
            format!("the text is a JWK Set, and the signature verifies with its key{}", name.unwrap_or_default()),
            "on the receiver, configure each key of the set as a separate key, or load the set with hookwarden-jwks",
        );
        (Zeroizing::new(key.to_string()), vec![cause])
    });
    keys.collect()
}

/// Returns the names of the keys in a JWK or a JWK Set.
#[cfg(feature = "message-signatures")]
pub(super) fn key_ids(text: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let set = value.get("keys").and_then(serde_json::Value::as_array);
    let keys = set.map_or_else(|| std::slice::from_ref(&value), Vec::as_slice);
    let ids = keys.iter().filter_map(|key| key.get("kid")?.as_str());
    ids.filter(|id| id.len() <= MAX_KEY_ID).take(MAX_SET).map(str::to_owned).collect()
}

/// Whether the text is a JWK, usable or not.
#[cfg(feature = "message-signatures")]
pub(super) fn is_jwk(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.get("kty").is_some())
}

/// Whether the text is a JWK that names its algorithm.
#[cfg(feature = "message-signatures")]
pub(super) fn names_algorithm(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.get("alg").is_some())
}

struct Keys {
    forms: Vec<Form<KeyForm>>,
}

impl Keys {
    fn read(&mut self, scheme: &Scheme, secret: usize, text: &str) {
        if scheme.algorithm().uses_public_keys() {
            let whole = (Zeroizing::new(text.to_owned()), Vec::new());
            for (text, causes) in std::iter::once(whole).chain(readings(text)).chain(key_set(text)) {
                if let Ok(material) = scheme.key_material(&text) {
                    self.offer(secret, material.identity(), causes);
                }
            }
            return;
        }
        if let Ok(right) = scheme.secret(text) {
            self.offer(secret, right.expose(), Vec::new());
        }
        let readings = readings(text);
        for (inner, causes) in &readings {
            if let Ok(right) = scheme.secret(inner) {
                self.offer(secret, right.expose(), causes.clone());
            }
        }
        let whole = (Zeroizing::new(text.to_owned()), Vec::new());
        for (text, causes) in std::iter::once(&whole).chain(&readings) {
            self.reinterpret(scheme.secret_format(), secret, text, causes);
        }
    }

    /// Offers the keys that the text would mean in other formats.
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
                "the key is the decoded base64 after whsec_, but the scheme has another secret format",
                "on the receiver, set the scheme's secret format to SecretFormat::Whsec",
            );
        }
        if let Some(bare) = bare {
            offer(
                bare.as_bytes(),
                CauseKind::SecretPrefix,
                "the key is the text after whsec_, not decoded",
                "on the receiver, use SecretFormat::Literal and the secret without whsec_",
            );
        }
        if let Some(bytes) = base64(text).filter(|_| !matches!(format, SecretFormat::Base64 | SecretFormat::Whsec)) {
            offer(
                &bytes,
                CauseKind::SecretBase64,
                "the secret is base64 and the sender decodes it, but the receiver does not",
                "on the receiver, set the scheme's secret format to SecretFormat::Base64, or decode the secret before \
                 Secret::from_bytes",
            );
        }
        if let Some(bytes) = bare.into_iter().chain([text]).find_map(loose_base64) {
            offer(
                &bytes,
                CauseKind::SecretBase64Url,
                "the secret is URL-safe or unpadded base64, and the sender decodes it",
                "on the receiver, write the secret in padded base64 (+ / =) under SecretFormat::Base64, or decode it \
                 before Secret::from_bytes",
            );
        }
        if let Some(bytes) = decode_secret_hex(text).filter(|_| format != SecretFormat::Hex) {
            offer(
                &bytes,
                CauseKind::SecretHex,
                "the secret is hex and the sender decodes it, but the receiver does not",
                "on the receiver, set the scheme's secret format to SecretFormat::Hex",
            );
        }
        if format != SecretFormat::Literal {
            offer(
                text.as_bytes(),
                CauseKind::SecretLiteral,
                "the sender signs with the secret's text itself, but the receiver decodes it first",
                "on the sender, decode the secret before signing; or set SecretFormat::Literal on the receiver",
            );
        } else if text.trim() != text && before.is_empty() {
            offer(
                text.as_bytes(),
                CauseKind::SecretWhiteSpace,
                "the sender's key includes the white space around the secret",
                "on the sender, trim the secret; or pass exactly these bytes to Secret::from_bytes on the receiver",
            );
        }
        for (end, name) in [
            ("\n", "a line feed"),
            ("\r\n", "CRLF"),
            ("\r", "a carriage return"),
            (" ", "a space"),
            ("\0", "a zero byte"),
        ] {
            offer(
                Zeroizing::new(format!("{text}{end}")).as_bytes(),
                CauseKind::SecretWhiteSpace,
                &format!("the sender's key is the secret's text with {name} after it"),
                "on the sender, trim the secret: it was probably read from a file, or written by echo without -n",
            );
        }
        for quote in ['"', '\''].into_iter().filter(|_| before.is_empty()) {
            offer(
                Zeroizing::new(format!("{quote}{text}{quote}")).as_bytes(),
                CauseKind::SecretQuoted,
                "the sender's key is the secret's text with quotes around it",
                "on the sender, remove the quotes: its env file or manifest keeps them literally",
            );
        }
        if format == SecretFormat::Literal && !text.starts_with(WHSEC) {
            offer(
                format!("{WHSEC}{text}").as_bytes(),
                CauseKind::SecretPrefix,
                "the sender's key is the text with whsec_ before it",
                "on the receiver, configure the secret with its whsec_, as the provider shows it",
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
        for (other, what) in charsets(text) {
            offer(
                &other,
                CauseKind::SecretCharset,
                what,
                "use a secret of ASCII characters on both sides; or have the sender encode its text as UTF-8",
            );
        }
        let (dollars, percent) = (text.replace('$', "$$"), utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        for (other, how) in [(dollars, "with each $ doubled"), (percent, "percent-encoded")] {
            if other != text && before.is_empty() {
                offer(
                    Zeroizing::new(other).as_bytes(),
                    CauseKind::SecretEscaped,
                    &format!("the sender's key is the secret's text {how}"),
                    "on the sender, undo the escaping: its env file, URL or manifest keeps it literally",
                );
            }
        }
        // Kubernetes shows secrets in base64. The decoded text may have any format.
        let decoded = base64(text).and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()).map(Zeroizing::new);
        if let Some(inner) = decoded {
            let inner = inner.trim();
            let bytes = inner.strip_prefix(WHSEC).and_then(base64);
            let bytes = bytes.unwrap_or_else(|| Zeroizing::new(inner.as_bytes().to_vec()));
            offer(
                &bytes,
                CauseKind::SecretBase64,
                "the configured text is base64 of the secret's text, as Kubernetes shows it",
                "on the receiver, decode the secret once and configure the text inside",
            );
        }
    }

    fn offer(&mut self, secret: usize, bytes: &[u8], causes: Vec<Cause>) {
        let known = |form: &Form<KeyForm>| *form.value.bytes == *bytes;
        if !bytes.is_empty() && !self.forms.iter().any(known) {
            let bytes = Zeroizing::new(bytes.to_vec());
            self.forms.push(Form::with_causes(KeyForm { bytes, secret }, causes));
        }
    }
}

/// Returns the bytes of `text` in Latin-1, and `text` with its bytes read as Latin-1, each with a description.
fn charsets(text: &str) -> impl Iterator<Item = (Zeroizing<Vec<u8>>, &'static str)> {
    let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    let twice: String = text.bytes().map(char::from).collect();
    let forms = [
        (latin1, "the sender's key is the secret's text in Latin-1, and the receiver's is UTF-8"),
        (Some(twice.into_bytes()), "the sender's key is the secret's text read as Latin-1 and encoded again"),
    ];
    let is_ascii = text.is_ascii();
    forms.into_iter().filter_map(move |(bytes, what)| Some((Zeroizing::new(bytes.filter(|_| !is_ascii)?), what)))
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

/// The maximum number of keys of a JWK Set that are tried.
const MAX_SET: usize = 16;

/// The maximum length of the name of a key that is shown, in bytes.
#[cfg(feature = "message-signatures")]
const MAX_KEY_ID: usize = 256;
