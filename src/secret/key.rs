//! A secret or public key with a name and a validity window.

use super::{KeyId, KeyMaterial};
use crate::error::ConfigError;
use crate::time::Timestamp;

/// A secret or public key with a name and a validity window.
///
/// The window has a resolution of one second and includes both ends. By default a key is always valid.
///
/// ```
/// use hookwarden::{Key, Scheme, Timestamp};
///
/// let secret = Scheme::timestamped().secret("a-subscription-secret")?;
/// let key = Key::new("2027", secret)?
///     .not_before(Timestamp::from_unix(1_798_761_600)) // 2027-01-01T00:00:00Z
///     .not_after(Timestamp::from_unix(1_830_297_599)); // 2027-12-31T23:59:59Z
/// assert_eq!(key.id().as_str(), "2027");
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Key {
    pub(crate) id: KeyId,
    pub(crate) material: KeyMaterial,
    pub(crate) window: Window,
}

impl Key {
    /// Creates a key that is always valid from a [`Secret`](super::Secret) or a [`PublicKey`](super::PublicKey). `id` is
    /// its name.
    ///
    /// # Errors
    /// The id is not a valid [`KeyId`].
    pub fn new(id: &str, material: impl Into<KeyMaterial>) -> Result<Self, ConfigError> {
        Ok(Self { id: KeyId::new(id)?, material: material.into(), window: Window::ALWAYS })
    }

    /// Sets the first second in which the key is valid.
    #[must_use]
    pub const fn not_before(mut self, time: Timestamp) -> Self {
        self.window.not_before = Some(time);
        self
    }

    /// Sets the last second in which the key is valid.
    #[must_use]
    pub const fn not_after(mut self, time: Timestamp) -> Self {
        self.window.not_after = Some(time);
        self
    }

    /// The key's name.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }
}

/// The seconds in which a key is valid, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

impl Window {
    pub(crate) const ALWAYS: Self = Self { not_before: None, not_after: None };

    pub(crate) fn contains(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|first| first <= now) && self.not_after.is_none_or(|last| now <= last)
    }

    /// Returns the first second in which the key is valid, and the second after the last one.
    #[cfg(feature = "warden")]
    pub(crate) fn changes(&self) -> impl Iterator<Item = Timestamp> {
        self.not_before.into_iter().chain(self.not_after.and_then(Timestamp::next))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!((self.not_before, self.not_after), (Some(first), Some(last)) if last < first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn key_is_valid_at_both_window_ends() {
        let at = Timestamp::from_unix;
        let window =
            Key::new("a", Secret::from_text("one").unwrap()).unwrap().not_before(at(10)).not_after(at(20)).window;
        assert_eq!([9, 10, 20, 21].map(|second| window.contains(at(second))), [false, true, true, false]);
    }
}
