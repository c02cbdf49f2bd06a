//! Signs requests by a profile.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::time::Duration;

use super::algorithms;
use super::component::{Component, Kind};
use super::digest::content_digest;
use super::problem::{Parameter, Problem};
use super::profile::Profile;
use super::reading::{SIGNATURE_INPUT, base};
use super::structured::{Dictionary, Member, string};
use super::values::{MAX_VALUE_BYTES, Source, is_one_value};
use crate::crypto::{NewestKey, PreparedKeys};
use crate::encoding::Encoding;
use crate::error::{ConfigError, SignError};
use crate::headers::{FieldName, Head, Occurrence};
use crate::secret::Keyring;
use crate::signer::{SignedHeaders, UnsignedMessage};
use crate::time::Timestamp;

/// Signs requests by a [`Profile`]. Cheap to clone. The module [`message_signatures`](super) has an example.
///
/// The newest valid key signs, with the algorithm of its kind. A signature covers the components of the profile:
/// those of [`covers_if_present`](super::ProfileBuilder::covers_if_present) that the request has, and those of
/// [`covers_with_body`](super::ProfileBuilder::covers_with_body) unless the body is empty.
#[derive(Debug, Clone)]
pub struct MessageSigner {
    profile: Profile,
    keys: PreparedKeys,
}

/// The parameters of a signature that the sender chooses.
///
/// ```
/// use hookwarden::message_signatures::SignatureParameters;
///
/// let parameters = SignatureParameters::new().keyid("2027-01").nonce("b3k2pp5k7z-50gnwp.yemd");
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SignatureParameters {
    keyid: Option<String>,
    nonce: Option<String>,
    expires_after: Option<Duration>,
}

impl SignatureParameters {
    /// No parameters.
    pub const fn new() -> Self {
        Self { keyid: None, nonce: None, expires_after: None }
    }

    /// Sets the name of the key. If the tag demands the thumbprint of the key, it is the default.
    pub fn keyid(self, keyid: impl Into<String>) -> Self {
        Self { keyid: Some(keyid.into()), ..self }
    }

    /// Sets the nonce, which must be different in every message: for example 16 random bytes in base64url.
    pub fn nonce(self, nonce: impl Into<String>) -> Self {
        Self { nonce: Some(nonce.into()), ..self }
    }

    /// Sets the time until `expires`, in whole seconds, at least one. If the profile requires `expires`, the default is its
    /// maximum age, or its maximum validity if that is shorter. If the profile forbids `created`, the limit is the maximum age,
    /// and the default is less by the clock skew.
    pub fn expires_after(self, lifetime: Duration) -> Self {
        Self { expires_after: Some(lifetime), ..self }
    }
}

impl Profile {
    /// Creates a signer with private keys, or with secrets for HMAC.
    ///
    /// # Errors
    /// A key is of a kind for which the profile has no algorithm, or is not a private key. RSA-PSS also needs the feature
    /// `generate`.
    pub fn signer(&self, keys: Keyring) -> Result<MessageSigner, ConfigError> {
        let keys = self.scheme("message-signatures")?.prepare_private(&keys)?;
        Ok(MessageSigner { profile: self.clone(), keys })
    }
}

