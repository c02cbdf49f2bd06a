//! Reading a scheme from TOML, JSON or any other serde format. The format is documented in `document.md`, which is part
//! of the documentation of [`Scheme`].

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::delivery_id::DeliveryIdDocument;
use super::{Layout, Scheme, SecretFormat, SignedPart};
use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::error::ConfigError;
use crate::time::{TimestampFormat, Tolerance};

/// A scheme, and the table `[provider]` of a provider's file. A scheme is read without it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemeDocument<P = IgnoredAny> {
    name: String,
    #[serde(default)]
    algorithm: Algorithm,
    signature_headers: Vec<String>,
    max_signatures: Option<u8>,
    #[serde(default)]
    repeated_signature_headers: bool,
    layout: Option<Layout>,
    #[serde(default)]
    encoding: Encoding,
    timestamp: Option<TimestampDocument>,
    signed: Vec<SignedPart>,
    #[serde(default)]
    secret: SecretFormat,
    tolerance: Option<u32>,
    delivery_id: Option<DeliveryIdDocument>,
    #[serde(default)]
    danger_ambiguous_content: bool,
    provider: Option<P>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimestampDocument {
    header: Option<String>,
    field: Option<String>,
    format: TimestampFormat,
}

impl<'de> Deserialize<'de> for Scheme {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SchemeDocument::<IgnoredAny>::deserialize(deserializer)?.split().0.map_err(D::Error::custom)
    }
}

impl<P> SchemeDocument<P> {
    /// Returns the scheme and the table `[provider]`.
    pub(crate) fn split(mut self) -> (Result<Scheme, ConfigError>, Option<P>) {
        let provider = self.provider.take();
        (self.scheme(), provider)
    }

    fn scheme(self) -> Result<Scheme, ConfigError> {
        let mut builder = Scheme::builder(self.name)
            .algorithm(self.algorithm)
            .signature_headers(self.signature_headers)
            .layout(self.layout.unwrap_or_else(|| Layout::plain("")))
            .encoding(self.encoding)
            .secret_format(self.secret)
            .signed(self.signed);
        if let Some(count) = self.max_signatures {
            builder = builder.max_signatures(count);
        }
        if self.repeated_signature_headers {
            builder = builder.repeated_signature_headers();
        }
        if self.danger_ambiguous_content {
            builder = builder.danger_ambiguous_content();
        }
        builder = match self.delivery_id {
            None => builder,
            Some(DeliveryIdDocument::Header(name)) => builder.delivery_id_header(name),
            Some(DeliveryIdDocument::Body(pointer)) => builder.delivery_id_in_body(pointer),
        };
        if self.tolerance.is_some() && self.timestamp.is_none() {
            return Err(ConfigError::new("tolerance", "must not be set without a timestamp: set `timestamp` too"));
        }
        if let Some(seconds) = self.tolerance {
            builder = builder.tolerance(Tolerance::new(Duration::from_secs(seconds.into()))?);
        }
        builder = match self.timestamp {
            None => builder,
            Some(TimestampDocument { header: Some(name), field: None, format }) => {
                builder.timestamp_header(name, format)
            }
            Some(TimestampDocument { header: None, field: Some(key), format }) => {
                builder.timestamp_field(Cow::from(key), format)
            }
            Some(_) => return Err(ConfigError::new("timestamp", "must have either a header or a field")),
        };
        builder.build()
    }
}
