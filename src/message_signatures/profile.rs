//! What a message must have.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::component::{Component, Kind};
use super::origin::Origin;
use super::problem::{Parameter, Problem};
use super::structured::{is_key, string};
use super::values::StructuredType;
use crate::error::ConfigError;
use crate::headers::FieldName;
use crate::time::Tolerance;

/// What a signed request must have: the covered components and the parameters of its signature, and its age.
///
/// A profile must cover the body, the method and the URL: `content-digest`, `@method`, and either `@target-uri` or both
/// `@authority` and `@path`. Settings with `danger` in their names permit less.
///
/// ```
/// use core::time::Duration;
/// use hookwarden::message_signatures::{Parameter, Profile};
///
/// let profile = Profile::builder("https://hooks.example.com")
///     .covers(["@method", "@target-uri", "@query-param;name=\"tenant\"", "content-digest"])
///     .requires([Parameter::Keyid])
///     .forbids([Parameter::Alg])
///     .tag("acme-webhooks")
///     .max_age(Duration::from_secs(120))
///     .build()?;
///
/// let error = Profile::builder("hooks.example.com").build().unwrap_err();
/// assert_eq!(error.field(), "origin");
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Profile {
    pub(super) origin: Origin,
    pub(super) covered: Vec<Component>,
    pub(super) required: Vec<Parameter>,
    pub(super) forbidden: Vec<Parameter>,
    pub(super) max_age: Tolerance,
    /// In seconds, at most the maximum age.
    pub(super) clock_skew: i64,
    pub(super) tag: Option<String>,
    pub(super) label: Option<String>,
    pub(super) types: Vec<(FieldName, StructuredType)>,
    pub(super) danger_unsigned_body: bool,
    danger_unsigned_target: bool,
}

impl Profile {
    /// The profile for new webhooks. The signature covers `@method`, `@target-uri`, `content-type` and `content-digest`,
    /// and has `created`, `expires`, `nonce` and `keyid`. `origin` is the scheme and the host that senders use, such as
    /// `https://hooks.example.com`.
    ///
    /// # Errors
    /// `origin` is not `http(s)://host` or `http(s)://host:port`.
    pub fn webhooks(origin: &str) -> Result<Self, ConfigError> {
        Self::builder(origin)
            .covers(["@method", "@target-uri", "content-type", "content-digest"])
            .requires([Parameter::Expires, Parameter::Nonce, Parameter::Keyid])
            .build()
    }

    /// Starts a profile. Set [`covers`](ProfileBuilder::covers); by default a signature needs only the parameter `created`.
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
                    covered: Vec::new(),
                    required: alloc::vec![Parameter::Created],
                    forbidden: Vec::new(),
                    max_age: Tolerance::DEFAULT,
                    clock_skew: 0,
                    tag: None,
                    label: None,
                    types: Vec::new(),
                    danger_unsigned_body: false,
                    danger_unsigned_target: false,
                });
            }
            Err(fault) => builder.fault = Some(fault),
        }
        builder
    }

    /// A signature that covers no digest would be valid with an empty body, too.
    fn covers_body(&self) -> bool {
        self.danger_unsigned_body || self.covered.iter().any(Component::is_content_digest)
    }

    fn covers_target(&self) -> bool {
        let covers = |kind| self.covered.iter().any(|component| component.kind == kind);
        let covers_url = covers(Kind::TargetUri) || (covers(Kind::Authority) && covers(Kind::Path));
        self.danger_unsigned_target || (covers(Kind::Method) && covers_url)
    }
}

/// Builds a [`Profile`]. Errors are reported by [`build`](Self::build).
///
/// ```
/// use hookwarden::message_signatures::{Parameter, Profile};
///
/// let builder = Profile::builder("https://hooks.example.com").requires([Parameter::Tag]);
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
    /// Sets the components that a signature must cover. It may cover more.
    ///
    /// A component is written as in `Signature-Input`, where its name needs no quotes: `@method`, `content-type`,
    /// `@query-param;name="id"`, `example-dict;key="a"`. A header without parameters is also covered by its form with
    /// `sf` or `bs`, never by one of its members.
    pub fn covers<C: AsRef<str>>(mut self, components: impl IntoIterator<Item = C>) -> Self {
        let mut covered: Vec<Component> = Vec::new();
        for text in components {
            match Component::parse(text.as_ref()) {
                Ok(component) if covered.iter().any(|other| other.kind == component.kind) => {
                    self.keep(
                        "covers",
                        alloc::format!("must name each component once, but {} is twice", text.as_ref()),
                    );
                }
                Ok(component) => covered.push(component),
                Err(Problem::Component(why)) => {
                    self.keep(
                        "covers",
                        alloc::format!("must be components of a request, not {:?}: {why}", text.as_ref()),
                    );
                }
                Err(problem) => self.keep("covers", alloc::format!("must be components of a request: {problem}")),
            }
        }
        if covered.len() > MAX_COMPONENTS {
            self.keep("covers", alloc::format!("must be at most {MAX_COMPONENTS} components"));
        }
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

    /// Sets the value that the parameter `tag` must have. Signatures with another tag or without one are ignored.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        let tag = tag.into();
        if tag.is_empty() || string(&tag).is_none() {
            self.keep("tag", "must be visible ASCII and spaces, and not empty");
        }
        self.set(|profile| profile.tag = Some(tag))
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
        let max_age = Tolerance::new(self.max_age).unwrap_or_else(|_| {
            self.keep("max_age", "must be whole seconds from 1 s to 86400 s");
            Tolerance::DEFAULT
        });
        let clock_skew = self.clock_skew.unwrap_or(DEFAULT_SKEW.min(self.max_age));
        if clock_skew.subsec_nanos() != 0 || clock_skew > self.max_age {
            self.keep("clock_skew", "must be whole seconds and at most the maximum age");
        }
        if let Some(profile) = &self.profile {
            let tag = profile.tag.as_ref().map(|_| Parameter::Tag);
            if let Some(both) = profile.required.iter().copied().chain(tag).find(|p| profile.forbidden.contains(p)) {
                self.keep("forbids", alloc::format!("must not name {both}, which a signature must have"));
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

    fn set(mut self, change: impl FnOnce(&mut Profile)) -> Self {
        if let Some(profile) = &mut self.profile {
            change(profile);
        }
        self
    }

    fn keep(&mut self, field: &'static str, problem: impl Into<alloc::borrow::Cow<'static, str>>) {
        self.fault.get_or_insert(ConfigError::new(field, problem));
    }
}

const DEFAULT_SKEW: Duration = Duration::from_secs(60);

/// The maximum number of components that a signature covers.
pub(super) const MAX_COMPONENTS: usize = 32;
