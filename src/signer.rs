//! Signing messages for a receiver to verify.
//!
//! A [`Signer`] has a scheme and the keys of one sender, like a [`Verifier`](crate::verifier::Verifier). It returns the
//! headers to add to the message, as [`SignedHeaders`]. Use it to send webhooks, and to test a receiver.
//!
//! ```
//! use hookwarden::{Keyring, Scheme, Signer, Timestamp};
//!
//! let scheme = Scheme::standard_webhooks();
//! let keys = Keyring::new(scheme.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?);
//! let signer = Signer::new(scheme, keys)?;
//!
//! // The scheme signs `webhook-id`, which the sender chooses.
//! let own = [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")];
//! let signed = signer.sign_at(&own, br#"{"test": 2432232314}"#, Timestamp::from_unix(1_614_265_330))?;
//! let signature = signed.iter().find(|(name, _)| *name == "webhook-signature").map(|(_, value)| value);
//! assert_eq!(signature, Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod message;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::crypto::mac::PreparedKeys;
use crate::error::{ConfigError, Fault, Reason, SignError};
use crate::headers::{FieldName, Head, NoHeaders, Occurrence};
use crate::scheme::{Content, Layout, NamesIn, Scheme, SignedPart, TimestampSource};
use crate::secret::Keyring;
use crate::time::Timestamp;

pub(crate) use message::UnsignedMessage;

/// Signs messages by a scheme. Cheap to clone.
///
/// If the scheme's header can hold several signatures or may be repeated, or the scheme has several signature headers,
/// every key that is valid now signs, so that a receiver can rotate at its own pace. Otherwise the newest valid key signs.
///
/// The time to sign does not depend on the key, except for RSA
/// ([RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071)): do not sign with RSA where others can measure
/// the time precisely.
///
/// ```
/// use hookwarden::{Keyring, Scheme, Signer, Timestamp, Verifier};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let signer = Signer::new(scheme.clone(), keys.clone())?;
///
/// let body = br#"{"event":"user.created"}"#;
/// let now = Timestamp::from_unix(1_800_000_000); // `sign` reads the clock instead
/// let signed = signer.sign_at(&[("Content-Type", "application/json")], body, now)?;
///
/// let headers: Vec<(&str, &str)> = signed.iter().collect();
/// Verifier::new(scheme, keys)?.verify_at(&headers, body, now)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Signer {
    scheme: Arc<Scheme>,
    keys: PreparedKeys,
}

impl Signer {
    /// Creates a signer for `scheme`.
    ///
    /// # Errors
    /// As for [`Scheme::prepare`]. The scheme is [custom](Scheme::custom); for message signatures, use
    /// `message_signatures::Profile::signer`. It has a signed field or a position in the
    /// signature header that is neither the timestamp nor a list of names, so that its value is unknown. With public keys, a
    /// key is not a private key; RSA-PSS also needs random numbers, and so the feature `generate`.
    pub fn new(scheme: Scheme, keys: Keyring) -> Result<Self, ConfigError> {
        let keys = scheme.prepare_to_sign(&keys)?;
        if let Some((setting, key)) = unknown_field(&scheme) {
            return Err(ConfigError::new(setting, alloc::format!("must not be {key}: a signer cannot know its value")));
        }
        Ok(Self { scheme: Arc::new(scheme), keys })
    }

    /// Signs a message at the time `now`, and returns the headers to add. `head` holds the sender's headers that the
    /// scheme signs, and the request line if the scheme signs it.
    ///
    /// # Errors
    /// A header that the scheme signs is missing, occurs twice or contains the separator that follows it; the request
    /// line is missing; `now` cannot be written in the scheme's format; or no key is valid.
    pub fn sign_at<H: Head + ?Sized>(&self, head: &H, body: &[u8], now: Timestamp) -> Result<SignedHeaders, SignError> {
        let scheme = &*self.scheme;
        let mut message = UnsignedMessage { head, added: Vec::new() };
        let mut fields = Vec::new();
        let mut timestamp = String::new();
        if let Some(place) = scheme.timestamp() {
            timestamp = place
                .format
                .write(now)
                .ok_or(SignError::new("timestamp", "cannot be written in the scheme's format"))?;
            match &place.source {
                TimestampSource::Header(name) => message.added.push((name.clone(), timestamp.clone())),
                TimestampSource::Field(key) => fields.push((&**key, timestamp.clone())),
            }
        }
        for listed in scheme.lists() {
            match &listed.names_in {
                // Keep a list that the sender provides.
                NamesIn::Header(name) if head.header(name) != Occurrence::Absent => {}
                NamesIn::Header(name) => message.added.push((name.clone(), listed.list())),
                NamesIn::Field(key) => fields.push((&**key, listed.list())),
            }
        }
        let fields = || fields.iter().map(|(key, value)| (*key, value.as_str()));
        let unsigned = message.added.len();
        // Signed parts may read the fields of the signature header, so add the header with its fields before signing.
        if let Some(name) = scheme.signature_headers().first() {
            message.added.push((name.clone(), scheme.layout().write(fields(), [])));
        }
        let tags = self.tags(&message, timestamp.as_bytes(), body, now)?;
        if tags.is_empty() {
            return Err(SignError::new("key", "must be valid at the time of signing"));
        }
        message.added.truncate(unsigned);
        match scheme.signature_headers() {
            [name] if scheme.repeats_signature_headers() => {
                let value = |tag: &String| (name.clone(), scheme.layout().write([], [tag.as_str()]));
                message.added.extend(tags.iter().map(value));
            }
            [name] => {
                // A layout with a single signature uses the first tag, which is that of the newest key.
                let value = scheme.layout().write(fields(), tags.iter().map(String::as_str));
                message.added.push((name.clone(), value));
            }
            names => {
                let value =
                    |(name, tag): (&FieldName, &String)| (name.clone(), scheme.layout().write([], [tag.as_str()]));
                message.added.extend(names.iter().zip(&tags).map(value));
            }
        }
        Ok(SignedHeaders(message.added))
    }

