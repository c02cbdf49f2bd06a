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
//!     .proxies(Proxies::x_forwarded_for(1, ["10.0.0.0/8"])?) // one proxy, which ends TLS
//!     .build()?;
//! let layer = HardenLayer::new(harden); // outside of the `WardenLayer`, so that its refusals have the headers too
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
//! * `Strict-Transport-Security` applies to the host and all its subdomains. If one of them must be reachable by plain HTTP,
//!   set a value without `includeSubDomains; preload`. Answers to unencrypted requests don't have the header (RFC 6797
//!   section 7.2).
//! * Current browsers ignore `X-XSS-Protection`; security scanners ask for it.
//!
//! # Plain HTTP
//!
//! Anyone on the network path can read a request that was sent by plain HTTP. Such a request is refused with 403 unless
//! [`PlainHttp`] says otherwise. A request passes if one of these holds:
//!
//! * A proxy that is declared by [`proxies`](HardenBuilder::proxies) reports TLS.
//! * This server ends TLS itself. actix-web knows that; on other servers put a [`TlsConnection`] into the request's
//!   extensions.
//! * No proxy is declared, the request comes from a loopback address, and it has no header of a proxy (`Forwarded`, `Via`,
//!   `X-Forwarded-…`, `X-Real-IP` and similar ones). So a receiver on a developer's machine needs no setting. The server
//!   must provide the peer's address: on axum by `axum::HardenLayer` and `into_make_service_with_connect_info`, with bare
//!   tower by a [`PeerAddress`](crate::tower::PeerAddress).
//!
//! Declare every proxy, also one on the same machine: a local proxy that adds no header looks like a local client, and
//! everything passes.
//!
//! `X-Forwarded-Proto` counts only on a connection from a declared proxy's address, because any client can write it.
//!
//! Requests that are refused or redirected here have no event and no metric, because they never reach a Warden. The first,
//! second, fourth, eighth … of them is logged as `request by plain HTTP refused`, with the count so far and the fix. A wrong
//! declaration of the proxies refuses every request, so alert when accepted requests stop.
//!
//! Scrapers of metrics and health probes that use plain HTTP are refused too. On axum, add their routes after the layer.

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
/// // The host has a subdomain that is reachable by plain HTTP.
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
