//! The digests of JSON that was rewritten on its way together with `Content-Digest`.

use super::{Bases, CONTENT_DIGEST};
use crate::diagnose::bodies;
use crate::diagnose::cause::{Cause, CauseKind};
use crate::message_signatures::Inspection;

/// Offers the digest of each other way to write the JSON of the captured body.
pub(super) fn offer(bases: &mut Bases<'_>, body: &[u8]) {
    if !bases.signed.headers().any(|name| name.as_str().eq_ignore_ascii_case(CONTENT_DIGEST)) {
        return;
    }
    let is_json = |cause: &Cause| cause.kind() == CauseKind::BodyJsonRewritten;
    for form in bodies::bodies(body, None).forms.iter().filter(|form| form.causes.iter().any(is_json)) {
        let Some(change) = Inspection::digest_of(&form.value) else { return };
        let cause = Cause::new(
            CauseKind::HeaderValueDiffers,
            "the sender signed the digest of the JSON as it wrote it, and Content-Digest was changed after that",
            "look for a proxy that parses the body and computes Content-Digest again: only the sender can sign a new digest",
        );
        let causes = form.causes.iter().cloned().chain([cause.at_header(CONTENT_DIGEST)]).collect();
        if let Some(base) = bases.inspection.base(bases.signed, &change) {
            bases.offer(base.into_bytes(), causes, false);
        }
    }
}
