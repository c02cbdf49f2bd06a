//! Where the keys of a sender are published.

use std::fmt;
use std::time::Duration;

use hookwarden::ConfigError;
use http::Uri;
use http::uri::Authority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::text::start_of;

/// Where the keys of a sender are published, and what its keys must have.
///
/// The URL must be `https`. It is fetched as it is written: redirects are not followed, and no URL in the document is
/// used. The host must have a public address.
///
/// ```
/// use hookwarden_jwks::Source;
///
/// let plain = Source::jwk_set("https://acme.example/.well-known/jwks.json");
/// let shop = Source::ucp("https://shop.example/.well-known/ucp");
///
/// // A service inside of your network, with a certificate of your own authority.
/// let ca = "-----BEGIN CERTIFICATE-----\n…";
/// let internal = Source::jwk_set("https://keys.internal/jwks.json")
///     .danger_private_addresses()
///     .danger_root_certificates(ca);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Source {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    pub(crate) revocation_list: Option<String>,
    pub(crate) danger_private_addresses: bool,
    pub(crate) danger_roots: Vec<u8>,
}

/// What the keys of a source must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    JwkSet,
    AdcpWebhooks,
    AdcpRequests,
    Ucp,
    WebBots,
}

impl Kind {
    /// The maximum age of keys, if a specification limits it. In AdCP it is the longest interval at which the list of revoked
    /// keys is fetched.
    pub(crate) const fn max_age(self) -> Option<Duration> {
        match self {
            Self::AdcpWebhooks | Self::AdcpRequests => Some(Duration::from_secs(1_800)),
            Self::JwkSet | Self::Ucp | Self::WebBots => None,
        }
    }

    /// The values that `adcp_use` may have, if it must be present.
    pub(crate) const fn adcp_purposes(self) -> Option<&'static [&'static str]> {
        match self {
            Self::AdcpWebhooks => Some(&["request-signing", "webhook-signing"]),
            Self::AdcpRequests => Some(&["request-signing"]),
            Self::JwkSet | Self::Ucp | Self::WebBots => None,
        }
    }

    /// The values of `adcp_use` with which a key can sign the list of revoked keys, if there can be one.
    pub(crate) const fn list_purposes(self) -> Option<&'static [&'static str]> {
        match self {
            Self::AdcpWebhooks => Some(&[GOVERNANCE, "request-signing", "webhook-signing"]),
            Self::AdcpRequests => Some(&[GOVERNANCE, "request-signing"]),
            Self::JwkSet | Self::Ucp | Self::WebBots => None,
        }
    }
}

impl Source {
    /// A JWK Set ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517#section-5)). The `keyid` of a signature is the `kid` of
    /// its key.
    pub fn jwk_set(url: impl Into<String>) -> Self {
        Self::new(Kind::JwkSet, url)
    }

    /// The JWK Set of an AdCP agent whose webhooks are verified, its `jwks_uri`. A key must have `use` `sig`, `key_ops` with
    /// `verify`, and `adcp_use` `request-signing`, or `webhook-signing`, which AdCP deprecates.
    ///
    /// Its keys are used for at most 30 minutes after they were fetched, which is the maximum of AdCP, even if
    /// [`max_age`](crate::JwksKeysBuilder::max_age) and [`max_stale`](crate::JwksKeysBuilder::max_stale) are longer.
    ///
    /// **AdCP obliges receivers to read the agent's list of revoked keys:** set [`revocation_list`](Self::revocation_list).
    /// Without it, no list is read.
    pub fn adcp_webhooks(url: impl Into<String>) -> Self {
        Self::new(Kind::AdcpWebhooks, url)
    }

    /// Like [`adcp_webhooks`](Self::adcp_webhooks), for an agent whose requests are verified: `adcp_use` must be
    /// `request-signing`.
    pub fn adcp_requests(url: impl Into<String>) -> Self {
        Self::new(Kind::AdcpRequests, url)
    }

    /// A UCP profile, such as `https://shop.example/.well-known/ucp`, with the list `keys` at its top level.
    pub fn ucp(url: impl Into<String>) -> Self {
        Self::new(Kind::Ucp, url)
    }

