//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use alloc::vec;

use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::headers::FieldName;
use crate::scheme::{DeliveryIdSource, Layout, Scheme, SecretFormat, SignedPart, TimestampPlace, TimestampSource};
use crate::time::{TimestampFormat, Tolerance};

/// The scheme with Ed25519.
#[cfg(feature = "ed25519")]
pub(super) fn v1a() -> Scheme {
    Scheme {
        name: "standard_webhooks_v1a".into(),
        algorithm: Algorithm::Ed25519,
        layout: Layout::list(' ', "v1a,"),
        secret_format: SecretFormat::Literal,
        ..scheme()
    }
}

pub(super) fn scheme() -> Scheme {
    Scheme {
        name: "standard_webhooks".into(),
        algorithm: Algorithm::HmacSha256,
        signature_headers: vec![FieldName::preset("webhook-signature")],
        layout: Layout::list(' ', "v1,"),
        encoding: Encoding::Base64,
        timestamp: Some(TimestampPlace {
            source: TimestampSource::Header(FieldName::preset("webhook-timestamp")),
            format: TimestampFormat::Seconds,
        }),
        signed: vec![
            SignedPart::Header(FieldName::preset("webhook-id")),
            SignedPart::literal("."),
            SignedPart::Timestamp,
            SignedPart::literal("."),
            SignedPart::Body,
        ],
        secret_format: SecretFormat::Whsec,
        tolerance: Tolerance::DEFAULT,
        delivery_id: Some(DeliveryIdSource::Header(FieldName::preset("webhook-id"))),
        max_signatures: None,
        repeated_signature_headers: false,
        danger_ambiguous_content: false,
        custom: None,
    }
}
