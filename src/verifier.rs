//! Verifying a request, as a whole or while its body arrives.
//!
//! A [`Verifier`] has one scheme and the keys of one sender. It checks the head first: every header that the scheme
//! reads, exactly once and well formed; then the timestamp against the clock. Both cost no hashing. Then it computes
//! one MAC for each valid key over the signed content, and compares it with every candidate of the head in constant
//! time. A [`Verified`] is the proof, and only a verification can make one.
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

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use crate::crypto::mac::{Mac, Macs, PreparedKeys, matches};
use crate::encoding::Tag;
use crate::error::{ConfigError, Fault, Reason};
use crate::headers::Head;
use crate::scheme::{Candidates, Content, Reading, Scheme};
use crate::secret::{KeyId, Keyring, MAX_KEYS};
use crate::time::{Timestamp, Tolerance};

pub use rejection::Rejection;
pub use replay_key::ReplayKey;

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
    /// Creates a verifier with the tolerance of the scheme. The HMAC states of the keys are computed here, once.
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
        let (mut reading, mut candidates) = (Reading::default(), Candidates::new());
        self.rules.read(head, now, &mut reading, &mut candidates).map_err(|fault| self.rejection(fault))?;
        let content = Content { scheme: &self.rules.scheme, reading: &reading, head, body };
        let mut macs = Macs::new();
        for (index, mac) in self.keys.live(now) {
            if let Some(tag) = mac.tag_of(&content) {
                macs.push((index, tag));
            }
        }
        verdict(&self.keys, &candidates, &macs, reading.timestamp, now).map_err(|fault| self.rejection(fault))
    }

    /// Verifies a whole request now, by the wall clock.
    ///
    /// # Errors
    /// As for [`verify_at`](Self::verify_at).
    #[cfg(feature = "std")]
    pub fn verify<H: Head + ?Sized>(&self, head: &H, body: &[u8]) -> Result<Verified, Rejection> {
        self.verify_at(head, body, Timestamp::now())
    }

    /// Checks the head, its form and its timestamp, before any byte of the body is needed.
    ///
    /// # Errors
    /// As for [`verify_at`](Self::verify_at), except that the signature is not compared yet.
    pub fn begin_at<H: Head + ?Sized>(&self, head: &H, now: Timestamp) -> Result<Verification, Rejection> {
        let opening = self.rules.open(head, now).map_err(|fault| self.rejection(fault))?;
        if !self.keys.has_live(now) {
            return Err(self.rejection(Fault::new(Reason::NoLiveKey).with_skew(opening.skew())));
        }
        Ok(opening.with_keys(&self.keys))
    }

    /// Checks the head now, by the wall clock.
    ///
    /// # Errors
    /// As for [`begin_at`](Self::begin_at).
    #[cfg(feature = "std")]
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

/// The checks that need no key.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) tolerance: Tolerance,
}

impl Rules {
    pub(crate) fn new(scheme: Scheme) -> Self {
        Self { tolerance: scheme.tolerance(), scheme: Arc::new(scheme) }
    }

    fn read<'h, H: Head + ?Sized>(
        &self,
        head: &'h H,
        now: Timestamp,
        reading: &mut Reading<'h>,
        candidates: &mut Candidates,
    ) -> Result<(), Fault> {
        self.scheme.read(head, reading, candidates)?;
        if let Some(stamp) = reading.timestamp {
            let stale = |reason| Fault::new(reason).with_skew(Some(now.seconds_since(stamp)));
            self.tolerance.judge(stamp, now).map_err(stale)?;
        }
        Ok(())
    }

    pub(crate) fn open<'h, H: Head + ?Sized>(&'h self, head: &'h H, now: Timestamp) -> Result<Opening<'h, H>, Fault> {
        let (mut reading, mut candidates) = (Reading::default(), Candidates::new());
        self.read(head, now, &mut reading, &mut candidates)?;
        let candidates = candidates.drain(..).collect();
        Ok(Opening { scheme: &self.scheme, head, reading, candidates, now })
    }
}

/// A head that is well formed and fresh; keys are still to come.
#[derive(Debug)]
pub(crate) struct Opening<'h, H: ?Sized> {
    scheme: &'h Scheme,
    head: &'h H,
    reading: Reading<'h>,
    candidates: KeptCandidates,
    now: Timestamp,
}

