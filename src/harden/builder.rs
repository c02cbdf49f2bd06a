//! The builder of the settings.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};

use super::headers::Headers;
use super::plain_http::{PlainHttp, Policy, host_and_port};
use super::{Harden, Settings};
use crate::error::ConfigError;
use crate::proxies::Proxies;
use crate::scheme::Scheme;

/// Collects the settings of a [`Harden`].
///
/// ```
/// use hookwarden::harden::{Harden, PlainHttp};
/// use hookwarden::proxies::Proxies;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let proxies = Proxies::x_forwarded_for(1, ["10.0.0.0/8"])?; // for both
/// let scheme = Scheme::timestamped();
/// let harden = Harden::builder()
///     .proxies(proxies.clone())
///     .plain_http(PlainHttp::Redirect)
///     .redirect_host("hooks.example.com")
///     .signatures_of(&scheme) // a signed GET is refused, not redirected
///     .build()?;
///
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys).proxies(proxies).build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[must_use]
#[derive(Debug, Default)]
pub struct HardenBuilder {
    headers: Headers,
    policy: Policy,
    fault: Option<ConfigError>,
}

impl Harden {
    /// Starts a builder with the defaults: it adds all headers of [the table](super#headers) and refuses plain HTTP.
    pub fn builder() -> HardenBuilder {
        HardenBuilder::default()
    }
}

impl HardenBuilder {
    /// Sets the value of a default header, or adds a header. If the inner service sets the header, its value is kept.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Some(name) = self.name(name) {
            match HeaderValue::from_str(value) {
                Ok(value) => self.headers.set(name, value),
                Err(_) => self.keep("header", format!("must have a value of visible ASCII for {name}")),
            }
        }
        self
    }

    /// Removes one of the default headers.
    pub fn without_header(mut self, name: &str) -> Self {
        if let Some(name) = self.name(name) {
            self.headers.remove(&name);
        }
        self
    }

    /// Sets what to do with requests over plain HTTP. The default is [`PlainHttp::Refuse`].
    pub const fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.policy.plain_http = plain_http;
        self
    }

    /// Sets the reverse proxies in front of this server, the same value as for
    /// [`WardenBuilder::proxies`](crate::warden::WardenBuilder::proxies). The proxies must set `X-Forwarded-Proto`, or
    /// `proto` in `Forwarded`, themselves. By default no proxy is declared, and these headers are not read.
    ///
    /// A request through a declared proxy passes only if the proxy reports TLS for it. A connection from any other
    /// address, or from a Unix socket, is checked as a direct connection.
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.policy.proxies = proxies;
        self
    }

    /// Sets the host for [`PlainHttp::Redirect`], with a port if it is not 443: `hooks.example.com`. The request's
    /// `Host` is never used, because the client chooses it.
    pub fn redirect_host(mut self, host: &str) -> Self {
        match host_and_port(host) {
            Some(host) => self.policy.redirect_host = Some(host),
            None => self.keep("redirect_host", format!("must be a host such as hooks.example.com, not {host:?}")),
        }
        self
    }

    /// Refuses a plain GET or HEAD that has a signature header of `scheme`, instead of redirecting it.
    pub fn signatures_of(mut self, scheme: &Scheme) -> Self {
        self.policy.signatures.extend(scheme.signature_headers().iter().map(|name| name.as_str().to_ascii_lowercase()));
        self
    }

    /// Builds the settings.
    ///
    /// # Errors
    /// Returns an error if a header's name or value, or the host, is malformed; if the proxies' networks are not known
    /// ([`Proxies::danger_x_forwarded_for_from_anywhere`]); or if [`PlainHttp::Redirect`] has no host.
    pub fn build(self) -> Result<Harden, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.policy.proxies.trust_every_connection() {
            let problem = "must be set, because any client could claim TLS otherwise: use `Proxies::x_forwarded_for` \
                           or `Proxies::forwarded`";
            return Err(ConfigError::new("proxies.networks", problem));
        }
        if self.policy.plain_http == PlainHttp::Redirect && self.policy.redirect_host.is_none() {
            return Err(ConfigError::new("redirect_host", "must be set for `PlainHttp::Redirect`"));
        }
        Ok(Harden { inner: Arc::new(Settings { headers: self.headers, policy: self.policy }) })
    }

    fn name(&mut self, name: &str) -> Option<HeaderName> {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        if parsed.is_none() {
            self.keep("header", format!("must have a valid header name, not {name:?}"));
        }
        parsed
    }

    /// `build` reports the first fault.
    fn keep(&mut self, field: &'static str, problem: String) {
        self.fault.get_or_insert_with(|| ConfigError::new(field, problem));
    }
}
