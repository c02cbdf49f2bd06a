//! What a diagnosis needs to know about a request: all of its problems, and the signature base after a change.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::algorithms::name;
use super::component::{CONTENT_DIGEST, Component, Kind};
use super::coverage::PresentHeaders;
use super::digest::{DigestCheck, content_digest};
use super::origin::Origin;
use super::problem::{Parameter, Problem};
use super::profile::{Profile, TagRule};
use super::reading::{SIGNATURE, SIGNATURE_INPUT, base, text, time};
use super::structured::{InnerList, Member};
use super::values::{Source, dictionary};
use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::headers::{FieldName, Head, Occurrence};
use crate::time::{Timestamp, Tolerance};

/// A request, with all that a verifier would refuse. A verifier stops at the first problem.
pub(crate) struct Inspection<'r> {
    profile: &'r Profile,
    head: &'r dyn Head,
    /// In the order of the verifier's checks. The times and the body are not among them.
    pub(crate) problems: Vec<Problem>,
    /// `None` if no signature can be chosen, or if its components cannot be read.
    pub(crate) signed: Option<Signed>,
}

/// What the chosen signature says.
pub(crate) struct Signed {
    pub(crate) label: String,
    /// `None` if `Signature` has no bytes for the label.
    pub(crate) signature: Option<Vec<u8>>,
    pub(crate) keyid: Option<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    input: InnerList,
    components: Vec<Component>,
}

/// A difference between the received request and the one that its sender signed.
#[derive(Clone, Default)]
pub(crate) struct Change {
    pub(crate) method: Option<String>,
    /// The path and query.
    pub(crate) target: Option<String>,
    /// The scheme and the host.
    pub(crate) origin: Option<String>,
    pub(crate) header: Option<(FieldName, Vec<u8>)>,
    /// The places of the components, from 0. A place that is missing is not signed.
    pub(crate) order: Option<Vec<usize>>,
    /// The places of the parameters.
    pub(crate) parameters: Option<Vec<usize>>,
}

impl Profile {
    /// Reads a request as far as possible. `has_body` says whether its body is not empty.
    pub(crate) fn inspect<'r>(&'r self, head: &'r dyn Head, has_body: bool) -> Inspection<'r> {
        let mut inspection = Inspection { profile: self, head, problems: Vec::new(), signed: None };
        match inspection.read(has_body) {
            Ok(signed) => inspection.signed = Some(signed),
            Err(problem) => inspection.problems.push(problem),
        }
        inspection
    }

    /// The scheme and the authority that a sender signs.
    pub(crate) fn origin(&self) -> &str {
        self.origin.as_str()
    }

    /// Whether only signatures without a tag count.
    pub(crate) const fn refuses_tags(&self) -> bool {
        matches!(self.tag, TagRule::Untagged)
    }

    /// The label of the signature, if the profile has one.
    pub(crate) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// How a signature is written between its colons.
    pub(crate) const fn signature_encoding(&self) -> Encoding {
        if self.base64url_signatures { Encoding::Base64UrlUnpadded } else { Encoding::Base64 }
    }

    /// The maximum time, in seconds, for which `created` may be in the future, and `expires` in the past.
    pub(crate) const fn clock_skew(&self) -> i64 {
        self.clock_skew
    }

    /// The maximum age of a signature.
    pub(crate) const fn max_age(&self) -> Tolerance {
        self.max_age
    }

    /// Whether the signature may be made with this algorithm of the profile: it names no other one of them.
    pub(crate) fn may_use(&self, signed: &Signed, algorithm: Algorithm) -> bool {
        self.algorithms_of(&signed.input).map_or(true, |named| named.contains(&algorithm))
    }

    /// The thumbprint that the signature gives as its `keyid`, if its tag demands one.
    pub(crate) fn named_thumbprint<'s>(&self, signed: &'s Signed) -> Option<&'s str> {
        self.thumbprint(&signed.input).ok().flatten()
    }

    /// The names of the algorithms in the parameter `alg`.
    pub(crate) fn algorithm_names(&self) -> Vec<&'static str> {
        self.algorithms.iter().filter_map(|algorithm| name(*algorithm)).collect()
    }
}