impl<H: Head + ?Sized> Opening<'_, H> {
    pub(crate) fn skew(&self) -> Option<i64> {
        self.reading.timestamp.map(|stamp| self.now.seconds_since(stamp))
    }

    /// Starts with the keys that are valid now. Without any, nothing matches.
    #[inline]
    pub(crate) fn with_keys(self, keys: &PreparedKeys) -> Verification {
        let Self { scheme, head, reading, candidates, now } = self;
        let mut verification = Verification {
            keys: keys.clone(),
            // Reserve room for all live keys: growing would leave an unwiped copy of the states behind.
            macs: LiveMacs::with_capacity(keys.live(now).count()),
            after_body: Vec::new(),
            candidates,
            timestamp: reading.timestamp,
            now,
        };
        let Verification { macs, after_body, .. } = &mut verification;
        keys.live(now).for_each(|(index, mac)| macs.push((index, mac.clone())));
        let rest =
            scheme.feed_before(&reading, head, &mut |bytes| macs.iter_mut().for_each(|(_, mac)| mac.update(bytes)));
        rest.feed(&reading, head, &mut |bytes| after_body.extend_from_slice(bytes));
        verification
    }
}

/// Two keys are valid during a rotation, and the sender then sends two signatures. More are rare.
type LiveMacs = SmallVec<[(u8, Mac); 2]>;
type KeptCandidates = SmallVec<[Tag; 2]>;

/// A verification whose head was accepted and whose body is still arriving. [`Verifier::begin_at`] creates it.
///
/// Feed the body with [`update`](Self::update) as it arrives, then call [`finish`](Self::finish). Do not act on the
/// body before `finish` returned `Ok`.
///
/// ```
/// use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let verifier = Verifier::new(scheme, keys)?;
///
/// let head = [
///     ("X-Webhook-Timestamp", "1800000000"),
///     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
/// ];
/// let mut verification = verifier.begin_at(&head, Timestamp::from_unix(1_800_000_000))?;
/// for chunk in [&br#"{"event":"#[..], br#""user.created"}"#] {
///     verification.update(chunk);
/// }
/// let verified = verification.finish()?;
/// assert_eq!(verified.key_id().as_str(), "default");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// It allocates nothing while at most two keys are valid, the head holds at most two signatures, and the scheme signs
/// nothing after the body.
#[must_use = "nothing is verified before `finish`"]
pub struct Verification {
    keys: PreparedKeys,
    macs: LiveMacs,
    after_body: Vec<u8>,
    candidates: KeptCandidates,
    timestamp: Option<Timestamp>,
    now: Timestamp,
}

impl Verification {
    /// Adds the next bytes of the raw body.
    pub fn update(&mut self, chunk: &[u8]) {
        self.macs.iter_mut().for_each(|(_, mac)| mac.update(chunk));
    }

    /// Compares the signature. The body must be complete.
    ///
    /// # Errors
    /// [`Reason::Mismatch`]: no candidate equals the MAC under any key that was valid at the start.
    pub fn finish(self) -> Result<Verified, Rejection> {
        self.verdict().map_err(Rejection::without_header)
    }

    /// [`finish`](Self::finish) by reference.
    pub(crate) fn verdict(&self) -> Result<Verified, Fault> {
        let mut macs = Macs::new();
        for (index, mac) in &self.macs {
            if let Some(tag) = mac.tag_of(&*self.after_body) {
                macs.push((*index, tag));
            }
        }
        verdict(&self.keys, &self.candidates, &macs, self.timestamp, self.now)
    }
}

/// Signed content that follows the body can be the value of a header, so it is not printed.
impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification")
            .field("keys", &self.keys)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

/// The proof that a request was signed with a valid key and is fresh. Only a verification can make one.
#[derive(Debug, Clone)]
pub struct Verified {
    key_id: KeyId,
    timestamp: Option<Timestamp>,
    skew: Option<i64>,
    replay_keys: SmallVec<[ReplayKey; MAX_KEYS]>,
}

impl Verified {
    /// The key that matched. It shows the operator when an old key is no longer in use.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The timestamp that the sender signed, if the scheme has one.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The receiver's clock minus the timestamp, in seconds, if the scheme has one.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// The identity of this delivery: one [`ReplayKey`] for each valid key, one to eight. A request that shares any of
    /// them is the same delivery.
    #[must_use]
    pub fn replay_keys(&self) -> &[ReplayKey] {
        &self.replay_keys
    }
}

#[inline]
fn verdict(
    keys: &PreparedKeys,
    candidates: &[Tag],
    macs: &Macs,
    timestamp: Option<Timestamp>,
    now: Timestamp,
) -> Result<Verified, Fault> {
    let skew = timestamp.map(|stamp| now.seconds_since(stamp));
    match keys.reveal(matches(candidates, macs)) {
        Some(key_id) => {
            let mut verified = Verified { key_id, timestamp, skew, replay_keys: SmallVec::new() };
            verified.replay_keys.extend(macs.iter().filter_map(|(_, mac)| ReplayKey::of(mac)));
            Ok(verified)
        }
        None => {
            let reason = if macs.is_empty() { Reason::NoLiveKey } else { Reason::Mismatch };
            Err(Fault::new(reason).with_skew(skew))
        }
    }
}
