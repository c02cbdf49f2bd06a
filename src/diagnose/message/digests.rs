//! The bodies whose digest may have been signed.

use std::borrow::Cow;

use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::form::Form;
use crate::diagnose::search::Budget;
use crate::diagnose::{Capture, bodies, head};
use crate::headers::Head;
use crate::message_signatures::{Inspection, Signed};

impl<H: Head + ?Sized> Capture<'_, H> {
    /// Explains a digest that is not that of the captured body.
    pub(super) fn other_body(&self, inspection: &Inspection<'_>, signed: &Signed, is_signed: bool) -> Vec<Cause> {
        // The search for the key may have used up its own budget.
        self.other_body_within(Budget::new(), inspection, signed, is_signed)
    }

    fn other_body_within(
        &self,
        mut budget: Budget,
        inspection: &Inspection<'_>,
        signed: &Signed,
        is_signed: bool,
    ) -> Vec<Cause> {
        if inspection.is_digest_of(signed, self.body) != Some(false) {
            return Vec::new();
        }
        let proven = |causes: Vec<Cause>| match is_signed {
            true => causes.into_iter().map(Cause::proven).collect(),
            false => causes,
        };
        let bodies = bodies::bodies(self.body, head::declared_length(self.head));
        let mut forms: Vec<_> = bodies.forms.iter().skip(1).collect();
        forms.sort_by_key(|form| form.weight);
        let affordable = forms.iter().take_while(|form| budget.spend(form.value.len())).count();
        let is_original = |form: &&&Form<Cow<'_, [u8]>>| inspection.is_digest_of(signed, &form.value) == Some(true);
        if let Some(form) = forms.iter().take(affordable).find(is_original) {
            return proven(form.causes.clone());
        }
        let limit = (affordable < forms.len()).then_some("the search reached its limit");
        let untried: Vec<&str> = limit.into_iter().chain(bodies.omitted).collect();
        let mut causes = head::suspicions(self);
        causes.extend(proven(vec![other(&untried)]));
        causes
    }
}

/// Returns the cause for a body with another digest. `untried` says why some changes of it are not tried.
fn other(untried: &[&str]) -> Cause {
    let what = match untried {
        [] => "Content-Digest is that of another body, and no known change of the captured body has this digest"
            .to_owned(),
        _ => format!(
            "Content-Digest is that of another body; not all known changes of the captured body were tried: {}",
            untried.join("; ")
        ),
    };
    let fix = "compare the captured body with the sent one, byte by byte: something between the sender and the receiver \
               changed it, or the sender computed the digest of something else";
    Cause::new(CauseKind::BodyDiffers, what, fix).at_header("Content-Digest")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Algorithm;
    use crate::headers::RequestHead;
    use crate::message_signatures::Profile;

    #[test]
    fn ended_budget_is_reported() {
        let profile = Profile::webhooks("https://example.com").algorithms([Algorithm::HmacSha256]).build().unwrap();
        let scheme = profile.scheme("acme").unwrap();
        let headers = [
            ("Signature-Input", "sig1=(\"content-digest\");created=1800000000"),
            // That of `{}`.
            ("Content-Digest", "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"),
        ];
        let head = RequestHead::new("POST", "/", &headers);
        let capture = Capture::new(&scheme, "only-for-this-test", &head, b"{}\n");
        let inspection = profile.inspect(&head, true);
        let signed = inspection.signed.as_ref().unwrap();
        let mut spent = Budget::new();
        while spent.spend(0) {}
        for (budget, kind) in [(Budget::new(), CauseKind::BodyNewlineAdded), (spent, CauseKind::BodyDiffers)] {
            let causes = capture.other_body_within(budget, &inspection, signed, false);
            assert_eq!(causes.last().unwrap().kind(), kind);
            let is_limited = causes.iter().any(|cause| cause.what().ends_with("tried: the search reached its limit"));
            assert_eq!(is_limited, kind == CauseKind::BodyDiffers, "{causes:?}");
        }
    }
}