    /// Signs a message of a scheme that signs neither the sender's headers nor the request line. It equals
    /// [`sign_at`](Self::sign_at) with [`NoHeaders`].
    ///
    /// ```
    /// use hookwarden::{Keyring, Scheme, Signer, Timestamp};
    ///
    /// let scheme = Scheme::timestamped();
    /// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
    /// let body = br#"{"event":"user.created"}"#;
    /// let signed = Signer::new(scheme, keys)?.sign_body_at(body, Timestamp::from_unix(1_800_000_000))?;
    /// let headers: Vec<(&str, &str)> = signed.iter().collect();
    /// assert_eq!(headers, [
    ///     ("X-Webhook-Timestamp", "1800000000"),
    ///     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
    /// ]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`sign_at`](Self::sign_at): the scheme signs a header or the request line, `now` cannot be written in the
    /// scheme's format, or no key is valid.
    pub fn sign_body_at(&self, body: &[u8], now: Timestamp) -> Result<SignedHeaders, SignError> {
        self.sign_at(&NoHeaders, body, now)
    }

    /// [`sign_body_at`](Self::sign_body_at) with the time of the system's clock.
    ///
    /// # Errors
    /// As for [`sign_body_at`](Self::sign_body_at).
    #[cfg(all(feature = "std", not(all(target_family = "wasm", target_os = "unknown"))))]
    pub fn sign_body(&self, body: &[u8]) -> Result<SignedHeaders, SignError> {
        self.sign_body_at(body, Timestamp::now())
    }

    /// Returns the text of the signature under each valid key.
    fn tags<H: Head>(&self, head: &H, timestamp: &[u8], body: &[u8], now: Timestamp) -> Result<Vec<String>, SignError> {
        let scheme = &*self.scheme;
        let cannot = |fault| unsignable(fault, scheme);
        let reading = scheme.read_unsigned(head, timestamp).map_err(cannot)?;
        scheme
            .with_signed_body(body, |body| {
                let content = Content { scheme, reading: &reading, timestamp_text: timestamp, head, body };
                if scheme.algorithm().uses_public_keys() {
                    let mut message = Vec::new();
                    crate::crypto::mac::Message::feed(&content, &mut |bytes| message.extend_from_slice(bytes));
                    let failed = || SignError::new("key", "cannot sign: no random numbers, or an invalid key");
                    let signatures = self.keys.live_pairs(now).map(|(_, pair)| pair.sign(&message).ok_or_else(failed));
                    return signatures.map(|signature| Ok(scheme.encoding().encode(&signature?))).collect();
                }
                let tags = self.keys.live(now).filter_map(|(_, mac)| mac.tag_of(&content));
                Ok(tags.map(|tag| scheme.encoding().encode(tag.as_bytes())).collect())
            })
            .unwrap_or(Ok(Vec::new()))
    }

    /// Signs a message now, by the wall clock.
    ///
    /// # Errors
    /// As for [`sign_at`](Self::sign_at).
    #[cfg(all(feature = "std", not(all(target_family = "wasm", target_os = "unknown"))))]
    pub fn sign<H: Head + ?Sized>(&self, head: &H, body: &[u8]) -> Result<SignedHeaders, SignError> {
        self.sign_at(head, body, Timestamp::now())
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }
}

