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
    /// The index of the secret with which the request verifies under it.
    pub(super) secret: Option<usize>,
}

/// Returns the preset under which the request verifies, or else one whose signature header it has.
pub(super) fn other<H: Head + ?Sized>(capture: &Capture<'_, H>, now: Timestamp) -> Option<Other> {
    let own = capture.scheme;
    let presets = [
        (Scheme::timestamped(), "Scheme::timestamped() (--scheme timestamped of the command)"),
        (Scheme::standard_webhooks(), "Scheme::standard_webhooks() (--scheme standard_webhooks of the command)"),
        (Scheme::stripe(), "Scheme::stripe() (--scheme stripe of the command)"),
        (Scheme::github(), "Scheme::github() (--scheme github of the command)"),
        (Scheme::slack(), "Scheme::slack() (--scheme slack of the command)"),
    ];
    let mut likely = None;
    for (preset, path) in presets {
        let name = preset.name().to_owned();
        let header = preset.signature_headers().first()?.clone();
        if !matches!(capture.head.header(&header), Occurrence::Once(_)) {
            continue;
        }
        let configured = if own.name() == name {
            format!("the configured scheme is another one with the name {name}")
        } else {
            format!("the scheme is {}", own.name())
        };
        let what = format!("the request has {}, the signature header of {name}, but {configured}", header.as_str());
        if let Some((secret, fresh)) = holding(&preset, capture, now) {
            let fix = if fresh {
                format!("on the receiver, use {path}: with it and this secret, the request verifies")
            } else {
                format!(
                    "on the receiver, use {path}: with it the signature verifies, but the timestamp is out of tolerance"
                )
            };
            let cause = Cause::new(CauseKind::OtherScheme, what, fix).at_header(header.as_str());
            return Some(Other { cause: cause.proven(), secret: Some(secret) });
        }
        // A header that both schemes use does not suggest the preset.
        if likely.is_none() && !own.signature_headers().contains(&header) {
            let fix = format!(
                "if the sender signs with this scheme, use {path} on the receiver, and check the secret: the request does \
                 not verify with this one"
            );
            let cause = Cause::new(CauseKind::OtherScheme, what, fix).at_header(header.as_str());
            likely = Some(Other { cause, secret: None });
        }
    }
    likely
}

/// Returns the secret with which the request verifies under `preset`, and whether the timestamp is fresh.
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
