//! Building a profile.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::algorithms;
use super::authority::Hosts;
use super::component::Component;
use super::origin::Origin;
use super::problem::{Parameter, Problem};
use super::profile::{MAX_COMPONENTS, Profile, TagRule};
use super::structured::is_key;
use super::values::StructuredType;
use crate::crypto::Algorithm;
use crate::error::ConfigError;
use crate::headers::FieldName;
use crate::time::Tolerance;

impl Profile {
    /// Starts a profile. Set [`algorithms`](ProfileBuilder::algorithms) and [`covers`](ProfileBuilder::covers); by default
    /// a signature needs only the parameter `created`.
    ///
    /// `origin` is the scheme and the host that senders use, such as `https://hooks.example.com`. `@target-uri`,
    /// `@authority` and `@scheme` are taken from it, never from the request: a proxy changes the `Host` header and ends
    /// TLS.
    pub fn builder(origin: &str) -> ProfileBuilder {
        let mut builder =
            ProfileBuilder { profile: None, fault: None, clock_skew: None, max_age: Tolerance::DEFAULT.as_duration() };
        match Origin::parse(origin) {
            Ok(origin) => {
                builder.profile = Some(Self {
                    origin,
                    hosts: Hosts::OriginOr(Vec::new()),
                    algorithms: Vec::new(),
                    covered: Vec::new(),
                    covered_if_present: Vec::new(),
                    covered_with_body: Vec::new(),
                    required: alloc::vec![Parameter::Created],
                    forbidden: Vec::new(),
                    is_created_optional: false,
                    max_age: Tolerance::DEFAULT,
                    clock_skew: 0,
                    max_validity: None,
                    min_nonce_bytes: 0,
                    tag: TagRule::Untagged,
                    thumbprint_tag: None,
                    label: None,
                    preferred_label: None,
                    ignores_insufficient: false,
                    types: Vec::new(),
                    base64url_signatures: false,
                    normalized_target: false,
                    danger_unsigned_body: false,
                    danger_unsigned_target: false,
                });
            }
            Err(fault) => builder.fault = Some(fault),
        }
        builder
    }
}

/// Builds a [`Profile`]. Errors are reported by [`build`](Self::build).
///
/// ```
/// use hookwarden::crypto::Algorithm;
/// use hookwarden::message_signatures::{Parameter, Profile};
///
/// let builder = Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::HmacSha256]);
/// let builder = builder.requires([Parameter::Tag]);
/// let error = builder.forbids([Parameter::Tag]).build().unwrap_err();
/// assert_eq!(error.to_string(), "forbids: must not name tag, which a signature must have");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ProfileBuilder {
    /// `None` if the origin is invalid.
    profile: Option<Profile>,
    fault: Option<ConfigError>,
    /// `None` is the default.
    clock_skew: Option<Duration>,
    max_age: Duration,
}

