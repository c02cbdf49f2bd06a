//! The settings that say which requests and which schemes an endpoint accepts.

use std::fmt;

use super::WardenBuilder;
use crate::error::ConfigError;
use crate::handshake::Handshake;
use crate::time::Tolerance;
use crate::verifier::Rules;
use crate::warden::settings::Replay;

impl WardenBuilder {
    /// Sets the accepted methods, in uppercase. The default is only `POST`. `GET` does not include `HEAD`. Any other
    /// method is refused with 405 and `Allow` before any other check. A head without a method, such as a list of
    /// headers, passes.
    pub fn methods<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        let result = self.accept.set_methods(methods.into_iter().map(Into::into).collect());
        self.keep(result)
    }

    /// Sets the accepted content types, such as `application/json`. Parameters are ignored. Any other content type, or
    /// none, is refused with 415 and `Accept` before the signature is checked. By default any is accepted.
    ///
    /// Few schemes sign the content type, so this setting catches mistakes but verifies nothing about the body.
    pub fn content_types<T: Into<String>>(mut self, content_types: impl IntoIterator<Item = T>) -> Self {
        let result = self.accept.set_content_types(content_types.into_iter().map(Into::into).collect());
        self.keep(result)
    }

    /// Answers a provider's [`Handshake`] before the handler. It can be called several times: the first handshake that
    /// matches a request answers it.
    ///
    /// An unsigned handshake is answered from its head, whatever the accepted [`methods`](Self::methods) are. The route
    /// must pass its method to the adapter: `any(handler).layer(…)` on axum, `web::route().to(handler)` on actix-web.
    /// [`Quotas::handshakes`](crate::warden::Quotas::handshakes) limits them. A signed handshake is a delivery: it is
    /// verified and committed, but the handler does not run.
    ///
    /// ```
    /// use hookwarden::handshake::Handshake;
    /// use hookwarden::{Keyring, Scheme, Warden};
    ///
    /// let scheme = Scheme::slack();
    /// let keys = Keyring::new(scheme.secret("the-signing-secret-of-the-app")?);
    /// let handshake = Handshake::body("/challenge").when("/type", "url_verification");
    /// let warden = Warden::builder(scheme).only_sender(keys).handshake(handshake).build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn handshake(mut self, handshake: Handshake) -> Self {
        self.handshakes.push(handshake);
        self
    }

    /// Accepts a scheme that does not [cover](crate::Scheme::coverage) the body: a token, for example. **The body is then not
    /// verified:** anyone who sees one request can send any other body.
    pub const fn danger_unsigned_body(mut self) -> Self {
        self.unsigned_body = true;
        self
    }

    /// Keeps the first error for [`build`](Self::build).
    fn keep(mut self, result: Result<(), ConfigError>) -> Self {
        self.fault = self.fault.or(result.err());
        self
    }

    /// Returns the tolerance, or an error if the scheme has no timestamp.
    pub(super) fn check_tolerance(&self, tolerance: Tolerance) -> Result<Tolerance, ConfigError> {
        let scheme = &self.rules.scheme;
        if scheme.is_timestamped() {
            return Ok(tolerance);
        }
        let problem = format!("must not be set for {}, which signs no timestamp: remove it", scheme.name());
        Err(ConfigError::new("tolerance", problem))
    }

    pub(super) fn check_body_is_signed(&self) -> Result<(), ConfigError> {
        let (scheme, coverage) = (self.rules.scheme.name(), self.rules.scheme.coverage());
        match (coverage.body, self.unsigned_body) {
            (false, false) => {
                let problem = format!(
                    "must cover the body, but {scheme} covers {coverage}: anyone who sees one request could send any body. \
                     To accept that, call `danger_unsigned_body`"
                );
                Err(ConfigError::new("scheme", problem))
            }
            (true, true) => {
                let problem = format!("must not be set for {scheme}, which covers the body: remove it");
                Err(ConfigError::new("danger_unsigned_body", problem))
            }
            _ => Ok(()),
        }
    }

    /// Returns the replay setting. The default does not fit if two different requests can have the same signed content.
    pub(super) fn chosen_replay(replay: Option<Replay>, rules: &Rules) -> Result<Replay, ConfigError> {
        let (scheme, coverage) = (rules.scheme.name(), rules.scheme.coverage());
        // Without a timestamp, `Replay` itself demands a choice.
        let covers_message = coverage.body || coverage.url || coverage.id || !coverage.timestamp;
        if covers_message || replay.is_some() {
            return Ok(replay.unwrap_or_default());
        }
        let problem = format!(
            "must be set, because {scheme} covers neither the body nor the URL: different requests with one signature are \
             duplicates, and their handlers do not run. Set `Replay::danger_off` to handle each of them, or \
             `Replay::new` if every signature is used once, for example because it has a nonce"
        );
        Err(ConfigError::new("replay", problem))
    }
}

impl fmt::Debug for WardenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WardenBuilder").field("scheme", &self.rules.scheme.name()).finish_non_exhaustive()
    }
}
