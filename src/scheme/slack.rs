//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>

use alloc::vec;

use super::{Layout, Part, Scheme, SecretFormat, TimestampPlace, TimestampSource};
use crate::encoding::Encoding;
use crate::head::FieldName;
use crate::mac::Algorithm;
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
        signed: vec![Part::literal("v0:"), Part::Timestamp, Part::literal(":"), Part::Body],
        secret_format: SecretFormat::Literal,
        tolerance: Tolerance::DEFAULT,
    }
}
