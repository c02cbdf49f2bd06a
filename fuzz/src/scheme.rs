//! Schemes from a fuzzer's bytes.

use std::time::Duration;

use arbitrary::Arbitrary;
use hookwarden::crypto::{Algorithm, HashAlgorithm};
use hookwarden::encoding::Encoding;
use hookwarden::headers::FieldName;
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::{ConfigError, Scheme, Tolerance};

use crate::parts::{DrawnKey, DrawnName, DrawnSeparator, DrawnText};

/// A preset or a description.
#[derive(Debug, Arbitrary)]
pub enum DrawnScheme {
    /// One of the presets.
    Preset(DrawnPreset),
    /// Any other scheme that can be built.
    Built(DrawnDescription),
}

impl DrawnScheme {
    /// Returns the scheme.
    ///
    /// # Errors
    /// The builder refuses the settings.
    pub fn build(&self) -> Result<Scheme, ConfigError> {
        match self {
            Self::Preset(preset) => Ok(preset.scheme()),
            Self::Built(description) => description.build(),
        }
    }
}

/// The presets.
#[derive(Debug, Clone, Copy, Arbitrary)]
#[expect(missing_docs, reason = "each has the name of its constructor")]
pub enum DrawnPreset {
    Timestamped,
    StandardWebhooks,
    Stripe,
    GitHub,
    Slack,
}

impl DrawnPreset {
    /// All presets.
    pub const ALL: [Self; 5] = [Self::Timestamped, Self::StandardWebhooks, Self::Stripe, Self::GitHub, Self::Slack];

    /// Returns the scheme.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Timestamped => Scheme::timestamped(),
            Self::StandardWebhooks => Scheme::standard_webhooks(),
            Self::Stripe => Scheme::stripe(),
            Self::GitHub => Scheme::github(),
            Self::Slack => Scheme::slack(),
        }
    }
}

/// Settings of a scheme's builder.
#[derive(Debug, Arbitrary)]
pub struct DrawnDescription {
    algorithm: DrawnAlgorithm,
    encoding: u8,
    signature_headers: Vec<DrawnName>,
    layout: DrawnLayout,
    timestamp: Option<DrawnTimestamp>,
    before: Vec<DrawnPart>,
    after: Vec<DrawnPart>,
    tolerance: u16,
}

impl DrawnDescription {
    /// The body, or its digest for some numbers that the encoding of the signature does not use.
    fn body(&self) -> SignedPart {
        let place = usize::from(self.encoding % 128) / ENCODINGS.len();
        match (place, ENCODINGS.get(place.wrapping_sub(1) % ENCODINGS.len())) {
            (1..=4, Some(encoding)) => SignedPart::body_digest(HashAlgorithm::Sha256, *encoding),
            (5..=8, Some(encoding)) => SignedPart::body_digest(HashAlgorithm::Sha512, *encoding),
            _ => SignedPart::Body,
        }
    }

    /// An HMAC; or, for some long tolerances, an algorithm with public keys, rarely RSA, which is slow.
    fn algorithm(&self) -> Algorithm {
        match self.tolerance {
            0..=0xefff => self.algorithm.algorithm(),
            0xf000..=0xf4ff => Algorithm::Ed25519,
            0xf500..=0xf9ff => Algorithm::EcdsaP256,
            0xfa00..=0xfdff => Algorithm::EcdsaP256Der,
            0xfe00..=0xfeff => Algorithm::RsaPkcs1,
            0xff00..=0xff7f => Algorithm::RsaPss,
            0xff80.. => Algorithm::RsaPssSha512,
        }
    }

    fn build(&self) -> Result<Scheme, ConfigError> {
        let mut signed = Vec::new();
        for part in &self.before {
            signed.push(part.part()?);
        }
        signed.push(self.body());
        for part in &self.after {
            signed.push(part.part()?);
        }
        let mut builder = Scheme::builder("drawn")
            .algorithm(self.algorithm())
            .encoding(ENCODINGS[usize::from(self.encoding) % ENCODINGS.len()])
            .layout(self.layout.layout())
            .tolerance(Tolerance::new(Duration::from_secs(u64::from(self.tolerance) + 1))?);
        // Without a header, most descriptions would be refused.
        builder = match self.signature_headers.as_slice() {
            [] => builder.signature_header("X-Sig"),
            names => builder.signature_headers(names.iter().map(DrawnName::text)),
        };
        if let Some(timestamp) = &self.timestamp {
            let format = timestamp.format.format();
            builder = match &timestamp.place {
                DrawnPlace::Header(name) => builder.timestamp_header(name.text(), format),
                DrawnPlace::Field(key) => builder.timestamp_field(key.text(), format),
            };
            if timestamp.is_signed_first {
                signed.insert(0, SignedPart::Timestamp);
            }
        }
        if self.tolerance % 4 == 3 {
            builder = builder.max_signatures(u8::try_from(self.tolerance / 4 % 130).unwrap_or(u8::MAX));
        }
        if self.encoding >= 128 {
            builder = builder.repeated_signature_headers();
        }
        builder.signed(signed).danger_ambiguous_content().build()
    }
}

