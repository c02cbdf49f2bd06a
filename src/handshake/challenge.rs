//! Finds the challenge of a request.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::Handshake;
use super::oracle::is_signable;
use super::parts::{Condition, Decide, Digest, Expected, Source, Token};
use crate::crypto::mac::digest;
use crate::headers::{FieldName, Head, Occurrence};

/// The challenge of a request that a handshake matches. Empty if the handshake has none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Challenge(String);

impl Challenge {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Handshake {
    /// Whether a copy of a challenge that was answered can be answered again. Whoever copies a signed request can change
    /// its query and its headers, so the challenge must be in the signed body, and the application must not decide again.
    pub(crate) const fn repeats(&self) -> bool {
        matches!(self.source, None | Some(Source::Body(_))) && self.decide.is_none()
    }

    /// Returns the challenge if the request has the form of this handshake: [`accepts`](Self::accepts) decides about it.
    /// `body` is the JSON of a verified body: an unsigned handshake has none.
    pub(crate) fn challenge<H: Head + ?Sized>(&self, head: &H, body: Option<&Value>) -> Option<Challenge> {
        let is_met = |condition: &Condition| match condition {
            Condition::Header { name, value } => header(head, name) == Some(value),
            Condition::Body { pointer, expected } => match (body.and_then(|body| body.pointer(pointer)), expected) {
                (Some(Value::String(text)), Expected::Text(expected)) => text == expected,
                (Some(found), Expected::Number(expected)) => found.as_i64() == Some(*expected),
                _ => false,
            },
        };
        let has_method = self.is_signed() || head.method().is_some_and(|method| self.has_method(method));
        if !has_method || !self.conditions.iter().all(is_met) {
            return None;
        }
        let query = |name: &str| parameter(head.path()?, name);
        if !self.required.iter().all(|(name, value)| query(name).is_some_and(|found| found == **value)) {
            return None;
        }
        // `accepts` compares the token, after the request was counted.
        if let Some(name) = &self.token_parameter {
            query(name)?;
        }
        let challenge = match self.source.as_ref() {
            None => return Some(Challenge(String::new())),
            Some(Source::Query(name)) => query(name)?.into_owned(),
            Some(Source::Header(name)) => header(head, name)?.to_owned(),
            Some(Source::Body(pointer)) => body?.pointer(pointer)?.as_str()?.to_owned(),
        };
        self.permits(&challenge).then_some(Challenge(challenge))
    }

    /// Whether an unsigned handshake has a method for which `is_of` holds.
    pub(crate) fn has_method_of(&self, is_of: impl Fn(&str) -> bool) -> bool {
        !self.is_signed()
            && ["GET", "HEAD"].into_iter().chain(self.method.as_deref()).any(|own| self.has_method(own) && is_of(own))
    }

    fn has_method(&self, method: &str) -> bool {
        match &self.method {
            Some(own) => own == method,
            None => method == "GET" || (self.source.is_none() && method == "HEAD"),
        }
    }

    fn permits(&self, challenge: &str) -> bool {
        match self.digest {
            Some(Digest::Mac(_)) => is_signable(challenge.as_bytes()),
            _ => (1..=MAX_CHALLENGE).contains(&challenge.len()) && !challenge.chars().any(char::is_control),
        }
    }

    /// Compares the token, and asks the application whether it accepts the challenge. Count the request first, so that
    /// a quota limits guesses and calls.
    pub(crate) fn accepts<H: Head + ?Sized>(&self, head: &H, challenge: &Challenge, webhook_id: Option<&str>) -> bool {
        let is_accepted = |decide: &Decide| decide(webhook_id, challenge.as_str());
        self.has_token(head)
            && self
                .decide
                .as_ref()
                .is_none_or(|decide| catch_unwind(AssertUnwindSafe(|| is_accepted(decide))).unwrap_or(false))
    }

    fn has_token<H: Head + ?Sized>(&self, head: &H) -> bool {
        let Some(name) = &self.token_parameter else { return true };
        let found = head.path().and_then(|path| parameter(path, name));
        self.token.as_ref().zip(found).is_some_and(|(token, found)| token.equals(&found))
    }

    /// Whether a delivery can be this signed handshake, without parsing its body. A text that JSON need not escape is
    /// searched in the body.
    pub(crate) fn may_match<H: Head + ?Sized>(&self, head: &H, body: &[u8]) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        self.conditions.iter().all(|condition| match condition {
            Condition::Header { name, value } => header(head, name) == Some(value),
            Condition::Body { expected: Expected::Text(text), .. } if text.bytes().all(is_plain) => {
                text.is_empty() || body.windows(text.len()).any(|found| found == text.as_bytes())
            }
            Condition::Body { .. } => true,
        })
    }

    /// Whether the JSON of the body is needed.
    pub(crate) fn reads_body(&self) -> bool {
        matches!(self.source, Some(Source::Body(_)))
            || self.conditions.iter().any(|condition| matches!(condition, Condition::Body { .. }))
    }
}

impl Token {
    /// Compares in constant time: neither the content nor the length of the token shows.
    fn equals(&self, text: &str) -> bool {
        digest(&[self.0.as_bytes()]).ct_eq(&digest(&[text.as_bytes()])).into()
    }
}

fn header<'h, H: Head + ?Sized>(head: &'h H, name: &FieldName) -> Option<&'h str> {
    match head.header(name) {
        Occurrence::Once(value) => std::str::from_utf8(value).ok(),
        _ => None,
    }
}

/// Returns the value of the query parameter `name` if it occurs exactly once and is UTF-8. Decodes as a form: `+` is a
/// space.
fn parameter<'p>(path: &'p str, name: &str) -> Option<Cow<'p, str>> {
    let (_, query) = path.split_once('?')?;
    let mut values = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key)? == name).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) => decode(value),
        _ => None,
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

/// The maximum length of a challenge in bytes.
const MAX_CHALLENGE: usize = 1_024;
