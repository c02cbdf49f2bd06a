//! What the server and the router know about a request besides its bytes: the webhook id in its path, the address that it
//! came from, and the path before a router shortened it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;

use http::Uri;
use http::request::Parts;

use crate::headers::{FieldName, Head, Occurrence};
use crate::warden::{IdFault, Warden, WebhookId};

/// What only the server and the router know.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The webhook id, if it is in a path parameter.
    pub(crate) id: Option<Result<WebhookId, IdFault>>,
    /// The address that counts.
    pub(crate) peer: Option<IpAddr>,
}

/// The address of the connection that a request came on. The server puts it into the request's extensions, so that the
/// Warden can limit each peer.
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

/// Where a framework keeps what it knows about a request.
pub(crate) trait Framework {
    /// The webhook id, if the Warden looks for it in a path parameter.
    fn path_parameter(
        warden: &Warden,
        parts: &mut Parts,
    ) -> impl Future<Output = Option<Result<WebhookId, IdFault>>> + Send;

    /// The address that the connection came from, whoever sent the request.
    fn connection_address(parts: &Parts) -> Option<IpAddr>;

    /// The target as the sender wrote it. A router that nests others shortens the path.
    fn sent_uri(parts: &Parts) -> &Uri;
}

pub(crate) async fn origin<F: Framework>(warden: &Warden, parts: &mut Parts) -> Origin {
    Origin { id: F::path_parameter(warden, parts).await, peer: peer::<F>(warden, parts) }
}

/// The client's address behind the proxies.
fn peer<F: Framework>(warden: &Warden, parts: &Parts) -> Option<IpAddr> {
    let values_of = |name| parts.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
    warden.proxies().client(F::connection_address(parts), values_of)
}

/// The address in the extension [`PeerAddress`].
pub(crate) fn peer_address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<PeerAddress>().map(|PeerAddress(address)| *address)
}

/// The head as the sender wrote it.
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

    fn method(&self) -> Option<&str> {
        Some(self.parts.method.as_str())
    }

    fn path(&self) -> Option<&str> {
        F::sent_uri(self.parts).path_and_query().map(http::uri::PathAndQuery::as_str)
    }
}

impl<F> fmt::Debug for SentHead<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentHead(…)")
    }
}
