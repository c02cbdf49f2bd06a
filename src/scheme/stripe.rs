//! <https://docs.stripe.com/webhooks#verify-manually>

use alloc::vec;

use super::{Layout, Part, Scheme, SecretFormat, TimestampPlace, TimestampSource};
use crate::encoding::Encoding;
use crate::head::FieldName;
use crate::mac::Algorithm;
use crate::time::{TimestampFormat, Tolerance};

pub(super) fn scheme() -> Scheme {
    Scheme {
        name: "stripe".into(),
        algorithm: Algorithm::HmacSha256,
        signature_headers: vec![FieldName::preset("Stripe-Signature")],
        layout: Layout::fields(',', "v1"),
        encoding: Encoding::Hex,
        timestamp: Some(TimestampPlace {
            source: TimestampSource::Field("t".into()),
            format: TimestampFormat::Seconds,
        }),
        signed: vec![Part::Timestamp, Part::literal("."), Part::Body],
        // The `whsec_` of a Stripe secret is part of the key.
        secret_format: SecretFormat::Literal,
        tolerance: Tolerance::DEFAULT,
    }
}
