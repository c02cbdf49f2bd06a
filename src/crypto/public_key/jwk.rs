//! Reading a key from a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)).

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::rsa;
use crate::encoding::decode_base64url_unpadded;
use crate::secret::KeyKind;

/// The members of a key that are text. Other members are not needed.
pub(super) struct Jwk<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Jwk<'t> {
    /// Reads a JSON object whose members are text without escapes, lists of such text, `true` or `false`, each at most
    /// once. Keys need no other JSON.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?;
        let (mut members, mut names) = (Vec::new(), Vec::new());
        loop {
            let (name, after) = string(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            if names.contains(&name) {
                return None;
            }
            names.push(name);
            rest = match string(value) {
                Some((text, after)) => {
                    members.push((name, text));
                    after
                }
                None => skip(value)?,
            };
            rest = match rest.trim_start().strip_prefix(',') {
                Some(after) => after,
                None => return if rest.trim() == "}" { Some(Self(members)) } else { None },
            };
        }
    }

    /// Whether the key is private.
    pub(super) fn is_private(&self) -> bool {
        self.text("d").is_some()
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

    fn is(&self, family: &str, curve: &str) -> bool {
        (self.text("kty"), self.text("crv")) == (Some(family), Some(curve))
    }

    fn text(&self, name: &str) -> Option<&'t str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    fn bytes(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        decode_base64url_unpadded(self.text(name)?)
    }
}

/// Returns a JSON string without escapes, and the text after it.
fn string(text: &str) -> Option<(&str, &str)> {
    let (string, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    if string.contains(|character: char| character == '\\' || character.is_control()) {
        None
    } else {
        Some((string, rest))
    }
}

/// Returns the text after `true`, `false` or a list of strings.
fn skip(value: &str) -> Option<&str> {
    if let Some(rest) = ["true", "false"].iter().find_map(|word| value.strip_prefix(word)) {
        return Some(rest);
    }
    let mut rest = value.strip_prefix('[')?;
    if let Some(rest) = rest.trim_start().strip_prefix(']') {
        return Some(rest);
    }
    loop {
        rest = string(rest)?.1.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.strip_prefix(']'),
        }
    }
}
