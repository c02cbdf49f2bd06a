//! Schemes that the application verifies itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

use super::Coverage;
use crate::crypto::{Algorithm, LiveKeys, Proven};
use crate::error::{Fault, Reason, Slot};
use crate::headers::Head;
use crate::time::Timestamp;

/// A scheme that a description cannot express, for example a JWT with a hash of the body, or signed form fields.
///
/// The application reads the head and the body, and verifies with the [`LiveKeys`] of the sender. Everything else works as
/// for other schemes: keys and their rotation, freshness, body limits, replay protection, quotas, events and adapters. A
/// [`Signer`](crate::Signer) cannot sign for it; in tests, use `testing::sign_content`.
///
/// A request is verified in two steps:
///
/// 1. [`begin`](Self::begin) has only the head. It reads what the scheme needs, and refuses a request whose form is wrong.
///    No key is known yet, and no body is read if it refuses. It also runs for peers that are then blocked, so do no
///    expensive work here.
/// 2. [`CustomCheck::finish`] is called when the body is complete. Before it, [`CustomCheck::update`] gets the body in
///    chunks.
///
/// The input is not verified, so `begin` and the check must limit what they allocate. If one of their methods panics, the
/// request is refused, with
/// the reason [`Reason::CheckPanicked`]. Without the feature `std` the panic is not caught.
///
/// `examples/plaid.rs` verifies a JWT with a hash of the body, and `examples/twilio.rs` signed form fields.
///
/// ```
/// use hookwarden::crypto::{Algorithm, LiveKeys, Proven};
/// use hookwarden::encoding::Encoding;
/// use hookwarden::headers::{FieldName, Head};
/// use hookwarden::scheme::{Coverage, CustomCheck, CustomHead, CustomScheme};
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
///     fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
///         let text = head.header(&self.signature).required()?;
///         let signature = Encoding::Hex.decode(text).ok_or(Reason::MalformedSignature)?;
///         Ok(CustomHead::new(ReversedCheck { signature, body: Vec::new() }))
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
///     fn finish(mut self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
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
///
/// If the timestamp is in the body, do not add it to the coverage. Compare it with [`LiveKeys::now`] in `finish`. A Warden
/// then also needs a `Replay` setting.
///
/// If the signed content has an id that must not be used again, such as a nonce, add it with
/// [`Proven::with_delivery_id`].
///
/// `finish` cannot wait, so do not fetch keys there. `keys::CachedKeys` fetches them by an id in the head, which
/// `IdSource::closure` reads.
pub trait CustomScheme: Any + Send + Sync {
    /// What a valid signature proves. It is called once, when the scheme is created. For a scheme that does not
    /// cover the body, `WardenBuilder::build` returns an error unless `danger_unsigned_body` is set. If the scheme does not cover a timestamp, `warden::Replay`
    /// must say which deliveries are duplicates.
    fn coverage(&self) -> Coverage;

    /// Reads the head of a request.
    ///
    /// # Errors
    /// The reason for which the request is refused, for example [`Reason::MalformedSignature`]. If one header carries the
    /// signature, name it with [`SchemeBuilder::signature_header`](crate::scheme::SchemeBuilder::signature_header), so that
    /// events can show it.
    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason>;

    /// Whether a check keeps a copy of the body. By default it does, and a Warden counts the body twice in
    /// `BodyLimits::max_bytes_in_flight`. Return `false` if checks only hash the body. It is called once, when the scheme is
    /// created.
    fn keeps_body(&self) -> bool {
        true
    }
}

impl<S: CustomScheme + ?Sized> CustomScheme for Arc<S> {
    fn coverage(&self) -> Coverage {
        (**self).coverage()
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        (**self).begin(head)
    }

    fn keeps_body(&self) -> bool {
        (**self).keeps_body()
    }
}

/// What [`CustomScheme::begin`] has read from a head.
///
/// ```
/// use hookwarden::Timestamp;
/// use hookwarden::scheme::{CustomCheck, CustomHead};
///
/// fn head(check: impl CustomCheck, issued_at: i64) -> CustomHead {
///     CustomHead::new(check).with_timestamp(Timestamp::from_unix(issued_at))
/// }
/// ```
#[must_use]
pub struct CustomHead {
    check: Box<dyn CustomCheck>,
    timestamp: Option<Timestamp>,
}

impl CustomHead {
    /// A head without a timestamp.
    pub fn new(check: impl CustomCheck) -> Self {
        Self { check: Box::new(check), timestamp: None }
    }

