//! What stands around a guarded endpoint: the headers of its answers, what becomes of plain HTTP, and `security.txt`.
//!
//! ```
//! use hookwarden::harden::{Harden, HardenLayer, PlainHttp};
//! use hookwarden::proxies::Proxies;
//!
//! let harden = Harden::builder()
//!     .header("content-security-policy", "default-src 'self'") // another value
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
//! * A header that the service inside has set is left as it is: a handler knows more of its answer than a list does.
//! * `Strict-Transport-Security` speaks for the whole host and all its subdomains. Where one of them has to be reached
//!   by plain HTTP, set a value without `includeSubDomains; preload`. Answers to requests that did not come encrypted
//!   are without it, as RFC 6797 section 7.2 asks.
//! * Browsers of today ignore `X-XSS-Protection`; auditors ask for it.
//!
//! # Plain HTTP
//!
//! What was sent by plain HTTP could be read by everybody on its way, so it is refused unless [`PlainHttp`] says
//! otherwise. A request counts as encrypted
//!
//! * if a proxy declared by [`proxies`](HardenBuilder::proxies) reports TLS;
//! * or because this server ends TLS itself: actix-web knows that, other servers put a [`TlsConnection`] among the
//!   request's extensions;
//! * or because it never left the machine: it came from a loopback address, without a trace of a proxy (`Forwarded`,
//!   `Via`, any `X-Forwarded-…`, `X-Real-IP` and its like), and no proxy is declared. So a receiver on a developer's
//!   machine needs no setting. The server has to tell the peer's address: on axum
//!   `into_make_service_with_connect_info`, on bare tower a [`PeerAddress`](crate::tower::PeerAddress). A proxy on the
//!   same machine that adds none of these headers can't be told from a developer: declare it.
//!
//! Everything else is plain, and `X-Forwarded-Proto` of a peer that is no declared proxy is not looked at.
//!
//! The proxies' addresses are needed because anybody else who can reach the port may write the same header: a
//! connection from elsewhere is judged by itself.
//!
//! No event is raised for a request that is turned away here, as no Warden has seen it. The first, second, fourth,
//! eighth … of them is logged, with their count.

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

#[cfg(feature = "actix")]
pub(crate) use plain_http::{Arriving, Passage};

/// The headers of answers and the policy for plain HTTP, for [`HardenLayer`] and for actix-web's `HardenMiddleware`.
/// Cheap to clone.
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
