//! The keys that an application's own verification uses.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use smallvec::SmallVec;

#[cfg(feature = "message-signatures")]
use super::Algorithm;
use super::mac::{Candidate, KeyMac, Macs, Matches, PreparedKeys, digest, digest_of_token, matches};
#[cfg(feature = "message-signatures")]
use super::public_key::KeyPair;
use super::public_key::{Signature, SignatureChecks};
use crate::encoding::Tag;
use crate::error::Reason;
use crate::secret::MAX_KEYS;
use crate::time::Timestamp;

/// The valid keys of a request's sender, for a [`CustomCheck`](crate::scheme::CustomCheck).
///
/// If the webhook id is unknown, the keys are a decoy: [`verify`](Self::verify), [`verify_any`](Self::verify_any) and
/// [`verify_token`](Self::verify_token) fail after the same work as for a wrong signature. Call one of them before you
/// return any other error. Otherwise response times reveal which ids exist.
///
/// ```
/// use hookwarden::Reason;
/// use hookwarden::crypto::{LiveKeys, Proven};
///
/// /// Every part has its length in front, so that two messages never have the same signed content.
/// fn verify<'k>(keys: &LiveKeys<'k>, parts: [&[u8]; 2], signatures: &[&[u8]]) -> Result<Proven<'k>, Reason> {
///     let lengths = parts.map(|part| format!("{}:", part.len()));
///     keys.verify_any(&[lengths[0].as_bytes(), parts[0], lengths[1].as_bytes(), parts[1]], signatures)
/// }
/// ```
pub struct LiveKeys<'k> {
    keys: &'k PreparedKeys,
    webhook_id: Option<&'k str>,
    now: Timestamp,
    max_signatures: u8,
    brand: Brand<'k>,
}

/// Makes a lifetime invariant, so that a [`Proven`] of one request does not compile as the result for another.
type Brand<'k> = PhantomData<fn(&'k ()) -> &'k ()>;

impl<'k> LiveKeys<'k> {
    pub(crate) const fn new(
        keys: &'k PreparedKeys,
        webhook_id: Option<&'k str>,
        now: Timestamp,
        max_signatures: u8,
    ) -> Self {
        Self { keys, webhook_id, now, max_signatures, brand: PhantomData }
    }

    /// The webhook id of the request, known or not. `None` without a Warden.
    #[must_use]
    pub const fn webhook_id(&self) -> Option<&str> {
        self.webhook_id
    }

