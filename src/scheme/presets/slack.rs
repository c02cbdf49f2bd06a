//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>

use alloc::vec;

use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::headers::FieldName;
use crate::scheme::{DeliveryIdSource, Layout, Scheme, SecretFormat, SignedPart, TimestampPlace, TimestampSource};
use crate::time::{TimestampFormat, Tolerance};

pub(super) fn scheme() -> Scheme {
    Scheme {
        name: "slack".into(),
        algorithm: Algorithm::HmacSha256,
        signature_headers: vec![FieldName::preset("X-Slack-Signature")],
        layout: Layout::plain("v0="),
        encoding: Encoding::Hex,
        timestamp: Some(TimestampPlace {
            source: TimestampSource::Header(FieldName::preset("X-Slack-Request-Timestamp")),
            format: TimestampFormat::Seconds,
        }),
        signed: vec![SignedPart::literal("v0:"), SignedPart::Timestamp, SignedPart::literal(":"), SignedPart::Body],
        secret_format: SecretFormat::Literal,
        tolerance: Tolerance::DEFAULT,
        delivery_id: Some(DeliveryIdSource::Body("/event_id".into())),
        max_signatures: None,
        repeated_signature_headers: false,
        danger_ambiguous_content: false,
        custom: None,
    }
}