    /// The directory of a web bot, `https://bot.example/.well-known/http-message-signatures-directory`. The `keyid` of a
    /// signature is the thumbprint of its key ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)); a `kid` does not count.
    /// `nbf` and `exp` limit when a key is valid.
    ///
    /// The signature of the directory itself is not verified: the certificate of its host is what proves its origin.
    pub fn web_bots(url: impl Into<String>) -> Self {
        Self::new(Kind::WebBots, url)
    }

    /// Sets the URL of AdCP's signed list of revoked keys, `/.well-known/governance-revocations.json` at the origin of the
    /// agent's `brand.json`. It is fetched together with the keys, under the same rules, and with the same settings of this
    /// source.
    ///
    /// **First check that the list's `kid` is in the key document of this source, and that this key is for
    /// `governance-signing` if any key of the document is. If not, do not set the list:** it cannot be verified, so all
    /// requests would be answered 503.
    ///
    /// A key whose `kid` is in `revoked_kids` is refused. The list is fetched again at its `next_update`, but at least every
    /// 30 minutes and at most every 60 seconds; after a failure as for keys, after 1 s, 2 s, 4 s and so on up to 60 s.
    /// **If the source has no list yet, or only a stale one, all keys of the sender are refused:** its requests are answered
    /// 503, and the log says why. A list is stale 4 intervals after its `next_update`, so at most about 2.5 hours after it was fetched. An
    /// interval is the time from `updated` to `next_update`: at least 60 seconds and at most 30 minutes. Time for which the
    /// machine is suspended counts.
    ///
    /// With [`danger_serve_stale_for`](hookwarden::keys::CachedKeysBuilder::danger_serve_stale_for), keys are used for its
    /// time although the list is stale.
    ///
    /// The list counts only if
    ///
    /// - it is a JWS ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)) with one signature, by EdDSA or ES256, and the type
    ///   `adcp-gov-revocation+jws`;
    /// - its key is in the key document of this source, has the `adcp_use` `governance-signing`, or an `adcp_use` of this
    ///   source if no usable key of the document has `governance-signing`, and is not revoked;
    /// - its `issuer` has the host and the port of `url`, its `next_update` is at most 30 minutes in the future, and it is not
    ///   older than the list in use. While that one is fresh, an older list is ignored without an error.
    ///
    /// The list in use is kept in memory only: a process that starts accepts any list that is not stale.
    ///
    /// [`JwksKeysBuilder::build`](crate::JwksKeysBuilder::build) refuses it for sources that are not AdCP's.
    ///
    /// ```
    /// use hookwarden_jwks::Source;
    ///
    /// let source = Source::adcp_webhooks("https://seller.example/.well-known/jwks.json")
    ///     .revocation_list("https://seller.example/.well-known/governance-revocations.json");
    /// ```
    pub fn revocation_list(mut self, url: impl Into<String>) -> Self {
        self.revocation_list = Some(url.into());
        self
    }

    /// Permits a host with a loopback, private or other special address. **Whoever controls the DNS of the host can then
    /// have this process connect to a service inside of your network**, although only by TLS and with a certificate for
    /// the host.
    pub const fn danger_private_addresses(mut self) -> Self {
        self.danger_private_addresses = true;
        self
    }

    /// Also trusts these certificate authorities, in PEM, for this source. **Whoever has their private keys can replace the
    /// keys of the sender.**
    pub fn danger_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.danger_roots = pem.into();
        self
    }

    fn new(kind: Kind, url: impl Into<String>) -> Self {
        Self { kind, url: url.into(), revocation_list: None, danger_private_addresses: false, danger_roots: Vec::new() }
    }

    /// Returns the certificates of [`danger_root_certificates`](Self::danger_root_certificates).
    pub(crate) fn roots(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.danger_roots).collect();
        match read {
            Ok(certificates) if certificates.is_empty() != self.danger_roots.is_empty() => Err(INVALID_ROOTS),
            Ok(certificates) => Ok(certificates),
            Err(_) => Err(INVALID_ROOTS),
        }
        .map_err(|problem| ConfigError::new("danger_root_certificates", problem))
    }
}

/// The `adcp_use` of keys that sign no requests.
pub(crate) const GOVERNANCE: &str = "governance-signing";

const INVALID_ROOTS: &str = "must be certificates in PEM";

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("kind", &self.kind).field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}

