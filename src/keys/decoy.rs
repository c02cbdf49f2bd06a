//! Decoys: the keys that requests for unknown ids are verified against.

use crate::crypto::mac::PreparedKeys;
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::{Key, Keyring, MAX_KEYS, Secret};

/// Decoys of every keyring size, prepared for one scheme. A decoy never accepts a signature.
#[derive(Debug)]
pub(crate) struct Decoys {
    smallest: PreparedKeys,
    /// The decoys of two to eight keys, in this order.
    larger: Vec<PreparedKeys>,
}

impl Decoys {
    pub(crate) fn new(scheme: &Scheme) -> Result<Self, ConfigError> {
        let larger = (2..=MAX_KEYS).map(|size| decoy(scheme, size)).collect::<Result<_, _>>()?;
        Ok(Self { smallest: decoy(scheme, 1)?, larger })
    }

    /// Returns the decoy of `size` keys, or of the nearest size.
    pub(crate) fn of_size(&self, size: usize) -> &PreparedKeys {
        let size = size.min(MAX_KEYS);
        size.checked_sub(2).and_then(|index| self.larger.get(index)).unwrap_or(&self.smallest)
    }
}

/// Creates a decoy. Its keys need not be secret, because it never accepts a signature.
fn decoy(scheme: &Scheme, size: usize) -> Result<PreparedKeys, ConfigError> {
    if let Some(decoy) = PreparedKeys::public_key_decoy(scheme.algorithms(), size) {
        return Ok(decoy);
    }
    let keys =
        (0..size).map(|index| Key::new(&format!("decoy-{index}"), Secret::from_bytes(format!("decoy {index}"))?));
    let keyring = Keyring::from_keys(keys.collect::<Result<Vec<_>, _>>()?)?;
    Ok(scheme.prepare(&keyring)?.into_decoy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    /// A scheme of each kind of key whose feature is on.
    fn schemes() -> impl Iterator<Item = Scheme> {
        use crate::crypto::Algorithm;

        let algorithms = [Algorithm::HmacSha256, Algorithm::Ed25519, Algorithm::EcdsaP256Der, Algorithm::RsaPss];
        let builder = |algorithm| Scheme::timestamped().into_builder().algorithm(algorithm);
        algorithms.into_iter().filter_map(move |algorithm| builder(algorithm).build().ok())
    }

    #[test]
    fn decoy_has_requested_size_and_is_marked() {
        for scheme in schemes().chain([Scheme::standard_webhooks()]) {
            let decoys = Decoys::new(&scheme).unwrap();
            let sizes =
                [0, 1, 2, 7, 8, 9, usize::MAX].map(|size| decoys.of_size(size).live_count(Timestamp::from_unix(0)));
            assert_eq!(sizes, [1, 1, 2, 7, 8, 8, 8]);
            let all_right = |decoy: &PreparedKeys| decoy.is_decoy() && decoy.are_for(scheme.algorithm(), false);
            assert!((0..=8).all(|size| all_right(decoys.of_size(size))));
        }
    }

    #[cfg(all(feature = "message-signatures", feature = "ed25519", feature = "ecdsa"))]
    #[test]
    fn decoy_has_keys_for_each_algorithm() {
        use crate::crypto::Algorithm;

        let algorithms = [Algorithm::Ed25519, Algorithm::EcdsaP256];
        let profile = crate::message_signatures::Profile::webhooks("https://hooks.example.com").algorithms(algorithms);
        let decoys = Decoys::new(&profile.build().unwrap().scheme("acme").unwrap()).unwrap();
        let found = |size: usize| {
            let pairs = decoys.of_size(size).live_pairs(Timestamp::from_unix(0));
            pairs.map(|(_, pair)| pair.algorithm()).collect::<Vec<_>>()
        };
        assert_eq!(found(1), [Algorithm::Ed25519]);
        assert_eq!(found(3), [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::Ed25519]);
        assert!(decoys.of_size(2).is_decoy());
    }
}
