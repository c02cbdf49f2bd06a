//! One key of a set.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwarden::secret::KeyId;
use hookwarden::{ConfigError, Key, Scheme, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::json::{Json, Object};
use crate::revocation::ListVerifier;
use crate::source::{GOVERNANCE, Kind};
use crate::text::{MAX_PROBLEM, start_of};

/// Why a key of a set is not used.
#[derive(Debug, PartialEq)]
pub(crate) struct Unusable {
    pub(crate) why: Cow<'static, str>,
    /// Whether the set publishes something that must be secret.
    pub(crate) is_secret: bool,
}

impl Unusable {
    pub(crate) const fn new(why: &'static str) -> Self {
        Self { why: Cow::Borrowed(why), is_secret: false }
    }

    pub(crate) const fn secret(why: &'static str) -> Self {
        Self { why: Cow::Borrowed(why), is_secret: true }
    }

    /// An error can quote the key.
    fn because(error: ConfigError) -> Self {
        let why = start_of(&error.to_string(), MAX_PROBLEM).to_owned();
        Self { why: why.into(), is_secret: false }
    }
}

/// A key that can be used.
pub(crate) struct Found {
    /// The `keyid` by which signatures name it.
    pub(crate) id: String,
    pub(crate) thumbprint: String,
    pub(crate) key: Key,
}

/// Reads a key.
pub(crate) fn read(kind: Kind, scheme: &Scheme, jwk: &Object) -> Result<Found, Unusable> {
    check_secrecy(jwk)?;
    check_use(kind.adcp_purposes(), jwk)?;
    let public = Public::read(jwk)?;
    let key = scheme.public_key(&public.jwk).map_err(Unusable::because)?;
    let id = match kind {
        Kind::WebBots => public.thumbprint.clone(),
        _ => kid(jwk).ok_or(Unusable::new("kid: must be a text"))?.to_owned(),
    };
    // A thumbprint is longer than the name of a key, and has only its characters.
    let name = KeyId::new(&id).or_else(|_| KeyId::new(public.thumbprint.get(..36).unwrap_or_default()));
    let key = name.and_then(|name| Key::new(name.as_str(), key));
    let key = with_period(kind, jwk, key.map_err(Unusable::because)?)?;
    Ok(Found { id, thumbprint: public.thumbprint, key })
}

/// A key that can sign a list of revoked keys.
pub(crate) struct ListKey {
    pub(crate) kid: String,
    pub(crate) thumbprint: String,
    /// A JWK with the members that are the key itself, and `alg`.
    pub(crate) jwk: String,
    /// Whether it signs no requests.
    pub(crate) is_governance: bool,
}

/// Reads a key that can sign a list of revoked keys, if it is one.
pub(crate) fn list_key(kind: Kind, verifier: &ListVerifier, jwk: &Object) -> Option<ListKey> {
    let purposes = kind.list_purposes()?;
    check_secrecy(jwk).ok()?;
    check_use(Some(purposes), jwk).ok()?;
    let Public { jwk: public, thumbprint } = Public::read(jwk).ok().filter(|public| verifier.supports(&public.jwk))?;
    let is_governance = jwk.get("adcp_use").and_then(Json::as_text) == Some(GOVERNANCE);
    Some(ListKey { kid: kid(jwk)?.to_owned(), thumbprint, jwk: public, is_governance })
}

/// Returns the thumbprint of a key that the set publishes with its private part.
pub(crate) fn leaked(jwk: &Object) -> Option<String> {
    check_secrecy(jwk).err()?;
    members(jwk).ok().map(|members| thumbprint(&members))
}

/// The member `kid`, if it is a text.
pub(crate) fn kid(jwk: &Object) -> Option<&str> {
    jwk.get("kid").and_then(Json::as_text).filter(|kid| !kid.is_empty())
}

/// Anyone can sign with a key whose private part is published.
fn check_secrecy(jwk: &Object) -> Result<(), Unusable> {
    if jwk.get("kty").and_then(Json::as_text) == Some("oct") || jwk.contains_key("k") {
        return Err(Unusable::secret("must be a public key, not a symmetric one: everyone knows this secret now"));
    }
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        return Err(Unusable::secret("must be a public key, not a private one: everyone knows this key now"));
    }
    Ok(())
}