impl MessageSigner {
    /// Signs a request at the time `now`, and returns the headers to add: `Content-Digest` if it is covered,
    /// `Signature-Input` and `Signature`. They replace headers with the same names.
    ///
    /// # Errors
    /// The head does not have a covered component, a parameter that the profile requires is missing or cannot be written,
    /// the profile forbids a parameter that is given, or no key is valid.
    pub fn sign_at(
        &self,
        head: &dyn Head,
        body: &[u8],
        parameters: &SignatureParameters,
        now: Timestamp,
    ) -> Result<SignedHeaders, SignError> {
        let components = self.profile.components(head, body);
        let mut headers = Vec::new();
        let digest = match components.iter().any(Component::is_content_digest) {
            true => content_digest(body),
            false => None,
        };
        headers.extend(digest.map(|digest| (FieldName::preset("Content-Digest"), digest)));

        let label =
            self.profile.label.as_ref().or(self.profile.preferred_label.as_ref()).map_or(DEFAULT_LABEL, |label| label);
        let identifiers: Vec<&str> = components.iter().map(|component| component.identifier.as_str()).collect();
        let key = self.keys.newest(now).ok_or(SignError::new("key", "must be valid at the time of signing"))?;
        let written = self.parameters(parameters, &key, now)?;
        let text = alloc::format!("{label}=({}){written}", identifiers.join(" "));
        // The signature base has the form that a verifier reads from this text.
        let unwritable = || SignError::new(SIGNATURE_INPUT, "must have fewer components and parameters");
        let inputs = Dictionary::parse(text.as_bytes()).ok_or_else(unwritable)?;
        let Some(Member::InnerList(input)) = inputs.get(label) else { return Err(unwritable()) };

        let head = UnsignedMessage { head, added: headers.clone() };
        let source = self.profile.source(&head, &components);
        let base = base(input, source)
            .map_err(|problem| unsignable(&problem, &head, self.profile.source(&head, &components), &components))?;
        let signature = key.sign(base.as_bytes());
        let failed = || SignError::new("key", "cannot sign: no random numbers, or an invalid key");
        let encoding = if self.profile.base64url_signatures { Encoding::Base64UrlUnpadded } else { Encoding::Base64 };
        let signature = encoding.encode(&signature.ok_or_else(failed)?);
        headers.push((FieldName::preset("Signature-Input"), text));
        headers.push((FieldName::preset("Signature"), alloc::format!("{label}=:{signature}:")));
        Ok(SignedHeaders(headers))
    }

    /// The host and port of the origin, for the `Host` header.
    #[cfg(feature = "testing")]
    pub(crate) fn authority(&self) -> &str {
        self.profile.authority()
    }

    /// [`sign_at`](Self::sign_at) with the time of the system's clock.
    ///
    /// # Errors
    /// As for [`sign_at`](Self::sign_at).
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    pub fn sign(
        &self,
        head: &dyn Head,
        body: &[u8],
        parameters: &SignatureParameters,
    ) -> Result<SignedHeaders, SignError> {
        self.sign_at(head, body, parameters, Timestamp::now())
    }

