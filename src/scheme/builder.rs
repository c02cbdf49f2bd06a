//! Describing a scheme in code.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Layout, Scheme, SecretFormat, SignedPart, TimestampPlace, TimestampSource};
use crate::crypto::mac::Algorithm;
use crate::encoding::Encoding;
use crate::error::ConfigError;
use crate::headers::FieldName;
use crate::time::{TimestampFormat, Tolerance};

/// Describes a scheme. Faults are kept until [`build`](Self::build), so that a description reads in one piece.
#[derive(Debug, Clone)]
#[must_use]
pub struct SchemeBuilder {
    scheme: Scheme,
    fault: Option<ConfigError>,
}

impl SchemeBuilder {
    pub(super) fn new(name: Cow<'static, str>) -> Self {
        Self::from_scheme(Scheme {
            name,
            algorithm: Algorithm::default(),
            signature_headers: Vec::new(),
            layout: Layout::plain(""),
            encoding: Encoding::default(),
            timestamp: None,
            signed: Vec::new(),
            secret_format: SecretFormat::default(),
            tolerance: Tolerance::DEFAULT,
        })
    }

    pub(super) const fn from_scheme(scheme: Scheme) -> Self {
        Self { scheme, fault: None }
    }

    /// The scheme's name, for logs and metrics: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.scheme.name = name.into();
        self
    }

    /// The MAC.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.scheme.algorithm = algorithm;
        self
    }

    /// The header that carries the signature.
    pub fn signature_header(self, name: impl Into<String>) -> Self {
        self.signature_headers([name])
    }

    /// Headers that carry a signature each, up to 32. One of them must be present, none twice.
    pub fn signature_headers<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.scheme.signature_headers.clear();
        for name in names {
            if let Some(name) = self.parsed("signature_headers", FieldName::new(name)) {
                self.scheme.signature_headers.push(name);
            }
        }
        self
    }

    /// How signatures stand in their header.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.scheme.layout = layout;
        self
    }

    /// How a signature is written.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.scheme.encoding = encoding;
        self
    }

    /// A timestamp in a header of its own.
    pub fn timestamp_header(mut self, name: impl Into<String>, format: TimestampFormat) -> Self {
        if let Some(name) = self.parsed("timestamp.header", FieldName::new(name)) {
            self.scheme.timestamp = Some(TimestampPlace { source: TimestampSource::Header(name), format });
        }
        self
    }

    /// A timestamp in the field `key` of the signature header, in the layout [`Layout::Fields`].
    pub fn timestamp_field(mut self, key: impl Into<Cow<'static, str>>, format: TimestampFormat) -> Self {
        self.scheme.timestamp = Some(TimestampPlace { source: TimestampSource::Field(key.into()), format });
        self
    }

    /// How the timestamp is written, where the scheme has one.
    pub fn timestamp_format(mut self, format: TimestampFormat) -> Self {
        match &mut self.scheme.timestamp {
            Some(place) => place.format = format,
            None => self.keep(ConfigError::new("timestamp.format", "the scheme has no timestamp yet")),
        }
        self
    }

    /// What is signed, in its order.
    pub fn signed(mut self, parts: impl IntoIterator<Item = SignedPart>) -> Self {
        self.scheme.signed = parts.into_iter().collect();
        self
    }

    /// What a secret's text stands for.
    pub fn secret_format(mut self, format: SecretFormat) -> Self {
        self.scheme.secret_format = format;
        self
    }

    /// The tolerance that the provider asks for.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.scheme.tolerance = tolerance;
        self
    }

    /// Checks the description as a whole.
    ///
    /// # Errors
    /// The first setting that cannot be right, by its name.
    pub fn build(self) -> Result<Scheme, ConfigError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.scheme.checked(),
        }
    }

    fn parsed(&mut self, field: &'static str, name: Result<FieldName, ConfigError>) -> Option<FieldName> {
        name.map_err(|fault| self.keep(ConfigError::new(field, alloc::format!("{fault}")))).ok()
    }

    fn keep(&mut self, fault: ConfigError) {
        self.fault.get_or_insert(fault);
    }
}
