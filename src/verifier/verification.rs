//! A verification whose body is still arriving.

use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use super::rejection::Rejection;
use super::verified::{Verified, verdict};
use crate::crypto::mac::{Mac, Macs, PreparedKeys};
use crate::encoding::Tag;
use crate::error::Fault;
use crate::headers::Head;
use crate::scheme::{Reading, Scheme};
use crate::time::Timestamp;

/// A verification whose head was accepted and whose body is still arriving. [`Verifier::begin_at`](super::Verifier::begin_at)
/// creates it.
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
    /// [`Reason::Mismatch`](crate::Reason::Mismatch): no candidate equals the MAC under any key that was valid at the start.
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
        verdict(&self.keys, &self.candidates, &macs, self.timestamp, self.now, |fault| fault)
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

/// A head that is well formed and fresh; keys are still to come.
#[derive(Debug)]
pub(crate) struct Opening<'h, H: ?Sized> {
    pub(super) scheme: &'h Scheme,
    pub(super) head: &'h H,
    pub(super) reading: Reading<'h>,
    pub(super) candidates: KeptCandidates,
    pub(super) now: Timestamp,
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

/// A sender sends one signature, or two during a rotation.
pub(super) type KeptCandidates = SmallVec<[Tag; 2]>;
