//! Keys that are set up once, and HMAC states, which are cloned for each message.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::Algorithm;
use super::public_key::KeyPair;
use crate::encoding::Tag;
use crate::error::ConfigError;
use crate::secret::{KeyId, KeyMaterial, Keyring, PublicKey, Window};
use crate::time::Timestamp;

pub(crate) use super::input::Message;
pub(crate) use super::matching::{Candidate, KeyMac, MAX_STAMPS, Macs, Matches, matches};

/// The keys of one sender, parsed and set up for one scheme. Cheap to clone.
///
/// [`Scheme::prepare`](crate::scheme::Scheme::prepare) creates them. `Debug` prints only the key ids.
#[derive(Clone)]
pub struct PreparedKeys {
    keys: Arc<[PreparedKey]>,
    decoy: bool,
    /// Whether the keys are compared as tokens and sign nothing.
    tokens: bool,
    webhook_id: Option<Arc<str>>,
}

pub(crate) struct PreparedKey {
    pub(crate) id: KeyId,
    window: Window,
    state: KeyState,
}

/// What a key computes with.
enum KeyState {
    Mac(Mac),
    Pair(KeyPair),
}

#[cfg(feature = "warden")]
impl KeyState {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Mac(mac) => mac.algorithm(),
            Self::Pair(pair) => pair.algorithm(),
        }
    }
}

impl PreparedKeys {
    /// Prepares each key for the algorithm of its kind. Every key has the kind of one of `algorithms`, which all have
    /// different ones.
    pub(crate) fn new(algorithms: &[Algorithm], keyring: &Keyring) -> Result<Self, ConfigError> {
        Self::prepare(keyring, false, |material| {
            let kind = material.public_key().map(PublicKey::kind);
            let fitting = algorithms.iter().find(|algorithm| algorithm.key_kind() == kind);
            let algorithm = fitting.or(algorithms.first()).copied().unwrap_or_default();
            match algorithm.key_kind() {
                None => Mac::new(algorithm, material.expose()).map(KeyState::Mac),
                Some(_) => KeyPair::new(algorithm, material).map(KeyState::Pair),
            }
        })
    }

    /// Prepares tokens, which are compared and sign nothing.
    pub(crate) fn of_tokens(keyring: &Keyring) -> Result<Self, ConfigError> {
        let digest = |material: &KeyMaterial| material.secret().and_then(|token| digest_of_token(token.expose()));
        Self::prepare(keyring, true, |material| digest(material).map(KeyState::Mac).ok_or(NOT_AN_HMAC_KEY))
    }

    fn prepare(
        keyring: &Keyring,
        tokens: bool,
        state: impl Fn(&KeyMaterial) -> Result<KeyState, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let keys =
            keyring.iter().map(|key| Ok(PreparedKey { id: key.id, window: key.window, state: state(&key.material)? }));
        let keys = keys.collect::<Result<_, ConfigError>>()?;
        Ok(Self { keys, decoy: false, tokens, webhook_id: keyring.webhook_id.clone() })
    }

    pub(crate) const fn are_tokens(&self) -> bool {
        self.tokens
    }

    /// Sets the canonical webhook id of the sender, for a key store that finds it under several spellings. See
    /// [`webhook_id`](Self::webhook_id).
    ///
    /// It allocates the id. To avoid an allocation for each request, keep the prepared keys with their id and clone
    /// them.
    #[must_use]
    pub fn with_webhook_id(self, id: impl Into<Arc<str>>) -> Self {
        Self { webhook_id: Some(id.into()), ..self }
    }

    /// The canonical webhook id of the sender. `None`, the default, means the id that was looked up.
    ///
    /// From key lookup on, the Warden uses it in place of the id in the request: for replay protection, quotas, events
    /// and `VerifiedDelivery::webhook_id`.
    #[must_use]
    pub fn webhook_id(&self) -> Option<&str> {
        self.webhook_id.as_deref()
    }

    #[cfg(feature = "warden")]
    pub(crate) const fn shared_webhook_id(&self) -> Option<&Arc<str>> {
        self.webhook_id.as_ref()
    }

    /// Turns the keys into a decoy, which takes as long to check and never accepts a signature.
    #[cfg(feature = "warden")]
    pub(crate) fn into_decoy(self) -> Self {
        Self { decoy: true, ..self }
    }

