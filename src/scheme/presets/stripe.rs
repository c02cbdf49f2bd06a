//! <https://docs.stripe.com/webhooks#verify-manually>

use alloc::vec;

use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::headers::FieldName;
use crate::scheme::{DeliveryIdSource, Layout, Scheme, SecretFormat, SignedPart, TimestampPlace, TimestampSource};
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
        signed: vec![SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body],
        // The `whsec_` of a Stripe secret is part of the key.
        secret_format: SecretFormat::Literal,
        tolerance: Tolerance::DEFAULT,
        delivery_id: Some(DeliveryIdSource::Body("/id".into())),
        max_signatures: None,
        repeated_signature_headers: false,
        danger_ambiguous_content: false,
        custom: None,
    }
}
