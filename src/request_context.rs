//! The context of a request from the server and the router: the webhook id in its path, its peer, and the path as sent,
//! before a router shortens it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;

use http::Uri;
use http::request::Parts;

use crate::headers::{FieldName, Head, Occurrence};
use crate::warden::{IdFault, Warden, WebhookId};

/// The parts of a request that only the server and the router know.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// The webhook id, if it is in a path parameter.
    pub(crate) id: Option<Result<WebhookId, IdFault>>,
    /// The client's address behind the proxies.
    pub(crate) peer: Option<IpAddr>,
    /// Whether the request reaches the handler even if it would be refused.
    pub(crate) passes_on: bool,
}

/// The address of a request's connection. The server inserts it into the request's extensions, so that the Warden can
/// limit each peer.
///
/// ```
/// use std::net::SocketAddr;
///
/// use hookwarden::tower::PeerAddress;
///
/// fn with_peer<B>(mut request: http::Request<B>, peer: SocketAddr) -> http::Request<B> {
///     request.extensions_mut().insert(PeerAddress(peer.ip()));
///     request
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// Reads the context of a request from a framework.
pub(crate) trait Framework {
    /// Returns the webhook id if the Warden takes it from a path parameter.
    fn path_parameter(
        warden: &Warden,
        parts: &mut Parts,
    ) -> impl Future<Output = Option<Result<WebhookId, IdFault>>> + Send;

    /// Returns the address of the connection, which may be a proxy's.
    fn connection_address(parts: &Parts) -> Option<IpAddr>;

    /// Returns the request target as sent, before a nested router shortens it.
    fn sent_uri(parts: &Parts) -> &Uri;
}

pub(crate) async fn context_of<F: Framework>(warden: &Warden, parts: &mut Parts) -> RequestContext {
    RequestContext { id: F::path_parameter(warden, parts).await, peer: peer::<F>(warden, parts), passes_on: false }
}

/// Returns the client's address behind the proxies.
fn peer<F: Framework>(warden: &Warden, parts: &Parts) -> Option<IpAddr> {
    let values_of = |name| parts.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
    warden.proxies().client(F::connection_address(parts), values_of)
}

/// Returns the address in the extension [`PeerAddress`].
pub(crate) fn peer_address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<PeerAddress>().map(|PeerAddress(address)| *address)
}

/// The head as sent.
pub(crate) struct SentHead<'p, F> {
    pub(crate) parts: &'p Parts,
    framework: PhantomData<fn() -> F>,
}

impl<'p, F: Framework> SentHead<'p, F> {
    pub(crate) const fn new(parts: &'p Parts) -> Self {
        Self { parts, framework: PhantomData }
    }
}

impl<F: Framework> Head for SentHead<'_, F> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.parts.headers.header(name)
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        self.parts.headers.nth_value(name, index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.parts.headers.for_each_header(each);
    }

    fn method(&self) -> Option<&str> {
        Some(self.parts.method.as_str())
    }

    fn path(&self) -> Option<&str> {
        F::sent_uri(self.parts).path_and_query().map(http::uri::PathAndQuery::as_str)
    }

    fn authority(&self) -> Option<&str> {
        F::sent_uri(self.parts).authority().map(http::uri::Authority::as_str)
    }
}

impl<F> fmt::Debug for SentHead<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentHead(…)")
    }
}
