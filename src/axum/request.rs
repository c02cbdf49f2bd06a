//! What axum knows about a request.

use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::MockConnectInfo;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequestParts as _, OriginalUri, RawPathParams};
use http::Uri;
use http::request::Parts;

use crate::request_context::{Framework, peer_address};
use crate::warden::{IdFault, Warden, WebhookId};

/// axum keeps what it knows among a request's extensions.
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
                    "the route has no `{{{name}}}` parameter: set `webhook_id(IdSource::…)` or rename the parameter, and \
                     put the layer on the route, not on the whole Router"
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

    /// What the extractor `ConnectInfo<SocketAddr>` finds, unless the server says otherwise.
    fn connection_address(parts: &Parts) -> Option<IpAddr> {
        let connection = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let mocked = || parts.extensions.get().map(|MockConnectInfo::<SocketAddr>(address)| address.ip());
        peer_address(parts).or_else(connection).or_else(mocked)
    }

    fn sent_uri(parts: &Parts) -> &Uri {
        parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri)
    }
}