    /// The time at which the head arrived, for example to compare it with a time in the body.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Verifies that `signature` is valid for `message` under one of the keys, with the algorithm of the scheme. The
    /// message is the concatenation of its pieces. The signature is decoded: the bytes of a MAC, for example.
    ///
    /// The result identifies the delivery by the MACs of the message under every valid key or, with public keys, by the
    /// SHA-256 of the message. Two deliveries with the same `message` are one, so
    /// pass the whole signed content.
    ///
    /// # Errors
    /// [`Reason::Mismatch`], or [`Reason::NoLiveKey`] if no key is valid or the keys are
    /// [tokens](crate::Scheme::danger_custom_token).
    pub fn verify(&self, message: &[&[u8]], signature: &[u8]) -> Result<Proven<'k>, Reason> {
        self.verify_any(message, &[signature])
    }

    /// Like [`verify`](Self::verify), for a message with several signatures, one of which must be valid. Do not call
    /// `verify` in a loop: only this method limits the number of signatures.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify). [`Reason::TooManyCandidates`]: there are more signatures than
    /// [`Scheme::max_signatures`](crate::Scheme::max_signatures), 32 by default and 4 with public keys.
    pub fn verify_any(&self, message: &[&[u8]], signatures: &[&[u8]]) -> Result<Proven<'k>, Reason> {
        if signatures.len() > usize::from(self.max_signatures) {
            return Err(Reason::TooManyCandidates);
        }
        if self.keys.are_tokens() {
            return Err(Reason::NoLiveKey);
        }
        if self.keys.live(self.now).next().is_some() {
            return self.compared(&self.macs(message), signatures.iter().filter_map(|bytes| Tag::from_bytes(bytes)));
        }
        let signatures = signatures.iter().map(|bytes| Signature { bytes: bytes.to_vec(), stamp: 0 }).collect();
        let mut checks = SignatureChecks::new(self.keys, MAX_KEYS, signatures, 1, self.now);
        message.iter().for_each(|piece| checks.update(piece));
        let (matches, digests) = checks.finish(self.keys, self.now);
        self.proven(matches, digests.iter().filter_map(|digest| digest.first_chunk().copied()))
    }

    /// Like [`verify`](Self::verify), with only those keys that are for one of `algorithms`, and have this thumbprint if one
    /// is given.
    ///
    /// If no key verifies, each of the algorithms without a key also verifies with its key of `decoys`. Otherwise response
    /// times reveal for which algorithms a sender has keys, and so which webhook ids exist.
    #[cfg(feature = "message-signatures")]
    pub(crate) fn verify_with(
        &self,
        algorithms: &[Algorithm],
        decoys: Option<&PreparedKeys>,
        thumbprint: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<Proven<'k>, Reason> {
        // An HMAC is the only algorithm of its scheme.
        let Some(decoys) = decoys else { return self.verify(&[message], signature) };
        let is_named = |pair: &KeyPair| thumbprint.is_none_or(|thumbprint| pair.thumbprint() == thumbprint);
        let live = || {
            let fitting = self.keys.live_pairs(self.now).filter(|(_, pair)| algorithms.contains(&pair.algorithm()));
            fitting.filter(|(_, pair)| is_named(pair))
        };
        let check = |keys: &mut dyn Iterator<Item = (u8, &KeyPair)>, all: &PreparedKeys| {
            let signature = Signature { bytes: signature.to_vec(), stamp: 0 };
            let mut checks = SignatureChecks::with_keys(keys, alloc::vec![signature], 1);
            checks.update(message);
            checks.finish(all, self.now)
        };
        let (matches, digests) = check(&mut live(), self.keys);
        if matches.is_empty() {
            let lacks = |algorithm| live().all(|(_, pair)| pair.algorithm() != algorithm);
            let is_needed = |algorithm| algorithms.contains(&algorithm) && lacks(algorithm);
            let mut needed = decoys.live_pairs(self.now).filter(|(_, pair)| is_needed(pair.algorithm()));
            // A decoy proves nothing, whatever the result is.
            let _ = check(&mut needed, decoys);
        }
        self.proven(matches, digests.iter().filter_map(|digest| digest.first_chunk().copied()))
    }

    /// Compares a token, such as a password, with the keys in constant time. A token signs nothing: the request can have
    /// any content, and anyone who sees it can send others.
    ///
    /// `identity` is the content that distinguishes deliveries, for example the body. Its pieces are concatenated and
    /// hashed.
    ///
    /// # Errors
    /// [`Reason::Mismatch`]: the token equals no key, or is empty, or `identity` has no pieces.
    /// [`Reason::NoLiveKey`]: no key is valid, or the scheme was not made by
    /// [`danger_custom_token`](crate::Scheme::danger_custom_token).
    pub fn verify_token(&self, token: &[u8], identity: &[&[u8]]) -> Result<Proven<'k>, Reason> {
        if !self.keys.are_tokens() {
            return Err(Reason::NoLiveKey);
        }
        let candidate = digest_of_token(token).and_then(|mac| mac.tag_of(TOKEN));
        let proven = self.compared(&self.macs(&[TOKEN]), candidate.into_iter())?;
        if token.is_empty() || identity.is_empty() {
            return Err(Reason::Mismatch);
        }
        Ok(Proven { identity: core::iter::once(digest(identity)).collect(), ..proven })
    }

    /// Accepts the delivery although none of these keys has verified it. Use it if the check
    /// verified the delivery with other keys, for example with an algorithm that this crate does not have. **The check must also verify that
    /// the signer is the sender of [`webhook_id`](Self::webhook_id).**
    ///
    /// The newest valid key is reported as the one that signed. The pieces of `identity` are concatenated and hashed, and
    /// identify the delivery.
    ///
    /// # Errors
    /// [`Reason::NoLiveKey`]: no key is valid, or the webhook id is unknown. [`Reason::Mismatch`]: `identity` has no pieces.
    pub fn danger_accept_unverified(&self, identity: &[&[u8]]) -> Result<Proven<'k>, Reason> {
        let newest = self.keys.first_live(self.now).ok_or(Reason::NoLiveKey)?;
        if identity.is_empty() {
            return Err(Reason::Mismatch);
        }
        self.proven(Matches::default().with(newest, 0), core::iter::once(digest(identity)))
            .map_err(|_| Reason::NoLiveKey)
    }

    fn macs(&self, message: &[&[u8]]) -> Macs {
        let macs = self.keys.live(self.now).take(MAX_KEYS);
        macs.filter_map(|(key, mac)| Some(KeyMac { key, stamp: 0, tag: mac.tag_of(message)? })).collect()
    }

    fn compared(&self, macs: &Macs, tags: impl Iterator<Item = Tag>) -> Result<Proven<'k>, Reason> {
        let candidates: Vec<Candidate> = tags.map(|tag| Candidate { tag, stamp: 0 }).collect();
        let identity = macs.iter().filter_map(|mac| mac.tag.as_bytes().first_chunk().copied());
        self.proven(matches(&candidates, macs), identity)
    }

    fn proven(&self, matches: Matches, identity: impl Iterator<Item = [u8; 16]>) -> Result<Proven<'k>, Reason> {
        if self.keys.reveal(matches, &[]).is_none() {
            return Err(if self.keys.has_live(self.now) { Reason::Mismatch } else { Reason::NoLiveKey });
        }
        Ok(Proven { matches, identity: identity.collect(), id: None, brand: PhantomData })
    }
}

