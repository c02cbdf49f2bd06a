//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use alloc::vec;

use crate::crypto::mac::Algorithm;
use crate::encoding::Encoding;
use crate::headers::FieldName;
use crate::scheme::limits::MAX_CANDIDATES;
use crate::scheme::{Layout, Scheme, SecretFormat, SignedPart, TimestampPlace, TimestampSource};
use crate::time::{TimestampFormat, Tolerance};

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
        max_signatures: MAX_CANDIDATES,
        repeated_signature_headers: false,
        danger_ambiguous_content: false,
    }
}
