//! Reads the signature of a request and builds its signature base (RFC 9421 sections 2.5 and 3.2).

use alloc::string::String;
use alloc::vec::Vec;

use super::algorithms::name;
use super::base64url;
use super::component::{CONTENT_DIGEST, Component};
use super::coverage::PresentHeaders;
use super::digest::DigestCheck;
use super::problem::{Parameter, Problem};
use super::profile::{MAX_COMPONENTS, Profile};
use super::structured::{Dictionary, InnerList, Member};
use super::values::{Source, dictionary, rewritten_dictionary};
use crate::crypto::Algorithm;
use crate::crypto::public_key::is_thumbprint;
use crate::encoding::Encoding;
use crate::headers::Head;
use crate::time::Timestamp;

/// The signature of a request, before it is verified.
pub(super) struct Message {
    /// The bytes that are signed.
    pub(super) base: String,
    pub(super) signature: Vec<u8>,
    /// The algorithms of the keys that can verify it.
    pub(super) algorithms: Vec<Algorithm>,
    /// The thumbprint of the only key that can verify it.
    pub(super) thumbprint: Option<String>,
    /// `None` only if the profile has `created_optional`.
    pub(super) created: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
    /// The digests of the body, if the signature covers them.
    pub(super) digest: Option<DigestCheck>,
    /// The parameters `keyid` and `nonce`, if there is a nonce.
    pub(super) nonce: Option<[String; 2]>,
    /// A component that is not covered, which is a problem if the request has a body.
    pub(super) uncovered_body: Option<String>,
}

impl Message {
    /// Reads the signature that counts, and checks it against the profile.
    pub(super) fn read(profile: &Profile, head: &dyn Head) -> Result<Self, Problem> {
        let inputs = dictionary(head, SIGNATURE_INPUT)?.ok_or(Problem::MissingHeader(SIGNATURE_INPUT))?;
        let signatures = profile.signatures(head)?.ok_or(Problem::MissingHeader(SIGNATURE))?;
        let headers = PresentHeaders::new(profile, head);
        let (label, input) = profile.choose(&inputs, &headers)?;
        let signature = match signatures.get(label) {
            Some(Member::Item(item)) => item.value.as_bytes().filter(|_| item.parameters.is_empty()),
            Some(Member::InnerList(_)) | None => None,
        };
        let signature = signature.ok_or(Problem::NoSignatureBytes)?.to_vec();
        let (created, expires) = profile.check_parameters(input)?;
        let algorithms = profile.algorithms_of(input)?;
        let thumbprint = profile.thumbprint(input)?.map(String::from);

        let components = components(input)?;
        let uncovered_body = profile.check_coverage(&components, label, &headers)?;
        profile.check_host(head)?;
        let base = base(input, profile.source(head, &components))?;
        let digest = match components.iter().any(Component::is_content_digest) {
            true => {
                let field = profile.digests(head)?;
                Some(DigestCheck::new(&field.ok_or(Problem::MissingHeader(CONTENT_DIGEST))?)?)
            }
            false => None,
        };
        let nonce = text(input, Parameter::Nonce)?;
        let keyid = text(input, Parameter::Keyid)?.unwrap_or_default();
        let nonce = nonce.map(|nonce| [keyid.into(), nonce.into()]);
        Ok(Self { base, signature, algorithms, thumbprint, created, expires, digest, uncovered_body, nonce })
    }
}

