//! The profiles that are shipped.

use super::builder::ProfileBuilder;
use super::problem::Parameter;
use super::profile::Profile;

impl Profile {
    /// Starts the profile for new webhooks. The signature covers `@method`, `@target-uri`, `content-type` and
    /// `content-digest`, and has `created`, `expires`, `nonce` and `keyid`. Set
    /// [`algorithms`](ProfileBuilder::algorithms). `origin` is the scheme and the host that senders use, such as
    /// `https://hooks.example.com`.
    ///
    /// ```
    /// use hookwarden::crypto::Algorithm;
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::HmacSha256]).build()?;
    /// let scheme = profile.scheme("acme")?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn webhooks(origin: &str) -> ProfileBuilder {
        Self::builder(origin).covers(["@method", "@target-uri", "content-type", "content-digest"]).requires([
            Parameter::Expires,
            Parameter::Nonce,
            Parameter::Keyid,
        ])
    }
}
