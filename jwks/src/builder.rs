//! Building a store.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::clock::{Clock, SystemClock};
use hookwarden::crypto::Algorithm;
use hookwarden::{ConfigError, Scheme};
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use crate::fetch::{Fetcher, Limits};
use crate::keys::{JwksKeys, Shared};
use crate::resolver::{Resolver, SystemResolver};
use crate::revocation::ListVerifier;
use crate::sender::{Ages, MIN_INTERVAL, RevocationSource, Sender, State};
use crate::source::{Location, Source};

/// Builds [`JwksKeys`]. Errors are reported by [`build`](Self::build).
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::Scheme;
/// use hookwarden_jwks::{JwksKeys, Source};
///
/// # fn keys(scheme: &Scheme) -> Result<JwksKeys, hookwarden::ConfigError> {
/// JwksKeys::builder(scheme)
///     .sender("acme", Source::jwk_set("https://acme.example/.well-known/jwks.json"))
///     .sender("shop", Source::ucp("https://shop.example/.well-known/ucp"))
///     .max_age(Duration::from_secs(900)) // a removed key verifies for at most this time while the source answers
///     .max_stale(Duration::from_secs(6 * 3_600)) // and for this time while it fails
///     .build()
/// # }
/// ```
#[must_use]
pub struct JwksKeysBuilder {
    scheme: Scheme,
    senders: Vec<(String, Source)>,
    ages: Ages,
    limits: Limits,
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolver>,
}

impl JwksKeysBuilder {
    pub(crate) fn new(scheme: &Scheme) -> Self {
        Self {
            scheme: scheme.clone(),
            senders: Vec::new(),
            ages: Ages { fresh: Duration::from_secs(3_600), stale: Duration::from_secs(86_400) },
            limits: Limits { connect: Duration::from_secs(3), total: Duration::from_secs(5), bytes: 262_144 },
            clock: Arc::new(SystemClock::default()),
            resolver: Arc::new(SystemResolver),
        }
    }

    /// Adds a sender. `name` is its webhook id in events, quotas and replay protection: 1 to 64 characters of visible ASCII
    /// without `/`.
    pub fn sender(mut self, name: impl Into<String>, source: Source) -> Self {
        self.senders.push((name.into(), source));
        self
    }