impl Inspection<'_> {
    /// Reads the signature, and keeps each problem that does not prevent it. Returns the one that does.
    fn read(&mut self, has_body: bool) -> Result<Signed, Problem> {
        let inputs = dictionary(self.head, SIGNATURE_INPUT)?.ok_or(Problem::MissingHeader(SIGNATURE_INPUT))?;
        let headers = PresentHeaders::new(self.profile, self.head);
        let (label, input) = match (self.profile.choose(&inputs, &headers), inputs.iter().next()) {
            (Ok(chosen), _) => chosen,
            // The only signature is the one that the sender means.
            (Err(problem @ Problem::NoSuchSignature), Some((label, Member::InnerList(input))))
                if inputs.iter().len() == 1 =>
            {
                self.problems.push(problem);
                (label, input)
            }
            (Err(problem), _) => return Err(problem),
        };
        let signature = match self.profile.signatures(self.head) {
            Ok(Some(signatures)) => match signatures.get(label) {
                Some(Member::Item(item)) if item.parameters.is_empty() => item.value.as_bytes().map(<[u8]>::to_vec),
                _ => None,
            },
            Ok(None) => {
                self.problems.push(Problem::MissingHeader(SIGNATURE));
                None
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        };
        let is_reported = self
            .problems
            .iter()
            .any(|problem| matches!(problem, Problem::MissingHeader(SIGNATURE) | Problem::MalformedHeader(SIGNATURE)));
        if signature.is_none() && !is_reported {
            self.problems.push(Problem::NoSignatureBytes);
        }
        self.problems.extend(self.profile.check_parameters(input).err());
        self.problems.extend(self.profile.algorithms_of(input).err());
        let components = super::reading::components(input)?;
        match self.profile.check_coverage(&components, label, &headers) {
            Ok(uncovered) => self.problems.extend(uncovered.filter(|_| has_body).map(Problem::Uncovered)),
            Err(problem) => self.problems.push(problem),
        }
        self.problems.extend(self.profile.check_host(self.head).err());
        if components.iter().any(Component::is_content_digest) {
            self.problems.extend(self.digest().err());
        }
        Ok(Signed {
            label: label.into(),
            signature,
            keyid: text(input, Parameter::Keyid).ok().flatten().map(String::from),
            created: time(input, Parameter::Created).ok().flatten(),
            expires: time(input, Parameter::Expires).ok().flatten(),
            input: input.clone(),
            components,
        })
    }

    /// The components whose values cannot be read from the request, and the header of each that is one.
    pub(crate) fn without_value<'s>(&self, signed: &'s Signed) -> Vec<(&'s str, Option<&'s FieldName>)> {
        let mut source = self.profile.source(self.head, &signed.components);
        let described = |component: &'s Component| match &component.kind {
            Kind::Field(name, _) => (&*component.identifier, Some(name)),
            _ => (&*component.identifier, None),
        };
        signed.components.iter().filter(|component| source.value(&component.kind).is_err()).map(described).collect()
    }

    /// The signature base of the request after a change. `None` if it has no base.
    pub(crate) fn base(&self, signed: &Signed, change: &Change) -> Option<String> {
        let origin = match &change.origin {
            Some(origin) => Cow::Owned(Origin::parse(origin).ok()?),
            None => Cow::Borrowed(&self.profile.origin),
        };
        let head = Changed { head: self.head, change };
        let mut input = signed.input.clone();
        if let Some(places) = &change.parameters {
            input.parameters = places.iter().filter_map(|place| signed.input.parameters.get(*place).cloned()).collect();
        }
        let components: Cow<'_, [Component]> = match &change.order {
            Some(places) => places.iter().filter_map(|place| signed.components.get(*place).cloned()).collect(),
            None => Cow::Borrowed(&signed.components),
        };
        let Profile { types, normalized_target, .. } = self.profile;
        base(&input, Source::new(&head, &origin, types, *normalized_target, &components)).ok()
    }

    fn digest(&self) -> Result<DigestCheck, Problem> {
        let field = self.profile.digests(self.head)?;
        DigestCheck::new(&field.ok_or(Problem::MissingHeader(CONTENT_DIGEST))?)
    }

    /// Whether the digests are those of the body. `None` if the signature covers none that can be read.
    pub(crate) fn is_digest_of(&self, signed: &Signed, body: &[u8]) -> Option<bool> {
        let covers_digest = signed.components.iter().any(Component::is_content_digest);
        let mut digest = self.digest().ok().filter(|_| covers_digest)?;
        digest.update(body);
        Some(digest.finish().is_ok())
    }

    /// The change to the digest of the body.
    pub(crate) fn digest_of(body: &[u8]) -> Option<Change> {
        let header = Some((FieldName::preset(CONTENT_DIGEST), content_digest(body)?.into_bytes()));
        Some(Change { header, ..Change::default() })
    }
}

impl Signed {
    /// The number of components.
    pub(crate) const fn components(&self) -> usize {
        self.components.len()
    }

    /// The identifiers of the components at these places.
    pub(crate) fn identifiers(&self, places: &[usize]) -> String {
        let names: Vec<&str> = places
            .iter()
            .filter_map(|place| self.components.get(*place).map(|component| component.identifier.as_str()))
            .collect();
        names.join(" ")
    }

    /// The covered headers.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &FieldName> {
        self.components.iter().filter_map(|component| match &component.kind {
            Kind::Field(name, _) => Some(name),
            _ => None,
        })
    }

    /// The number of parameters.
    pub(crate) const fn parameters(&self) -> usize {
        self.input.parameters.len()
    }
}

/// A head with a change.
struct Changed<'h> {
    head: &'h dyn Head,
    change: &'h Change,
}

impl Head for Changed<'_> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        match &self.change.header {
            Some((changed, value)) if changed == name => Occurrence::Once(value),
            _ => self.head.header(name),
        }
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        match &self.change.header {
            Some((changed, value)) if changed == name => Some(&**value).filter(|_| index == 0),
            _ => self.head.nth_value(name, index),
        }
    }

    fn method(&self) -> Option<&str> {
        self.change.method.as_deref().or_else(|| self.head.method())
    }

    fn authority(&self) -> Option<&str> {
        self.head.authority()
    }

    fn path(&self) -> Option<&str> {
        self.change.target.as_deref().or_else(|| self.head.path())
    }
}
