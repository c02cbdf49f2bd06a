//! Settings of a profile that follow other specifications than RFC 9421.

use alloc::string::String;
use core::time::Duration;

use super::builder::ProfileBuilder;
use super::component::{Form, Kind};
use super::profile::{Profile, TagRule};
use super::structured::{is_key, string};

impl ProfileBuilder {
    /// Sets the headers that a signature must cover if the request has them. `@query` can be one of them: a request has it
    /// if its target has a `?`.
    ///
    /// A header is also covered by its form with `sf` or `bs`, by its only member, and by the member whose key is the label
    /// of the signature: for a signature with the label `sig1`, `"signature-agent";key="sig1"` covers
    /// `Signature-Agent: sig1="https://bot.example", other="https://other.example"`. **The other members are then not
    /// verified:** a handler that reads such a header must only use the member that is signed.
    ///
    /// ```
    /// use hookwarden::crypto::Algorithm;
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::builder("https://hooks.example.com")
    ///     .algorithms([Algorithm::HmacSha256])
    ///     .covers(["@method", "@authority", "@path", "content-digest"])
    ///     .covers_if_present(["@query", "idempotency-key"])
    ///     .build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn covers_if_present<C: AsRef<str>>(mut self, components: impl IntoIterator<Item = C>) -> Self {
        let components = self.components("covers_if_present", components);
        let can_be_absent = |kind: &Kind| match kind {
            Kind::Query => true,
            Kind::Field(_, form) => !matches!(form, Form::Member(_)),
            _ => false,
        };
        if !components.iter().all(|component| can_be_absent(&component.kind)) {
            self.keep("covers_if_present", "must be whole headers or @query");
        }
        self.set(|profile| profile.covered_if_present = components)
    }

    /// Sets the components that a signature must cover if the request has a body. With `content-digest` among them, a
    /// signature that does not cover the digest is only valid for an empty body.
    ///
    /// Whether a request has a body is known when its first byte has arrived, so such a request is refused after the look-up
    /// of its keys.
    pub fn covers_with_body<C: AsRef<str>>(mut self, components: impl IntoIterator<Item = C>) -> Self {
        let components = self.components("covers_with_body", components);
        self.set(|profile| profile.covered_with_body = components)
    }

    /// Permits signatures without `created`. The age of those that have it is limited as usual. Without `created`, `expires`
    /// must be at most the maximum age in the future.
    ///
    /// **A signature without either is valid for as long as its key.** The scheme then has no timestamp, so a Warden needs a
    /// `warden::Replay` setting. A signature with `created` or `expires` can arrive again for the maximum age and the clock
    /// skew, and its body for the deadline of the Warden. A `Replay::lifetime` must be longer than these and 10 seconds
    /// together, unless the profile [forbids](Self::forbids) both parameters. **Copies of signatures without either are only
    /// refused within the lifetime.**
    pub fn created_optional(self) -> Self {
        self.set(|profile| profile.is_created_optional = true)
    }

    /// Sets which signature counts if several have the tag of the profile: the one with this label. If none of them has it,
    /// there must be exactly one. A signer writes this label.
    ///
    /// A label is not signed: see [`label`](Self::label). If a sender makes several signatures that meet the profile, anyone
    /// can choose the one that counts.
    pub fn preferred_label(mut self, label: impl Into<String>) -> Self {
        let label = label.into();
        if !is_key(&label) {
            self.keep("preferred_label", "must start with a-z or `*`, followed by a-z 0-9 _ - . *");
        }
        self.set(|profile| profile.preferred_label = Some(label))
    }

    /// If several signatures have the label and the tag of the profile, ignores those that lack a parameter or a component
    /// that the profile demands, or whose parameters it refuses: for example, the minimum of Web Bot Auth beside a signature
    /// of the whole request. If exactly one is left, it counts; if several are left, the request is refused.
    ///
    /// The components of [`covers_with_body`](Self::covers_with_body) are not compared, because signatures are chosen
    /// before the body arrives.
    pub fn ignores_insufficient_signatures(self) -> Self {
        self.set(|profile| profile.ignores_insufficient = true)
    }

    /// Sets the maximum time from `created` to `expires`, in whole seconds. By default it is not limited, but every signature
    /// ends with the maximum age.
    pub fn max_validity(mut self, max_validity: Duration) -> Self {
        let seconds = i64::try_from(max_validity.as_secs()).ok().filter(|seconds| *seconds > 0);
        let seconds = seconds.filter(|_| max_validity.subsec_nanos() == 0);
        if seconds.is_none() {
            self.keep("max_validity", "must be whole seconds, at least 1 s");
        }
        self.set(|profile| profile.max_validity = seconds)
    }

    /// Demands that a nonce is base64url without padding (RFC 4648 section 5) of at least this many bytes: 1 to 1024. It
    /// does not demand that there is a nonce: see [`requires`](Self::requires).
    pub fn min_nonce_bytes(mut self, bytes: usize) -> Self {
        if !(1..=1024).contains(&bytes) {
            self.keep("min_nonce_bytes", "must be 1 to 1024");
        }
        self.set(|profile| profile.min_nonce_bytes = bytes)
    }

    /// Sets the value that the parameter `tag` must have. Signatures with another tag or without one are ignored.
    ///
    /// Without this setting, signatures that have a tag are ignored: a tag says for which application a message is signed.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.tag_setting("tag", tag.into(), |profile, tag| profile.tag = TagRule::Exactly(tag))
    }

    /// Like [`tag`](Self::tag), but signatures without a tag also count. A signer writes no tag.
    pub fn optional_tag(self, tag: impl Into<String>) -> Self {
        self.tag_setting("optional_tag", tag.into(), |profile, tag| profile.tag = TagRule::Optional(tag))
    }

    /// Lets signatures with any tag count. **A message that is signed for another application with the same key is then
    /// valid, too.**
    pub fn danger_any_tag(self) -> Self {
        self.set(|profile| profile.tag = TagRule::Any)
    }

    /// Demands of signatures with this tag that `keyid` is the JWK thumbprint of the key
    /// ([`PublicKey::thumbprint`](crate::PublicKey::thumbprint)). No other key of the sender then verifies them, whatever the
    /// names of the keys are. A signer that writes the tag writes the thumbprint by default. The `keyid` of signatures without
    /// the tag is not compared with the key.
    ///
    /// The tag must be one that [`tag`](Self::tag), [`optional_tag`](Self::optional_tag) or
    /// [`danger_any_tag`](Self::danger_any_tag) permits.
    ///
    /// [`Profile::ucp`](super::Profile::ucp) and [`Profile::danger_web_bots`](super::Profile::danger_web_bots) set it.
    pub fn thumbprint_keyid(self, tag: impl Into<String>) -> Self {
        self.tag_setting("thumbprint_keyid", tag.into(), |profile, tag| profile.thumbprint_tag = Some(tag))
    }

    /// Undoes [`thumbprint_keyid`](Self::thumbprint_keyid): permits any `keyid` with its tag, **also one that names another key
    /// of the sender.** A sender can then give two keys the same name, or use another name than the one by which others know
    /// its key. A key of the sender must still verify the signature.
    pub fn danger_any_keyid(self) -> Self {
        self.set(|profile| profile.thumbprint_tag = None)
    }

    /// Reads and writes the signature in base64url without padding. RFC 9421 has base64, and such signatures do not count then.
    /// In `Content-Digest` both forms are accepted, and base64 is written. AdCP signs its webhooks this way.
    pub fn base64url_signatures(self) -> Self {
        self.set(|profile| profile.base64url_signatures = true)
    }

    /// Normalizes URLs as AdCP's
    /// [URL canonicalization](https://adcontextprotocol.org/docs/reference/url-canonicalization). The path has no dot
    /// segments, its percent-encoding is in upper case, and unreserved characters are not encoded. The host of the origin has
    /// no dot at its end. Empty segments, `%2F` and the query stay.
    ///
    /// Anyone can then change how the path of a signed request is written. Do not let a router treat `/a/./b`, `/c/../a/b`
    /// or `/%61/b` as another route than `/a/b`.
    pub fn normalized_target(self) -> Self {
        self.set(|profile| {
            profile.normalized_target = true;
            profile.origin = profile.origin.clone().without_root_dot();
        })
    }

    fn tag_setting(mut self, field: &'static str, tag: String, change: impl FnOnce(&mut Profile, String)) -> Self {
        if tag.is_empty() || string(&tag).is_none() {
            self.keep(field, "must be visible ASCII and spaces, and not empty");
        }
        self.set(|profile| change(profile, tag))
    }
}
