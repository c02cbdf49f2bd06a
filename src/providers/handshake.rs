//! The handshakes of providers by name.

use super::{Provider, document::Handshake};
use crate::error::ConfigError;

impl Provider {
    /// How the provider checks a new endpoint, if it does and a Warden can answer. [`Handshake::provider`] says what to
    /// add to it.
    pub const fn handshake(&self) -> Option<&Handshake> {
        self.facts.handshake.as_ref()
    }
}

impl Handshake {
    /// The handshake of a provider, such as `slack` or `whatsapp`: see [`Provider::handshake`].
    ///
    /// ```
    /// use hookwarden::handshake::Handshake;
    /// use hookwarden::{Keyring, Scheme, Warden};
    ///
    /// let scheme = Scheme::provider("slack")?;
    /// let keys = Keyring::new(scheme.secret("the-signing-secret-of-the-app")?);
    /// let warden = Warden::builder(scheme).only_sender(keys).handshake(Handshake::provider("slack")?).build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    ///
    /// Some handshakes need a value that only the receiver has. Without it,
    /// [`build`](crate::warden::WardenBuilder::build) returns an error that names the method to call:
    ///
    /// * Meta and its products: [`with_token`](Self::with_token), with the verify token that was entered at Meta;
    /// * Asana: [`accept_if`](Self::accept_if), with a closure that stores the secret of a new webhook.
    ///
    /// ```
    /// use hookwarden::handshake::Handshake;
    ///
    /// let whatsapp = Handshake::provider("whatsapp")?.with_token("the text that was entered at Meta");
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The name is unknown, or the provider has no handshake that a Warden can answer.
    pub fn provider(name: &str) -> Result<Self, ConfigError> {
        let Provider { name, facts, .. } = Provider::find(name)?;
        let problem =
            || ConfigError::new("provider", format!("must have a handshake that a Warden can answer; {name} has none"));
        facts.handshake.ok_or_else(problem)
    }
}
