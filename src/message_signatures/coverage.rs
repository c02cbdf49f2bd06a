//! Which components the signature of a request must cover.

use alloc::string::String;
use alloc::vec::Vec;

use super::component::{Component, Form, Kind};
use super::problem::Problem;
use super::profile::Profile;
use super::values::{is_only_member, target};
use crate::headers::{Head, Occurrence};

impl Profile {
    /// Checks that a signature of `components` covers all that it must. Returns what it must also cover if the request has a
    /// body.
    pub(super) fn check_coverage(&self, components: &[Component], head: &dyn Head) -> Result<Option<String>, Problem> {
        let is_uncovered = |required: &&Component| !components.iter().any(|one| one.satisfies(required));
        // If it is the only member, its value is all that the header says.
        let is_covered_by_member = |required: &Component| {
            components.iter().any(|one| match (&one.kind, &required.kind) {
                (Kind::Field(name, Form::Member(key)), Kind::Field(required, _)) => {
                    name == required && is_only_member(head, name, key)
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
