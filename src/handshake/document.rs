//! Reading a handshake from TOML, JSON or any other serde format. The format is documented in `document.md`, which is
//! part of the documentation of [`Handshake`].

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Handshake, HashPart};
use crate::encoding::Encoding;
use crate::error::ConfigError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HandshakeDocument {
    challenge: ChallengeDocument,
    method: Option<String>,
    #[serde(default)]
    require: BTreeMap<String, String>,
    token: Option<String>,
    #[serde(default)]
    accept_if: bool,
    #[serde(default)]
    when: Vec<ConditionDocument>,
    answer: AnswerDocument,
    status: Option<u16>,
    mac: Option<Encoding>,
    hash: Option<Vec<HashPart>>,
    #[expect(dead_code, reason = "for readers of the file")]
    source: Option<String>,
    #[expect(dead_code, reason = "for tests of the file")]
    example: Option<Example>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ChallengeDocument {
    Query(String),
    Header(String),
    Body(String),
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionDocument {
    pointer: Option<String>,
    header: Option<String>,
    value: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Number(i64),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum AnswerDocument {
    Text,
    Empty,
    SameHeader,
    Json(String),
}

/// A request, and the exact answer to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form is checked")]
struct Example {
    origin: String,
    token: Option<String>,
    endpoint: Option<String>,
    secret: Option<String>,
    #[serde(default)]
    request: ExampleRequest,
    answer: ExampleAnswer,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form is checked")]
struct ExampleRequest {
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form is checked")]
struct ExampleAnswer {
    status: Option<u16>,
    content_type: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: String,
}

impl<'de> Deserialize<'de> for Handshake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HandshakeDocument::deserialize(deserializer)?.handshake().map_err(D::Error::custom)
    }
}

impl HandshakeDocument {
    fn handshake(self) -> Result<Handshake, ConfigError> {
        let mut handshake = match self.challenge {
            ChallengeDocument::Query(name) => Handshake::query(name),
            ChallengeDocument::Header(name) => Handshake::header(&name),
            ChallengeDocument::Body(pointer) => Handshake::body(pointer),
            ChallengeDocument::None if self.when.is_empty() => Handshake::probe(),
            ChallengeDocument::None => Handshake::ping(),
        };
        for (name, value) in self.require {
            handshake = handshake.require(name, value);
        }
        for condition in self.when {
            handshake = condition.add_to(handshake)?;
        }
        handshake = match self.answer {
            AnswerDocument::Text => handshake.text(),
            AnswerDocument::Empty => handshake.empty(),
            AnswerDocument::SameHeader => handshake.same_header(),
            AnswerDocument::Json(template) => handshake.json(template),
        };
        if let Some(method) = self.method {
            handshake = handshake.method(method);
        }
        if let Some(name) = self.token {
            handshake = handshake.token_parameter(name);
        }
        handshake.needs_decision = self.accept_if;
        if let Some(status) = self.status {
            handshake = handshake.status(status);
        }
        match (self.mac, self.hash) {
            (Some(_), Some(_)) => return Err(ConfigError::new("handshake.mac", "must not be set with `hash`")),
            (Some(encoding), None) => handshake = handshake.mac(encoding),
            (None, Some(parts)) => handshake = handshake.hash(parts),
            (None, None) => {}
        }
        handshake.check()?;
        Ok(handshake)
    }
}

impl ConditionDocument {
    fn add_to(self, handshake: Handshake) -> Result<Handshake, ConfigError> {
        match (self.pointer, self.header, self.value) {
            (Some(pointer), None, Value::Text(value)) => Ok(handshake.when(pointer, value)),
            (Some(pointer), None, Value::Number(value)) => Ok(handshake.when_number(pointer, value)),
            (None, Some(name), Value::Text(value)) => Ok(handshake.when_header(&name, value)),
            _ => Err(ConfigError::new(
                "handshake.when",
                "must have a pointer with a text or an integer, or a header with a text",
            )),
        }
    }
}