/// Checks what a key is for. `purposes` are the permitted values of `adcp_use`.
fn check_use(purposes: Option<&[&str]>, jwk: &Object) -> Result<(), Unusable> {
    match jwk.get("use") {
        None if purposes.is_none() => {}
        Some(Json::Text(text)) if text == "sig" => {}
        _ => return Err(Unusable::new("use: must be sig")),
    }
    match jwk.get("key_ops") {
        None if purposes.is_none() => {}
        Some(Json::List(list)) if list.iter().any(|operation| operation.as_text() == Some("verify")) => {}
        _ => return Err(Unusable::new("key_ops: must contain verify")),
    }
    let purpose = jwk.get("adcp_use").and_then(Json::as_text);
    match purposes {
        Some(permitted) if purpose.is_none_or(|purpose| !permitted.contains(&purpose)) => {
            Err(Unusable::new("adcp_use: must be a purpose that the source permits"))
        }
        _ => Ok(()),
    }
}

/// The members that are the key itself.
struct Public {
    /// A JWK with these members and `alg`.
    jwk: String,
    /// The thumbprint of [RFC 7638](https://www.rfc-editor.org/rfc/rfc7638).
    thumbprint: String,
}

impl Public {
    fn read(jwk: &Object) -> Result<Self, Unusable> {
        let members = members(jwk)?;
        let thumbprint = thumbprint(&members);
        let jwk = match jwk.get("alg") {
            None => format!("{{{members}}}"),
            Some(alg) => {
                let alg = plain(alg).ok_or(Unusable::new("alg: must be the name of an algorithm"))?;
                format!("{{{members},\"alg\":\"{alg}\"}}")
            }
        };
        Ok(Self { jwk, thumbprint })
    }
}

/// Returns the members of the thumbprint, in its order. They are the same for all forms of a key.
fn members(jwk: &Object) -> Result<String, Unusable> {
    let key_type = jwk.get("kty").and_then(Json::as_text);
    let names: &[&str] = match key_type {
        Some("EC") => &["crv", "kty", "x", "y"],
        Some("OKP") => &["crv", "kty", "x"],
        Some("RSA") => &["e", "kty", "n"],
        _ => return Err(Unusable::new("kty: must be EC, OKP or RSA")),
    };
    let mut members = String::new();
    for name in names {
        let value = jwk.get(*name).and_then(plain).ok_or(Unusable::new("must have all members of its type"))?;
        if !members.is_empty() {
            members.push(',');
        }
        let value = match (key_type, *name) {
            (Some("RSA"), "n" | "e") => number(value),
            _ => value.into(),
        };
        members.push_str(&format!("\"{name}\":\"{value}\""));
    }
    Ok(members)
}

/// Removes the zero bytes at the start of a number, which RFC 7518 section 6.3.1.1 forbids and some write.
fn number(text: &str) -> Cow<'_, str> {
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) if bytes.first() == Some(&0) => {
            let start = bytes.iter().take_while(|byte| **byte == 0).count();
            URL_SAFE_NO_PAD.encode(bytes.get(start..).unwrap_or_default()).into()
        }
        _ => text.into(),
    }
}

fn thumbprint(members: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{members}}}")))
}

/// A text that is written in JSON as it is.
fn plain(value: &Json) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    value.as_text().filter(|text| text.bytes().all(is_plain))
}

/// Keys of web bots can have a period. It is in seconds, as in a JWT, but some publish milliseconds.
fn with_period(kind: Kind, jwk: &Object, mut key: Key) -> Result<Key, Unusable> {
    if kind != Kind::WebBots {
        return Ok(key);
    }
    let time = |name: &str| match jwk.get(name) {
        None => Ok(None),
        Some(Json::Integer(time @ 0..)) => {
            let seconds = if *time < FIRST_MILLISECONDS { *time } else { time.wrapping_div(1_000) };
            Ok(Some(Timestamp::from_unix(seconds)))
        }
        Some(_) => Err(Unusable::new("nbf and exp: must be whole numbers")),
    };
    if let Some(first) = time("nbf")? {
        key = key.not_before(first);
    }
    if let Some(last) = time("exp")? {
        key = key.not_after(last);
    }
    Ok(key)
}

/// The members of a private key: `d` of all types, and those of RSA.
const PRIVATE: [&str; 7] = ["d", "dp", "dq", "oth", "p", "q", "qi"];

/// In seconds, this is the year 5138.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;
