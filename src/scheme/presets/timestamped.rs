//! The default scheme. Hook0 and other services use the same one.

use alloc::vec;

use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::headers::FieldName;
use crate::scheme::{Layout, Scheme, SecretFormat, SignedPart, TimestampPlace, TimestampSource};
use crate::time::{TimestampFormat, Tolerance};

pub(super) fn scheme() -> Scheme {
    Scheme {
        name: "timestamped".into(),
        algorithm: Algorithm::HmacSha256,
        signature_headers: vec![FieldName::preset("X-Webhook-Signature")],
        layout: Layout::plain(""),
        encoding: Encoding::Hex,
        timestamp: Some(TimestampPlace {
            source: TimestampSource::Header(FieldName::preset("X-Webhook-Timestamp")),
            format: TimestampFormat::Seconds,
        }),
        signed: vec![SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body],
        secret_format: SecretFormat::Literal,
        tolerance: Tolerance::DEFAULT,
        delivery_id: None,
        max_signatures: None,
        repeated_signature_headers: false,
        danger_ambiguous_content: false,
        custom: None,
    }
}