    /// Writes the parameters of a signature.
    fn parameters(
        &self,
        given: &SignatureParameters,
        key: &NewestKey<'_>,
        now: Timestamp,
    ) -> Result<String, SignError> {
        let Profile { required, forbidden, tag, .. } = &self.profile;
        let is_required = |parameter| required.contains(&parameter);
        let longest = self.profile.max_validity.and_then(|seconds| u64::try_from(seconds).ok());
        let longest = longest.map_or(Duration::MAX, Duration::from_secs);
        // Only a profile with `created_optional` can forbid it.
        let has_created = !forbidden.contains(&Parameter::Created);
        let max_age = self.profile.max_age.as_duration();
        // Without `created`, the maximum age limits `expires` by the receiver's clock, which can be behind.
        let skew = if has_created { 0 } else { u64::try_from(self.profile.clock_skew).unwrap_or_default() };
        let default = || max_age.saturating_sub(Duration::from_secs(skew)).max(Duration::from_secs(1)).min(longest);
        let lifetime = given.expires_after.or_else(|| is_required(Parameter::Expires).then(default));
        if lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
            return Err(SignError::new("expires", "must be at least 1 second after created"));
        }
        if lifetime.is_some_and(|lifetime| lifetime > longest) {
            return Err(SignError::new("expires", "must be at most the maximum validity of the profile after created"));
        }
        if !has_created && lifetime.is_some_and(|lifetime| lifetime > max_age) {
            let problem = "must be at most the maximum age of the profile after the time of signing";
            return Err(SignError::new("expires", problem));
        }
        if given.nonce.as_ref().is_some_and(|nonce| !self.profile.permits_nonce(nonce)) {
            let problem = "must be base64url without padding, and have at least the bytes that the profile demands";
            return Err(SignError::new("nonce", problem));
        }
        let expires = lifetime.map(|lifetime| {
            let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
            now.as_unix().saturating_add(seconds).to_string()
        });
        let created = has_created.then(|| now.as_unix().to_string());
        let alg = algorithms::name(key.algorithm()).filter(|_| is_required(Parameter::Alg));
        let needs_thumbprint = tag.written().is_some() && tag.written() == self.profile.thumbprint_tag.as_deref();
        let thumbprint = key.thumbprint().filter(|_| needs_thumbprint);
        let keyid = given.keyid.as_deref().or(thumbprint);
        if thumbprint.is_some() && keyid != thumbprint {
            let problem = "must be the RFC 7638 thumbprint of the key, which the tag demands, or not be given";
            return Err(SignError::new("keyid", problem));
        }
        let quoted = |parameter: Parameter, text: Option<&str>| match text.map(string) {
            None => Ok(None),
            Some(Some(text)) if text != "\"\"" => Ok(Some(text)),
            Some(_) => Err(SignError::new(parameter.as_str(), "must be visible ASCII and spaces, and not empty")),
        };
        let values = [
            (Parameter::Created, created),
            (Parameter::Expires, expires),
            (Parameter::Nonce, quoted(Parameter::Nonce, given.nonce.as_deref())?),
            (Parameter::Alg, quoted(Parameter::Alg, alg)?),
            (Parameter::Keyid, quoted(Parameter::Keyid, keyid)?),
            (Parameter::Tag, quoted(Parameter::Tag, tag.written())?),
        ];
        let mut text = String::new();
        for (parameter, value) in values {
            match value {
                None if is_required(parameter) => {
                    return Err(SignError::new(parameter.as_str(), "must be given, because the profile requires it"));
                }
                Some(_) if forbidden.contains(&parameter) => {
                    return Err(SignError::new(
                        parameter.as_str(),
                        "must not be given, because the profile forbids it",
                    ));
                }
                Some(value) => {
                    let _ = write!(text, ";{parameter}={value}");
                }
                None => {}
            }
        }
        Ok(text)
    }
}

/// Returns the error for a request without a base, which names the first component without a value.
fn unsignable<'a>(
    problem: &Problem,
    head: &dyn Head,
    mut source: Source<'a>,
    components: &'a [Component],
) -> SignError {
    if *problem == Problem::NoRequestLine {
        return SignError::new("request line", "must be given with the head, because the profile covers it");
    }
    let Some(component) = components.iter().find(|component| source.value(&component.kind).is_err()) else {
        return SignError::new("signature base", "must be at most 65,536 bytes: the covered components are too large");
    };
    let part = match &component.kind {
        Kind::Field(name, _) => name.as_str(),
        _ => &*component.identifier,
    };
    SignError::new(String::from(part), requirement(&component.kind, head))
}

/// Says what a component without a value must be.
fn requirement(kind: &Kind, head: &dyn Head) -> &'static str {
    let value = match kind {
        Kind::Field(name, _) => match head.header(name) {
            Occurrence::Once(value) if name.as_str() == "content-type" && !is_one_value(value) => {
                return "must be one media type, with commas only between quotes, and with all quotes closed";
            }
            Occurrence::Once(value) => Some(value),
            Occurrence::Absent | Occurrence::Repeated => None,
        },
        _ => head.path().map(str::as_bytes),
    };
    if value.is_some_and(|value| value.len() > MAX_VALUE_BYTES) {
        return "must be at most 8,192 bytes, because the profile covers it";
    }
    "must be given once and be visible ASCII, because the profile covers it"
}

/// The label of a signature if the profile has none.
const DEFAULT_LABEL: &str = "sig1";
