//! Any message that a sender might have been made to sign.

use hookwarden::crypto::Algorithm;
use hookwarden::headers::{FieldName, RequestHead};
use hookwarden::scheme::{Layout, SignedPart, TimestampSource};
use hookwarden::{Keyring, Scheme, Secret, Signer};

use super::delivery::Delivery;
use super::sender::Sender;

/// A message that is still being put together. What it says of its timestamp may be anything.
#[derive(Debug, Clone)]
pub(super) struct Message<'s> {
    pub(super) sender: &'s Sender,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) own: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) stamp: Option<String>,
    pub(super) keys: Keyring,
    pub(super) algorithm: Algorithm,
    pub(super) signed: Vec<SignedPart>,
}

impl Message<'_> {
    /// Another text in the place of the timestamp, signed as such.
    pub(super) fn at(mut self, stamp: impl Into<String>) -> Self {
        self.stamp = Some(stamp.into());
        self
    }

    pub(super) fn carrying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Signed under another secret.
    pub(super) fn under(mut self, secret: Secret) -> Self {
        self.keys = Keyring::new(secret);
        self
    }

    /// The delivery.
    pub(super) fn signed(self) -> Delivery {
        // That it can be signed was tried when the sender was made; the rest of a message can't change that.
        self.sign().unwrap_or_default()
    }

    /// The delivery, if the sender can sign such a message.
    pub(super) fn sign(&self) -> Option<Delivery> {
        let scheme = &self.sender.scheme;
        let source = scheme.timestamp_source();
        let stamp = self.stamp.clone().unwrap_or_default();
        let part = |part: &SignedPart| {
            let is_stamp = match (part, source) {
                (SignedPart::Timestamp, _) => true,
                (SignedPart::Header(name), Some(TimestampSource::Header(own))) => name == own,
                (SignedPart::Field(key), Some(TimestampSource::Field(own))) => key == own,
                _ => false,
            };
            if is_stamp { SignedPart::literal(stamp.clone()) } else { part.clone() }
        };
        // A signer writes only timestamps that are right, so to this one the timestamp is fixed text.
        let names = scheme.signature_headers().iter().map(FieldName::as_str);
        let altered = Scheme::builder("audit")
            .algorithm(self.algorithm)
            .signature_headers(names)
            .layout(scheme.layout().clone())
            .encoding(scheme.encoding())
            .signed(self.signed.iter().map(part))
            .build()
            .ok()?;
        let signer = Signer::new(altered, self.keys.clone()).ok()?;
        let head = RequestHead::new(self.method, &self.path, &self.own);
        let added = signer.sign(&head, &self.body).ok()?;
        let mut delivery = Delivery {
            method: self.method,
            path: self.path.clone(),
            headers: self.own.clone(),
            body: self.body.clone(),
            tag: String::new(),
        };
        for (name, value) in added.iter() {
            let is_signature = name.eq_ignore_ascii_case(self.sender.signature_name());
            let mut value = value.to_owned();
            if is_signature {
                delivery.tag = tag(scheme.layout(), &value)?.to_owned();
                if let (Some(TimestampSource::Field(key)), Layout::Fields { separator, .. }) = (source, scheme.layout())
                {
                    value = format!("{key}={stamp}{separator}{value}");
                }
            }
            delivery.headers.push((name.to_owned(), value.into_bytes()));
        }
        if let Some(TimestampSource::Header(name)) = source {
            delivery.headers.push((name.as_str().to_owned(), stamp.into_bytes()));
        }
        Some(delivery)
    }
}

/// The signature alone, out of its header's value.
fn tag<'v>(layout: &Layout, value: &'v str) -> Option<&'v str> {
    match layout {
        Layout::Plain { prefix } | Layout::List { prefix, .. } => value.strip_prefix(&**prefix),
        Layout::Fields { separator, signature } => {
            value.split(*separator).find_map(|field| field.strip_prefix(&**signature)?.strip_prefix('='))
        }
        _ => None,
    }
}
