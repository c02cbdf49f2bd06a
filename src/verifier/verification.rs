//! A verification whose body is still arriving.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use super::ReplayKey;
use super::rejection::Rejection;
use super::verified::{Verified, verdict, verified};
use crate::crypto::LiveKeys;
use crate::crypto::body_hash::BodyHash;
use crate::crypto::mac::{Candidate, KeyMac, Mac, Macs, PreparedKeys};
use crate::crypto::public_key::SignatureChecks;
use crate::encoding::EncodedTag;
use crate::error::{Fault, Reason};
use crate::headers::Head;
use crate::scheme::{Reading, Rest, RunningCheck, Scheme, Times};
use crate::time::Timestamp;

/// A verification whose head was accepted and whose body is still arriving.
/// [`Verifier::begin_at`](super::Verifier::begin_at) creates it.
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
/// It does not allocate if at most two keys are valid, the head has at most two signatures and one timestamp, and the
/// scheme signs the body itself and nothing after it, with HMAC-SHA256 or HMAC-SHA1.
#[must_use = "nothing is verified before `finish`"]
pub struct Verification {
    keys: PreparedKeys,
    macs: LiveMacs,
    /// What only a few schemes need.
    rare: Option<Box<Rare>>,
    candidates: KeptCandidates,
    times: Times,
    now: Timestamp,
}

impl Verification {
    /// Adds the next bytes of the raw body.
    pub fn update(&mut self, chunk: &[u8]) {
        if let Some(rare) = &mut self.rare
            && rare.takes(chunk)
        {
            return;
        }
        self.macs.iter_mut().for_each(|live| live.mac.update(chunk));
    }

    #[cfg(feature = "warden")]
    pub(crate) const fn keys(&self) -> &PreparedKeys {
        &self.keys
    }

    /// Compares the signature. The body must be complete.
    ///
    /// # Errors
    /// [`Reason::Mismatch`]: no candidate equals the MAC under any key that was valid at the start, or no signature is
    /// valid for any of these keys.
    pub fn finish(mut self) -> Result<Verified, Rejection> {
        self.verdict(None).map_err(Rejection::without_header)
    }

    /// Like [`finish`](Self::finish), by reference. It can be called once. A custom scheme gets the webhook id.
    pub(crate) fn verdict(&mut self, webhook_id: Option<&str>) -> Result<Verified, Fault> {
        if let Some(rare) = &mut self.rare {
            if let Some((check, max_signatures)) = rare.custom.take() {
                return self.finish_custom(check, webhook_id, max_signatures);
            }
            if let Some(checks) = rare.checks.take() {
                return self.verify_signatures(checks);
            }
        }
        let mut macs = Macs::new();
        let digest = self.rare.as_ref().and_then(|rare| rare.body_hash.as_ref()).map(BodyHash::text);
        let rest = match &digest {
            None => Some(&b""[..]),
            Some(text) => text.as_ref().map(EncodedTag::as_bytes),
        };
        // Without a digest there are no MACs, so that the request is refused.
        for LiveMac { key, stamp, mac } in self.macs.iter().filter(|_| rest.is_some()) {
            let after = self.rare.as_ref().and_then(|rare| rare.after_body.get(usize::from(*stamp)));
            let after = after.map(Vec::as_slice).unwrap_or_default();
            if let Some(tag) = mac.tag_of(&[rest.unwrap_or_default(), after][..]) {
                macs.push(KeyMac { key: *key, stamp: *stamp, tag });
            }
        }
        // Wipe the states now: the request may be kept for longer.
        self.macs.clear();
        verdict(&self.keys, &self.candidates, &macs, &self.times, self.now, |fault| fault)
    }

    /// Verifies signatures with public keys.
    #[cold]
    fn verify_signatures(&self, mut checks: SignatureChecks) -> Result<Verified, Fault> {
        let skew = self.times.first().map(|stamp| self.now.seconds_since(*stamp));
        let rare = self.rare.as_deref();
        if let Some(hash) = rare.and_then(|rare| rare.body_hash.as_ref()) {
            // Without a digest the request is refused.
            let text = hash.text().ok_or(Fault::new(Reason::Mismatch).with_skew(skew))?;
            checks.update(text.as_bytes());
        }
        for (stamp, after) in (0_u8..).zip(rare.into_iter().flat_map(|rare| &rare.after_body)) {
            checks.update_one(stamp, after);
        }
        let (matches, digests) = checks.finish(&self.keys, self.now);
        let replay_keys = digests.iter().map(ReplayKey::of_content);
        let reason = if self.keys.has_live(self.now) { Reason::Mismatch } else { Reason::NoLiveKey };
        verified(&self.keys, matches, replay_keys, reason, &self.times, self.now, |fault| fault)
    }

    /// Lets the application verify.
    #[cold]
    fn finish_custom(
        &self,
        check: RunningCheck,
        webhook_id: Option<&str>,
        max_signatures: u8,
    ) -> Result<Verified, Fault> {
        let skew = self.times.first().map(|stamp| self.now.seconds_since(*stamp));
        let checked = check.finish(LiveKeys::new(&self.keys, webhook_id, self.now, max_signatures));
        let (matches, identity) = checked.map_err(|reason| Fault::new(reason).with_skew(skew))?.into_parts();
        let replay_keys = identity.map(ReplayKey::from_bytes);
        verified(&self.keys, matches, replay_keys, Reason::Mismatch, &self.times, self.now, |fault| fault)
    }
}

