//! Headers that occur twice with the same value, in two lines or joined into one.

use super::{Capture, Overlay};
use crate::diagnose::cause::{Cause, CauseKind};
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{Candidates, Reading, Scheme};

/// Reduces each doubled header of `overlay` to one, and returns the causes. `needed` lists the headers that the scheme
/// reads. The search covers a signed header whose doubled value is not refused, see [`undoubled`].
pub(super) fn correct<H: Head + ?Sized>(
    capture: &Capture<'_, H>,
    overlay: &mut Overlay<'_, H>,
    needed: &[FieldName],
) -> Vec<Cause> {
    let mut causes = Vec::new();
    // The signature headers may be repeated only if the scheme says so.
    let signatures = capture.scheme.signature_headers().iter().filter(|_| !capture.scheme.repeats_signature_headers());
    for name in signatures.chain(needed) {
        if overlay.header(name) != Occurrence::Repeated {
            continue;
        }
        let mut values = capture
            .headers
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name.as_str()))
            .map(|(_, value)| value.as_slice());
        if let Some(first) = values.next()
            && values.all(|value| value == first)
        {
            causes.push(repeated(name));
            overlay.single.push((name.clone(), first.to_vec()));
        }
    }
    while let Some((name, value)) = refused_double(capture.scheme, overlay) {
        causes.push(doubled_value(&name));
        overlay.single.push((name, value));
    }
    causes
}

/// Returns the header that a verifier refuses first, with its value once, if the value is doubled.
fn refused_double<H: Head + ?Sized>(scheme: &Scheme, overlay: &Overlay<'_, H>) -> Option<(FieldName, Vec<u8>)> {
    let fault = scheme.read(overlay, &mut Reading::default(), &mut Candidates::new()).err()?;
    let name = FieldName::new(scheme.header_in(fault.slot?)?).ok()?;
    // Each header is corrected only once, so the caller's loop ends.
    let is_new = !overlay.single.iter().any(|(known, _)| *known == name);
    let Occurrence::Once(value) = overlay.header(&name) else { return None };
    let value = undoubled(value).filter(|_| is_new)?;
    Some((name, value))
}

fn repeated(name: &FieldName) -> Cause {
    Cause::new(
        CauseKind::HeaderDuplicated,
        format!("{} occurs more than once, each time with the same value", name.as_str()),
        "send it once: look for a proxy that adds it again, or a client that sets it in two places",
    )
    .at_header(name.as_str())
}

pub(in crate::diagnose) fn doubled_value(name: &FieldName) -> Cause {
    Cause::new(
        CauseKind::HeaderDuplicated,
        format!(
            "{} contains the same value more than once, with commas between: the header was sent twice and joined",
            name.as_str()
        ),
        "send it once: look for a client that sets it in two places, or a proxy that adds it again, and a gateway \
         that joins headers of the same name (RFC 9110 section 5.3)",
    )
    .at_header(name.as_str())
}

/// Returns the value that `value` repeats two to four times, with commas between.
pub(in crate::diagnose) fn undoubled(value: &[u8]) -> Option<Vec<u8>> {
    let pieces: Vec<&[u8]> = value.split(|byte| *byte == b',').collect();
    (2..=MAX_COPIES).filter(|copies| pieces.len().is_multiple_of(*copies)).find_map(|copies| {
        let mut parts = pieces.chunks(pieces.len().checked_div(copies)?).map(|part| part.join(&b","[..]));
        let first = parts.next()?.trim_ascii().to_vec();
        (!first.is_empty() && parts.all(|part| part.trim_ascii() == first)).then_some(first)
    })
}

/// The maximum number of copies that are recognized.
const MAX_COPIES: usize = 4;
