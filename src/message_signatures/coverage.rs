//! Which components the signature of a request must cover.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use super::component::{Component, Form, Kind};
use super::problem::Problem;
use super::profile::Profile;
use super::structured::Dictionary;
use super::values::{as_dictionary, target};
use crate::headers::{FieldName, Head, Occurrence};

/// The headers of `covers_if_present` in a request. Each is parsed at most once, for all signatures.
pub(super) struct PresentHeaders<'r> {
    head: &'r dyn Head,
    /// `None` if the header is not a dictionary.
    dictionaries: Vec<(&'r FieldName, OnceCell<Option<Dictionary>>)>,
}

impl<'r> PresentHeaders<'r> {
    pub(super) fn new(profile: &'r Profile, head: &'r dyn Head) -> Self {
        let names = profile.covered_if_present.iter().filter_map(|component| match &component.kind {
            Kind::Field(name, _) => Some((name, OnceCell::new())),
            _ => None,
        });
        Self { head, dictionaries: names.collect() }
    }

    /// Whether the member `key` is all that a header says to the receiver of the signature `label`: it is the only one, or
    /// the one that belongs to this signature.
    fn is_whole(&self, name: &FieldName, key: &str, label: &str) -> bool {
        let mut headers = self.dictionaries.iter();
        let dictionary = headers.find(|(known, _)| *known == name).and_then(|(name, dictionary)| {
            let dictionary = dictionary.get_or_init(|| as_dictionary(self.head, name));
            dictionary.as_ref().filter(|dictionary| dictionary.get(key).is_some())
        });
        dictionary.is_some_and(|dictionary| dictionary.iter().len() == 1 || key == label)
    }
}

impl Profile {
    /// Checks that a signature of `components` covers all that it must. Returns what it must also cover if the request has a
    /// body.
    pub(super) fn check_coverage(
        &self,
        components: &[Component],
        label: &str,
        headers: &PresentHeaders<'_>,
    ) -> Result<Option<String>, Problem> {
        let head = headers.head;
        let requires_target = self.covered.iter().any(|component| component.kind == Kind::TargetUri);
        // The target contains the authority.
        let contains = |one: &Component, required: &Component| {
            one.kind == Kind::TargetUri && required.kind == Kind::Authority && !requires_target
        };
        let is_uncovered =
            |required: &&Component| !components.iter().any(|one| one.satisfies(required) || contains(one, required));
        let is_covered_by_member = |required: &Component| {
            components.iter().any(|one| match (&one.kind, &required.kind) {
                (Kind::Field(name, Form::Member(key)), Kind::Field(required, _)) => {
                    name == required && headers.is_whole(name, key, label)
                }
                _ => false,
            })
        };
        let mut present = self.covered_if_present.iter().filter(|required| is_present(&required.kind, head));
        let uncovered = self.covered.iter().find(is_uncovered);
        let uncovered =
            uncovered.or_else(|| present.find(|required| is_uncovered(required) && !is_covered_by_member(required)));
        match uncovered {
            Some(required) => Err(Problem::Uncovered(required.identifier.clone())),
            None => Ok(self.covered_with_body.iter().find(is_uncovered).map(|required| required.identifier.clone())),
        }
    }

    /// Returns the components that a signer covers.
    pub(super) fn components(&self, head: &dyn Head, body: &[u8]) -> Vec<Component> {
        let with_body = self.covered_with_body.iter().filter(|_| !body.is_empty());
        // The signer adds the digest itself.
        let adds_digest = self.covered.iter().chain(with_body.clone()).any(Component::is_content_digest);
        let present = self
            .covered_if_present
            .iter()
            .filter(|component| is_present(&component.kind, head) || (adds_digest && component.is_content_digest()));
        let mut components = self.covered.clone();
        for component in present.chain(with_body) {
            if !components.iter().any(|other| other.satisfies(component)) {
                components.push(component.clone());
            }
        }
        components
    }
}

/// Whether the request has a header or a query.
fn is_present(kind: &Kind, head: &dyn Head) -> bool {
    match kind {
        Kind::Field(name, _) => !matches!(head.header(name), Occurrence::Absent),
        // A target that cannot be read counts as one with a query: no signature is valid for it.
        Kind::Query => target(head).map_or(true, |(_, query)| query.is_some()),
        _ => true,
    }
}
