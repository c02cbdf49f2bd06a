//! What a server and its router know of a request besides its bytes: the webhook id in its path, the address that it came
//! from, and the path before a router shortened it.

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

/// The address of the connection that a request came on, which a server puts into the request's extensions. axum's own
/// `ConnectInfo<SocketAddr>` serves as well.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

pub(crate) async fn origin(warden: &Warden, parts: &mut Parts) -> Origin {
    Origin { id: path_parameter(warden, parts).await, peer: peer(warden, parts) }
}

/// The client's address behind the proxies.
fn peer(warden: &Warden, parts: &Parts) -> Option<IpAddr> {
    let values_of = |name| parts.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
    warden.proxies().client(connection_address(parts), values_of)
}

/// The address that the connection came from, whoever sent the request.
pub(crate) fn connection_address(parts: &Parts) -> Option<IpAddr> {
    let told = parts.extensions.get::<PeerAddress>().map(|PeerAddress(address)| *address);
    told.or_else(|| connect_info(parts))
}

/// The target as the sender wrote it: a router that nests others shortens the path on its way.
pub(crate) fn sent_uri(parts: &Parts) -> &Uri {
    original_uri(parts).unwrap_or(&parts.uri)
}

/// The head as the sender wrote it.
pub(crate) struct SentHead<'p>(pub(crate) &'p Parts);

impl Head for SentHead<'_> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.0.headers.header(name)
    }

    fn method(&self) -> Option<&str> {
        Some(self.0.method.as_str())
    }

    fn path(&self) -> Option<&str> {
        sent_uri(self.0).path_and_query().map(http::uri::PathAndQuery::as_str)
    }
}

#[cfg(feature = "axum")]
use of_axum::{connect_info, original_uri, path_parameter};
#[cfg(not(feature = "axum"))]
use of_no_router::{connect_info, original_uri, path_parameter};

/// axum leaves what it knows among a request's extensions.
#[cfg(feature = "axum")]
mod of_axum {
    use std::net::{IpAddr, SocketAddr};

    use axum::extract::rejection::RawPathParamsRejection;
    use axum::extract::{ConnectInfo, FromRequestParts as _, OriginalUri, RawPathParams};
    use http::Uri;
    use http::request::Parts;

    use crate::warden::{IdFault, Warden, WebhookId};

    pub(super) async fn path_parameter(warden: &Warden, parts: &mut Parts) -> Option<Result<WebhookId, IdFault>> {
        let name = warden.id_source().parameter()?;
        Some(match RawPathParams::from_request_parts(parts, &()).await {
            Ok(parameters) => {
                let value = parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
                value.map(WebhookId::from).ok_or(IdFault::NoSuchParameter)
            }
            Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => Err(IdFault::Unreadable),
            Err(_) => Err(IdFault::NoSuchParameter),
        })
    }

    pub(super) fn connect_info(parts: &Parts) -> Option<IpAddr> {
        parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
    }

    pub(super) fn original_uri(parts: &Parts) -> Option<&Uri> {
        parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri)
    }
}

#[cfg(not(feature = "axum"))]
mod of_no_router {
    use std::net::IpAddr;

    use http::Uri;
    use http::request::Parts;

    use crate::warden::{IdFault, Warden, WebhookId};

    pub(super) async fn path_parameter(_: &Warden, _: &mut Parts) -> Option<Result<WebhookId, IdFault>> {
        None
    }

    pub(super) const fn connect_info(_: &Parts) -> Option<IpAddr> {
        None
    }

    pub(super) const fn original_uri(_: &Parts) -> Option<&Uri> {
        None
    }
}