/// Prints nothing about the keys, so that a log does not show which webhook ids exist.
impl fmt::Debug for LiveKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveKeys").field("now", &self.now).finish_non_exhaustive()
    }
}

/// The proof that a key of the sender verified a request, with the identity of the delivery. Only the [`LiveKeys`] of the
/// request create it. It cannot be kept for another request:
///
/// ```compile_fail,E0521
/// use std::sync::Mutex;
///
/// use hookwarden::Reason;
/// use hookwarden::crypto::{LiveKeys, Proven};
///
/// static KEPT: Mutex<Option<Proven<'static>>> = Mutex::new(None);
///
/// fn keep(keys: LiveKeys<'_>) -> Result<(), Reason> {
///     *KEPT.lock().unwrap() = Some(keys.verify(&[b"message"], b"signature")?);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "return it from `CustomCheck::finish`"]
pub struct Proven<'k> {
    matches: Matches,
    identity: SmallVec<[[u8; 16]; 2]>,
    /// One more identity, for an id.
    id: Option<[u8; 16]>,
    brand: Brand<'k>,
}

impl Proven<'_> {
    /// Adds an id of the delivery, such as a nonce, that the verified message contains. Another delivery of the sender with
    /// the same id is a duplicate, although its message is another one.
    ///
    /// `parts` are the parts of the id. They are hashed with their lengths, so that `["ab", "c"]` and `["a", "bc"]` are
    /// different ids. A delivery has one such id: a second call replaces it.
    ///
    /// **Every part must be signed.** An id that anyone can change must not be added: with the id of a delivery
    /// that will come, an attacker makes that delivery a duplicate.
    ///
    /// * The id is remembered as long as the message itself: until its timestamp is stale, or for the time that
    ///   `warden::Replay` sets. For an id that stays the same when a retry is signed again days later, use
    ///   [`delivery_id_header`](crate::scheme::SchemeBuilder::delivery_id_header) or
    ///   [`delivery_id_in_body`](crate::scheme::SchemeBuilder::delivery_id_in_body).
    /// * Ids of different senders never collide. Which key verified the message is not part of the id: if ids are only unique
    ///   for each key, add the name of the key as a part.
    /// * It takes one more entry of the replay store.
    /// * With `warden::Replay::danger_unsigned_id_header`, deliveries with different unsigned ids are different, even if this
    ///   id is the same.
    ///
    /// ```
    /// use hookwarden::Reason;
    /// use hookwarden::crypto::{LiveKeys, Proven};
    ///
    /// fn verify<'k>(keys: &LiveKeys<'k>, nonce: &str, body: &[u8], mac: &[u8]) -> Result<Proven<'k>, Reason> {
    ///     let proven = keys.verify(&[nonce.as_bytes(), b"\n", body], mac)?; // a nonce has no line break
    ///     Ok(proven.with_delivery_id(&[nonce.as_bytes()]))
    /// }
    /// ```
    pub fn with_delivery_id(self, parts: &[&[u8]]) -> Self {
        let lengths: Vec<[u8; 8]> =
            parts.iter().map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()).collect();
        let parts = lengths.iter().zip(parts).flat_map(|(length, part)| [&length[..], part]);
        // The domain makes it another key than that of a message, or of an id of the scheme.
        let pieces: Vec<&[u8]> = core::iter::once(&b"hookwarden id in a verified message"[..]).chain(parts).collect();
        Self { id: Some(digest(&pieces)), ..self }
    }

    /// Returns what matched, and everything that identifies the delivery.
    pub(crate) fn into_parts(self) -> (Matches, impl Iterator<Item = [u8; 16]>) {
        (self.matches, self.identity.into_iter().chain(self.id))
    }
}

/// The message whose MACs are compared in place of two tokens.
const TOKEN: &[u8] = b"token";
