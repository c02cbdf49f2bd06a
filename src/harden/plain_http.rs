//! The policy for requests over plain HTTP.

use std::net::{IpAddr, Ipv6Addr};

use crate::occurrences::Occurrences;
use crate::proxies::Proxies;

/// What to do with a request that was sent over plain HTTP.
///
/// ```
/// use hookwarden::harden::{Harden, PlainHttp};
///
/// let harden = Harden::builder().plain_http(PlainHttp::Redirect).redirect_host("hooks.example.com").build()?;
///
/// // `PlainHttp::Redirect` needs a host.
/// let error = Harden::builder().plain_http(PlainHttp::Redirect).build().expect_err("no host");
/// assert_eq!(error.field(), "redirect_host");
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PlainHttp {
    /// Pass it on. Only for servers whose port receives only encrypted traffic.
    DangerAllow,
    /// Redirect a GET or HEAD without a signature with 308 to the same path over `https`, at the
    /// [`redirect_host`](super::HardenBuilder::redirect_host). Refuse any other request with 403: its content is
    /// already exposed, and a redirect would hide that from the sender.
    Redirect,
    /// Refuse it with 403.
    #[default]
    Refuse,
}

/// Marks a request whose connection is encrypted. A server that terminates TLS itself inserts it into the request's
/// extensions.
///
/// ```
/// use axum::{Extension, Router};
/// use hookwarden::axum::HardenLayer;
/// use hookwarden::harden::TlsConnection;
///
/// /// For a router that is served only over TLS. The last layer is the outermost: it marks requests for `HardenLayer`.
/// fn tls_only(app: Router) -> Router {
///     app.layer(HardenLayer::default()).layer(Extension(TlsConnection))
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TlsConnection;

/// A request as it arrived, independent of the framework.
pub(crate) trait Arriving {
    fn method(&self) -> &str;
    /// The path and query as sent.
    fn path(&self) -> Option<&str>;
    fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]>;
    /// Returns whether the lower-case name of any header satisfies `is`.
    fn has_header(&self, is: impl Fn(&str) -> bool) -> bool;
    /// The address of the connection.
    fn address(&self) -> Option<IpAddr>;
    /// Returns whether this server terminated TLS on the connection.
    fn is_tls(&self) -> bool;
}

/// The policy for plain HTTP, and the settings that detect it.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(super) plain_http: PlainHttp,
    pub(super) proxies: Proxies,
    pub(super) redirect_host: Option<String>,
    pub(super) signatures: Vec<String>,
    refused: Occurrences,
}

/// The decision on a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Through {
        is_encrypted: bool,
    },
    /// Redirected to this address.
    Redirected(String),
    Refused,
}

/// How a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Encrypted,
    /// Sent in plain text from this machine.
    Local,
    Plain,
}

impl Policy {
    pub(crate) fn check(&self, request: &impl Arriving) -> Passage {
        match self.transport(request) {
            Transport::Encrypted => Passage::Through { is_encrypted: true },
            Transport::Local => Passage::Through { is_encrypted: false },
            Transport::Plain if self.plain_http == PlainHttp::DangerAllow => Passage::Through { is_encrypted: false },
            Transport::Plain => {
                self.log_refusal(request.address());
                self.location(request).map_or(Passage::Refused, Passage::Redirected)
            }
        }
    }

    fn transport(&self, request: &impl Arriving) -> Transport {
        let address = request.address().map(|address| address.to_canonical());
        match self.proxies.is_https(address, |name| request.values(name)) {
            // Behind a proxy, the client's connection to the proxy decides, not the proxy's connection to this server.
            Some(true) => Transport::Encrypted,
            Some(false) => Transport::Plain,
            None if request.is_tls() => Transport::Encrypted,
            None if !self.proxies.are_declared()
                && address.is_some_and(|address| address.is_loopback())
                && !request.has_header(is_proxy_header) =>
            {
                Transport::Local
            }
            None => Transport::Plain,
        }
    }

