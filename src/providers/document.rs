//! The table `[provider]` of a file.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::Deserialize;

#[cfg(feature = "warden")]
pub(super) use crate::handshake::Handshake;
/// Without a Warden nothing answers handshakes: the table is accepted and skipped.
#[cfg(not(feature = "warden"))]
type Handshake = serde::de::IgnoredAny;

/// The table `[provider]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) title: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) source: String,
    pub(super) sdk: Option<String>,
    pub(super) unsigned_id: Option<String>,
    pub(super) duplicates: Option<Duplicates>,
    #[serde(default)]
    pub(super) unsigned: Vec<String>,
    #[serde(default)]
    pub(super) quirks: Vec<String>,
    pub(super) retries: String,
    #[serde(default)]
    pub(super) adopters: Vec<Adopter>,
    #[cfg_attr(not(feature = "warden"), expect(dead_code, reason = "skipped"))]
    pub(super) handshake: Option<Handshake>,
    #[serde(rename = "vector")]
    pub(super) vectors: Vec<Vector>,
}

/// The recommended choice for equal bodies of a scheme without a signed timestamp: see `warden::Replay`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "DuplicatesDocument")]
#[non_exhaustive]
pub struct Duplicates {
    /// `Replay::lifetime`: equal bodies within this time are one delivery. `None` is
    /// `Replay::danger_simultaneous_only`.
    pub lifetime: Option<Duration>,
    /// `Replay::danger_unsigned_id_header`: equal bodies with different values of this header are different deliveries.
    pub unsigned_id_header: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DuplicatesDocument {
    choice: Choice,
    seconds: Option<u32>,
    header: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Lifetime,
    UnsignedId,
    SimultaneousOnly,
}

impl TryFrom<DuplicatesDocument> for Duplicates {
    type Error = &'static str;

    fn try_from(document: DuplicatesDocument) -> Result<Self, &'static str> {
        let DuplicatesDocument { choice, seconds, header, reason } = document;
        match (choice, seconds, &header) {
            (Choice::Lifetime, Some(1..), None)
            | (Choice::UnsignedId, Some(1..), Some(_))
            | (Choice::SimultaneousOnly, None, None) => {
                let lifetime = seconds.map(|seconds| Duration::from_secs(seconds.into()));
                Ok(Self { lifetime, unsigned_id_header: header, reason })
            }
            _ => Err(
                "`lifetime` needs seconds, `unsigned_id` needs seconds and a header, `simultaneous_only` has neither",
            ),
        }
    }
}

/// A sender that adopted the scheme of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopter {
    name: String,
    title: String,
    source: String,
    note: Option<String>,
}

impl Adopter {
    /// The name for [`Scheme::provider`](crate::Scheme::provider), such as `openai`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as the sender writes it.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The sender's page.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What differs from other senders.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    pub(super) fn into_name(self) -> String {
        self.name
    }
}

/// A signed message of a provider, for tests.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Vector {
    /// The page or the SDK that it is from, or how it was computed.
    pub origin: String,
    /// The secret, as the provider shows it, or the private key.
    pub secret: Option<String>,
    /// The public key, as the provider shows it.
    pub public_key: Option<String>,
    /// The method, if the scheme signs it.
    pub method: Option<String>,
    /// The path and the query, if the scheme signs them.
    pub path: Option<String>,
    /// The headers that the scheme reads, and others.
    pub headers: Vec<(String, String)>,
    body: Option<String>,
    body_hex: Option<String>,
    /// The time at which the message arrived, in Unix seconds. Any time for a scheme without a timestamp.
    #[serde(default)]
    pub now: i64,
}

impl Vector {
    /// The bytes of the body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_hex) {
            (_, Some(hex)) => const_hex::decode(hex).unwrap_or_default(),
            (text, None) => text.as_ref().map(|text| text.as_bytes().to_vec()).unwrap_or_default(),
        }
    }
}
