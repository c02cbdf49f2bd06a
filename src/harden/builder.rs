//! Building the settings.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};

use super::headers::Headers;
use super::plain_http::{PlainHttp, Policy, host_and_port};
use super::{Harden, Settings};
use crate::error::ConfigError;
use crate::proxies::TrustedHops;
use crate::scheme::Scheme;

/// Collects the settings of a [`Harden`].
#[must_use]
#[derive(Debug, Default)]
pub struct HardenBuilder {
    headers: Headers,
    policy: Policy,
    fault: Option<ConfigError>,
}

impl HardenBuilder {
    /// Sets the value of a header, one of the defaults or another. A service that sets the header itself keeps its
    /// value.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Some(name) = self.name(name) {
            match HeaderValue::from_str(value) {
                Ok(value) => self.headers.set(name, value),
                Err(_) => self.keep("header", format!("the value of {name} has bytes that no header may have")),
            }
        }
        self
    }

    /// Leaves a header out.
    pub fn without_header(mut self, name: &str) -> Self {
        if let Some(name) = self.name(name) {
            self.headers.remove(&name);
        }
        self
    }

    /// What becomes of plain HTTP: [`PlainHttp::Refuse`] by default.
    pub const fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.policy.plain_http = plain_http;
        self
    }

    /// Proxies whose word on the client's connection counts: `X-Forwarded-Proto`, or `Forwarded` with its `proto`. They
    /// must set or add to that header themselves. By default there are none, and such headers are not believed.
    ///
    /// With them every request has to say how it came, one from a loopback address as well, and
    /// [`trusted_proxies`](Self::trusted_proxies) has to be said, too.
    pub const fn trusted_hops(mut self, hops: TrustedHops) -> Self {
        self.policy.proxies.count_by(hops);
        self
    }

    /// The addresses that the last proxy connects from, or networks of them: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
    /// Called again, it adds to them. A connection from elsewhere, or from a Unix socket, is judged by itself.
    pub fn trusted_proxies<'n>(mut self, networks: impl IntoIterator<Item = &'n str>) -> Self {
        if let Err(fault) = self.policy.proxies.name(networks) {
            self.fault.get_or_insert(fault);
        }
        self
    }

    /// The host for [`PlainHttp::Redirect`], with a port if it is not 443: `hooks.example.com`. The one that a request
    /// names is never used, as anybody can name any.
    pub fn redirect_host(mut self, host: &str) -> Self {
        match host_and_port(host) {
            Some(host) => self.policy.redirect_host = Some(host),
            None => self.keep("redirect host", format!("{host:?} is no host")),
        }
        self
    }

    /// Refuses a plain request that has a signature header of `scheme`, where one of its method would be redirected.
    pub fn signatures_of(mut self, scheme: &Scheme) -> Self {
        self.policy.signatures.extend(scheme.signature_headers().iter().map(|name| name.as_str().to_ascii_lowercase()));
        self
    }

    /// Builds the settings.
    ///
    /// # Errors
    /// A header's name or value, a network or the host is malformed; of trusted proxies and the number of trusted hops
    /// one is said without the other; there is no host to redirect to.
    pub fn build(self) -> Result<Harden, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.policy.proxies.check_named()?;
        if self.policy.plain_http == PlainHttp::Redirect && self.policy.redirect_host.is_none() {
            return Err(ConfigError::new("redirect host", "is not said"));
        }
        Ok(Harden { inner: Arc::new(Settings { headers: self.headers, policy: self.policy }) })
    }

    fn name(&mut self, name: &str) -> Option<HeaderName> {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        if parsed.is_none() {
            self.keep("header", format!("{name:?} is not a token"));
        }
        parsed
    }

    /// The first fault is told.
    fn keep(&mut self, field: &'static str, problem: String) {
        self.fault.get_or_insert_with(|| ConfigError::new(field, problem));
    }
}
