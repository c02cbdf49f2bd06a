//! What becomes of requests that came by plain HTTP.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::peer::Proxies;

/// What becomes of a request that came by plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PlainHttp {
    /// It goes on like any other. For servers whose port only encrypted traffic reaches.
    DangerAllow,
    /// A GET or HEAD without a signature is sent on with 308 to the same address by `https`. Any other is refused with
    /// 403: its body has been read by whoever wanted to, and a redirect would keep that from the sender.
    Redirect,
    /// It is refused with 403.
    #[default]
    Refuse,
}

/// The mark of a request whose connection is encrypted, which a server that ends TLS itself puts into the request's
/// extensions: `axum::Extension(TlsConnection)` around a router that is served by TLS alone.
#[derive(Debug, Clone, Copy)]
pub struct TlsConnection;

/// A request as it arrived, whatever the framework.
pub(crate) trait Arriving {
    fn method(&self) -> &str;
    /// The path and query as sent.
    fn path(&self) -> Option<&str>;
    /// The host in the request's target, which HTTP/2 and absolute targets have.
    fn authority(&self) -> Option<&str>;
    fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]>;
    /// The address of the connection.
    fn address(&self) -> Option<IpAddr>;
    /// Whether this server ended the connection's TLS.
    fn is_tls(&self) -> bool;
}

/// The policy for plain HTTP, and how it is recognized.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(super) plain_http: PlainHttp,
    pub(super) proxies: Proxies,
    pub(super) redirect_host: Option<String>,
    pub(super) signatures: Vec<String>,
    told: AtomicBool,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Through,
    /// To this address.
    Redirected(String),
    Refused,
}

impl Policy {
    pub(crate) fn judge(&self, request: &impl Arriving) -> Passage {
        if self.plain_http == PlainHttp::DangerAllow || self.is_encrypted(request) {
            return Passage::Through;
        }
        if !self.told.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "hookwarden::harden",
                peer = request.address().map(tracing::field::display),
                "a request by plain http was turned away, as all further ones will be without a word: a proxy that ends TLS \
                 has to be declared by trusted_hops"
            );
        }
        let is_redirectable = self.plain_http == PlainHttp::Redirect
            && matches!(request.method(), "GET" | "HEAD")
            && !self.signatures.iter().any(|name| request.values(name).next().is_some());
        let location = if is_redirectable { self.location(request) } else { None };
        location.map_or(Passage::Refused, Passage::Redirected)
    }

    fn is_encrypted(&self, request: &impl Arriving) -> bool {
        let address = request.address().map(|address| address.to_canonical());
        match self.proxies.behind(address) {
            // The client's connection counts, whatever the proxy's own is.
            Some(hops) => hops.is_https(request.values(hops.protocol_header_name())),
            None if self.proxies.are_declared() => request.is_tls(),
            None => {
                let is_local = address.is_some_and(|address| address.is_loopback());
                request.is_tls() || (is_local && TRACES.iter().all(|name| request.values(name).next().is_none()))
            }
        }
    }

    /// The same address by `https`. `None` where the request names no host, or one that is none.
    fn location(&self, request: &impl Arriving) -> Option<String> {
        let host = match &self.redirect_host {
            Some(host) => host.clone(),
            None => {
                let asked = match request.authority() {
                    Some(authority) => authority,
                    None => {
                        let mut hosts = request.values("host");
                        let (host, None) = (hosts.next()?, hosts.next()) else { return None };
                        std::str::from_utf8(host).ok()?
                    }
                };
                // The port is that of plain HTTP, and of no use for TLS.
                host_and_port(asked)?.0
            }
        };
        let path = request.path().filter(|path| path.starts_with('/')).unwrap_or("/");
        // A path that no header can hold is none that a browser writes.
        path.bytes().all(|byte| byte.is_ascii_graphic()).then(|| format!("https://{host}{path}"))
    }
}

/// A host's name or address, in lower case, and its port. Nothing that could end the host early or start another one is
/// part of a name.
pub(super) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let end =
        if text.starts_with('[') { text.find(']')?.checked_add(1)? } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at_checked(end)?;
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        None if rest.is_empty() => None,
        _ => return None,
    };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    (is_host && (1..=MOST_OF_A_HOST).contains(&host.len())).then(|| (host.to_ascii_lowercase(), port))
}

/// The headers by which proxies are known.
const TRACES: [&str; 6] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// The most bytes of a name in DNS.
const MOST_OF_A_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_a_name_or_an_address_and_nothing_more() {
        for (text, host, port) in [
            ("hooks.example.com", "hooks.example.com", None),
            ("Hooks.Example.COM:8080", "hooks.example.com", Some(8080)),
            ("203.0.113.9:80", "203.0.113.9", Some(80)),
            ("[2001:db8::7]", "[2001:db8::7]", None),
            ("[2001:db8::7]:80", "[2001:db8::7]", Some(80)),
        ] {
            assert_eq!(host_and_port(text), Some((host.to_owned(), port)), "{text}");
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
