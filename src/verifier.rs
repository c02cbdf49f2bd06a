//! Verifying a request, as a whole or while its body arrives.
//!
//! A [`Verifier`] has one scheme and the keys of one sender. It verifies a request in these steps:
//!
//! 1. It checks the head: every header that the scheme reads must occur exactly once and be well formed.
//! 2. It compares the timestamp with the clock. Up to here, nothing is hashed.
//! 3. It computes the MAC of the signed content under each valid key, and compares it with every candidate in the head
//!    in constant time. If the scheme uses public keys, it verifies every signature in the head with each valid key.
//!
//! The result is a [`Verified`], a proof that only a verification can create.
//!
//! ```
//! use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let verifier = Verifier::new(scheme, keys)?; // once, when the program starts
//!
//! let head = [
//!     ("X-Webhook-Timestamp", "1800000000"),
//!     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
//! ];
//! let now = Timestamp::from_unix(1_800_000_012); // `verify` reads the clock instead
//! let verified = verifier.verify_at(&head, br#"{"event":"user.created"}"#, now)?;
//! assert_eq!(verified.skew(), Some(12));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! A verifier keeps no state: it accepts the same request again while the timestamp is fresh. Replay protection and
//! quotas are in the `warden` module (feature `warden`).

mod rejection;
mod replay_key;
mod rules;
mod verification;
mod verified;

use crate::crypto::mac::{KeyMac, Macs, PreparedKeys};
use crate::error::{ConfigError, Fault, Reason};
use crate::headers::Head;
use crate::scheme::{Candidates, Content, Reading, Scheme};
use crate::secret::Keyring;
use crate::time::{Timestamp, Tolerance};

pub use rejection::Rejection;
pub use replay_key::ReplayKey;
pub use verification::Verification;
pub use verified::Verified;

pub(crate) use rules::Rules;
pub(crate) use verification::Opening;

use verified::verdict;

/// Verifies the requests of one sender. Cheap to clone.
///
/// Pass the body as raw bytes, exactly as received: a body that was decoded and serialized again has another MAC.
///
#[cfg_attr(feature = "std", doc = "```")]
#[cfg_attr(not(feature = "std"), doc = "```ignore")]
/// use core::time::Duration;
/// use hookwarden::{Keyring, Scheme, Tolerance, Verifier};
///
/// let scheme = Scheme::slack();
/// let keys = Keyring::new(scheme.secret("8f742231b10e8888abcd99yyyzzz85a5")?);
/// let verifier = Verifier::new(scheme, keys)?.with_tolerance(Tolerance::new(Duration::from_secs(60))?);
///
/// # let (headers, body) = ([("Content-Type", "application/json")], b"{}");
/// match verifier.verify(&headers, body) {
///     Ok(verified) => println!("signed with key {}", verified.key_id()),
///     Err(rejection) => eprintln!("refused: {} {:?}", rejection.reason(), rejection.header()),
/// }
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Verifier {
    rules: Rules,
    keys: PreparedKeys,
}

impl Verifier {
    /// Creates a verifier with the tolerance of the scheme. It sets up the keys once, here.
    ///
    /// # Errors
    /// As for [`Scheme::prepare`].
    pub fn new(scheme: Scheme, keys: Keyring) -> Result<Self, ConfigError> {
        let keys = scheme.prepare(&keys)?;
        Ok(Self { rules: Rules::new(scheme), keys })
    }

    /// Sets how far a timestamp may be from `now`. It has no effect for a scheme without a timestamp.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.rules.tolerance = tolerance;
        self
    }

    /// Verifies a whole request at the time `now`. `body` is the raw body as received.
    ///
    /// # Errors
    /// The request does not verify; [`Rejection::reason`] says why.
    pub fn verify_at<H: Head + ?Sized>(&self, head: &H, body: &[u8], now: Timestamp) -> Result<Verified, Rejection> {
        if self.rules.scheme.algorithm().uses_public_keys() || self.rules.scheme.is_custom() {
            let mut verification = self.begin_at(head, now)?;
            verification.update(body);
            return verification.finish();
        }
        let (mut reading, mut candidates) = (Reading::default(), Candidates::new());
        self.rules.read(head, now, &mut reading, &mut candidates).map_err(|fault| self.rejection(fault))?;
        let mut macs = Macs::new();
        let scheme = &*self.rules.scheme;
        // Without a digest there are no MACs, so that the request is refused.
        let _ = scheme.with_signed_body(body, |body| {
            for (stamp, timestamp_text) in reading.timestamp_texts() {
                let content = Content { scheme, reading: &reading, timestamp_text, head, body };
                for (key, mac) in self.keys.live(now).take(reading.usable_keys()) {
                    if let Some(tag) = mac.tag_of(&content) {
                        macs.push(KeyMac { key, stamp, tag });
                    }
                }
            }
        });
        verdict(&self.keys, &candidates, &macs, &reading.times, now, |fault| self.rejection(fault))
    }

    /// Verifies a whole request now, by the wall clock.
    ///
    /// # Errors
    /// As for [`verify_at`](Self::verify_at).
    #[cfg(all(feature = "std", not(all(target_family = "wasm", target_os = "unknown"))))]
    pub fn verify<H: Head + ?Sized>(&self, head: &H, body: &[u8]) -> Result<Verified, Rejection> {
        self.verify_at(head, body, Timestamp::now())
    }

    /// Checks the form and the timestamp of the head, before the body is needed. Pass the body to the returned
    /// [`Verification`].
    ///
    /// # Errors
    /// As for [`verify_at`](Self::verify_at), except that the signature is not compared yet.
    pub fn begin_at<H: Head + ?Sized>(&self, head: &H, now: Timestamp) -> Result<Verification, Rejection> {
        let mut opening = Opening::new(&self.rules.scheme, head, now);
        self.rules.open(&mut opening).map_err(|fault| self.rejection(fault))?;
        if !self.keys.has_live(now) {
            return Err(self.rejection(Fault::new(Reason::NoLiveKey).with_skew(opening.skew())));
        }
        Ok(opening.with_keys(self.keys.clone()))
    }

    /// Checks the head now, by the wall clock.
    ///
    /// # Errors
    /// As for [`begin_at`](Self::begin_at).
    #[cfg(all(feature = "std", not(all(target_family = "wasm", target_os = "unknown"))))]
    pub fn begin<H: Head + ?Sized>(&self, head: &H) -> Result<Verification, Rejection> {
        self.begin_at(head, Timestamp::now())
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.rules.scheme
    }

    #[cold]
    fn rejection(&self, fault: Fault) -> Rejection {
        Rejection::new(fault, &self.rules.scheme)
    }
}
