//! The setting that keeps refused requests.

use super::WardenBuilder;
use crate::warden::settings::Captures;

impl WardenBuilder {
    /// Keeps the last refused requests, to find out why they were refused. By default none are kept. [`Captures`] says
    /// which requests are kept, for how long, and what they contain.
    ///
    /// ```
    /// use hookwarden::warden::Captures;
    /// use hookwarden::{Keyring, Scheme, Warden};
    ///
    /// let scheme = Scheme::timestamped();
    /// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
    /// let warden = Warden::builder(scheme).sender("acme", keys).captures(Captures::in_memory(100)).build()?;
    /// assert!(warden.captured_requests().is_empty());
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn captures(self, captures: Captures) -> Self {
        Self { captures: Some(captures), ..self }
    }
}