    /// Sets the time of signing, which is compared with the clock before the body is read. [`CustomCheck::finish`] must
    /// verify that it is signed. It must be set if the scheme's [coverage](CustomScheme::coverage) has a timestamp, and must
    /// not be set otherwise: such requests are refused.
    pub const fn with_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

impl fmt::Debug for CustomHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomHead").field("timestamp", &self.timestamp).finish_non_exhaustive()
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
///     fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
///         let length = self.length.to_string();
///         keys.verify(&[&self.number, b".", length.as_bytes()], &self.signature)
///     }
/// }
/// ```
pub trait CustomCheck: Send + Sync + 'static {
    /// Takes the next chunk of the raw body. A Warden limits the total, a `Verifier` does not. The check may keep a copy
    /// unless [`CustomScheme::keeps_body`] returns `false`.
    fn update(&mut self, chunk: &[u8]);

    /// Verifies the request. The body is complete.
    ///
    /// Verify the signature first, then reject an invalid body. Otherwise response times reveal which webhook ids exist.
    ///
    /// # Errors
    /// The reason for which the request is refused, usually [`Reason::Mismatch`].
    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason>;
}

impl<C: CustomCheck + ?Sized> CustomCheck for Box<C> {
    fn update(&mut self, chunk: &[u8]) {
        (**self).update(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        (*self).finish(keys)
    }
}

/// The application's scheme.
#[derive(Clone)]
pub(super) struct Custom {
    pub(super) scheme: Arc<dyn CustomScheme>,
    /// The algorithms of a scheme that may have several; otherwise none.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) coverage: Coverage,
    pub(super) keeps_body: bool,
    pub(super) is_token: bool,
    /// For how many seconds a request can be valid that has a timestamp although it needs none.
    pub(super) min_lifetime: Option<u32>,
}

impl Custom {
    pub(super) fn new(scheme: impl CustomScheme) -> Self {
        let (coverage, keeps_body) = (scheme.coverage(), scheme.keeps_body());
        let (algorithms, scheme) = (Vec::new(), Arc::new(scheme));
        Self { scheme, algorithms, coverage, keeps_body, is_token: false, min_lifetime: None }
    }

    /// `algorithms` are for different kinds of keys.
    #[cfg(feature = "message-signatures")]
    pub(super) fn with_algorithms(scheme: impl CustomScheme, algorithms: Vec<Algorithm>) -> Self {
        Self { algorithms, ..Self::new(scheme) }
    }

    pub(super) fn token(scheme: impl CustomScheme) -> Self {
        Self { coverage: Coverage::NOTHING, is_token: true, ..Self::new(scheme) }
    }

    /// Reads a head. Returns its timestamp and its check.
    pub(super) fn begin(&self, head: &dyn Head) -> Result<(Option<Timestamp>, RunningCheck), Fault> {
        let begun = caught(|| self.scheme.begin(head)).unwrap_or(Err(Reason::CheckPanicked));
        let CustomHead { check, timestamp } = begun.map_err(|reason| Fault::at(reason, Slot::Signature(0)))?;
        if timestamp.is_some() != self.coverage.timestamp {
            return Err(Fault::new(Reason::MalformedTimestamp));
        }
        Ok((timestamp, RunningCheck { check: Some(check) }))
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { coverage, keeps_body, is_token, min_lifetime, .. } = self;
        let mut custom = f.debug_struct("Custom");
        custom.field("coverage", coverage).field("keeps_body", keeps_body).field("is_token", is_token);
        custom.field("min_lifetime", min_lifetime).finish()
    }
}

/// A check whose panics are caught.
pub(crate) struct RunningCheck {
    /// `None` after a panic.
    check: Option<Box<dyn CustomCheck>>,
}

impl RunningCheck {
    pub(crate) fn update(&mut self, chunk: &[u8]) {
        if let Some(check) = &mut self.check
            && caught(|| check.update(chunk)).is_none()
        {
            self.check = None;
        }
    }

    pub(crate) fn finish(self, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        let check = self.check.ok_or(Reason::CheckPanicked)?;
        match caught(|| check.finish(keys)).unwrap_or(Err(Reason::CheckPanicked)) {
            // For a head this reason is a fault of the receiver, with another answer than a wrong signature.
            Err(Reason::NoRequestLine) => Err(Reason::Mismatch),
            checked => checked,
        }
    }
}

impl fmt::Debug for RunningCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunningCheck(…)")
    }
}

/// Calls the application's code. Returns `None` if it panics.
fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    #[cfg(feature = "std")]
    return std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).ok();
    #[cfg(not(feature = "std"))]
    Some(call())
}
