//! Reads the webhook id, the peer and the path of a request from axum.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts as _, OriginalUri, RawPathParams, Request};
use http::Uri;
use http::request::Parts;

use crate::body::VerifiedBody;
use crate::request_context::{Framework, peer_address};
use crate::warden::{IdFault, Warden, WebhookId};

/// axum, which stores the path parameters, the peer and the path in a request's extensions.
#[derive(Debug)]
pub(crate) enum Axum {}

impl Framework for Axum {
    async fn path_parameter(warden: &Warden, parts: &mut Parts) -> Option<Result<WebhookId, IdFault>> {
        let parameter = warden.id_source().parameter()?;
        let missing = || {
            parameter.missing(|name, count| {
                tracing::error!(
                    target: "hookwarden::axum",
                    count,
                    "the route has no `{{{name}}}` parameter: set `webhook_id(IdSource::…)` or rename the parameter, \
                     and put the layer on the route, not on the whole Router"
                );
            })
        };
        Some(match RawPathParams::from_request_parts(parts, &()).await {
            Ok(parameters) => {
                let value = parameters.iter().find(|(key, _)| *key == parameter.name()).map(|(_, value)| value);
                value.map(WebhookId::from).ok_or_else(missing)
            }
            Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => Err(IdFault::Unreadable),
            Err(_) => Err(missing()),
        })
    }

    /// Returns the address that the extractor `ConnectInfo<SocketAddr>` finds, unless the server sets a `PeerAddress`.
    fn connection_address(parts: &Parts) -> Option<IpAddr> {
        let connection = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let mocked = || parts.extensions.get().map(|MockConnectInfo::<SocketAddr>(address)| address.ip());
        peer_address(parts).or_else(connection).or_else(mocked)
    }

    fn sent_uri(parts: &Parts) -> &Uri {
        parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri)
    }
}

/// Builds a request with a verified body, without axum's body limit: it could reject a body that the Warden admitted.
pub(super) fn request_of(parts: Parts, body: VerifiedBody) -> Request {
    let mut request = Request::from_parts(parts, Body::new(body));
    DefaultBodyLimit::disable().apply(&mut request);
    request
}
