//! Checks `Host` and `:authority` against the origin of the profile.

use alloc::vec::Vec;

use super::authority::{Authority, Hosts};
use super::builder::ProfileBuilder;
use super::problem::Problem;
use super::profile::Profile;
use super::values::trimmed;
use crate::headers::{FieldName, Head, Occurrence};

impl ProfileBuilder {
    /// Sets what the `Host` header or the `:authority` of a request may be besides the authority of the origin: `host` or
    /// `host:port`. A proxy that sets `Host` to the name of an internal service needs it.
    ///
    /// Only the comparison of the host changes: the signature must still be for the origin. Without this, a request for
    /// another host is refused with [`Problem::OtherAuthority`].
    ///
    /// ```
    /// use hookwarden::crypto::Algorithm;
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let profile = Profile::webhooks("https://hooks.example.com")
    ///     .algorithms([Algorithm::HmacSha256])
    ///     .received_as(["hooks.internal:8080"])
    ///     .build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn received_as<A: AsRef<str>>(mut self, authorities: impl IntoIterator<Item = A>) -> Self {
        // Without an origin, `build` reports that.
        let Some(default_port) = self.default_port() else { return self };
        let mut hosts = Vec::new();
        for text in authorities {
            match Authority::parse(text.as_ref(), default_port) {
                Ok(authority) => hosts.push(authority),
                Err(_) if text.as_ref().contains("://") => {
                    self.keep("received_as", "must be host or host:port, without http:// or https://");
                }
                Err(problem) => self.keep("received_as", problem),
            }
        }
        self.set(|profile| profile.hosts = Hosts::OriginOr(hosts))
    }

    /// Accepts requests for any host, and also those without one. **If other hosts are served by the same process or behind the
    /// same proxy and their handlers see the request, a captured request is valid on each of them.** The signature must
    /// still be for the origin.
    pub fn danger_any_host(self) -> Self {
        self.set(|profile| profile.hosts = Hosts::Any)
    }
}

impl Profile {
    /// Checks that the request was sent to the origin. Otherwise a signature for one virtual host would be valid on another.
    /// `Forwarded` and `X-Forwarded-Host` are not read, because any client can send them.
    pub(super) fn check_host(&self, head: &dyn Head) -> Result<(), Problem> {
        let Hosts::OriginOr(others) = &self.hosts else { return Ok(()) };
        let parse = |text| Authority::parse(text, self.origin.default_port()).map_err(|_| Problem::AmbiguousHost);
        let host = match head.header(&FieldName::preset("host")) {
            Occurrence::Absent => None,
            Occurrence::Once(host) => {
                core::str::from_utf8(trimmed(host)).map_err(|_| Problem::AmbiguousHost).map(Some)?
            }
            Occurrence::Repeated => return Err(Problem::AmbiguousHost),
        };
        let received = match (head.authority(), host) {
            (None, None) => return Err(Problem::MissingHeader("host")),
            (Some(authority), None) | (None, Some(authority)) => parse(authority)?,
            // A proxy and the server could use different ones.
            (Some(authority), Some(host)) => {
                let (authority, host) = (parse(authority)?, parse(host)?);
                if authority != host {
                    return Err(Problem::AmbiguousHost);
                }
                host
            }
        };
        if received == *self.origin.parsed() || others.contains(&received) {
            Ok(())
        } else {
            Err(Problem::OtherAuthority { expected: self.origin.authority().into() })
        }
    }
}