    /// Logs the first, second, fourth, eighth … request that is refused or redirected.
    fn log_refusal(&self, address: Option<IpAddr>) {
        let Some(count) = self.refused.count_to_log() else { return };
        let fix = match address {
            None => {
                "the server does not set the peer's address: on axum, use hookwarden::axum::HardenLayer and \
                 into_make_service_with_connect_info"
            }
            Some(_) if !self.proxies.are_declared() => {
                "if a proxy terminates TLS, declare it with HardenBuilder::proxies"
            }
            Some(_) if self.proxies.is_https(address, |_| []).is_some() => {
                "the declared proxy did not report https: it must set X-Forwarded-Proto, or proto in Forwarded"
            }
            Some(_) => "the peer is not in the networks of HardenBuilder::proxies: correct them if it is your proxy",
        };
        tracing::warn!(
            target: "hookwarden::harden",
            count,
            peer = address.map(tracing::field::display),
            "request over plain HTTP refused: {fix}"
        );
    }

    /// Returns the same path over `https`, if the request may be redirected.
    fn location(&self, request: &impl Arriving) -> Option<String> {
        let host = self.redirect_host.as_ref().filter(|_| self.plain_http == PlainHttp::Redirect)?;
        let is_signed = self.signatures.iter().any(|name| request.values(name).next().is_some());
        if is_signed || !matches!(request.method(), "GET" | "HEAD") {
            return None;
        }
        let path = request.path().filter(|path| path.starts_with('/')).unwrap_or("/");
        // Browsers send only visible ASCII in a path.
        path.bytes().all(|byte| byte.is_ascii_graphic()).then(|| format!("https://{host}{path}"))
    }
}

fn is_proxy_header(name: &str) -> bool {
    name.starts_with("x-forwarded") || PROXY_HEADERS.contains(&name)
}

/// Parses a host's name or address with an optional port, and returns it in lower case. Rejects every character that
/// could end the host early or start another host.
pub(super) fn host_and_port(text: &str) -> Option<String> {
    let end =
        if text.starts_with('[') { text.find(']')?.checked_add(1)? } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at_checked(end)?;
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => format!(":{}", digits.parse::<u16>().ok()?),
        None if rest.is_empty() => String::new(),
        _ => return None,
    };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    (is_host && (1..=MAX_HOST_BYTES).contains(&host.len())).then(|| format!("{}{port}", host.to_ascii_lowercase()))
}

/// The headers that proxies add, in addition to `X-Forwarded-…`.
const PROXY_HEADERS: [&str; 6] = ["cf-connecting-ip", "forwarded", "true-client-ip", "via", "x-client-ip", "x-real-ip"];

/// The longest name in DNS, in bytes.
const MAX_HOST_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_host_is_only_a_name_or_address() {
        for (text, host) in [
            ("hooks.example.com", "hooks.example.com"),
            ("Hooks.Example.COM:8080", "hooks.example.com:8080"),
            ("203.0.113.9:80", "203.0.113.9:80"),
            ("[2001:db8::7]", "[2001:db8::7]"),
            ("[2001:db8::7]:80", "[2001:db8::7]:80"),
        ] {
            assert_eq!(host_and_port(text).as_deref(), Some(host), "{text}");
        }
        let long = "a".repeat(254);
        for text in [
            "",
            ":80",
            "user@evil.example",
            "good.example:80@evil.example",
            "good.example/evil",
            "good.example\\@evil.example",
            "good.example?x",
            "good.example#x",
            "good.example evil",
            "good.example\r\nSet-Cookie: a=b",
            "good.example%0d%0a",
            "good.example:99999",
            "good.example:",
            "good.example:http",
            "[evil.example]",
            "[::1",
            "größe.example",
            &long,
        ] {
            assert_eq!(host_and_port(text), None, "{text:?}");
        }
    }
}
