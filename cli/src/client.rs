//! The HTTP client of the commands that connect to a receiver.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use clap::ValueEnum;
use http::header::{CONNECTION, HeaderMap, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::Authority;
use http::{HeaderValue, Uri};
use http_body_util::combinators::BoxBody;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::failure::Failure;

/// A client for HTTP/1.1 and HTTP/2, in plain text or over TLS with the system's root certificates.
pub(crate) type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, BoxBody<Bytes, Infallible>>;

/// `--http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Version {
    /// HTTP/2 if the server offers it over TLS, otherwise HTTP/1.1
    #[default]
    Auto,
    /// HTTP/1.1
    #[value(name = "1.1")]
    Http1,
    /// HTTP/2, in plain text with prior knowledge
    #[value(name = "2")]
    Http2,
}

/// A client that keeps up to `idle` idle connections.
pub(crate) fn client(version: Version, idle: usize, tls: bool) -> Result<Client, Failure> {
    let provider = rustls::crypto::ring::default_provider;
    let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider());
    let builder = match builder {
        Ok(builder) => builder.https_or_http(),
        // Plain HTTP works without the system's certificates.
        Err(_) if !tls => {
            let config =
                ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
            let config = config.map_err(|error| Failure::outside("TLS", error))?;
            let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http()
        }
        Err(error) => return Err(Failure::outside("system certificates", error)),
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
        // Has an effect only on a request with the spelling of another one.
        .http1_preserve_header_case(true)
        // A retry would distort the counts.
        .retry_canceled_requests(false)
        .build(connector))
}

/// The version for requests to `url` with these values of `Host`. A request of HTTP/2 has the host of its URL in
/// `:authority`, and receivers refuse one that has another host in `Host`.
pub(crate) fn version_for<'h>(
    version: Version,
    url: &Uri,
    hosts: impl IntoIterator<Item = &'h HeaderValue>,
) -> Result<Version, Failure> {
    match (version, hosts.into_iter().find(|host| !is_host_of(url, host))) {
        (Version::Http2, Some(host)) => {
            let problem = format!(
                "must be 1.1 or auto to send Host {} to {}, because HTTP/2 sends the host of the URL",
                String::from_utf8_lossy(host.as_bytes()),
                url.authority().map(Authority::as_str).unwrap_or_default()
            );
            Err(Failure::input("--http", problem))
        }
        (Version::Auto, Some(_)) => Ok(Version::Http1),
        (version, _) => Ok(version),
    }
}

/// Whether a request to `url` has this `Host` without an argument.
pub(crate) fn is_host_of(url: &Uri, host: &HeaderValue) -> bool {
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let (Some(own), Some(host)) = (url.authority(), host) else { return false };
    let default = if url.scheme_str() == Some("http") { 80 } else { 443 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    own.host().eq_ignore_ascii_case(host.host()) && port(own) == port(&host)
}

/// Parses the URL of a receiver. It must not contain a user name or password, because process lists and reports show
/// it.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must not contain a user name or a password, because process lists show them".into());
    }
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(uri),
        _ => Err("must be an http:// or https:// URL with a host".into()),
    }
}

/// The URL for a request with this path and query. A `base` with a path replaces the path, and one with a query also the
/// query.
pub(crate) fn url_for(base: &Uri, path_and_query: &str) -> Result<Uri, String> {
    let own = base.path_and_query().map_or("/", |own| own.as_str());
    let target = match (own, base.query(), path_and_query.split_once('?')) {
        ("/", ..) => path_and_query.to_owned(),
        (_, None, Some((_, query))) => format!("{own}?{query}"),
        _ => own.to_owned(),
    };
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(target.parse().map_err(|_| "must have a path that a URL permits")?);
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

/// Removes the fields that are only for one connection: RFC 9110 section 7.6.1.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let listed = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    let listed = listed.flat_map(|names| names.split(|byte| *byte == b','));
    let listed: Vec<_> = listed.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whether `host` is always this host. Other names than localhost are not resolved, because their addresses may change.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_path_replaces_the_request_path() {
        for (base, request, expected) in [
            ("http://a", "/b?c=d", "http://a/b?c=d"),
            ("http://a/", "/b", "http://a/b"),
            ("http://a:1/hook", "/b", "http://a:1/hook"),
            ("http://a/hook", "/b?c=d", "http://a/hook?c=d"),
            ("http://a/hook?e=f", "/b?c=d", "http://a/hook?e=f"),
            ("http://a?e=f", "/b?c=d", "http://a/?e=f"),
        ] {
            assert_eq!(url_for(&base.parse().unwrap(), request).unwrap(), expected, "{base} {request}");
        }
        assert_eq!(url_for(&"http://a".parse().unwrap(), "/b c").unwrap_err(), "must have a path that a URL permits");
    }

    #[test]
    fn other_host_needs_http_1() {
        let url: Uri = "https://127.0.0.1:8443/a".parse().unwrap();
        let version = |version, host: &'static str| {
            version_for(version, &url, &[HeaderValue::from_static(host)]).map_err(|failure| failure.to_string())
        };
        for own in [Version::Auto, Version::Http1, Version::Http2] {
            assert_eq!(version(own, "127.0.0.1:8443"), Ok(own));
        }
        for other in ["hooks.example.com", "127.0.0.1", "127.0.0.1:443", "a b"] {
            assert_eq!(version(Version::Auto, other), Ok(Version::Http1), "{other}");
            assert_eq!(version(Version::Http1, other), Ok(Version::Http1), "{other}");
            let problem = version(Version::Http2, other).unwrap_err();
            assert!(problem.starts_with(&format!("--http: must be 1.1 or auto to send Host {other} to")), "{problem}");
        }
        for (url, host) in [("http://A", "a:80"), ("https://a:443", "A")] {
            assert!(is_host_of(&url.parse().unwrap(), &HeaderValue::from_static(host)), "{url} {host}");
        }
    }

    #[test]
    fn fields_of_the_connection_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Listed"),
            ("connection", "x-also ,,\u{fc}"),
            ("x-listed", "1"),
            ("x-also", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ] {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }
}