/// Returns the error for a message that a verifier would reject.
fn unsignable(fault: Fault, scheme: &Scheme) -> SignError {
    let part = fault.slot.and_then(|slot| scheme.header_in(slot)).unwrap_or("request line");
    let problem = match fault.reason {
        Reason::MissingHeader => "must be given, because the scheme signs it",
        Reason::DuplicateHeader => "must be given once, because the scheme signs it",
        Reason::NoRequestLine => "must be given with the head, because the scheme signs it",
        _ => "must not be too long or contain the separator next to it in the signed content",
    };
    SignError::new(String::from(part), problem)
}

/// The headers that a [`Signer`] adds to a message: the signatures, and the timestamp and list of names if the scheme
/// has them in headers. Each name occurs once.
///
#[cfg_attr(feature = "http", doc = "```")]
#[cfg_attr(not(feature = "http"), doc = "```ignore")]
/// use hookwarden::{Keyring, Scheme, Signer};
///
/// let scheme = Scheme::github();
/// let keys = Keyring::new(scheme.secret("It's a Secret to Everybody")?);
/// let mut request = http::Request::post("https://example.com/hooks").body("Hello, World!")?;
/// let signed = Signer::new(scheme, keys)?.sign(&request, request.body().as_bytes())?;
/// for (name, value) in signed.iter() {
///     println!("{name}: {value}");
/// }
/// signed.insert_into(request.headers_mut());
/// assert_eq!(
///     request.headers()["x-hub-signature-256"],
///     "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Debug` prints only the names: the values are valid until the timestamp is stale.
#[derive(Clone)]
pub struct SignedHeaders(pub(crate) Vec<(FieldName, String)>);

impl SignedHeaders {
    /// The names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Inserts the headers into `map`. They replace headers with the same names.
    #[cfg(feature = "http")]
    pub fn insert_into(&self, map: &mut http::HeaderMap) {
        self.0.iter().for_each(|(name, _)| drop(map.remove(name.as_str())));
        for (name, value) in self.iter() {
            // Names are tokens and values visible ASCII, so both always parse.
            if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
                map.append(name, value);
            }
        }
    }
}

/// Prints only the names, because the values can be replayed until the timestamp is stale.
impl fmt::Debug for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Returns a field whose value a signer cannot know, and the setting that names it: a field that a message must have, and
/// that is neither the timestamp nor a list of names.
fn unknown_field(scheme: &Scheme) -> Option<(&'static str, &str)> {
    let signed = scheme.signed().iter().filter_map(|part| match part {
        SignedPart::Field(key) => Some(("signed.field", key)),
        _ => None,
    });
    // A message must have a value at every position.
    let placed = match scheme.layout() {
        Layout::Positional { fields, .. } => fields.as_slice(),
        _ => &[],
    };
    let is_known = |key: &Cow<'static, str>| {
        scheme.timestamp_source() == Some(&TimestampSource::Field(key.clone()))
            || scheme.lists().any(|listed| listed.names_in == NamesIn::Field(key.clone()))
    };
    let placed = placed.iter().map(|key| ("layout.fields", key));
    signed.chain(placed).find(|(_, key)| !is_known(key)).map(|(setting, key)| (setting, &**key))
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    fn keys(scheme: &Scheme) -> Keyring {
        Keyring::new(scheme.secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap())
    }

    fn pairs(signed: &SignedHeaders) -> Vec<(String, String)> {
        signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn sign_body_equals_signing_without_headers() {
        let now = Timestamp::from_unix(1_800_000_000);
        for scheme in [Scheme::timestamped(), Scheme::github(), Scheme::stripe(), Scheme::slack()] {
            let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
            let signed = signer.sign_body_at(b"{}", now).unwrap();
            assert_eq!(pairs(&signed), pairs(&signer.sign_at(&Vec::<(&str, &str)>::new(), b"{}", now).unwrap()));
            assert_ne!(pairs(&signed), pairs(&signer.sign_body_at(b"[]", now).unwrap()));
            #[cfg(feature = "std")]
            {
                let verifier = crate::Verifier::new(scheme.clone(), keys(&scheme)).unwrap();
                verifier.verify(&pairs(&signer.sign_body(b"{}").unwrap()), b"{}").unwrap();
            }
        }
    }

    #[test]
    fn sign_body_fails_if_scheme_signs_a_header() {
        let scheme = Scheme::standard_webhooks();
        let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
        assert_eq!(signer.sign_body_at(b"{}", Timestamp::from_unix(1)).unwrap_err().part(), "webhook-id");
    }

    #[test]
    fn debug_of_signed_headers_shows_names_only() {
        let scheme = Scheme::timestamped();
        let signer = Signer::new(scheme.clone(), keys(&scheme)).unwrap();
        let signed = signer.sign_body_at(b"{}", Timestamp::from_unix(1_800_000_000)).unwrap();
        assert_eq!(alloc::format!("{signed:?}"), r#"["X-Webhook-Timestamp", "X-Webhook-Signature"]"#);
    }
}
