//! The settings of the answer.

use http::StatusCode;

use super::Handshake;
use super::parts::{Digest, Form, HashPart};
use super::template::Template;
use crate::encoding::Encoding;
use crate::error::ConfigError;

impl Handshake {
    /// Answers with the challenge as plain text. This is the default if the request has a challenge.
    pub fn text(self) -> Self {
        Self { form: Form::Text, ..self }
    }

    /// Answers without a body. This is the default if the request has no challenge.
    pub fn empty(self) -> Self {
        Self { form: Form::Empty, ..self }
    }

    /// Answers with JSON. In the strings of `template`, `{challenge}` is the challenge, `{mac}` its [`mac`](Self::mac)
    /// and `{hash}` its [`hash`](Self::hash). They are escaped for JSON.
    pub fn json(mut self, template: impl Into<String>) -> Self {
        match Template::new(template.into()) {
            Ok(template) => self.form = Form::Json(template),
            Err(problem) => self.fault = self.fault.or(Some(ConfigError::new("handshake.json", problem))),
        }
        self
    }

    /// Answers with the header that carried the challenge, and without a body.
    pub fn same_header(mut self) -> Self {
        self.form = Form::SameHeader;
        self
    }

    /// Computes the MAC of the challenge for `{mac}`, with the key that verified a signed handshake, or the
    /// newest valid key of the webhook id for an unsigned one. It needs its place in [`json`](Self::json). A challenge must have
    /// 1 to 128 letters, digits, `-` and `_`. [The module](crate::handshake#macs) says why.
    pub fn mac(mut self, encoding: Encoding) -> Self {
        self.digest = Some(Digest::Mac(encoding));
        self
    }

    /// Computes the SHA-256 of `parts`, one after the other, for `{hash}` in [`json`](Self::json). It is written in lower-case
    /// hex. The challenge must be one of the parts. A hashed token must have at least 32 bytes.
    pub fn hash(mut self, parts: impl IntoIterator<Item = HashPart>) -> Self {
        self.digest = Some(Digest::Hash(parts.into_iter().collect()));
        self
    }

    /// Sets the status of the answer, from 200 to 299. The default is 200.
    pub fn status(mut self, status: u16) -> Self {
        match StatusCode::from_u16(status).ok().filter(StatusCode::is_success) {
            Some(status) => self.status = status,
            None => {
                let problem = format!("must be from 200 to 299, not {status}");
                self.fault = self.fault.or(Some(ConfigError::new("handshake.status", problem)));
            }
        }
        self
    }
}
