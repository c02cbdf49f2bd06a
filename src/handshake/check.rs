//! Checks the settings of a handshake.

use http::StatusCode;

use super::Handshake;
use super::parts::{Condition, Digest, Form, HashPart, Source};
use crate::error::ConfigError;
use crate::headers::{FieldName, is_token_byte};
use crate::scheme::{Scheme, SignedPart};

impl Handshake {
    /// Checks that the settings fit together. What a document cannot contain may still be missing.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.check_names()?;
        self.check_kind()?;
        self.check_answer()
    }

    /// Checks that the token, the endpoint and the application's decision are set if the handshake needs them.
    pub(crate) fn check_complete(&self) -> Result<(), ConfigError> {
        require(
            self.decide.is_some() || !self.needs_decision,
            "accept_if",
            "must be set: call `accept_if`, because the application must decide about each challenge",
        )?;
        let hashes = |part| matches!(&self.digest, Some(Digest::Hash(parts)) if parts.contains(&part));
        let (needs_token, needs_endpoint) =
            (self.token_parameter.is_some() || hashes(HashPart::Token), hashes(HashPart::Endpoint));
        let token = self.token.as_ref().map(|token| token.0.as_str());
        require(token.is_some() || !needs_token, "token", "must be set: call `with_token`")?;
        require(
            token.is_none() || needs_token,
            "token",
            "must not be set: this handshake compares and hashes no token",
        )?;
        // Anyone who sees the hash can guess a short token without asking the endpoint. eBay requires 32 characters.
        let is_long = token.is_none_or(|token| token.len() >= 32);
        require(
            is_long || !hashes(HashPart::Token),
            "token",
            "must have at least 32 bytes, because its hash is public",
        )?;
        let is_text = |text: &str| (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
        require(token.is_none_or(is_text), "token", "must have 1 to 1024 bytes without control characters")?;
        require(self.endpoint.is_some() || !needs_endpoint, "endpoint", "must be set: call `with_endpoint`")?;
        require(
            self.endpoint.is_none() || needs_endpoint,
            "endpoint",
            "must not be set: this handshake hashes no endpoint",
        )?;
        let is_base = |base: &String| {
            let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
            host.is_some_and(|host| {
                !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()) && !host.contains(['/', '?', '#'])
            })
        };
        require(
            self.endpoint.as_ref().is_none_or(is_base),
            "endpoint",
            "must be a scheme and host without a path, such as https://hooks.example.com",
        )
    }

    /// Checks that the signature covers something that makes a delivery a challenge. Otherwise anyone who has a delivery can
    /// change a header of it, so that it is answered and committed without the handler.
    pub(crate) fn check_condition(&self, scheme: &Scheme) -> Result<(), ConfigError> {
        let is_signed = |name: &FieldName| {
            scheme.signed().iter().any(|part| matches!(part, SignedPart::Header(signed) if signed == name))
        };
        let is_covered = |condition: &Condition| match condition {
            Condition::Body { .. } => true,
            Condition::Header { name, .. } => is_signed(name),
        };
        let in_body = matches!(self.source, Some(Source::Body(_)));
        require(
            !self.is_signed() || in_body || self.conditions.iter().any(is_covered),
            "when_header",
            "must not be the only condition, because the header is not signed: add `when` or `when_number`",
        )
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let challenge = match &self.source {
            Some(Source::Query(name)) => Some(name),
            _ => None,
        };
        let names = self.required.iter().map(|(name, _)| name).chain(&self.token_parameter).chain(challenge);
        let mut names: Vec<&String> = names.collect();
        require(
            names.iter().all(|name| (1..=MAX_TEXT).contains(&name.len())),
            "query",
            "must have names of 1 to 1024 bytes",
        )?;
        names.sort_unstable();
        require(
            names.windows(2).all(|pair| pair.first() != pair.last()),
            "query",
            "must use each parameter once: two settings name the same one",
        )?;
        let pointer = match &self.source {
            Some(Source::Body(pointer)) => Some(pointer),
            _ => None,
        };
        let conditions = self.conditions.iter().filter_map(|condition| match condition {
            Condition::Body { pointer, .. } => Some(pointer),
            Condition::Header { .. } => None,
        });
        require(
            pointer.into_iter().chain(conditions).all(|pointer| pointer.is_empty() || pointer.starts_with('/')),
            "body",
            "must be JSON pointers, which start with a slash, such as /payload/plainToken",
        )
    }

    fn check_kind(&self) -> Result<(), ConfigError> {
        require(
            self.is_signed() || !self.needs_condition,
            "when",
            "must be set, because without a condition every delivery is a handshake: call `when`, `when_number` or `when_header`",
        )?;
        let Some(method) = &self.method else { return Ok(()) };
        require(!self.is_signed(), "method", "must not be set: a signed handshake has the methods of deliveries")?;
        let is_method = |byte: u8| is_token_byte(byte) && !byte.is_ascii_lowercase();
        require(
            !method.is_empty() && method.bytes().all(is_method),
            "method",
            "must be an uppercase token, such as POST",
        )?;
        require(
            self.source.is_some() || matches!(&**method, "GET" | "HEAD"),
            "method",
            "must be GET or HEAD: without a challenge any other request would be a handshake",
        )
    }

    fn check_answer(&self) -> Result<(), ConfigError> {
        let template = match &self.form {
            Form::Json(template) => Some(template),
            _ => None,
        };
        let echoes = matches!(self.form, Form::Text | Form::SameHeader)
            || template.is_some_and(|template| template.has_challenge());
        require(
            self.source.is_some() || (!echoes && self.digest.is_none()),
            "json",
            "must not have a challenge: this handshake has none",
        )?;
        require(
            !matches!(self.form, Form::SameHeader) || matches!(self.source, Some(Source::Header(_))),
            "same_header",
            "must not be set without a challenge in a header: set one, or another answer",
        )?;
        let (is_mac, is_hash) =
            (matches!(self.digest, Some(Digest::Mac(_))), matches!(self.digest, Some(Digest::Hash(_))));
        for (is_set, has_place, field, problem) in [
            (
                is_mac,
                template.is_some_and(|template| template.has_mac()),
                "mac",
                "must have its place {mac} in the JSON of the answer, and {mac} requires `mac`",
            ),
            (
                is_hash,
                template.is_some_and(|template| template.has_hash()),
                "hash",
                "must have its place {hash} in the JSON of the answer, and {hash} requires `hash`",
            ),
        ] {
            require(is_set == has_place, field, problem)?;
        }
        let hashes_challenge =
            |digest: &Digest| matches!(digest, Digest::Hash(parts) if !parts.contains(&HashPart::Challenge));
        require(!self.digest.as_ref().is_some_and(hashes_challenge), "hash", "must contain the challenge")?;
        require(
            matches!(self.form, Form::Empty | Form::SameHeader) || self.status != StatusCode::NO_CONTENT,
            "status",
            "must not be 204: the answer has a body",
        )
    }
}

fn require(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    debug_assert!(problem.contains("must"), "{problem}");
    if holds { Ok(()) } else { Err(ConfigError::new(format!("handshake.{field}"), problem)) }
}

/// The maximum length of a name or a token in bytes.
const MAX_TEXT: usize = 1_024;
