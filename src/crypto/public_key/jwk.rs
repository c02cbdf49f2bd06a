//! Reading a key from a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)).

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::rsa;
use crate::crypto::Algorithm;
use crate::encoding::decode_base64url_unpadded;
use crate::secret::KeyKind;

/// The members of a key.
pub(super) struct Jwk<'t> {
    members: Vec<(&'t str, Value<'t>)>,
    is_set: bool,
}

#[derive(PartialEq)]
enum Value<'t> {
    /// A string without escapes.
    Text(&'t str),
    /// A list of strings. Those with escapes are left out.
    List(Vec<&'t str>),
    /// A string with escapes, a number, `true`, `false` or `null`. No member with such a value is used.
    Other,
}

impl<'t> Jwk<'t> {
    /// Reads a JSON object whose names have no escapes and occur once, and whose values have no objects. Of a JWK Set,
    /// only the members before `keys` are read.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?;
        let mut members: Vec<(&str, Value<'_>)> = Vec::new();
        loop {
            let (name, after) = string(rest)?;
            let (name, after) = (name?, after.trim_start().strip_prefix(':')?);
            if members.iter().any(|(known, _)| *known == name) {
                return None;
            }
            if name == "keys" {
                return Some(Self { members, is_set: true });
            }
            let (value, after) = Value::read(after.trim_start())?;
            members.push((name, value));
            rest = match after.trim_start().strip_prefix(',') {
                Some(after) => after,
                None if after.trim() == "}" => return Some(Self { members, is_set: false }),
                None => return None,
            };
        }
    }

    /// Whether this is not a key but a JWK Set.
    pub(super) const fn is_set(&self) -> bool {
        self.is_set
    }

    /// Whether the key is private.
    pub(super) fn is_private(&self) -> bool {
        self.member("d").is_some()
    }

    /// Whether the members about the use of the key permit this algorithm and operation, `sign` or `verify`.
    pub(super) fn is_for(&self, algorithm: Algorithm, operation: &str) -> bool {
        let is_use = |value: &Value<'_>| *value == Value::Text("sig");
        let is_operation = |value: &Value<'_>| matches!(value, Value::List(names) if names.contains(&operation));
        let is_name = |value: &Value<'_>| matches!(value, Value::Text(name) if names(algorithm).contains(name));
        self.member("use").is_none_or(is_use)
            && self.member("key_ops").is_none_or(is_operation)
            && self.member("alg").is_none_or(is_name)
    }

    /// Returns the raw public key, or the DER of an RSA key, if the key is of this kind.
    pub(super) fn public(&self, kind: KeyKind) -> Option<Vec<u8>> {
        match kind {
            KeyKind::Ed25519 if self.is("OKP", "Ed25519") => Some(self.bytes("x")?.to_vec()),
            KeyKind::P256 if self.is("EC", "P-256") => {
                let (x, y) = (self.bytes("x")?, self.bytes("y")?);
                if (x.len(), y.len()) == (32, 32) { Some([&[4], &x[..], &y[..]].concat()) } else { None }
            }
            KeyKind::Rsa if self.text("kty")? == "RSA" => rsa::public_of_parts(&self.bytes("n")?, &self.bytes("e")?),
            _ => None,
        }
    }

    /// Returns the raw private key if the key is of this kind. Private RSA keys are not supported.
    pub(super) fn private(&self, kind: KeyKind) -> Option<Zeroizing<Vec<u8>>> {
        let is_raw = match kind {
            KeyKind::Ed25519 => self.is("OKP", "Ed25519"),
            KeyKind::P256 => self.is("EC", "P-256"),
            KeyKind::Rsa => false,
        };
        self.bytes("d").filter(|bytes| is_raw && bytes.len() == 32)
    }

    /// Whether the members for the public key, if there are any, are those of `public`, which is a key of this kind.
    pub(super) fn has_public(&self, kind: KeyKind, public: &[u8]) -> bool {
        let equals = |name, part: Option<&[u8]>| {
            self.member(name).is_none() || self.bytes(name).is_some_and(|bytes| part == Some(&**bytes))
        };
        match kind {
            KeyKind::Ed25519 => equals("x", Some(public)),
            // An uncompressed point.
            KeyKind::P256 => equals("x", public.get(1..33)) && equals("y", public.get(33..)),
            KeyKind::Rsa => true,
        }
    }

    fn is(&self, family: &str, curve: &str) -> bool {
        (self.text("kty"), self.text("crv")) == (Some(family), Some(curve))
    }

    fn member(&self, name: &str) -> Option<&Value<'t>> {
        self.members.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&'t str> {
        match self.member(name)? {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Other => None,
        }
    }

    fn bytes(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        decode_base64url_unpadded(self.text(name)?)
    }
}

impl<'t> Value<'t> {
    /// Reads a value, and returns the text after it too.
    fn read(text: &'t str) -> Option<(Self, &'t str)> {
        if let Some(list) = text.strip_prefix('[') {
            return Self::list(list);
        }
        if text.starts_with('"') {
            let (text, rest) = string(text)?;
            return Some((text.map_or(Self::Other, Self::Text), rest));
        }
        if let Some(rest) = ["true", "false", "null"].iter().find_map(|word| text.strip_prefix(word)) {
            return Some((Self::Other, rest));
        }
        let end = text.find(|character: char| !matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))?;
        let (number, rest) = text.split_at_checked(end)?;
        number.parse::<f64>().ok().map(|_| (Self::Other, rest))
    }

    fn list(text: &'t str) -> Option<(Self, &'t str)> {
        if let Some(rest) = text.trim_start().strip_prefix(']') {
            return Some((Self::List(Vec::new()), rest));
        }
        let (mut texts, mut rest) = (Vec::new(), text);
        loop {
            let (text, after) = string(rest)?;
            texts.extend(text);
            rest = match after.trim_start().strip_prefix(',') {
                Some(after) => after,
                None => return Some((Self::List(texts), after.trim_start().strip_prefix(']')?)),
            };
        }
    }
}

/// Returns a JSON string, or `None` in its place if it has escapes, and the text after it.
fn string(text: &str) -> Option<(Option<&str>, &str)> {
    let text = text.trim_start().strip_prefix('"')?;
    let (mut has_escapes, mut is_escaped) = (false, false);
    for (place, character) in text.char_indices() {
        match character {
            _ if character.is_control() => return None,
            _ if is_escaped => is_escaped = false,
            '\\' => (has_escapes, is_escaped) = (true, true),
            '"' => {
                let (string, rest) = text.split_at_checked(place)?;
                return Some((if has_escapes { None } else { Some(string) }, rest.strip_prefix('"')?));
            }
            _ => {}
        }
    }
    None
}

/// The values of `alg` for an algorithm ([RFC 7518](https://www.rfc-editor.org/rfc/rfc7518#section-3.1), [RFC
/// 9864](https://www.rfc-editor.org/rfc/rfc9864)).
const fn names(algorithm: Algorithm) -> &'static [&'static str] {
    match algorithm {
        Algorithm::Ed25519 => &["EdDSA", "Ed25519"],
        Algorithm::EcdsaP256 | Algorithm::EcdsaP256Der => &["ES256"],
        Algorithm::RsaPkcs1 => &["RS256"],
        Algorithm::RsaPss => &["PS256"],
        Algorithm::RsaPssSha512 => &["PS512"],
        Algorithm::HmacSha256 | Algorithm::HmacSha1 | Algorithm::HmacSha512 => &[],
    }
}