impl ProfileBuilder {
    /// Sets the algorithms: HMAC-SHA-256 alone, or algorithms with public keys, at most one for each kind of key. The kind
    /// of a key determines its algorithm: a message cannot choose another one. You must call this, because there is no default.
    ///
    /// | algorithm | name in the RFC |
    /// | --- | --- |
    /// | [`Algorithm::HmacSha256`] | `hmac-sha256` |
    /// | [`Algorithm::Ed25519`] | `ed25519` |
    /// | [`Algorithm::EcdsaP256`] | `ecdsa-p256-sha256` |
    /// | [`Algorithm::RsaPkcs1`] | `rsa-v1_5-sha256` |
    /// | [`Algorithm::RsaPssSha512`] | `rsa-pss-sha512` |
    ///
    #[cfg_attr(all(feature = "ed25519", feature = "ecdsa"), doc = "```")]
    #[cfg_attr(not(all(feature = "ed25519", feature = "ecdsa")), doc = "```ignore")]
    /// use hookwarden::Keyring;
    /// use hookwarden::crypto::Algorithm;
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::webhooks("https://hooks.example.com");
    /// let profile = profile.algorithms([Algorithm::Ed25519, Algorithm::EcdsaP256]).build()?;
    /// let scheme = profile.scheme("acme")?;
    /// let ed25519 = scheme.public_key("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")?;
    /// let p256 = "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
    /// let keys = Keyring::new(ed25519).add(hookwarden::Key::new("2027", scheme.public_key(p256)?)?)?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let algorithms = algorithms.into_iter().collect();
        self.set(|profile| profile.algorithms = algorithms)
    }

    /// Sets the components that a signature must cover. It may cover more.
    ///
    /// A component is written as in `Signature-Input`, where its name needs no quotes: `@method`, `content-type`,
    /// `@query-param;name="id"`, `example-dict;key="a"`. A header without parameters is also covered by its form with
    /// `sf` or `bs`, never by one of its members.
    pub fn covers<C: AsRef<str>>(mut self, components: impl IntoIterator<Item = C>) -> Self {
        let covered = self.components("covers", components);
        self.set(|profile| profile.covered = covered)
    }

    /// Sets the parameters that a signature must have, besides `created`.
    pub fn requires(self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        let mut required = alloc::vec![Parameter::Created];
        for parameter in parameters {
            if !required.contains(&parameter) {
                required.push(parameter);
            }
        }
        self.set(|profile| profile.required = required)
    }

    /// Sets the parameters that a signature must not have.
    pub fn forbids(self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        let forbidden = parameters.into_iter().collect();
        self.set(|profile| profile.forbidden = forbidden)
    }

    /// Sets the maximum age of a signature: 1 second to 1 day, in whole seconds. The default is 300 seconds.
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how far the clocks of the sender and the receiver may differ: how far `created` may be in the future, and
    /// how long a signature is still valid after `expires`. The default is 60 seconds, or the maximum age if that is less.
    pub const fn clock_skew(mut self, clock_skew: Duration) -> Self {
        self.clock_skew = Some(clock_skew);
        self
    }

    /// Sets the label of the signature. Signatures with other labels are ignored. A label is not signed, so anyone can
    /// change it: it distinguishes signatures and proves nothing. If a sender makes several signatures that meet the profile,
    /// a request can be replayed once with each of them. A [`tag`](Self::tag) is signed and prevents that.
    ///
    /// Without a label, exactly one signature must have the tag of the profile; if it has no tag either, a request must
    /// have exactly one signature.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        let label = label.into();
        if !is_key(&label) {
            self.keep("label", "must start with a-z or `*`, followed by a-z 0-9 _ - . *");
        }
        self.set(|profile| profile.label = Some(label))
    }

    /// Sets the type of a header that is a structured field, so that signatures can cover it with `sf`, and so that a list
    /// or a dictionary can arrive in several lines. The types of `content-digest`, `repr-digest`, `priority`, `signature` and
    /// `signature-input` are known.
    pub fn structured_field(mut self, name: &str, structured_type: StructuredType) -> Self {
        match FieldName::new(name) {
            Ok(name) => self.set(|profile| profile.types.push((name, structured_type))),
            Err(_) => {
                self.keep("structured_field", alloc::format!("must be a header, not {name:?}"));
                self
            }
        }
    }

    /// Permits a profile that does not cover `content-digest`. **Anyone who sees one request can send any other body with
    /// it.** A digest that the signature covers is still verified.
    pub fn danger_unsigned_body(self) -> Self {
        self.set(|profile| profile.danger_unsigned_body = true)
    }

    /// Permits a profile that does not cover the method and the URL. **A signature for one route is valid on every other.**
    pub fn danger_unsigned_target(self) -> Self {
        self.set(|profile| profile.danger_unsigned_target = true)
    }

    /// Checks the profile as a whole.
    ///
    /// # Errors
    /// A setting is malformed or contradicts another. [`ConfigError::field`] names the first one found.
    pub fn build(mut self) -> Result<Profile, ConfigError> {
        if let Some(problem) = self.profile.as_ref().and_then(|profile| algorithms::problem(&profile.algorithms)) {
            self.keep("algorithms", problem);
        }
        let max_age = Tolerance::new(self.max_age).unwrap_or_else(|_| {
            self.keep("max_age", "must be whole seconds from 1 s to 86400 s");
            Tolerance::DEFAULT
        });
        let clock_skew = self.clock_skew.unwrap_or(DEFAULT_SKEW.min(self.max_age));
        if clock_skew.subsec_nanos() != 0 || clock_skew > self.max_age {
            self.keep("clock_skew", "must be whole seconds and at most the maximum age");
        }
        if let Some(profile) = &mut self.profile {
            if profile.is_created_optional {
                profile.required.retain(|parameter| *parameter != Parameter::Created);
            }
            let tag = matches!(profile.tag, TagRule::Exactly(_)).then_some(Parameter::Tag);
            let keyid = profile.thumbprint_tag.as_ref().map(|_| Parameter::Keyid);
            let thumbprint_problem = profile.thumbprint_problem();
            let mut needed = profile.required.iter().copied().chain(tag).chain(keyid);
            let both = needed.find(|parameter| profile.forbidden.contains(parameter));
            let needs_rule = profile.required.contains(&Parameter::Tag) && matches!(profile.tag, TagRule::Untagged);
            if let Some((field, problem)) = thumbprint_problem {
                self.keep(field, problem);
            }
            if let Some(both) = both {
                self.keep("forbids", alloc::format!("must not name {both}, which a signature must have"));
            }
            if needs_rule {
                self.keep("requires", "must not name tag unless tag, optional_tag or danger_any_tag is set");
            }
        }
        let covers_body = self.profile.as_ref().is_none_or(Profile::covers_body);
        if !covers_body {
            self.keep("covers", "must contain content-digest, or set danger_unsigned_body");
        }
        let covers_target = self.profile.as_ref().is_none_or(Profile::covers_target);
        if !covers_target {
            let problem = "must contain @method and either @target-uri or both @authority and @path, or set \
                           danger_unsigned_target";
            self.keep("covers", problem);
        }
        match (self.fault, self.profile) {
            (None, Some(mut profile)) => {
                profile.max_age = max_age;
                profile.clock_skew = i64::try_from(clock_skew.as_secs()).unwrap_or_default();
                Ok(profile)
            }
            (fault, _) => Err(fault.unwrap_or(ConfigError::fixed("origin", "must be set"))),
        }
    }

    /// The default port of the origin. `None` if the origin is invalid.
    pub(super) fn default_port(&self) -> Option<u16> {
        self.profile.as_ref().map(|profile| profile.origin.default_port())
    }

    /// Reads the components of a setting, whose name is `field`.
    pub(super) fn components<C: AsRef<str>>(
        &mut self,
        field: &'static str,
        components: impl IntoIterator<Item = C>,
    ) -> Vec<Component> {
        let mut read: Vec<Component> = Vec::new();
        for text in components {
            match Component::parse(text.as_ref()) {
                Ok(component) if read.iter().any(|other| other.kind == component.kind) => {
                    self.keep(field, alloc::format!("must name each component once, but {} is twice", text.as_ref()));
                }
                Ok(component) => read.push(component),
                Err(Problem::Component(why)) => {
                    self.keep(field, alloc::format!("must be components of a request, not {:?}: {why}", text.as_ref()));
                }
                Err(problem) => self.keep(field, alloc::format!("must be components of a request: {problem}")),
            }
        }
        if read.len() > MAX_COMPONENTS {
            self.keep(field, alloc::format!("must be at most {MAX_COMPONENTS} components"));
        }
        read
    }

    pub(super) fn set(mut self, change: impl FnOnce(&mut Profile)) -> Self {
        if let Some(profile) = &mut self.profile {
            change(profile);
        }
        self
    }

    pub(super) fn keep(&mut self, field: &'static str, problem: impl Into<Cow<'static, str>>) {
        self.fault.get_or_insert(ConfigError::new(field, problem));
    }
}

const DEFAULT_SKEW: Duration = Duration::from_secs(60);
