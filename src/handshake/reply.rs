//! The answer to a handshake.

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::Handshake;
use super::challenge::Challenge;
use super::parts::{Digest, Form, HashPart, Source};
use crate::encoding::Encoding;
use crate::headers::Head;

/// The answer to a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// The header of the challenge, if the answer repeats it.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    /// `None` for an answer without a body.
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

impl Handshake {
    /// Answers `challenge`, which this handshake found in `head`. `mac` is the text of its MAC, if the handshake has
    /// one.
    pub(crate) fn reply<H: Head + ?Sized>(&self, head: &H, challenge: &Challenge, mac: &str) -> Reply {
        let challenge = challenge.as_str();
        let (content_type, body) = match &self.form {
            Form::Empty | Form::SameHeader => (None, Vec::new()),
            // Some providers, such as Microsoft Graph, require exactly `text/plain`. Their challenges are ASCII.
            Form::Text if challenge.is_ascii() => (Some("text/plain"), challenge.as_bytes().to_vec()),
            Form::Text => (Some("text/plain; charset=utf-8"), challenge.as_bytes().to_vec()),
            Form::Json(template) => {
                let digest = match &self.digest {
                    Some(Digest::Hash(parts)) => self.hash_of(parts, head, challenge),
                    _ => mac.to_owned(),
                };
                (Some("application/json"), template.fill(challenge, &digest).into_bytes())
            }
        };
        Reply { status: self.status, header: self.same_header_of(challenge), content_type, body }
    }

    fn hash_of<H: Head + ?Sized>(&self, parts: &[HashPart], head: &H, challenge: &str) -> String {
        let mut hash = Sha256::new();
        for part in parts {
            match part {
                HashPart::Challenge => hash.update(challenge),
                HashPart::Token => hash.update(self.token.as_ref().map(|token| token.0.as_bytes()).unwrap_or_default()),
                HashPart::Endpoint => {
                    hash.update(self.endpoint.as_deref().unwrap_or_default());
                    hash.update(head.path().unwrap_or_default().split('?').next().unwrap_or_default());
                }
            }
        }
        Encoding::Hex.encode(&hash.finalize())
    }

    fn same_header_of(&self, challenge: &str) -> Option<(HeaderName, HeaderValue)> {
        let (Form::SameHeader, Some(Source::Header(name))) = (&self.form, &self.source) else { return None };
        Some((
            HeaderName::from_bytes(name.as_str().as_bytes()).ok()?,
            HeaderValue::from_bytes(challenge.as_bytes()).ok()?,
        ))
    }
}