    /// Creates a decoy of `size` fixed public keys, for each of the algorithms in turn, or `None` if one is an HMAC.
    #[cfg(any(feature = "message-signatures", feature = "warden"))]
    pub(crate) fn public_key_decoy(algorithms: &[Algorithm], size: usize) -> Option<Self> {
        let key = |pair| PreparedKey { id: KeyId::DEFAULT, window: Window::ALWAYS, state: KeyState::Pair(pair) };
        let pairs = algorithms.iter().cycle().take(size).map(|algorithm| KeyPair::decoy(*algorithm));
        let keys = pairs.map(|pair| pair.map(key)).collect::<Option<_>>()?;
        Some(Self { keys, decoy: true, tokens: false, webhook_id: None })
    }

    #[cfg(all(test, feature = "warden"))]
    pub(crate) const fn is_decoy(&self) -> bool {
        self.decoy
    }

    /// Whether the keys were prepared for `algorithm`, as tokens or not. If not, no signature can match.
    #[cfg(feature = "warden")]
    pub(crate) fn are_for(&self, algorithm: Algorithm, tokens: bool) -> bool {
        self.tokens == tokens && self.keys.iter().all(|key| key.state.algorithm() == algorithm)
    }

    /// Whether each of the keys was prepared for one of the algorithms.
    #[cfg(feature = "warden")]
    pub(crate) fn are_for_any(&self, algorithms: &[Algorithm], tokens: bool) -> bool {
        self.tokens == tokens && self.keys.iter().all(|key| algorithms.contains(&key.state.algorithm()))
    }

    /// Returns the newest key that matches, so that an old key shows as unused, and its one of the `times` of the
    /// request. Returns `None` if no key matches or the keys are a decoy.
    ///
    /// No other code branches on the result of a comparison. The constant-time check finds this function by its name,
    /// so it must not be inlined.
    #[inline(never)]
    pub(crate) fn reveal(&self, matches: Matches, times: &[Timestamp]) -> Option<(KeyId, Option<Timestamp>)> {
        if self.decoy || matches.is_empty() {
            return None;
        }
        let bit = usize::try_from(matches.first_bit()).ok()?;
        let key = self.keys.get(bit.checked_div(MAX_STAMPS)?)?;
        Some((key.id, times.get(bit.checked_rem(MAX_STAMPS)?).copied()))
    }

    /// Returns the HMAC state of each key that is valid at `now`, with the key's index in the keyring.
    #[inline]
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = (u8, &Mac)> {
        self.valid(now).filter_map(|(index, key)| match &key.state {
            KeyState::Mac(mac) => Some((index, mac)),
            KeyState::Pair(_) => None,
        })
    }

    /// Returns each public key that is valid at `now`, with its index in the keyring.
    pub(crate) fn live_pairs(&self, now: Timestamp) -> impl Iterator<Item = (u8, &KeyPair)> {
        self.valid(now).filter_map(|(index, key)| match &key.state {
            KeyState::Pair(pair) => Some((index, pair)),
            KeyState::Mac(_) => None,
        })
    }

    #[inline]
    fn valid(&self, now: Timestamp) -> impl Iterator<Item = (u8, &PreparedKey)> {
        (0_u8..).zip(&*self.keys).filter(move |(_, key)| key.window.contains(now))
    }

    /// Returns the id of a key that cannot sign, because only its public key is known.
    pub(crate) fn without_private_key(&self) -> Option<KeyId> {
        let cannot_sign = |key: &&PreparedKey| matches!(&key.state, KeyState::Pair(pair) if !pair.can_sign());
        self.keys.iter().find(cannot_sign).map(|key| key.id)
    }

    /// Returns the index of the newest key that is valid at `now`.
    pub(crate) fn first_live(&self, now: Timestamp) -> Option<u8> {
        self.valid(now).next().map(|(index, _)| index)
    }

    /// Returns the id of the key at `index` in the keyring.
    #[cfg(feature = "warden")]
    pub(crate) fn id_of(&self, index: u8) -> Option<KeyId> {
        self.keys.get(usize::from(index)).map(|key| key.id)
    }

    pub(crate) fn has_live(&self, now: Timestamp) -> bool {
        self.keys.iter().any(|key| key.window.contains(now))
    }

    /// Returns the number of keys that are valid at `now`.
    #[cfg(feature = "warden")]
    pub(crate) fn live_count(&self, now: Timestamp) -> usize {
        self.valid(now).count()
    }

