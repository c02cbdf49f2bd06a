//! The keys of a scheme: reading their texts, and setting them up.

use alloc::vec::Vec;
use core::mem;

use super::{Scheme, SecretFormat};
use crate::crypto::public_key::{read_private, read_public};
use crate::crypto::{Algorithm, PreparedKeys};
use crate::encoding::{decode_secret_base64, decode_secret_base64_any_padding, decode_secret_hex};
use crate::error::ConfigError;
use crate::secret::{Key, KeyKind, Keyring, PublicKey, Secret, WHSEC};
#[cfg(any(feature = "diagnose", all(feature = "serde", feature = "warden")))]
use crate::{crypto::public_key::is_visibly_private, secret::KeyMaterial};

impl Scheme {
    /// Converts the text that a provider shows to a secret, by the scheme's [`SecretFormat`]. If the scheme uses public
    /// keys, the text is a private key, which only a sender has:
    ///
    /// * Ed25519: 32 bytes in hex, base64 or base64url; `whsk_` and base64; PKCS#8 as DER in base64 or as PEM; or JWK.
    /// * ECDSA: 32 bytes in hex, base64 or base64url; PKCS#8 or SEC 1 as DER in base64 or as PEM; or JWK.
    /// * RSA: PKCS#8 or PKCS#1 as DER in base64 or as PEM.
    ///
    /// If the scheme has several [`algorithms`](Self::algorithms), the text must be a key for exactly one of them. 32 bytes
    /// can be an Ed25519 and a P-256 key, so these must be PEM or JWK there.
    ///
    /// # Errors
    /// As for [`Secret::from_text`], or the text cannot be decoded. If the scheme uses public keys, the text must be
    /// exactly one of the listed forms.
    pub fn secret(&self, text: &str) -> Result<Secret, ConfigError> {
        if self.algorithm.uses_public_keys() {
            return read_private(self.algorithms(), text);
        }
        // White space, an empty text and a bare prefix are faults in every format.
        let literal = Secret::from_text(text)?;
        let (decoded, form) = match self.secret_format {
            SecretFormat::Literal => return Ok(literal),
            SecretFormat::Hex => (decode_secret_hex(text), "hex"),
            SecretFormat::Base64 => (decode_secret_base64(text), "padded base64"),
            SecretFormat::Whsec => {
                (decode_secret_base64_any_padding(text.strip_prefix(WHSEC).unwrap_or(text)), "base64")
            }
        };
        match decoded {
            Some(mut bytes) => Secret::from_bytes(mem::take(&mut *bytes)),
            None if self.secret_format == SecretFormat::Whsec && text.contains(WHSEC) => {
                let problem = "must start with whsec_ and be one secret, without `v1,` or a second secret";
                Err(ConfigError::new("secret", problem))
            }
            None => Err(ConfigError::new("secret", alloc::format!("must be {form} for the scheme {}", self.name))),
        }
    }

    /// Reads a public key from the text that a provider shows. The text is in one of these forms:
    ///
    /// * Ed25519: 32 bytes in hex, base64 or base64url; `whpk_` and base64; SPKI as DER in base64 or as PEM; or JWK.
    /// * ECDSA: a point of 33 or 65 bytes in hex, base64 or base64url; SPKI as DER in base64 or as PEM; or JWK.
    /// * RSA: SPKI or PKCS#1 as DER in base64 or as PEM; or JWK.
    ///
    /// Base64 and base64url may have their padding or none. A JWK is one key, not a JWK Set. If it has the members `alg`,
    /// `use` and `key_ops`, they must permit to verify with the scheme's algorithm. If the scheme has several
    /// [`algorithms`](Self::algorithms), the text must be a key for exactly one of them.
    ///
    #[cfg_attr(feature = "ed25519", doc = "```")]
    #[cfg_attr(not(feature = "ed25519"), doc = "```ignore")]
    /// use hookwarden::Scheme;
    ///
    /// let scheme = Scheme::standard_webhooks_v1a();
    /// let key = scheme.public_key("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")?;
    /// assert_eq!(key, scheme.public_key("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")?);
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The scheme uses secrets; the text is in another form; or the key is unsuitable: an Ed25519 key that is not
    /// canonical or has a small order, a point of another curve, an RSA key of less than 2048 or more than 4096 bits, or
    /// a private key.
    pub fn public_key(&self, text: &str) -> Result<PublicKey, ConfigError> {
        if self.algorithm.uses_public_keys() {
            return read_public(self.algorithms(), text);
        }
        let problem = alloc::format!(
            "{} uses HMAC, so its keys are secrets: use Scheme::secret, or `secret` in a key file",
            self.name
        );
        Err(ConfigError::new("public_key", problem))
    }

