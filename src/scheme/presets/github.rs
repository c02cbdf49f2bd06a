//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use alloc::vec;

use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::headers::FieldName;
use crate::scheme::{Layout, Scheme, SecretFormat, SignedPart};
use crate::time::Tolerance;

pub(super) fn scheme() -> Scheme {
    Scheme {
        name: "github".into(),
        algorithm: Algorithm::HmacSha256,
        signature_headers: vec![FieldName::preset("X-Hub-Signature-256")],
        layout: Layout::plain("sha256="),
        encoding: Encoding::Hex,
        timestamp: None,
        signed: vec![SignedPart::Body],
        secret_format: SecretFormat::Literal,
        tolerance: Tolerance::DEFAULT,
        delivery_id: None,
        max_signatures: None,
        repeated_signature_headers: false,
        danger_ambiguous_content: false,
        custom: None,
    }
}