    /// Returns for each key the first second in which it is valid, and the second after the last one. The order is not
    /// specified.
    #[cfg(feature = "warden")]
    pub(crate) fn changes(&self) -> impl Iterator<Item = Timestamp> {
        self.keys.iter().flat_map(|key| key.window.changes())
    }
}

impl fmt::Debug for PreparedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.id)).finish()
    }
}

const NOT_AN_HMAC_KEY: ConfigError = ConfigError::fixed("secret", "must be a valid HMAC key");

/// An HMAC in progress. Key material in it is wiped on drop.
#[derive(Clone)]
pub(crate) enum Mac {
    Sha256(Hmac<Sha256>),
    Sha1(Hmac<Sha1>),
    /// Boxed, because it is twice as large and rare.
    Sha512(Box<Hmac<Sha512>>),
}

impl Mac {
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, ConfigError> {
        match algorithm {
            Algorithm::HmacSha256 => Hmac::new_from_slice(key).map(Self::Sha256),
            Algorithm::HmacSha1 => Hmac::new_from_slice(key).map(Self::Sha1),
            Algorithm::HmacSha512 => Hmac::new_from_slice(key).map(Box::new).map(Self::Sha512),
            _ => return Err(NOT_AN_HMAC_KEY),
        }
        .map_err(|_| NOT_AN_HMAC_KEY)
    }