/// The encodings of a signature.
const ENCODINGS: [Encoding; 4] = [Encoding::Hex, Encoding::Base64, Encoding::Base64Url, Encoding::Base64UrlUnpadded];

#[derive(Debug, Clone, Copy, Arbitrary)]
enum DrawnAlgorithm {
    Sha256,
    Sha1,
    Sha512,
}

impl DrawnAlgorithm {
    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha256 => Algorithm::HmacSha256,
            Self::Sha1 => Algorithm::HmacSha1,
            Self::Sha512 => Algorithm::HmacSha512,
        }
    }
}

#[derive(Debug, Arbitrary)]
enum DrawnLayout {
    Bare,
    Plain(String),
    List(DrawnSeparator, String),
    Versions,
    Fields(DrawnSeparator, DrawnKey),
    Positional(DrawnSeparator, Vec<DrawnKey>),
    Authorization,
    Groups(DrawnSeparator, DrawnSeparator, DrawnKey),
}

impl DrawnLayout {
    fn layout(&self) -> Layout {
        match self {
            Self::Bare => Layout::plain(""),
            Self::Plain(prefix) => Layout::plain(prefix.clone()),
            Self::List(separator, prefix) => Layout::list(separator.char(), prefix.clone()),
            Self::Versions => Layout::list(' ', "v1,"),
            Self::Groups(groups, fields, key) => Layout::field_groups(groups.char(), fields.char(), key.text()),
            Self::Authorization => Layout::plain("HMAC "),
            Self::Fields(separator, key) => Layout::fields(separator.char(), key.text()),
            Self::Positional(separator, keys) => {
                Layout::positional(separator.char(), keys.iter().copied().map(DrawnKey::text))
            }
        }
    }
}

#[derive(Debug, Arbitrary)]
struct DrawnTimestamp {
    place: DrawnPlace,
    format: DrawnFormat,
    is_signed_first: bool,
}

#[derive(Debug, Arbitrary)]
enum DrawnPlace {
    Header(DrawnName),
    Field(DrawnKey),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum DrawnFormat {
    Seconds,
    Milliseconds,
    Rfc3339,
    HttpDate,
}

impl DrawnFormat {
    const fn format(self) -> TimestampFormat {
        match self {
            Self::Seconds => TimestampFormat::Seconds,
            Self::Milliseconds => TimestampFormat::Milliseconds,
            Self::Rfc3339 => TimestampFormat::Rfc3339,
            Self::HttpDate => TimestampFormat::HttpDate,
        }
    }
}

#[derive(Debug, Arbitrary)]
enum DrawnPart {
    Literal(DrawnText),
    Timestamp,
    Method,
    Path,
    Header(DrawnName),
    Field(DrawnKey),
    Url {
        decode: String,
    },
    Listed {
        names_in: DrawnPlace,
        separator: DrawnSeparator,
        with_names: bool,
        join: DrawnText,
        require: Vec<DrawnName>,
    },
    Body,
}

impl DrawnPart {
    fn part(&self) -> Result<SignedPart, ConfigError> {
        Ok(match self {
            Self::Literal(text) => SignedPart::literal(text.text()),
            Self::Timestamp => SignedPart::Timestamp,
            Self::Method => SignedPart::Method,
            Self::Path => SignedPart::Path,
            Self::Header(name) => SignedPart::header(&name.text())?,
            Self::Field(key) => SignedPart::field(key.text()),
            Self::Url { decode } => {
                SignedPart::Url { base: "https://hooks.example.com".into(), decode: decode.clone().into() }
            }
            Self::Listed { names_in, separator, with_names, join, require } => {
                SignedPart::ListedHeaders(ListedHeaders {
                    names_in: match names_in {
                        DrawnPlace::Header(name) => NamesIn::Header(FieldName::new(name.text())?),
                        DrawnPlace::Field(key) => NamesIn::Field(key.text().into()),
                    },
                    separator: separator.char(),
                    pair: if *with_names { ListedHeaderForm::NameAndValue } else { ListedHeaderForm::Value },
                    join: join.text().into(),
                    require: require.iter().map(|name| FieldName::new(name.text())).collect::<Result<_, _>>()?,
                })
            }
            Self::Body => SignedPart::Body,
        })
    }
}
