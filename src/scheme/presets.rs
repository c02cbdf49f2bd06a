//! The schemes that come with the crate.

mod github;
mod slack;
mod standard_webhooks;
mod stripe;
mod timestamped;

use super::Scheme;

impl Scheme {
    /// The default scheme: `X-Webhook-Signature` is the hex of HMAC-SHA-256 over `timestamp.body`, and
    /// `X-Webhook-Timestamp` is in Unix seconds.
    #[must_use]
    pub fn timestamped() -> Self {
        timestamped::scheme()
    }

    /// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
    /// `webhook-id`, `webhook-timestamp`, and one or more `v1,` + base64 in `webhook-signature`. A secret is base64,
    /// with or without padding and the prefix `whsec_`.
    ///
    /// Some senders use the text of the secret itself as the key, such as Polar:
    ///
    /// ```
    /// use hookwarden::Scheme;
    /// use hookwarden::scheme::SecretFormat;
    ///
    /// let scheme = Scheme::standard_webhooks().into_builder().name("polar").secret_format(SecretFormat::Literal).build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    #[must_use]
    pub fn standard_webhooks() -> Self {
        standard_webhooks::scheme()
    }

    /// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
    /// with Ed25519: like [`standard_webhooks`](Self::standard_webhooks), with `v1a,` + base64 in `webhook-signature`. A
    /// public key is base64 after the prefix `whpk_`, and a private key after `whsk_`. Entries with `v1,` in the same
    /// header are ignored.
    #[cfg(feature = "ed25519")]
    #[must_use]
    pub fn standard_webhooks_v1a() -> Self {
        standard_webhooks::v1a()
    }

    /// [Stripe](https://docs.stripe.com/webhooks#verify-manually): `Stripe-Signature: t=…,v1=…`. The whole text of a
    /// secret is the key, `whsec_` included.
    #[must_use]
    pub fn stripe() -> Self {
        stripe::scheme()
    }

    /// [GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries):
    /// `X-Hub-Signature-256: sha256=…`. It signs only the body, so a message never expires, and a replay cannot be
    /// distinguished from a second delivery with the same body. A Warden for it requires a replay setting that says how
    /// to handle equal bodies.
    #[must_use]
    pub fn github() -> Self {
        github::scheme()
    }

    /// [Slack](https://docs.slack.dev/authentication/verifying-requests-from-slack): `X-Slack-Signature: v0=…` and
    /// `X-Slack-Request-Timestamp`.
    #[must_use]
    pub fn slack() -> Self {
        slack::scheme()
    }
}
