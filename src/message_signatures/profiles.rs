//! The profiles that are shipped.

use core::time::Duration;

use super::builder::ProfileBuilder;
use super::problem::Parameter;
use super::profile::Profile;
use crate::crypto::Algorithm;

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
    /// Starts the profile of [AdCP](https://adcontextprotocol.org/docs/building/by-layer/L1/security) webhooks,
    /// `adcp/webhook-signing/v1`. `origin` is that of the URL that you registered.
    ///
    /// The signature with the tag counts; if there are several, the one with the label `sig1`. It covers `@method`, `@target-uri`, `@authority`, `content-type` and
    /// `content-digest`. It has `created`, `expires` at most 300 seconds later, a `nonce` of at least 16 bytes, `keyid`,
    /// `alg` and the tag. Keys are Ed25519 or ECDSA P-256, for which the features `ed25519` and `ecdsa` are needed. The signature
    /// is in base64url, as in all 3.x versions of AdCP.
    ///
    /// These checks of the specification are yours, or those of the package that loads the keys:
    ///
    /// * The key is that of the sender that you registered, from the `jwks_uri` in its `brand.json`. Its `adcp_use` is
    ///   `request-signing` or `webhook-signing`, and its `key_ops` contain `verify`.
    /// * The key is not in the sender's revocation list. Remove its keys when the list is too old.
    /// * The JSON has no duplicate keys. Deliveries with the same `idempotency_key` are one.
    ///
    /// Give a Warden quotas for each sender: they limit its share of the replay store.
    ///
    #[cfg_attr(all(feature = "ed25519", feature = "ecdsa"), doc = "```")]
    #[cfg_attr(not(all(feature = "ed25519", feature = "ecdsa")), doc = "```ignore")]
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::adcp_webhooks("https://buyer.example.com").build()?;
    /// let scheme = profile.scheme("adcp")?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn adcp_webhooks(origin: &str) -> ProfileBuilder {
        let covered = ["@method", "@target-uri", "@authority", "content-type", "content-digest"];
        Self::adcp(origin).covers(covered).tag("adcp/webhook-signing/v1").base64url_signatures()
    }

    /// Starts the profile of signed [AdCP](https://adcontextprotocol.org/docs/building/by-layer/L1/security) requests,
    /// `adcp/request-signing/v1`, as in version 3.2. `origin` is that of your agent's URL.
    ///
    /// It is that of [`adcp_webhooks`](Self::adcp_webhooks) with another tag, with a signature in base64, and only requests
    /// with a body must cover `content-type` and `content-digest`. The same checks are yours, and `adcp_use` must be
    /// `request-signing`.
    ///
    /// To refuse requests with an `Authorization` header that is not signed, which the specification recommends, add
    /// `covers_if_present(["authorization"])`.
    ///
    /// Versions 3.0 and 3.1 write the signature in base64url. Give their senders a separate endpoint, and add
    /// [`base64url_signatures`](ProfileBuilder::base64url_signatures) to its profile. These versions permit unsigned bodies,
    /// but the profile refuses requests that have them.
    pub fn adcp_requests(origin: &str) -> ProfileBuilder {
        let profile = Self::adcp(origin).covers(["@method", "@target-uri", "@authority"]);
        profile.covers_with_body(["content-type", "content-digest"]).tag("adcp/request-signing/v1")
    }

    fn adcp(origin: &str) -> ProfileBuilder {
        Self::builder(origin)
            .algorithms([Algorithm::Ed25519, Algorithm::EcdsaP256])
            .requires([Parameter::Expires, Parameter::Nonce, Parameter::Keyid, Parameter::Alg])
            .preferred_label("sig1")
            // The specification limits the age by `expires`, which has 60 seconds of grace.
            .max_validity(Duration::from_secs(300))
            .max_age(Duration::from_secs(360))
            .clock_skew(Duration::from_secs(60))
            .min_nonce_bytes(16)
            .normalized_target()
    }

    /// Starts the profile of [UCP](https://ucp.dev/specification/signatures/) requests and webhooks. `origin` is that of the
    /// URL that you gave to the other party.
    ///
    /// A signature covers `@method`, `@authority` and `@path`. It covers `@query`, `ucp-agent`, `signature-agent` and
    /// `idempotency-key` if the request has them, and `content-digest` and `content-type` if it has a body. It has `keyid`. Its
    /// tag is `web-bot-auth`, or it has none. Keys are ECDSA P-256 or Ed25519 (features `ecdsa` and
    /// `ed25519`); P-384 is not supported.
    ///
    /// * **Replay.** `created` is optional, so a signature can be valid for as long as its key. If it is present, it is at
    ///   most a day old. Without it, `expires` is at most a day ahead. A Warden needs a `warden::Replay` setting:
    ///   * For webhooks, set `Replay::lifetime`. It must be longer than the maximum age, the clock skew, the Warden's deadline
    ///     for the body and 10 seconds together: a little more than a day. A signature with neither `created` nor `expires` is
    ///     accepted again after the lifetime.
    ///   * For requests, set `Replay::danger_simultaneous_only` or `Replay::danger_off`. A `GET` that is sent again and a retry
    ///     with the same `Idempotency-Key` can have the same signature, and must reach the handler. The handler must
    ///     answer a retry from what it stored for the `Idempotency-Key`, and must have no effect for a `GET`. This
    ///     profile only demands that the header is signed if it is present.
    /// * **Who signed.** Look the key up in the UCP profile of a party that you know, and compare `UCP-Agent` with it. With the tag
    ///   `web-bot-auth`, the `keyid` must be the RFC 7638 thumbprint of the key
    ///   ([`thumbprint_keyid`](ProfileBuilder::thumbprint_keyid)); without the tag, `keyid` is not compared with
    ///   the key: select the keys by `keyid` ([`Profile::keyid`], `hookwarden-jwks`). Check that an order belongs to the business
    ///   that signed its webhook.
    ///   If `Signature-Agent` has several members, use the one whose key is the label of the signature, and compare it with
    ///   the party. The profile does not verify the others.
    /// * **One signature.** Signatures that cover too little, such as the minimum of Web Bot Auth, are
    ///   [ignored](ProfileBuilder::ignores_insufficient_signatures) if there are others. The specification
    ///   accepts a request if one of several sufficient signatures is valid. This profile refuses several: set a
    ///   [`label`](ProfileBuilder::label) if a sender makes them.
    ///
    /// A signer writes no tag. With `tag("web-bot-auth")` it writes the tag and the thumbprint. The specification's section "WBA
    /// Interop" then also demands `expires` and the component `signature-agent` with the label as its `key`: set them with
    /// [`requires`](ProfileBuilder::requires) and [`covers`](ProfileBuilder::covers).
    ///
    /// The example of a webhook in the specification of orders does not cover `ucp-agent`, although its
    /// algorithm demands it. For such senders, set [`covers_if_present`](ProfileBuilder::covers_if_present) without it.
    ///
    #[cfg_attr(all(feature = "ed25519", feature = "ecdsa"), doc = "```")]
    #[cfg_attr(not(all(feature = "ed25519", feature = "ecdsa")), doc = "```ignore")]
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::ucp("https://platform.example.com").build()?;
    /// let scheme = profile.scheme("ucp")?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn ucp(origin: &str) -> ProfileBuilder {
        Self::builder(origin)
            .algorithms([Algorithm::EcdsaP256, Algorithm::Ed25519])
            .covers(["@method", "@authority", "@path"])
            .covers_if_present(["@query", "ucp-agent", "signature-agent", "idempotency-key"])
            .covers_with_body(["content-digest", "content-type"])
            .requires([Parameter::Keyid])
            .created_optional()
            .ignores_insufficient_signatures()
            .max_age(DAY)
            .optional_tag(WEB_BOT_AUTH)
            .thumbprint_keyid(WEB_BOT_AUTH)
    }

    /// Starts the profile of [Web Bot
    /// Auth](https://datatracker.ietf.org/doc/draft-meunier-webbotauth-httpsig-protocol/00/): it shows which bot sends a request.
    /// **The signature covers neither the method nor the path nor the body**: anyone who sees a request can send any other to the
    /// same host until it expires. Do not act on such requests; for that, the sender must cover more, and
    /// [`covers`](ProfileBuilder::covers) must demand it.
    ///
    /// A signature covers `@authority` or `@target-uri`, and `signature-agent` if the request has this header. It has `created`, at most a day
    /// ago, `expires`, `keyid` and the tag `web-bot-auth`. The algorithm is Ed25519; set
    /// [`algorithms`](ProfileBuilder::algorithms) for others.
    ///
    /// Look the key up in the directory of a bot that you know. The `keyid` must be the RFC 7638 thumbprint of the key
    /// ([`thumbprint_keyid`](ProfileBuilder::thumbprint_keyid)). If `Signature-Agent` has several members, compare the one whose key is the label of the signature with the bot: the
    /// others are not verified.
    ///
    /// A Warden also needs `danger_unsigned_body` and `Replay::danger_off()`: bots use a signature for several requests, and two
    /// requests in one second have the same one. With replay protection, all but the first are answered as duplicates.
    ///
    #[cfg_attr(feature = "ed25519", doc = "```")]
    #[cfg_attr(not(feature = "ed25519"), doc = "```ignore")]
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::danger_web_bots("https://example.com").build()?;
    /// let scheme = profile.scheme("web-bots")?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn danger_web_bots(origin: &str) -> ProfileBuilder {
        Self::builder(origin)
            .algorithms([Algorithm::Ed25519])
            .covers(["@authority"])
            .covers_if_present(["signature-agent"])
            .requires([Parameter::Expires, Parameter::Keyid])
            .max_age(DAY)
            .tag(WEB_BOT_AUTH)
            .thumbprint_keyid(WEB_BOT_AUTH)
            .danger_unsigned_body()
            .danger_unsigned_target()
    }
}

const DAY: Duration = Duration::from_secs(86_400);
const WEB_BOT_AUTH: &str = "web-bot-auth";