/// Does not print the signed content after the body, which can be the value of a header.
impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").field("keys", &self.keys).field("times", &self.times).finish_non_exhaustive()
    }
}

/// A head before the keys are looked up. It is well formed and fresh once [`Rules::open`](super::Rules::open) has read it.
#[derive(Debug)]
pub(crate) struct Opening<'h, H: ?Sized> {
    pub(super) scheme: &'h Scheme,
    pub(super) head: &'h H,
    pub(super) reading: Reading<'h>,
    pub(super) candidates: KeptCandidates,
    pub(super) now: Timestamp,
}

impl<'h, H: Head + ?Sized> Opening<'h, H> {
    pub(crate) fn new(scheme: &'h Scheme, head: &'h H, now: Timestamp) -> Self {
        Self { scheme, head, reading: Reading::default(), candidates: KeptCandidates::new(), now }
    }

    #[cfg(feature = "warden")]
    pub(crate) const fn head(&self) -> &'h H {
        self.head
    }

    pub(crate) fn skew(&self) -> Option<i64> {
        self.reading.times.first().map(|stamp| self.now.seconds_since(*stamp))
    }

    /// Starts a verification with the keys that are valid now. If there are none, no signature matches.
    pub(crate) fn with_keys(self, keys: PreparedKeys) -> Verification {
        let mut verification = self.waiting(keys);
        self.start(&mut verification);
        verification
    }

    /// Returns a verification for [`start`](Self::start), which starts it in place: a copy would take longer.
    #[inline]
    pub(crate) fn waiting(&self, keys: PreparedKeys) -> Verification {
        Verification {
            keys,
            macs: LiveMacs::new(),
            rare: None,
            candidates: KeptCandidates::new(),
            times: Times::new(),
            now: self.now,
        }
    }

    /// Starts a verification that [`waiting`](Self::waiting) returned.
    #[inline]
    pub(crate) fn start(self, verification: &mut Verification) {
        let Self { scheme, head, mut reading, candidates, now } = self;
        let Verification { keys, macs, rare, candidates: kept, times, .. } = verification;
        kept.extend(candidates);
        times.extend_from_slice(&reading.times);
        *rare = scheme.body_hash().map(|hash| Box::new(Rare { body_hash: Some(hash), ..Rare::default() }));
        if let Some(check) = reading.custom.take() {
            rare.get_or_insert_default().custom = Some((check, scheme.max_signatures()));
            return;
        }
        if scheme.algorithm().uses_public_keys() {
            let stamps = reading.timestamp_texts().count();
            let signatures = core::mem::take(&mut reading.signatures);
            let mut checks = SignatureChecks::new(keys, reading.usable_keys(), signatures, stamps, now);
            let rare = rare.get_or_insert_default();
            for (stamp, text) in reading.timestamp_texts() {
                let update = &mut |bytes: &[u8]| checks.update_one(stamp, bytes);
                let rest = scheme.feed_before(&reading, text, head, update);
                rare.keep(rest, text, head);
            }
            rare.checks = Some(checks);
            return;
        }
        let live = || keys.live(now).take(reading.usable_keys());
        // Reserve room for all states: growing would leave a copy of them that is not wiped.
        macs.reserve_exact(live().count().saturating_mul(reading.timestamp_texts().count()));
        for (stamp, text) in reading.timestamp_texts() {
            let first = macs.len();
            live().for_each(|(key, mac)| macs.push(LiveMac { key, stamp, mac: mac.clone() }));
            let update = &mut |bytes: &[u8]| macs.iter_mut().skip(first).for_each(|live| live.mac.update(bytes));
            let rest = scheme.feed_before(&reading, text, head, update);
            if !rest.is_empty() {
                rare.get_or_insert_default().keep(rest, text, head);
            }
        }
    }
}

/// The parts of a [`Verification`] that only a few schemes need.
#[derive(Default)]
struct Rare {
    /// The hash of the body, if the scheme signs its digest.
    body_hash: Option<BodyHash>,
    /// The signed content after the body, for each timestamp.
    after_body: Vec<Vec<u8>>,
    /// The signatures, if the scheme uses public keys.
    checks: Option<SignatureChecks>,
    /// The check of a custom scheme, and its maximum number of signatures.
    custom: Option<(RunningCheck, u8)>,
}

impl Rare {
    /// Adds the next bytes of the body, if they do not belong to the MACs.
    fn takes(&mut self, chunk: &[u8]) -> bool {
        match self {
            Self { custom: Some((check, _)), .. } => check.update(chunk),
            Self { body_hash: Some(hash), .. } => hash.update(chunk),
            Self { checks: Some(checks), .. } => checks.update(chunk),
            _ => return false,
        }
        true
    }

    /// Keeps the signed content after the body, for the next timestamp.
    fn keep<H: Head + ?Sized>(&mut self, rest: Rest<'_>, timestamp_text: &[u8], head: &H) {
        let mut after = Vec::new();
        rest.feed(timestamp_text, head, &mut |bytes| after.extend_from_slice(bytes));
        self.after_body.push(after);
    }
}

/// Two keys are valid during a rotation, and the sender then sends two signatures. More are rare.
type LiveMacs = SmallVec<[LiveMac; 2]>;

/// The state of one MAC.
struct LiveMac {
    /// The index of the key in the keyring.
    key: u8,
    /// The index of the timestamp.
    stamp: u8,
    mac: Mac,
}

/// A sender sends one signature, or two during a rotation.
pub(super) type KeptCandidates = SmallVec<[Candidate; 2]>;
