//! What a message must have.

use alloc::string::String;
use alloc::vec::Vec;

use super::authority::Hosts;
use super::component::{Component, Kind};
use super::origin::Origin;
use super::problem::Parameter;
use super::values::StructuredType;
use crate::crypto::Algorithm;
use crate::headers::FieldName;
use crate::time::Tolerance;

/// What a signed request must have: the covered components and the parameters of its signature, and its age.
///
/// A profile must cover the body, the method and the URL: `content-digest`, `@method`, and either `@target-uri` or both
/// `@authority` and `@path`. Settings with `danger` in their names permit less.
///
/// ```
/// use core::time::Duration;
/// use hookwarden::crypto::Algorithm;
/// use hookwarden::message_signatures::{Parameter, Profile};
///
/// let profile = Profile::builder("https://hooks.example.com")
///     .algorithms([Algorithm::HmacSha256])
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
    pub(super) hosts: Hosts,
    /// Each is for another kind of key, and an HMAC is alone.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) covered: Vec<Component>,
    /// Headers and the query.
    pub(super) covered_if_present: Vec<Component>,
    pub(super) covered_with_body: Vec<Component>,
    pub(super) required: Vec<Parameter>,
    pub(super) forbidden: Vec<Parameter>,
    /// Then `required` does not have `created`.
    pub(super) is_created_optional: bool,
    pub(super) max_age: Tolerance,
    /// In seconds, at most the maximum age.
    pub(super) clock_skew: i64,
    /// In seconds.
    pub(super) max_validity: Option<i64>,
    /// `0` permits any nonce.
    pub(super) min_nonce_bytes: usize,
    pub(super) tag: TagRule,
    /// With this tag, `keyid` is the thumbprint of the key.
    pub(super) thumbprint_tag: Option<String>,
    pub(super) label: Option<String>,
    pub(super) preferred_label: Option<String>,
    pub(super) ignores_insufficient: bool,
    pub(super) types: Vec<(FieldName, StructuredType)>,
    pub(super) base64url_signatures: bool,
    pub(super) normalized_target: bool,
    pub(super) danger_unsigned_body: bool,
    pub(super) danger_unsigned_target: bool,
}

impl Profile {
    /// The host and the port of the origin, as clients send them in `Host`: in lower case, without the default port.
    ///
    /// ```
    /// use hookwarden::crypto::Algorithm;
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::webhooks("https://Hooks.example.com:443").algorithms([Algorithm::HmacSha256]).build()?;
    /// assert_eq!(profile.authority(), "hooks.example.com");
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    #[must_use]
    pub fn authority(&self) -> &str {
        self.origin.authority()
    }

    /// Whether no signature is valid with two bodies.
    pub(super) fn covers_body(&self) -> bool {
        let mut covered = self.covered.iter().chain(&self.covered_with_body);
        self.danger_unsigned_body || covered.any(Component::is_content_digest)
    }

    pub(super) fn covers_target(&self) -> bool {
        let covers = |kind| self.covered.iter().any(|component| component.kind == kind);
        let covers_url = covers(Kind::TargetUri) || (covers(Kind::Authority) && covers(Kind::Path));
        self.danger_unsigned_target || (covers(Kind::Method) && covers_url)
    }

    /// Returns the setting that contradicts `thumbprint_keyid`, and what is wrong with it.
    pub(super) fn thumbprint_problem(&self) -> Option<(&'static str, &'static str)> {
        let tag = self.thumbprint_tag.as_deref()?;
        if !self.tag.permits(tag) {
            // The setting would have no effect.
            return Some(("thumbprint_keyid", "must be the tag of the profile, or set danger_any_keyid"));
        }
        let has_hmac = self.algorithms.iter().any(|algorithm| algorithm.key_kind().is_none());
        let problem = "must be algorithms with public keys, or set danger_any_keyid: a secret has no thumbprint";
        has_hmac.then_some(("algorithms", problem))
    }

    /// Whether a signature may have `created` or `expires`.
    pub(super) fn permits_times(&self) -> bool {
        [Parameter::Created, Parameter::Expires].iter().any(|parameter| !self.forbidden.contains(parameter))
    }
}

/// Which signatures count, by their parameter `tag`.
#[derive(Debug, Clone)]
pub(super) enum TagRule {
    /// Only those without a tag.
    Untagged,
    Exactly(String),
    /// Those with this tag, and those without one.
    Optional(String),
    Any,
}

impl TagRule {
    /// Whether signatures with this tag count.
    fn permits(&self, tag: &str) -> bool {
        match self {
            Self::Untagged => false,
            Self::Exactly(wanted) | Self::Optional(wanted) => wanted == tag,
            Self::Any => true,
        }
    }

    /// The tag that a signer writes.
    pub(super) fn written(&self) -> Option<&str> {
        match self {
            Self::Exactly(tag) => Some(tag),
            Self::Untagged | Self::Optional(_) | Self::Any => None,
        }
    }
}

/// The maximum number of components that a signature covers.
pub(super) const MAX_COMPONENTS: usize = 32;
