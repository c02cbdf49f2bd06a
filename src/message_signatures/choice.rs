//! Which signature of a request counts.

use alloc::string::String;
use alloc::vec::Vec;

use super::coverage::PresentHeaders;
use super::problem::{Parameter, Problem};
use super::profile::{Profile, TagRule};
use super::reading::{SIGNATURE_INPUT, components, text};
use super::structured::{Dictionary, InnerList, Member};
use super::values::dictionary;
use crate::headers::Head;

impl Profile {
    /// The value of the parameter `keyid` of the signature that counts, to look up its keys: see
    /// [`IdSource::closure`](crate::IdSource::closure). It is not verified. `None` if the head has no such signature.
    #[must_use]
    pub fn keyid(&self, head: &dyn Head) -> Option<String> {
        let inputs = dictionary(head, SIGNATURE_INPUT).ok()??;
        let (_, input) = self.choose(&inputs, &PresentHeaders::new(self, head)).ok()?;
        text(input, Parameter::Keyid).ok()?.map(String::from)
    }

    /// Returns the signature with the label and the tag of the profile. There must be exactly one: if a message could
    /// choose between several, it would choose the weakest.
    pub(super) fn choose<'i>(
        &self,
        inputs: &'i Dictionary,
        headers: &PresentHeaders<'_>,
    ) -> Result<(&'i str, &'i InnerList), Problem> {
        let mut candidates = self.candidates(inputs)?;
        if self.ignores_insufficient && candidates.len() > 1 {
            let is_sufficient = |(label, input): &(&str, &InnerList)| self.is_sufficient(label, input, headers);
            let sufficient: Vec<_> = candidates.iter().copied().filter(is_sufficient).collect();
            match sufficient.is_empty() {
                // The first one is then refused for its own problem.
                true => candidates.truncate(1),
                false => candidates = sufficient,
            }
        }
        let is_preferred = |(label, _): &&(&str, &InnerList)| self.preferred_label.as_deref() == Some(*label);
        match (candidates.iter().find(is_preferred), candidates.as_slice()) {
            (Some(one), _) | (None, [one]) => Ok(*one),
            (None, []) => Err(Problem::NoSuchSignature),
            (None, _) => Err(Problem::AmbiguousSignature),
        }
    }

    /// The signatures with the label and the tag of the profile.
    fn candidates<'i>(&self, inputs: &'i Dictionary) -> Result<Vec<(&'i str, &'i InnerList)>, Problem> {
        if inputs.iter().len() > MAX_SIGNATURES {
            return Err(Problem::TooManySignatures);
        }
        let mut candidates = Vec::new();
        for (label, member) in inputs.iter() {
            if self.label.as_deref().is_some_and(|wanted| wanted != label) {
                continue;
            }
            let Member::InnerList(input) = member else { return Err(Problem::MalformedHeader(SIGNATURE_INPUT)) };
            // A signature for another receiver can have a tag of any type: it is ignored, not malformed.
            let tag = text(input, Parameter::Tag);
            let counts = match &self.tag {
                TagRule::Untagged => tag == Ok(None),
                TagRule::Exactly(wanted) => tag == Ok(Some(wanted.as_str())),
                TagRule::Optional(wanted) => tag == Ok(None) || tag == Ok(Some(wanted.as_str())),
                TagRule::Any => true,
            };
            if counts {
                candidates.push((label, input));
            }
        }
        Ok(candidates)
    }

    /// Whether a signature has the parameters that it must have, and covers what it must cover without a body.
    fn is_sufficient(&self, label: &str, input: &InnerList, headers: &PresentHeaders<'_>) -> bool {
        let covers = || components(input).and_then(|components| self.check_coverage(&components, label, headers));
        self.check_parameters(input).is_ok() && self.algorithms_of(input).is_ok() && covers().is_ok()
    }
}

/// The maximum number of signatures in a request. Only one of them is verified.
const MAX_SIGNATURES: usize = 8;
