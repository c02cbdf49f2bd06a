//! Whether a request follows another provider's scheme.

use super::Capture;
use super::cause::{Cause, CauseKind};
use crate::headers::{Head, Occurrence};
use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::time::Timestamp;
use crate::verifier::Verifier;

/// A preset that matches the request's headers.
pub(super) struct Other {
    pub(super) cause: Cause,
    /// The secret with which the request verifies under it.
    pub(super) secret: Option<usize>,
}

/// The preset under which the request verifies, or else one whose headers it has.
pub(super) fn other<H: Head + ?Sized>(capture: &Capture<'_, H>, now: Timestamp) -> Option<Other> {
    let own = capture.scheme;
    let presets = [
        (Scheme::timestamped(), "Scheme::timestamped()"),
        (Scheme::standard_webhooks(), "Scheme::standard_webhooks()"),
        (Scheme::stripe(), "Scheme::stripe()"),
        (Scheme::github(), "Scheme::github()"),
        (Scheme::slack(), "Scheme::slack()"),
    ];
    let mut likely = None;
    for (preset, path) in presets {
        let name = preset.name().to_owned();
        let header = preset.signature_headers().first()?.clone();
        if !matches!(capture.head.header(&header), Occurrence::Once(_)) {
            continue;
        }
        let what = format!(
            "the request carries {}, the signature header of {name}, and the scheme is {}",
            header.as_str(),
            own.name()
        );
        if let Some((secret, fresh)) = holding(&preset, capture, now) {
            let fix = if fresh {
                format!("on the receiver, use {path}: by it this request verifies with this secret")
            } else {
                format!(
                    "on the receiver, use {path}: by it the signature holds, though the timestamp is out of tolerance"
                )
            };
            let cause = Cause::new(CauseKind::OtherScheme, what, fix).at_header(header.as_str());
            return Some(Other { cause: cause.proven(), secret: Some(secret) });
        }
        // A header that the two have in common speaks for neither alone.
        if likely.is_none() && !own.signature_headers().contains(&header) {
            let fix = format!(
                "on the receiver, use {path} if that is the sender; with this secret it does not hold either, so check the secret, too"
            );
            let cause = Cause::new(CauseKind::OtherScheme, what, fix).at_header(header.as_str());
            likely = Some(Other { cause, secret: None });
        }
    }
    likely
}

/// The secret with which the request verifies under `preset`, and whether it is fresh.
fn holding<H: Head + ?Sized>(preset: &Scheme, capture: &Capture<'_, H>, now: Timestamp) -> Option<(usize, bool)> {
    capture.secrets.iter().enumerate().find_map(|(index, text)| {
        let keys = Keyring::new(preset.secret(text).ok()?);
        let verifier = Verifier::new(preset.clone(), keys).ok()?;
        if verifier.verify_at(capture.head, capture.body, now).is_ok() {
            return Some((index, true));
        }
        let stamp = preset.timestamp_text(capture.head)?;
        let then = preset.timestamp()?.format.parse(stamp)?;
        verifier.verify_at(capture.head, capture.body, then).ok().map(|_| (index, false))
    })
}
