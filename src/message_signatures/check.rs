//! Verifies requests by a profile, as a scheme.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::component::{Form, Kind};
use super::digest::DigestCheck;
use super::problem::Problem;
use super::profile::Profile;
use super::reading::{Message, SIGNATURE};
use crate::crypto::{Algorithm, LiveKeys, PreparedKeys, Proven};
use crate::error::{ConfigError, Reason};
use crate::headers::Head;
use crate::scheme::{Coverage, CustomCheck, CustomHead, CustomScheme, Scheme};
use crate::time::Timestamp;

impl Profile {
    /// Creates the scheme that verifies requests by this profile.
    ///
    /// # Errors
    /// `name` is not 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub fn scheme(&self, name: impl Into<Cow<'static, str>>) -> Result<Scheme, ConfigError> {
        let algorithms = self.algorithms.clone();
        let decoys = PreparedKeys::public_key_decoy(&algorithms, algorithms.len());
        let scheme = MessageScheme { profile: self.clone(), decoys };
        // If the sender's clock is ahead, a signature with `created` can arrive for the first time before that time. One
        // without it can be valid for the clock skew after `expires`.
        let max_age = self.max_age.as_duration().as_secs();
        let validity = u64::try_from(self.clock_skew).unwrap_or_default().saturating_add(max_age);
        let has_min_lifetime = self.is_created_optional && self.permits_times();
        let min_lifetime = has_min_lifetime.then(|| u32::try_from(validity).unwrap_or(u32::MAX));
        let scheme = Scheme::custom_with_algorithms(name, algorithms, scheme, min_lifetime)?;
        scheme.into_builder().signature_header(SIGNATURE).tolerance(self.max_age).build()
    }

    /// Says what is wrong with a request that was refused. **It does not verify the signature:** `None` only means that the
    /// rest is right, so anyone can make a request for which it returns `None`. To verify a request, use a
    /// [`Verifier`](crate::Verifier) or a Warden. `diagnose::Capture` (feature `diagnose`) has the keys, and also searches for
    /// what was signed instead.
    ///
    /// ```
    /// use hookwarden::Timestamp;
    /// use hookwarden::crypto::Algorithm;
    /// use hookwarden::headers::RequestHead;
    /// use hookwarden::message_signatures::{Problem, Profile};
    ///
    /// let profile = Profile::builder("https://example.com")
    ///     .algorithms([Algorithm::HmacSha256])
    ///     .covers(["@method", "@target-uri", "content-digest"])
    ///     .build()?;
    /// let headers = [
    ///     ("Signature-Input", r#"sig=("@method");created=1800000000"#),
    ///     ("Signature", "sig=:AAAA:"),
    /// ];
    /// let head = RequestHead::new("POST", "/hooks", &headers);
    /// let now = Timestamp::from_unix(1_800_000_000);
    /// let problem = profile.explain_at(&head, b"{}", now);
    /// assert_eq!(problem, Some(Problem::Uncovered(r#""@target-uri""#.into())));
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    #[must_use]
    pub fn explain_at(&self, head: &dyn Head, body: &[u8], now: Timestamp) -> Option<Problem> {
        let check = Message::read(self, head).and_then(|message| {
            let mut check = self.begin(message, None);
            check.update(body);
            check.check_rest(now)
        });
        check.err()
    }

    /// The profile of a scheme that [`scheme`](Self::scheme) created.
    #[cfg(feature = "diagnose")]
    pub(crate) fn of(scheme: &Scheme) -> Option<&Self> {
        scheme.custom_as::<MessageScheme>().map(|scheme| &scheme.profile)
    }

    fn begin(&self, message: Message, decoys: Option<PreparedKeys>) -> MessageCheck {
        let Message { base, signature, algorithms, thumbprint, created, expires, digest, uncovered_body, nonce } =
            message;
        let max_age = i64::try_from(self.max_age.as_duration().as_secs()).unwrap_or(i64::MAX);
        let times = Times { created, expires, max_age, clock_skew: self.clock_skew };
        let has_body = false;
        MessageCheck { base, signature, algorithms, thumbprint, decoys, times, digest, uncovered_body, has_body, nonce }
    }
}

