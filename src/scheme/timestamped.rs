//! The default: what a Django team's security page asked of its webhooks, and what Hook0 and others send alike.

use alloc::vec;

use super::{Layout, Part, Scheme, SecretFormat, TimestampPlace, TimestampSource};
use crate::encoding::Encoding;
use crate::head::FieldName;
use crate::mac::Algorithm;
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
        signed: vec![Part::Timestamp, Part::literal("."), Part::Body],
        secret_format: SecretFormat::Literal,
        tolerance: Tolerance::DEFAULT,
    }
}
