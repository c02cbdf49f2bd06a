//! Verifying a request, whole or while its body arrives.
//!
//! ```
//! use hookwarden::{Keyring, Scheme, Secret, Timestamp, Verifier};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let verifier = Verifier::new(scheme, keys)?;
//!
//! let head = [
//!     ("X-Webhook-Timestamp", "1800000000"),
//!     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
//! ];
//! let now = Timestamp::from_unix(1_800_000_012);
//! let verified = verifier.verify_at(&head, br#"{"event":"user.created"}"#, now)?;
//! assert_eq!(verified.skew(), Some(12));
//!
//! let mut verification = verifier.begin_at(&head, now)?;
//! verification.update(br#"{"event":"#);
//! verification.update(br#""user.created"}"#);
//! assert_eq!(verification.finish()?.key_id().as_str(), "default");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod replay_key;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use crate::crypto::mac::{Mac, Macs, PreparedKeys, matches};
use crate::encoding::Tag;
use crate::error::{ConfigError, Reason, Rejection};
use crate::headers::Head;
use crate::scheme::{Candidates, Content, Reading, Scheme};
use crate::secret::{KeyId, Keyring, MAX_KEYS};
use crate::time::{Timestamp, Tolerance};

pub use replay_key::ReplayKey;

/// Verifies the requests of one sender. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Verifier {
    rules: Rules,
    keys: PreparedKeys,
}

impl Verifier {
    /// A verifier for `scheme` with the scheme's own tolerance. The keys' HMAC states are computed here, once.
    ///
    /// # Errors
    /// As for [`Scheme::prepare`].
    pub fn new(scheme: Scheme, keys: Keyring) -> Result<Self, ConfigError> {
        let keys = scheme.prepare(&keys)?;
        Ok(Self { rules: Rules::new(scheme), keys })
    }

    /// Sets how far a timestamp may be from `now`. A scheme without a timestamp has no use for it.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.rules.tolerance = tolerance;
        self
    }

    /// Judges a whole request, `body` being the raw bytes that were received.
    ///
    /// # Errors
    /// The [`Rejection`] says why the request is not to be trusted.
    pub fn verify_at<H: Head + ?Sized>(&self, head: &H, body: &[u8], now: Timestamp) -> Result<Verified, Rejection> {
        let (mut reading, mut candidates) = (Reading::default(), Candidates::new());
        self.rules.read(head, now, &mut reading, &mut candidates)?;
        let content = Content { scheme: &self.rules.scheme, reading: &reading, head, body };
        let mut macs = Macs::new();
        for (index, mac) in self.keys.live(now) {
            if let Some(tag) = mac.tag_of(&content) {
                macs.push((index, tag));
            }
        }
        verdict(&self.keys, &candidates, &macs, reading.timestamp, now)
    }

    /// [`verify_at`](Self::verify_at) the wall clock's time.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "std")]
    pub fn verify<H: Head + ?Sized>(&self, head: &H, body: &[u8]) -> Result<Verified, Rejection> {
        self.verify_at(head, body, Timestamp::now())
    }

    /// Judges the head, its shape and its freshness, before any byte of the body is needed.
    ///
    /// # Errors
    /// As for [`verify_at`](Self::verify_at), but for a mismatch.
    pub fn begin_at<H: Head + ?Sized>(&self, head: &H, now: Timestamp) -> Result<Verification, Rejection> {
        let opening = self.rules.open(head, now)?;
        if !self.keys.has_live(now) {
            return Err(Rejection::new(Reason::NoLiveKey).with_skew(opening.skew()));
        }
        Ok(opening.with_keys(&self.keys))
    }

    /// [`begin_at`](Self::begin_at) the wall clock's time.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "std")]
    pub fn begin<H: Head + ?Sized>(&self, head: &H) -> Result<Verification, Rejection> {
        self.begin_at(head, Timestamp::now())
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.rules.scheme
    }
}

/// What can be judged of a request without any key.
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
    ) -> Result<(), Rejection> {
        self.scheme.read(head, reading, candidates)?;
        if let Some(stamp) = reading.timestamp {
            let stale = |reason| Rejection::new(reason).with_skew(Some(now.seconds_since(stamp)));
            self.tolerance.judge(stamp, now).map_err(stale)?;
        }
        Ok(())
    }

    pub(crate) fn open<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        now: Timestamp,
    ) -> Result<Opening<'h, H>, Rejection> {
        let (mut reading, mut candidates) = (Reading::default(), Candidates::new());
        self.read(head, now, &mut reading, &mut candidates)?;
        let candidates = candidates.drain(..).collect();
        Ok(Opening { scheme: &self.scheme, head, reading, candidates, now })
    }
}

/// A head of good shape and fresh, still without keys.
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

    /// Begins with the keys that are live. Without any, nothing will match.
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

/// Two keys are live while they are rotated, and a sender then sends two signatures; more of either go to the heap.
type LiveMacs = SmallVec<[(u8, Mac); 2]>;
type KeptCandidates = SmallVec<[Tag; 2]>;

/// A verification whose head holds and whose body is still arriving.
///
/// It allocates nothing for up to two live keys and two signature candidates.
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
    /// Takes the next bytes of the raw body.
    pub fn update(&mut self, chunk: &[u8]) {
        self.macs.iter_mut().for_each(|(_, mac)| mac.update(chunk));
    }

    /// Judges the signature, once the body is complete.
    ///
    /// # Errors
    /// [`Reason::Mismatch`] if no candidate equals the MAC under any key that was live at the beginning.
    pub fn finish(self) -> Result<Verified, Rejection> {
        self.judge()
    }

    /// [`finish`](Self::finish) without a move.
    pub(crate) fn judge(&self) -> Result<Verified, Rejection> {
        let mut macs = Macs::new();
        for (index, mac) in &self.macs {
            if let Some(tag) = mac.tag_of(&*self.after_body) {
                macs.push((*index, tag));
            }
        }
        verdict(&self.keys, &self.candidates, &macs, self.timestamp, self.now)
    }
}

/// What is still to be signed may be a header's value, and is not shown.
impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification")
            .field("keys", &self.keys)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

/// The proof that a request was signed with a live key and is fresh. Only a verification makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    key_id: KeyId,
    timestamp: Option<Timestamp>,
    skew: Option<i64>,
    replay_keys: SmallVec<[ReplayKey; MAX_KEYS]>,
}

impl Verified {
    /// The key that matched, so that an operator sees when an old one is out of use.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// When the sender says it signed, if the scheme has a timestamp.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The receiver's clock minus the timestamp, in seconds.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// What identifies this delivery, one key for each signing key that was live. A request that shares any of them
    /// is the same delivery.
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
) -> Result<Verified, Rejection> {
    let skew = timestamp.map(|stamp| now.seconds_since(stamp));
    match keys.reveal(matches(candidates, macs)) {
        Some(key_id) => {
            let mut verified = Verified { key_id, timestamp, skew, replay_keys: SmallVec::new() };
            verified.replay_keys.extend(macs.iter().filter_map(|(_, mac)| ReplayKey::of(mac)));
            Ok(verified)
        }
        None => {
            let reason = if keys.is_decoy() {
                Reason::UnknownId
            } else if macs.is_empty() {
                Reason::NoLiveKey
            } else {
                Reason::Mismatch
            };
            Err(Rejection::new(reason).with_skew(skew))
        }
    }
}