    #[cfg(any(feature = "message-signatures", feature = "warden"))]
    pub(super) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::HmacSha256,
            Self::Sha1(_) => Algorithm::HmacSha1,
            Self::Sha512(_) => Algorithm::HmacSha512,
        }
    }

    #[inline]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(bytes),
            Self::Sha1(mac) => mac.update(bytes),
            Self::Sha512(mac) => mac.update(bytes),
        }
    }

    /// Returns the MAC of the bytes fed so far and `message`. It copies the state of one algorithm, which can be
    /// smaller than this enum.
    #[inline]
    pub(crate) fn tag_of(&self, message: &(impl Message + ?Sized)) -> Option<Tag> {
        #[inline]
        fn tag(mut mac: impl hmac::Mac, message: &(impl Message + ?Sized)) -> Option<Tag> {
            message.feed(&mut |bytes| mac.update(bytes));
            Tag::from_bytes(&mac.finalize().into_bytes())
        }
        match self {
            Self::Sha256(mac) => tag(mac.clone(), message),
            Self::Sha1(mac) => tag(mac.clone(), message),
            Self::Sha512(mac) => tag(Hmac::clone(mac), message),
        }
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// Returns an HMAC whose key is the SHA-256 of a token. HMAC pads its key with zeros and hashes a long one, so two tokens
/// could be the same key without it.
pub(super) fn digest_of_token(token: &[u8]) -> Option<Mac> {
    Mac::new(Algorithm::HmacSha256, &Sha256::digest(token)).ok()
}

/// Returns the first half of the SHA-256 of the concatenated `pieces`, as an identifier that does not reveal them.
pub(crate) fn digest(pieces: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    pieces.iter().for_each(|piece| hash.update(piece));
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;
    use alloc::vec;

    use super::*;
    use crate::secret::{Key, Secret};

    fn prepared(secrets: &[&str], algorithm: Algorithm) -> PreparedKeys {
        let keys = secrets.iter().map(|text| Key::new(text, Secret::from_bytes(*text).unwrap()).unwrap());
        PreparedKeys::new(&[algorithm], &Keyring::from_keys(keys).unwrap()).unwrap()
    }

    fn macs_of(message: &[u8], keys: &PreparedKeys) -> Macs {
        let mac = |(key, mac): (u8, &Mac)| KeyMac { key, stamp: 0, tag: mac.tag_of(message).unwrap() };
        keys.live(Timestamp::from_unix(0)).map(mac).collect()
    }

    /// The id of the key under which one of `tags` is accepted.
    fn accepted(keys: &PreparedKeys, tags: &[Tag], macs: &Macs) -> Option<KeyId> {
        let candidates: alloc::vec::Vec<_> = tags.iter().map(|tag| Candidate { tag: tag.clone(), stamp: 0 }).collect();
        let (id, time) = keys.reveal(matches(&candidates, macs), &[])?;
        assert_eq!(time, None);
        Some(id)
    }

    #[test]
    fn candidate_with_one_bit_flipped_never_matches() {
        for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha1, Algorithm::HmacSha512] {
            let keys = prepared(&["key"], algorithm);
            let macs = macs_of(b"message", &keys);
            let good = macs[0].tag.clone();
            assert_eq!(accepted(&keys, core::slice::from_ref(&good), &macs), keys.keys.first().map(|key| key.id));
            for bit in 0..algorithm.mac_size().unwrap() * 8 {
                let mut bytes = good.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(accepted(&keys, &[Tag::from_bytes(&bytes).unwrap()], &macs), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn same_bit_flipped_in_two_bytes_never_matches() {
        let keys = prepared(&["key"], Algorithm::HmacSha256);
        let macs = macs_of(b"message", &keys);
        for distance in [1, 4, 8, 16, 24] {
            let mut bytes = macs[0].tag.as_bytes().to_vec();
            bytes[0] ^= 1;
            bytes[distance] ^= 1;
            assert_eq!(accepted(&keys, &[Tag::from_bytes(&bytes).unwrap()], &macs), None, "{distance} bytes apart");
        }
    }

    #[test]
    fn candidate_shorter_than_the_mac_does_not_match() {
        let keys = prepared(&["key"], Algorithm::HmacSha256);
        let macs = macs_of(b"message", &keys);
        for size in 0..32 {
            let short = Tag::from_bytes(&macs[0].tag.as_bytes()[..size]).unwrap();
            assert_eq!(accepted(&keys, &[short], &macs), None, "{size} bytes");
        }
    }

    #[test]
    fn newest_key_that_matches_any_candidate_is_reported() {
        let keys = prepared(&["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"], Algorithm::HmacSha256);
        let macs = macs_of(b"message", &keys);
        let of = |index: usize| macs[index].tag.clone();
        let noise = Tag::from_bytes(&[0; 32]).unwrap();
        for (candidates, expected) in [
            (vec![], None),
            (vec![noise.clone()], None),
            (vec![of(0)], Some("k0")),
            (vec![noise.clone(), of(3)], Some("k3")),
            (vec![of(7), noise.clone()], Some("k7")),
            (vec![of(6), of(6)], Some("k6")),
            (vec![of(2), of(5), noise.clone()], Some("k2")),
            (vec![of(5), noise, of(2)], Some("k2")),
        ] {
            let key_id = accepted(&keys, &candidates, &macs);
            assert_eq!(key_id.as_ref().map(KeyId::as_str), expected, "{} candidates", candidates.len());
        }
        // A key that is not valid has no MAC, and the others keep their indexes.
        let without_first: Macs = macs.iter().skip(1).cloned().collect();
        assert_eq!(accepted(&keys, &[of(0), of(4)], &without_first).unwrap().as_str(), "k4");
    }

    #[test]
    fn candidate_matches_only_its_own_timestamp() {
        let keys = prepared(&["k0", "k1"], Algorithm::HmacSha256);
        let times = [7, 9].map(Timestamp::from_unix);
        let macs: Macs = (0..2)
            .flat_map(|stamp| macs_of(&[stamp], &keys).into_iter().map(move |mac| KeyMac { stamp, ..mac }))
            .collect();
        let tag = |key: u8, stamp: u8| {
            macs.iter().find(|mac| (mac.key, mac.stamp) == (key, stamp)).map(|mac| mac.tag.clone()).unwrap()
        };
        for key in 0..2 {
            for (made_for, sent_for) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let candidate = Candidate { tag: tag(key, made_for), stamp: sent_for };
                let revealed = keys.reveal(matches(&[candidate], &macs), &times);
                let revealed = revealed.map(|(id, time)| (id.as_str().to_owned(), time));
                let time = Some(times[usize::from(sent_for)]);
                let expected = (made_for == sent_for).then(|| (alloc::format!("k{key}"), time));
                assert_eq!(revealed, expected, "key {key}, made for {made_for}, sent for {sent_for}");
            }
        }
        // The newest key is reported, whatever its timestamp is.
        let both = [Candidate { tag: tag(1, 0), stamp: 0 }, Candidate { tag: tag(0, 1), stamp: 1 }];
        let revealed = keys.reveal(matches(&both, &macs), &times).unwrap();
        assert_eq!((revealed.0.as_str(), revealed.1), ("k0", Some(times[1])));
    }

    #[cfg(feature = "warden")]
    #[test]
    fn decoy_accepts_nothing() {
        let keys = prepared(&["key"], Algorithm::HmacSha256).into_decoy();
        let macs = macs_of(b"message", &keys);
        assert_eq!(accepted(&keys, &[macs[0].tag.clone()], &macs), None);
    }
}
