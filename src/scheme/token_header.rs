//! A token in a header.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::limits::MAX_VALUE_BYTES;
use super::{Coverage, CustomCheck, CustomHead, CustomScheme};
use crate::crypto::body_hash::BodyHash;
use crate::crypto::{HashAlgorithm, LiveKeys, Proven};
use crate::encoding::{EncodedTag, Encoding};
use crate::error::Reason;
use crate::headers::{FieldName, Head};

pub(super) struct TokenHeader {
    pub(super) header: FieldName,
    pub(super) prefix: Cow<'static, str>,
}

impl CustomScheme for TokenHeader {
    fn coverage(&self) -> Coverage {
        Coverage::NOTHING
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        let value = head.header(&self.header).required()?;
        // The name of an authentication scheme is case-insensitive (RFC 9110 section 11.1).
        let prefix = self.prefix.as_bytes();
        match value.split_at_checked(prefix.len()).filter(|(start, _)| start.eq_ignore_ascii_case(prefix)) {
            Some((_, token)) if (1..=MAX_VALUE_BYTES).contains(&token.len()) => {
                let body = BodyHash::new(HashAlgorithm::Sha256, Encoding::Hex);
                Ok(CustomHead::new(TokenCheck { token: Zeroizing::new(token.to_vec()), body }))
            }
            _ => Err(Reason::MalformedSignature),
        }
    }
}

struct TokenCheck {
    token: Zeroizing<Vec<u8>>,
    body: BodyHash,
}

impl CustomCheck for TokenCheck {
    fn update(&mut self, chunk: &[u8]) {
        self.body.update(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        let digest = self.body.text();
        keys.verify_token(&self.token, &[digest.as_ref().map(EncodedTag::as_bytes).unwrap_or_default()])
    }
}
