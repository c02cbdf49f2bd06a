//! Schemes that the application verifies itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use super::Coverage;
use crate::crypto::{LiveKeys, Proven};
use crate::error::{Fault, Reason};
use crate::headers::Head;
use crate::time::Timestamp;

/// A scheme that a description cannot express, for example a JWT with a hash of the body, or signed form fields.
///
/// The application reads the head and the body, and verifies with the [`LiveKeys`] of the sender. Everything else works as
/// for other schemes: keys and their rotation, freshness, body limits, replay protection, quotas, events and adapters. A
/// [`Signer`](crate::Signer) cannot sign for it.
///
/// A request passes two moments:
///
/// 1. [`begin`](Self::begin) has only the head. It reads what the scheme needs, and refuses a request whose form is wrong.
///    No key is known yet, and no body is read if it refuses.
/// 2. [`CustomCheck::finish`] is called when the body is complete. Before it, [`CustomCheck::update`] gets the body in
///    chunks.
///
/// The input is not verified, so neither may panic, and both must limit what they allocate.
///
/// `examples/plaid.rs` verifies a JWT with a hash of the body, and `examples/twilio.rs` signed form fields.
///
/// ```
/// use hookwarden::crypto::{Algorithm, LiveKeys, Proven};
/// use hookwarden::encoding::Encoding;
/// use hookwarden::headers::{FieldName, Head};
/// use hookwarden::scheme::{Coverage, CustomCheck, CustomRequest, CustomScheme};
/// use hookwarden::{Keyring, Reason, Scheme, Timestamp, Verifier};
///
/// /// Signs the body in reverse.
/// struct Reversed {
///     signature: FieldName,
/// }
///
/// impl CustomScheme for Reversed {
///     fn coverage(&self) -> Coverage {
///         Coverage::BODY
///     }
///
///     fn begin(&self, head: &dyn Head) -> Result<CustomRequest, Reason> {
///         let text = head.header(&self.signature).required()?;
///         let signature = Encoding::Hex.decode(text).ok_or(Reason::MalformedSignature)?;
///         Ok(CustomRequest::new(ReversedCheck { signature, body: Vec::new() }))
///     }
/// }
///
/// struct ReversedCheck {
///     signature: Vec<u8>,
///     body: Vec<u8>,
/// }
///
/// impl CustomCheck for ReversedCheck {
///     fn update(&mut self, chunk: &[u8]) {
///         self.body.extend_from_slice(chunk); // at most the Warden's body limit
///     }
///
///     fn finish(mut self: Box<Self>, keys: &LiveKeys<'_>) -> Result<Proven, Reason> {
///         self.body.reverse();
///         keys.verify(&[&self.body], &self.signature)
///     }
/// }
///
/// let scheme = Reversed { signature: FieldName::new("Acme-Signature")? };
/// let scheme = Scheme::custom("acme", Algorithm::HmacSha256, scheme)?;
/// let verifier = Verifier::new(scheme.clone(), Keyring::new(scheme.secret("a-subscription-secret")?))?;
/// let head = [("Acme-Signature", "1267addcad1c120742d91a5bdea2eb3c1ea937026993b1e1b3d5f1d9f0168dc6")];
/// verifier.verify_at(&head, br#"{"event":"user.created"}"#, Timestamp::from_unix(1_800_000_000))?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub trait CustomScheme: Send + Sync + 'static {
    /// What a valid signature proves. A Warden refuses a scheme that does not cover the body, unless
    /// `danger_unsigned_body` is set. If the scheme does not cover a timestamp, `warden::Replay` must say which deliveries
    /// are duplicates.
    fn coverage(&self) -> Coverage;

    /// Reads the head of a request.
    ///
    /// # Errors
    /// The reason for which the request is refused, for example [`Reason::MalformedSignature`].
    fn begin(&self, head: &dyn Head) -> Result<CustomRequest, Reason>;
}

/// What [`CustomScheme::begin`] has read from a head.
///
/// ```
/// use hookwarden::scheme::{CustomCheck, CustomRequest};
/// use hookwarden::Timestamp;
///
/// fn request(check: impl CustomCheck, issued_at: i64) -> CustomRequest {
///     CustomRequest::new(check).with_timestamp(Timestamp::from_unix(issued_at))
/// }
/// ```
#[must_use]
pub struct CustomRequest {
    check: Box<dyn CustomCheck>,
    timestamp: Option<Timestamp>,
}

impl CustomRequest {
    /// A request without a timestamp.
    pub fn new(check: impl CustomCheck) -> Self {
        Self { check: Box::new(check), timestamp: None }
    }

    /// Sets the time of signing, which is compared with the clock before the body is read. [`CustomCheck::finish`] must
    /// verify that it is signed. A scheme whose [coverage](CustomScheme::coverage) has a timestamp must set it: a request
    /// without it is refused.
    pub const fn with_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

impl fmt::Debug for CustomRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomRequest").field("timestamp", &self.timestamp).finish_non_exhaustive()
    }
}

/// The check of one request whose body is arriving. [`CustomScheme::begin`] creates it.
///
/// ```
/// use hookwarden::Reason;
/// use hookwarden::crypto::{LiveKeys, Proven};
/// use hookwarden::scheme::CustomCheck;
///
/// /// The signature covers a number from the head and the length of the body.
/// struct LengthCheck {
///     number: Vec<u8>,
///     signature: Vec<u8>,
///     length: u64,
/// }
///
/// impl CustomCheck for LengthCheck {
///     fn update(&mut self, chunk: &[u8]) {
///         self.length += chunk.len() as u64;
///     }
///
///     fn finish(self: Box<Self>, keys: &LiveKeys<'_>) -> Result<Proven, Reason> {
///         let length = self.length.to_string();
///         keys.verify(&[&self.number, b".", length.as_bytes()], &self.signature)
///     }
/// }
/// ```
pub trait CustomCheck: Send + Sync + 'static {
    /// Takes the next bytes of the raw body. A Warden passes at most its body limit. It counts the bytes of a body once,
    /// so checks that keep them use as much memory again as its
    /// `BodyLimits::max_bytes_in_flight` permits.
    fn update(&mut self, chunk: &[u8]);

    /// Verifies the request. The body is complete.
    ///
    /// Refuse a wrong body only after the signature was verified, so that a request for an unknown webhook id takes as long.
    ///
    /// # Errors
    /// The reason for which the request is refused, usually [`Reason::Mismatch`].
    fn finish(self: Box<Self>, keys: &LiveKeys<'_>) -> Result<Proven, Reason>;
}

/// The application's scheme.
#[derive(Clone)]
pub(super) struct Custom {
    pub(super) scheme: Arc<dyn CustomScheme>,
    pub(super) is_token: bool,
}

impl Custom {
    pub(super) fn coverage(&self) -> Coverage {
        if self.is_token { Coverage::NOTHING } else { self.scheme.coverage() }
    }

    /// Reads a head. Returns its timestamp and its check.
    pub(super) fn begin(&self, head: &dyn Head) -> Result<(Option<Timestamp>, Box<dyn CustomCheck>), Fault> {
        let CustomRequest { check, timestamp } = self.scheme.begin(head).map_err(Fault::new)?;
        if timestamp.is_none() && self.coverage().timestamp {
            return Err(Fault::new(Reason::MalformedTimestamp));
        }
        Ok((timestamp, check))
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("coverage", &self.coverage()).field("is_token", &self.is_token).finish()
    }
}

impl fmt::Debug for dyn CustomCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomCheck(…)")
    }
}
