//! Signatures that the signer of a scheme refuses to make: over any text in place of the timestamp, by another
//! algorithm, or over other parts.

use hookwarden::crypto::Algorithm;
use hookwarden::headers::{FieldName, Head};
use hookwarden::scheme::{Layout, SignedPart, TimestampSource};
use hookwarden::signer::SignedHeaders;
use hookwarden::time::TimestampFormat;
use hookwarden::{Keyring, Scheme, Signer, Timestamp};

/// What is signed in place of what the scheme signs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forgery<'a> {
    pub(crate) scheme: &'a Scheme,
    pub(crate) algorithm: Algorithm,
    pub(crate) signed: &'a [SignedPart],
    /// The text of the timestamp.
    pub(crate) stamp: &'a str,
}

impl Forgery<'_> {
    /// The signed parts, with the timestamp as fixed text, because a signer writes only valid timestamps.
    pub(crate) fn parts(&self) -> Vec<SignedPart> {
        let source = self.scheme.timestamp_source();
        let part = |part: &SignedPart| {
            let is_stamp = match (part, source) {
                (SignedPart::Timestamp, _) => true,
                (SignedPart::Header(name), Some(TimestampSource::Header(own))) => name == own,
                (SignedPart::Field(key), Some(TimestampSource::Field(own))) => key == own,
                _ => false,
            };
            if is_stamp { SignedPart::literal(self.stamp.to_owned()) } else { part.clone() }
        };
        self.signed.iter().map(part).collect()
    }

    /// Signs a message. Returns the headers without the timestamp, and the text of the signature. `None` if the message
    /// cannot be signed.
    pub(crate) fn sign<H: Head + ?Sized>(
        &self,
        keys: &Keyring,
        head: &H,
        body: &[u8],
    ) -> Option<(SignedHeaders, String)> {
        let layout = match self.scheme.layout() {
            Layout::Positional { separator, .. } => Layout::list(*separator, ""),
            // The message has one group.
            Layout::FieldGroups { separator, signature, .. } => Layout::fields(*separator, signature.clone()),
            other => other.clone(),
        };
        let names = self.scheme.signature_headers().iter().map(FieldName::as_str);
        let altered = Scheme::builder("altered")
            .algorithm(self.algorithm)
            .signature_headers(names)
            .layout(layout.clone())
            .encoding(self.scheme.encoding())
            .signed(self.parts())
            .danger_ambiguous_content()
            .build()
            .ok()?;
        // Without a timestamp, the time has no effect.
        let signer = Signer::new(altered, keys.clone()).ok()?;
        let headers = signer.sign_at(head, body, Timestamp::from_unix(0)).ok()?;
        let name = self.scheme.signature_headers().first()?.as_str();
        let value = headers.iter().find(|(other, _)| *other == name)?.1;
        let tag = tag(&layout, value)?.to_owned();
        Some((headers, tag))
    }
}

/// Returns the text of a timestamp.
pub(crate) fn stamp(format: TimestampFormat, seconds: i64) -> Option<String> {
    match format {
        TimestampFormat::Seconds => Some(seconds.to_string()),
        TimestampFormat::Milliseconds => Some(seconds.saturating_mul(1000).to_string()),
        TimestampFormat::HttpDate => {
            let time = jiff::Timestamp::from_second(seconds).ok()?;
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
        }
        _ => jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string()),
    }
}

/// Extracts the signature from the value of a signer's header, where it is the last entry.
pub(crate) fn tag<'v>(layout: &Layout, value: &'v str) -> Option<&'v str> {
    match layout {
        Layout::Plain { prefix } | Layout::List { prefix, .. } => value.strip_prefix(&**prefix),
        Layout::Fields { separator, signature } | Layout::FieldGroups { separator, signature, .. } => {
            value.rsplit(*separator).next()?.strip_prefix(&**signature)?.strip_prefix('=')
        }
        Layout::Positional { separator, .. } => value.rsplit(*separator).next(),
        _ => None,
    }
}
