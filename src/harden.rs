//! Response headers, a policy for plain HTTP, and `security.txt`.
//!
//! ```
//! use hookwarden::harden::{Harden, HardenLayer, PlainHttp};
//! use hookwarden::proxies::Proxies;
//!
//! let harden = Harden::builder()
//!     .header("content-security-policy", "default-src 'self'") // replaces the default value
//!     .without_header("x-xss-protection")
//!     .plain_http(PlainHttp::Redirect)
//!     .redirect_host("hooks.example.com")
//!     .proxies(Proxies::x_forwarded_for(1, ["10.0.0.0/8"])?) // one proxy, which terminates TLS
//!     .build()?;
//! let layer = HardenLayer::new(harden); // outside the `WardenLayer`, so that refusals have the headers too
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! # Headers
//!
//! | header | value |
//! | --- | --- |
//! | `Strict-Transport-Security` | `max-age=31536000; includeSubDomains; preload` |
//! | `X-Content-Type-Options` | `nosniff` |
//! | `X-Frame-Options` | `DENY` |
//! | `X-XSS-Protection` | `1; mode=block` |
//! | `Cache-Control` | `no-store` |
//! | `Content-Security-Policy` | `default-src 'none'; frame-ancestors 'none'` |
//!
//! * A header that the inner service sets keeps its value.
//! * `Strict-Transport-Security` applies to the host and all its subdomains. If one of them must be reachable over
//!   plain HTTP, set a value without `includeSubDomains; preload`. Responses to unencrypted requests do not have the
//!   header (RFC 6797 section 7.2).
//! * Current browsers ignore `X-XSS-Protection`, but security scanners expect it.
//!
//! # Plain HTTP
//!
//! Anyone on the network path can read a request that was sent over plain HTTP. By default such a request is refused
//! with 403; [`PlainHttp`] can change that. A request passes if one of these conditions is met:
//!
//! * A proxy that is declared by [`proxies`](HardenBuilder::proxies) reports TLS.
//! * This server terminates TLS itself. actix-web detects that; on other servers insert a [`TlsConnection`] into the
//!   request's extensions.
//! * No proxy is declared, the request comes from a loopback address, and it has no proxy header (`Forwarded`, `Via`,
//!   `X-Forwarded-…`, `X-Real-IP` and similar headers). So a receiver on a developer's machine needs no setting. The
//!   server must provide the peer's address: on axum with `axum::HardenLayer` and
//!   `into_make_service_with_connect_info`, with bare tower with a [`PeerAddress`](crate::tower::PeerAddress).
//!
//! Declare every proxy, also a proxy on the same machine: a local proxy that adds no header looks like a local client,
//! and all its requests pass.
//!
//! `X-Forwarded-Proto` is read only on a connection from a declared proxy's address, because any client can send it.
//!
//! Requests that are refused or redirected here raise no event and no metric, because they never reach a Warden. The
//! first, second, fourth, eighth … of them is logged as `request over plain HTTP refused`, with the count so far and
//! the fix. If the proxies are declared wrongly, every request is refused, so alert when accepted requests stop.
//!
//! Metrics scrapers and health probes that use plain HTTP are refused too. On axum, add their routes after the layer.

mod builder;
mod headers;
mod layer;
mod plain_http;
mod security_txt;

use std::fmt;
use std::sync::Arc;

use headers::Headers;
use plain_http::Policy;

pub use builder::HardenBuilder;
pub use layer::{HardenLayer, HardenService};
pub use plain_http::{PlainHttp, TlsConnection};
pub use security_txt::{SecurityTxt, SecurityTxtBuilder};

#[cfg(feature = "axum")]
pub(crate) use layer::{ResponseFuture, pass};
#[cfg(feature = "actix")]
pub(crate) use plain_http::{Arriving, Passage};

/// The response headers and the policy for plain HTTP, for [`HardenLayer`], `axum::HardenLayer` and
/// `actix::HardenMiddleware`. Cheap to clone.
///
/// [`Harden::default`] has all headers of [the table](self#headers), refuses plain HTTP and expects no proxy.
///
/// ```
/// use hookwarden::harden::Harden;
///
/// // The host has a subdomain that is reachable over plain HTTP.
/// let harden = Harden::builder().header("strict-transport-security", "max-age=31536000").build()?;
/// # #[cfg(feature = "axum")]
/// let layer = hookwarden::axum::HardenLayer::new(harden);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Harden {
    inner: Arc<Settings>,
}

#[derive(Default)]
struct Settings {
    headers: Headers,
    policy: Policy,
}

impl Harden {
    pub(crate) fn headers(&self) -> &Headers {
        &self.inner.headers
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.inner.policy
    }
}

impl fmt::Debug for Harden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harden").field("headers", self.headers()).field("policy", self.policy()).finish()
    }
}