impl Profile {
    /// The source of the values of these components.
    pub(super) fn source<'r>(&'r self, head: &'r dyn Head, components: &'r [Component]) -> Source<'r> {
        Source::new(head, &self.origin, &self.types, self.normalized_target, components)
    }

    /// Reads `Signature`. Byte sequences that are not in the encoding of the profile do not count.
    pub(super) fn signatures(&self, head: &dyn Head) -> Result<Option<Dictionary>, Problem> {
        let rewrite = if self.base64url_signatures { base64url::signatures } else { base64url::padded };
        rewritten_dictionary(head, SIGNATURE, rewrite)
    }

    /// Reads `Content-Digest`.
    pub(super) fn digests(&self, head: &dyn Head) -> Result<Option<Dictionary>, Problem> {
        match self.base64url_signatures {
            true => rewritten_dictionary(head, CONTENT_DIGEST, base64url::digests),
            false => dictionary(head, CONTENT_DIGEST),
        }
    }

    /// Checks the parameters. Returns `created` and `expires`.
    pub(super) fn check_parameters(
        &self,
        input: &InnerList,
    ) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
        let is_present = |parameter: &Parameter| input.parameters.iter().any(|(key, _)| key == parameter.as_str());
        if let Some(missing) = self.required.iter().find(|parameter| !is_present(parameter)) {
            return Err(Problem::MissingParameter(*missing));
        }
        if let Some(forbidden) = self.forbidden.iter().find(|parameter| is_present(parameter)) {
            return Err(Problem::ForbiddenParameter(*forbidden));
        }
        for parameter in [Parameter::Nonce, Parameter::Keyid, Parameter::Tag] {
            if text(input, parameter)? == Some("") {
                return Err(Problem::MalformedParameter(parameter));
            }
        }
        if text(input, Parameter::Nonce)?.is_some_and(|nonce| !self.permits_nonce(nonce)) {
            return Err(Problem::ShortNonce);
        }
        self.thumbprint(input)?;
        let created = time(input, Parameter::Created)?;
        let expires = time(input, Parameter::Expires)?;
        if let (Some(created), Some(expires)) = (created, expires) {
            let validity = expires.seconds_since(created);
            if validity <= 0 {
                return Err(Problem::MalformedParameter(Parameter::Expires));
            }
            if self.max_validity.is_some_and(|max_validity| validity > max_validity) {
                return Err(Problem::LongValidity);
            }
        }
        Ok((created, expires))
    }

    /// Returns the thumbprint that `keyid` is, if the tag of the signature demands one.
    pub(super) fn thumbprint<'i>(&self, input: &'i InnerList) -> Result<Option<&'i str>, Problem> {
        let tag = text(input, Parameter::Tag)?;
        if tag.is_none() || tag != self.thumbprint_tag.as_deref() {
            return Ok(None);
        }
        let keyid = text(input, Parameter::Keyid)?.ok_or(Problem::MissingParameter(Parameter::Keyid))?;
        if is_thumbprint(keyid) { Ok(Some(keyid)) } else { Err(Problem::NoThumbprint) }
    }

    pub(super) fn permits_nonce(&self, nonce: &str) -> bool {
        let bytes = || Encoding::Base64UrlUnpadded.decode(nonce.as_bytes());
        self.min_nonce_bytes == 0 || bytes().is_some_and(|bytes| bytes.len() >= self.min_nonce_bytes)
    }

    /// Returns the algorithm that the signature names, or those of the profile if it names none.
    pub(super) fn algorithms_of(&self, input: &InnerList) -> Result<Vec<Algorithm>, Problem> {
        let named = text(input, Parameter::Alg)?;
        let is_meant = |algorithm: &Algorithm| named.is_none_or(|alg| Some(alg) == name(*algorithm));
        let algorithms: Vec<Algorithm> = self.algorithms.iter().copied().filter(is_meant).collect();
        if algorithms.is_empty() { Err(Problem::WrongAlgorithm) } else { Ok(algorithms) }
    }
}

/// Returns the signature base of the components of `source`, whose last line is `input`.
pub(super) fn base(input: &InnerList, mut source: Source<'_>) -> Result<String, Problem> {
    let mut base = String::new();
    for component in source.components {
        base.push_str(&component.identifier);
        base.push_str(": ");
        base.push_str(&source.value(&component.kind)?);
        base.push('\n');
        if base.len() > MAX_BASE_BYTES {
            return Err(Problem::ComponentValue);
        }
    }
    base.push_str("\"@signature-params\": ");
    input.write(&mut base);
    Ok(base)
}

pub(super) fn components(input: &InnerList) -> Result<Vec<Component>, Problem> {
    if input.items.len() > MAX_COMPONENTS {
        return Err(Problem::MalformedHeader(SIGNATURE_INPUT));
    }
    let mut components: Vec<Component> = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let component = Component::from_item(item)?;
        if components.iter().any(|other| other.kind == component.kind) {
            return Err(Problem::DuplicateComponent);
        }
        components.push(component);
    }
    Ok(components)
}

pub(super) fn text(input: &InnerList, parameter: Parameter) -> Result<Option<&str>, Problem> {
    match input.parameters.iter().find(|(key, _)| key == parameter.as_str()) {
        None => Ok(None),
        Some((_, value)) => value.as_str().map(Some).ok_or(Problem::MalformedParameter(parameter)),
    }
}

pub(super) fn time(input: &InnerList, parameter: Parameter) -> Result<Option<Timestamp>, Problem> {
    match input.parameters.iter().find(|(key, _)| key == parameter.as_str()) {
        None => Ok(None),
        Some((_, value)) => {
            let seconds = value.as_integer().filter(|seconds| *seconds > 0);
            seconds.map(Timestamp::from_unix).map(Some).ok_or(Problem::MalformedParameter(parameter))
        }
    }
}

pub(super) const SIGNATURE_INPUT: &str = "signature-input";
pub(super) const SIGNATURE: &str = "signature";

/// The maximum length of a signature base in bytes, without its last line. A header can be covered in several forms.
const MAX_BASE_BYTES: usize = 65_536;