/// The parts of a source's URL.
#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) authority: Authority,
    /// The host without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) name: ServerName<'static>,
}

impl Location {
    /// Parses the URL that the setting `field` has.
    pub(crate) fn parse(field: &'static str, url: &str) -> Result<Self, ConfigError> {
        let refuse = |problem: &str| ConfigError::new(field, format!("{problem}, not {:?}", shown(url)));
        let is_printable = url.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_printable || !url.starts_with("https://") {
            return Err(refuse("must be a URL that starts with https://"));
        }
        if url.contains(['#', '@']) {
            return Err(refuse("must be a URL without a user name and without a fragment"));
        }
        let uri: Uri = url.parse().map_err(|_| refuse("must be a URL"))?;
        let authority = uri.authority().cloned().ok_or_else(|| refuse("must be a URL with a host"))?;
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let is_default = authority.as_str().ends_with(authority.host());
        let port = match authority.port_u16() {
            Some(port) if port > 0 => port,
            None if is_default => 443,
            _ => return Err(refuse("must be a URL with a valid port or none")),
        };
        let name = ServerName::try_from(host.clone()).map_err(|_| refuse("must be a URL with a host name"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { authority, host, port, path, name })
    }
}

impl Location {
    /// Whether two URLs are for the same document.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.is_same_origin(other) && self.path == other.path
    }

    /// Whether two URLs have the same host and port.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port
    }
}

/// The URL for logs.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&format!("https://{}{}", self.authority, self.path)))
    }
}

/// The start of a URL for errors and logs. A password or a token in it is left out.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let without_user = url.split_once("://").zip(url.rsplit_once('@'));
    let url = without_user.map_or_else(|| url.to_owned(), |((scheme, _), (_, rest))| format!("{scheme}://{rest}"));
    start_of(&url, 200).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_url_has_no_password_or_token() {
        for (url, expected) in [
            ("https://acme.example/a?token=secret", "https://acme.example/a"),
            ("https://acme.example#secret?", "https://acme.example"),
            ("https://user:secret@acme.example/a", "https://acme.example/a"),
            ("https://user:sec@ret@acme.example/a", "https://acme.example/a"),
        ] {
            assert_eq!(shown(url), expected);
            assert!(!format!("{:?}", Source::ucp(url)).contains("secret"), "{url}");
        }
        let error = Location::parse("source", "https://user:secret@acme.example/").unwrap_err().to_string();
        assert!(error.ends_with("not \"https://acme.example/\""), "{error}");
        let long = Location::parse("source", &format!("http://{}", "a".repeat(100_000))).unwrap_err().to_string();
        assert!(long.len() < 300, "{} bytes", long.len());
    }

    #[test]
    fn url_is_split_into_its_parts() {
        for (url, host, port, path) in [
            ("https://acme.example", "acme.example", 443, "/"),
            ("https://acme.example/.well-known/ucp?v=1", "acme.example", 443, "/.well-known/ucp?v=1"),
            ("https://acme.example:8443/a", "acme.example", 8443, "/a"),
            ("https://[2001:db8::1]:8443/a", "2001:db8::1", 8443, "/a"),
            ("https://[2001:db8::1]/a", "2001:db8::1", 443, "/a"),
            ("https://192.0.2.1/a", "192.0.2.1", 443, "/a"),
        ] {
            let location = Location::parse("source", url).unwrap();
            assert_eq!((location.host.as_str(), location.port, location.path.as_str()), (host, port, path), "{url}");
        }
    }

    #[test]
    fn url_that_is_not_https_is_refused() {
        for url in [
            "",
            "acme.example",
            "http://acme.example/",
            "HTTP://acme.example/",
            "ftp://acme.example/",
            "https://",
            "https:///a",
            "https://user@acme.example/",
            "https://acme.example/#a",
            "https://acme.example:0/",
            "https://acme.example:/",
            "https://acme.example:99999/",
            "https://ac me.example/",
            "https://acmé.example/",
            "https://acme.example/\r\nx: y",
            "file:///etc/passwd",
            "https://[::1",
            "https://a_.ex!ample/",
        ] {
            assert_eq!(Location::parse("source", url).unwrap_err().field(), "source", "{url:?}");
        }
    }
}
