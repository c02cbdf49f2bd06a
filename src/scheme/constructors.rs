//! Schemes that the application verifies itself, and tokens.

use alloc::borrow::Cow;
#[cfg(feature = "message-signatures")]
use alloc::vec::Vec;

#[cfg(doc)]
use super::Coverage;
use super::check::{NOT_A_PREFIX, demand, is_prefix};
use super::custom::Custom;
use super::token_header::TokenHeader;
use super::{CustomScheme, Scheme};
use crate::crypto::Algorithm;
use crate::error::ConfigError;
use crate::headers::FieldName;

impl Scheme {
    /// Creates a scheme that the application verifies itself. `algorithm` sets the kind of its keys.
    ///
    /// [`into_builder`](Self::into_builder) changes the tolerance, the format of its secrets and the maximum number of
    /// signatures, and names the headers that carry signatures.
    ///
    /// # Errors
    /// The name is not 1 to 64 characters of `A-Z a-z 0-9 . _ -`, or the algorithm needs a feature that is off.
    pub fn custom(
        name: impl Into<Cow<'static, str>>,
        algorithm: Algorithm,
        scheme: impl CustomScheme,
    ) -> Result<Self, ConfigError> {
        Self::builder(name).algorithm(algorithm).custom(Custom::new(scheme)).build()
    }

    /// Like [`custom`](Self::custom), with algorithms for different kinds of keys: at least one.
    #[cfg(feature = "message-signatures")]
    pub(crate) fn custom_with_algorithms(
        name: impl Into<Cow<'static, str>>,
        algorithms: Vec<Algorithm>,
        scheme: impl CustomScheme,
        min_lifetime: Option<u32>,
    ) -> Result<Self, ConfigError> {
        let first = algorithms.first().copied().unwrap_or_default();
        let custom = Custom { min_lifetime, ..Custom::with_algorithms(scheme, algorithms) };
        Self::builder(name).algorithm(first).custom(custom).build()
    }

    /// Creates a scheme without a signature: a request contains the secret itself, for example as a password. Its checks
    /// call [`LiveKeys::verify_token`](crate::crypto::LiveKeys::verify_token).
    ///
    /// **A token proves nothing about the request.** Anyone who sees one request, such as a proxy that logs headers, can
    /// send any body until the token is changed. The [coverage](Self::coverage) is
    /// [`Coverage::NOTHING`](crate::scheme::Coverage::NOTHING), whatever `scheme` says, so a Warden refuses it unless
    /// `danger_unsigned_body` is set.
    ///
    /// For a token in a header there is [`danger_token_header`](Self::danger_token_header).
    ///
    /// # Errors
    /// As for [`custom`](Self::custom).
    pub fn danger_custom_token(
        name: impl Into<Cow<'static, str>>,
        scheme: impl CustomScheme,
    ) -> Result<Self, ConfigError> {
        Self::builder(name).custom(Custom::token(scheme)).build()
    }

    /// Creates a scheme whose requests have the secret itself in the header `header`, after `prefix`, such as Telegram's
    /// `X-Telegram-Bot-Api-Secret-Token`. The case of the prefix does not matter. A delivery is identified by its body, so a Warden
    /// also needs a `Replay` setting.
    ///
    /// **A token proves nothing about the request:** see [`danger_custom_token`](Self::danger_custom_token).
    ///
    /// ```
    /// use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
    ///
    /// let telegram = Scheme::danger_token_header("telegram", "X-Telegram-Bot-Api-Secret-Token", "")?;
    /// let verifier = Verifier::new(telegram.clone(), Keyring::new(telegram.secret("a-token-of-your-choice")?))?;
    /// let head = [("X-Telegram-Bot-Api-Secret-Token", "a-token-of-your-choice")];
    /// assert!(verifier.verify_at(&head, b"{}", Timestamp::from_unix(1_800_000_000)).is_ok());
    ///
    /// let bearer = Scheme::danger_token_header("acme", "Authorization", "Bearer ")?;
    /// // With Basic authentication the secret is the base64 of `user:password`.
    /// let basic = Scheme::danger_token_header("acme", "Authorization", "Basic ")?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The name is not 1 to 64 characters of `A-Z a-z 0-9 . _ -`, `header` is not a header name, or `prefix` has other
    /// characters than visible ASCII and spaces, or starts with a space.
    pub fn danger_token_header(
        name: impl Into<Cow<'static, str>>,
        header: &str,
        prefix: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ConfigError> {
        let token = TokenHeader { header: FieldName::new(header)?, prefix: prefix.into() };
        demand(is_prefix(&token.prefix), "prefix", NOT_A_PREFIX)?;
        Self::builder(name).signature_header(header).custom(Custom::token(token)).build()
    }

    /// Whether the keys are [tokens](Self::danger_custom_token).
    pub(crate) fn uses_tokens(&self) -> bool {
        self.custom.as_ref().is_some_and(|custom| custom.is_token)
    }

    pub(crate) const fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// Whether it verifies HTTP Message Signatures: only these name several algorithms.
    pub(crate) fn is_message_signature(&self) -> bool {
        self.custom.as_ref().is_some_and(|custom| !custom.algorithms.is_empty())
    }

    /// The application's scheme if it is a `T`.
    #[cfg(all(feature = "diagnose", feature = "message-signatures"))]
    pub(crate) fn custom_as<T: core::any::Any>(&self) -> Option<&T> {
        let scheme: &dyn core::any::Any = &*self.custom.as_ref()?.scheme;
        scheme.downcast_ref()
    }

    /// Whether the check of a custom scheme keeps a copy of the body.
    #[cfg(feature = "warden")]
    pub(crate) fn keeps_body(&self) -> bool {
        self.custom.as_ref().is_some_and(|custom| custom.keeps_body)
    }
}
