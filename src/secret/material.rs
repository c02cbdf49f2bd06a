//! What a key consists of.

use super::{PublicKey, Secret};

/// What a [`Key`](super::Key) consists of: a [`Secret`] or a [`PublicKey`]. Both convert to it.
///
/// ```
/// use hookwarden::secret::KeyMaterial;
/// use hookwarden::{Keyring, Scheme};
///
/// let material: KeyMaterial = Scheme::timestamped().secret("a-subscription-secret")?.into();
/// let keys = Keyring::new(material);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyMaterial(Material);

#[derive(Debug, Clone)]
enum Material {
    Secret(Secret),
    Public(PublicKey),
}

impl KeyMaterial {
    pub(crate) const fn secret(&self) -> Option<&Secret> {
        match &self.0 {
            Material::Secret(secret) => Some(secret),
            Material::Public(_) => None,
        }
    }

    /// Returns the public key, or that of a private key. An HMAC secret has none.
    pub(crate) const fn public_key(&self) -> Option<&PublicKey> {
        match &self.0 {
            Material::Secret(secret) => secret.public_key(),
            Material::Public(key) => Some(key),
        }
    }

    /// Returns the bytes of the secret. A public key has none.
    pub(crate) fn expose(&self) -> &[u8] {
        self.secret().map(Secret::expose).unwrap_or_default()
    }

    /// Returns the bytes that identify the key: those of the public key if there is one, or else those of the secret.
    pub(crate) fn identity(&self) -> &[u8] {
        self.public_key().map_or_else(|| self.expose(), PublicKey::as_bytes)
    }

    /// Returns the identity without trailing zeros. HMAC pads its key with zeros, so two secrets with the same result
    /// are equal.
    #[cfg(feature = "warden")]
    pub(crate) fn without_padding(&self) -> &[u8] {
        let bytes = self.identity();
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        bytes.get(..end).unwrap_or_default()
    }
}

impl From<Secret> for KeyMaterial {
    fn from(secret: Secret) -> Self {
        Self(Material::Secret(secret))
    }
}

impl From<PublicKey> for KeyMaterial {
    fn from(key: PublicKey) -> Self {
        Self(Material::Public(key))
    }
}