    /// Sets the longest time for which fetched keys are fresh: at least 60 seconds. The default is 1 hour. The server
    /// declares the time with `Cache-Control: max-age`; without it, it is 5 minutes. It is never less than 60 seconds. Keys
    /// of AdCP are fresh for at most 30 minutes.
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.ages.fresh = max_age;
        self
    }

    /// Sets how old keys may become while the source fails. The default is 24 hours. It must be at least the maximum age.
    /// An attacker who has a removed key, and can make the source fail, can use the key for this time. Keys of AdCP are not
    /// used for more than 30 minutes.
    pub const fn max_stale(mut self, max_stale: Duration) -> Self {
        self.ages.stale = max_stale;
        self
    }

    /// Sets the time limit for the DNS, TCP and TLS of a fetch. The default is 3 seconds.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect = timeout;
        self
    }

    /// Sets the time limit for a whole fetch. The default is 5 seconds. A request waits at most this time for keys,
    /// or 1 second longer if the runtime in which the fetch began does not run.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.total = timeout;
        self
    }

    /// Sets the maximum size of a document, also of a list of revoked keys. The default is 262,144 bytes.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Sets the resolver of host names. The default is that of the operating system.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Sets the clock that ages keys, for tests. The default is the system's clock. Certificates and time limits of fetches
    /// always use the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the store. Nothing is fetched yet: see [`JwksKeys::load`].
    ///
    /// It reads the system's root certificates, which can take some 10 milliseconds.
    ///
    /// # Errors
    /// There are no senders; two have the same name or URL; a name or a URL is invalid; the scheme has no public keys; a
    /// duration or size is zero or contradicts another; there are no root certificates; or a source that is not AdCP's has a
    /// revocation list, or an algorithm of AdCP needs a feature of Hookwarden that is off.
    pub fn build(self) -> Result<JwksKeys, ConfigError> {
        self.check()?;
        let system = Roots::of_system();
        let mut senders: HashMap<String, Arc<Sender>> = HashMap::new();
        for (name, source) in &self.senders {
            let location = Location::parse("source", &source.url)?;
            if senders.values().any(|other| other.fetcher.location.is_same(&location)) {
                return Err(ConfigError::new("sender", format!("must each have another URL, but two have {location}")));
            }
            let tls = system.config(source)?;
            let fetcher = |location| Fetcher {
                location,
                tls: tls.clone(),
                resolver: self.resolver.clone(),
                limits: self.limits,
                private_addresses: source.danger_private_addresses,
            };
            let revocations = match &source.revocation_list {
                None => None,
                Some(_) if source.kind.list_purposes().is_none() => {
                    let problem = "must be set only for Source::adcp_webhooks and Source::adcp_requests";
                    return Err(ConfigError::new("revocation_list", problem));
                }
                Some(url) => {
                    let fetcher = fetcher(Location::parse("revocation_list", url)?);
                    Some(Arc::new(RevocationSource { fetcher, verifier: ListVerifier::new()? }))
                }
            };
            let sender = Sender {
                name: name.clone(),
                kind: source.kind,
                url: source.url.clone(),
                scheme: self.scheme.clone(),
                fetcher: fetcher(location),
                ages: self.ages.limited(source.kind.max_age()),
                clock: self.clock.clone(),
                state: Mutex::new(State::new(revocations.is_some())),
                revocations,
            };
            if senders.insert(name.clone(), Arc::new(sender)).is_some() {
                return Err(ConfigError::new("sender", format!("must each have another name, but two are {name:?}")));
            }
        }
        Ok(JwksKeys::new(Shared { scheme: self.scheme, clock: self.clock, senders }))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let is_name = |name: &str| {
            (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        };
        let Limits { connect, total, bytes } = self.limits;
        let uses_secrets =
            matches!(self.scheme.algorithm(), Algorithm::HmacSha256 | Algorithm::HmacSha1 | Algorithm::HmacSha512);
        let problems = [
            (uses_secrets, "scheme", "must verify with public keys: a JWK Set has no secrets"),
            (self.senders.is_empty(), "sender", "must be set at least once"),
            (
                self.senders.iter().any(|(name, _)| !is_name(name)),
                "sender",
                "must have a name of 1 to 64 visible ASCII characters without `/`",
            ),
            (self.ages.fresh < MIN_INTERVAL, "max_age", "must be at least 60 s"),
            (self.ages.stale < self.ages.fresh, "max_stale", "must be at least max_age"),
            (connect.is_zero() || connect > total, "connect_timeout", "must be more than zero and at most timeout"),
            (total > MAX_TIMEOUT, "timeout", "must be at most 30 s"),
            (bytes == 0 || bytes > MAX_BYTES, "max_bytes", "must be 1 to 16777216 bytes"),
        ];
        match problems.into_iter().find(|(is_problem, ..)| *is_problem) {
            Some((_, field, problem)) => Err(ConfigError::new(field, problem)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for JwksKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksKeysBuilder").field("senders", &self.senders).finish_non_exhaustive()
    }
}

/// The system's root certificates.
struct Roots(RootCertStore);

impl Roots {
    /// Files that cannot be read are left out: if no certificate is left, the configuration is refused.
    fn of_system() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(roots)
    }

    /// Returns the settings of TLS for a source.
    fn config(&self, source: &Source) -> Result<Arc<ClientConfig>, ConfigError> {
        let mut roots = self.0.clone();
        for certificate in source.roots()? {
            let added = roots.add(certificate);
            added.map_err(|error| ConfigError::new("danger_root_certificates", format!("must be valid: {error}")))?;
        }
        if roots.is_empty() {
            let problem = "must be verifiable, but the system has no root certificates: install them (package \
                           ca-certificates), or set SSL_CERT_FILE";
            return Err(ConfigError::new("source", problem));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder =
            builder.map_err(|error| ConfigError::new("source", format!("must be reachable by TLS: {error}")))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session would not check the certificate, which can have expired since.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

const MAX_TIMEOUT: Duration = Duration::from_secs(30);

const MAX_BYTES: usize = 16_777_216;