    /// Reads a secret; or, if the scheme uses public keys, a public key, or a private key whose text shows that it is one.
    /// The raw bytes of a private key do not show it, so use this only where nothing else says what the text is.
    #[cfg(any(feature = "diagnose", all(feature = "serde", feature = "warden")))]
    pub(crate) fn key_material(&self, text: &str) -> Result<KeyMaterial, ConfigError> {
        if self.algorithm.uses_public_keys() && !is_visibly_private(text) {
            self.public_key(text).map(Into::into)
        } else {
            self.secret(text).map(Into::into)
        }
    }

    /// Sets up the keys of a keyring for this scheme.
    ///
    /// # Errors
    /// * A key is of another kind than the scheme's: a public key is never used as an HMAC secret.
    /// * The scheme decodes its secrets, and a key holds text that was not decoded: use [`secret`](Self::secret).
    /// * The scheme uses public keys, and there are more than 4.
    pub fn prepare(&self, keyring: &Keyring) -> Result<PreparedKeys, ConfigError> {
        keyring.iter().try_for_each(|key| self.check_kind(key))?;
        if self.algorithm.uses_public_keys() && keyring.len() > MAX_KEY_PAIRS {
            return Err(ConfigError::new("keys", "must be at most 4 for a scheme with public keys"));
        }
        let decodes = self.secret_format != SecretFormat::Literal;
        match keyring.iter().find(|key| decodes && key.material.secret().is_some_and(Secret::is_literal_text)) {
            Some(key) => {
                let problem = alloc::format!(
                    "{} decodes its secrets, and key {} is plain text: make it with Scheme::secret",
                    self.name,
                    key.id
                );
                Err(ConfigError::new("secret", problem))
            }
            None if self.uses_tokens() => PreparedKeys::of_tokens(keyring),
            None => PreparedKeys::new(self.algorithms(), keyring),
        }
    }

    fn check_kind(&self, key: &Key) -> Result<(), ConfigError> {
        let found = key.material.public_key().map(PublicKey::kind);
        let mut needed = self.algorithms().iter().map(|algorithm| algorithm.key_kind());
        if needed.any(|kind| kind == found) {
            return Ok(());
        }
        let needed = self.algorithms().iter().map(|algorithm| algorithm.key_kind().map_or("a secret", KeyKind::name));
        let needs = needed.collect::<Vec<_>>().join(" or ");
        let has = found.map_or("a secret", KeyKind::name);
        let problem = alloc::format!("must be {needs} each for the scheme {}, but key {} is {has}", self.name, key.id);
        Err(ConfigError::new("keys", problem))
    }

    /// Like [`prepare`](Self::prepare), for keys that must be able to sign.
    pub(crate) fn prepare_to_sign(&self, keyring: &Keyring) -> Result<PreparedKeys, ConfigError> {
        if self.is_message_signature() {
            let problem = alloc::format!(
                "must not be {}, which verifies message signatures: sign with a MessageSigner, from Profile::signer",
                self.name
            );
            return Err(ConfigError::new("scheme", problem));
        }
        if self.is_custom() {
            let problem =
                alloc::format!("must not be a custom scheme, but {} is one: only its own code can sign", self.name);
            return Err(ConfigError::new("scheme", problem));
        }
        self.prepare_private(keyring)
    }

    /// Like [`prepare`](Self::prepare), for keys that must be private or secret.
    pub(crate) fn prepare_private(&self, keyring: &Keyring) -> Result<PreparedKeys, ConfigError> {
        let keys = self.prepare(keyring)?;
        if let Some(id) = keys.without_private_key() {
            let problem = alloc::format!("must be private keys for a signer, but {id} is a public key");
            return Err(ConfigError::new("keys", problem));
        }
        let is_random = |algorithm| matches!(algorithm, &Algorithm::RsaPss | &Algorithm::RsaPssSha512);
        if self.algorithms().iter().any(is_random) && !cfg!(feature = "generate") {
            return Err(ConfigError::new(
                "algorithm",
                "must not be RSA-PSS to sign without the feature `generate`: enable it",
            ));
        }
        Ok(keys)
    }
}

/// The maximum number of keys of a sender for a scheme with public keys. A request has at most as many signatures, and
/// each is verified with each key.
pub(crate) const MAX_KEY_PAIRS: usize = 4;
