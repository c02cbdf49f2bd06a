//! Reading a scheme from TOML, JSON or any other serde format. The reference is on [`Scheme`].

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::Deserialize;

use super::{Layout, Scheme, SecretFormat, SignedPart};
use crate::crypto::mac::Algorithm;
use crate::encoding::Encoding;
use crate::error::ConfigError;
use crate::time::{TimestampFormat, Tolerance};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemeDocument {
    name: String,
    #[serde(default)]
    algorithm: Algorithm,
    signature_headers: Vec<String>,
    layout: Option<Layout>,
    #[serde(default)]
    encoding: Encoding,
    timestamp: Option<TimestampDocument>,
    signed: Vec<SignedPart>,
    #[serde(default)]
    secret: SecretFormat,
    tolerance: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimestampDocument {
    header: Option<String>,
    field: Option<String>,
    format: TimestampFormat,
}

impl TryFrom<SchemeDocument> for Scheme {
    type Error = ConfigError;

    fn try_from(document: SchemeDocument) -> Result<Self, ConfigError> {
        let mut builder = Self::builder(document.name)
            .algorithm(document.algorithm)
            .signature_headers(document.signature_headers)
            .layout(document.layout.unwrap_or_else(|| Layout::plain("")))
            .encoding(document.encoding)
            .secret_format(document.secret)
            .signed(document.signed);
        if document.tolerance.is_some() && document.timestamp.is_none() {
            return Err(ConfigError::new("tolerance", "the scheme has no timestamp"));
        }
        if let Some(seconds) = document.tolerance {
            builder = builder.tolerance(Tolerance::new(Duration::from_secs(seconds.into()))?);
        }
        builder = match document.timestamp {
            None => builder,
            Some(TimestampDocument { header: Some(name), field: None, format }) => {
                builder.timestamp_header(name, format)
            }
            Some(TimestampDocument { header: None, field: Some(key), format }) => {
                builder.timestamp_field(Cow::from(key), format)
            }
            Some(_) => return Err(ConfigError::new("timestamp", "takes either a header or a field")),
        };
        builder.build()
    }
}