struct MessageScheme {
    profile: Profile,
    /// A key for each algorithm. `None` for an HMAC, the only algorithm of its scheme.
    decoys: Option<PreparedKeys>,
}

impl CustomScheme for MessageScheme {
    fn coverage(&self) -> Coverage {
        let requires = |kind| self.profile.covered.iter().any(|component| component.kind == kind);
        let if_present = |kind| self.profile.covered_if_present.iter().any(|component| component.kind == kind);
        let covers_id = |kind: &Kind| matches!(kind, Kind::Field(name, Form::Text) if name.as_str().ends_with("-id"));
        Coverage {
            body: !self.profile.danger_unsigned_body,
            timestamp: !self.profile.is_created_optional,
            id: self.profile.covered.iter().any(|component| covers_id(&component.kind)),
            method: requires(Kind::Method),
            url: requires(Kind::TargetUri)
                || (requires(Kind::Path) && (requires(Kind::Query) || if_present(Kind::Query))),
        }
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        let message = Message::read(&self.profile, head).map_err(|problem| problem.reason())?;
        let created = message.created.filter(|_| !self.profile.is_created_optional);
        let head = CustomHead::new(self.profile.begin(message, self.decoys.clone()));
        Ok(match created {
            Some(created) => head.with_timestamp(created),
            None => head,
        })
    }

    /// A check only hashes the body.
    fn keeps_body(&self) -> bool {
        false
    }
}

/// A request whose body is arriving.
struct MessageCheck {
    base: String,
    signature: Vec<u8>,
    /// Only keys for these algorithms count.
    algorithms: Vec<Algorithm>,
    /// Only the key with this thumbprint counts.
    thumbprint: Option<String>,
    decoys: Option<PreparedKeys>,
    times: Times,
    /// `None` if the signature does not cover the digest. Then the request must have no body, unless the profile has
    /// `danger_unsigned_body`.
    digest: Option<DigestCheck>,
    nonce: Option<[String; 2]>,
    /// A component that the signature must cover if the request has a body, and does not.
    uncovered_body: Option<String>,
    has_body: bool,
}

impl MessageCheck {
    /// Checks all but the signature.
    fn check_rest(&self, now: Timestamp) -> Result<(), Problem> {
        self.times.check(now)?;
        if let Some(uncovered) = self.uncovered_body.as_ref().filter(|_| self.has_body) {
            return Err(Problem::Uncovered(uncovered.clone()));
        }
        self.digest.as_ref().map_or(Ok(()), DigestCheck::finish)
    }
}

impl CustomCheck for MessageCheck {
    fn update(&mut self, chunk: &[u8]) {
        self.has_body |= !chunk.is_empty();
        if let Some(digest) = &mut self.digest {
            digest.update(chunk);
        }
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        // The signature first, so that response times do not show which webhook ids exist.
        let decoys = self.decoys.as_ref();
        let thumbprint = self.thumbprint.as_deref();
        let base = self.base.as_bytes();
        let proven = keys.verify_with(&self.algorithms, decoys, thumbprint, base, &self.signature)?;
        self.check_rest(keys.now()).map_err(|problem| problem.reason())?;
        // A nonce is unique only for its key. The parameters of a signature are always signed.
        Ok(match &self.nonce {
            Some(parts) => proven.with_delivery_id(&parts.each_ref().map(|part| part.as_bytes())),
            None => proven,
        })
    }
}

/// The times of a signature and their limits in seconds.
struct Times {
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    max_age: i64,
    clock_skew: i64,
}

impl Times {
    /// The scheme's tolerance has compared `created` already. A Warden can set another tolerance, which must not permit
    /// more than the profile, and this also limits the future.
    fn check(&self, now: Timestamp) -> Result<(), Problem> {
        if let Some(created) = self.created {
            let age = now.seconds_since(created);
            if age < self.clock_skew.saturating_neg() {
                return Err(Problem::Early);
            }
            if age > self.max_age {
                return Err(Problem::Stale);
            }
        }
        if let Some(expires) = self.expires {
            let since = now.seconds_since(expires);
            if since > self.clock_skew {
                return Err(Problem::Expired);
            }
            // The replay store would forget the delivery while its signature is valid.
            if self.created.is_none() && since < self.max_age.saturating_neg() {
                return Err(Problem::LongValidity);
            }
        }
        Ok(())
    }
}
