//! The HTTP client of the commands that talk to a receiver.

use std::convert::Infallible;
use std::sync::Arc;

use clap::ValueEnum;
use http_body_util::combinators::BoxBody;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::failure::Failure;

/// Speaks HTTP/1.1 and HTTP/2, in the clear or over TLS with the system's roots.
pub(crate) type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, BoxBody<Bytes, Infallible>>;

/// `--http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Version {
    /// HTTP/2 where the server offers it in TLS, else HTTP/1.1
    #[default]
    Auto,
    /// HTTP/1.1
    #[value(name = "1.1")]
    Http1,
    /// HTTP/2, in the clear with prior knowledge
    #[value(name = "2")]
    Http2,
}

/// A client that keeps up to `idle` connections for the next request, for a URL with or without TLS.
pub(crate) fn client(version: Version, idle: usize, tls: bool) -> Result<Client, Failure> {
    let provider = rustls::crypto::ring::default_provider;
    let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider());
    let builder = match builder {
        Ok(builder) => builder.https_or_http(),
        // A system without certificates can still be sent to in the clear.
        Err(_) if !tls => {
            let config =
                ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
            let config = config.map_err(|error| Failure::outside("TLS", error))?;
            let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http()
        }
        Err(error) => return Err(Failure::outside("the system's certificates", error)),
    };
    let connector = match version {
        Version::Auto => builder.enable_all_versions().build(),
        Version::Http1 => builder.enable_http1().build(),
        Version::Http2 => builder.enable_http2().build(),
    };
    Ok(hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(idle)
        .http2_only(version == Version::Http2)
        // A request goes out once: whoever counts answers wants no second one behind his back.
        .retry_canceled_requests(false)
        .build(connector))
}

/// The URL of a receiver, `http` or `https`, with a host and without a user name or password: those would be in process
/// lists and in every report that names the receiver.
pub(crate) fn url(text: &str) -> Result<http::Uri, String> {
    let uri: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("has a user name or a password in it, which process lists show; leave them out".into());
    }
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(uri),
        _ => Err("is no http:// or https:// URL with a host".into()),
    }
}
