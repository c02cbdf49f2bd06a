//! The URL of a store: one server, the seed nodes of a cluster, or Sentinels and the name of their primary.

use std::fmt;

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, parse_redis_url};
use percent_encoding::percent_decode_str;

use crate::error::ConfigError;

/// The URL of a [`RedisStore`](super::RedisStore), for programs that check settings without connecting. `Debug` prints
/// no user and no password.
///
/// ```
/// use hookwarden::redis::RedisUrl;
///
/// let url = RedisUrl::parse("rediss+cluster://:password@a.example:6379,b.example:6379")?;
/// assert_eq!(url.hosts().collect::<Vec<_>>(), ["a.example", "b.example"]);
/// assert!(url.has_tls() && url.has_password());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct RedisUrl(Address);

impl RedisUrl {
    /// Parses the URL of [`RedisStore::builder`](super::RedisStore::builder).
    ///
    /// # Errors
    /// Returns an error of the setting `redis.url`, without parts of the URL.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        Address::parse(url).map(Self)
    }

    /// The names or IP addresses of the listed servers or Sentinels, without ports and brackets. None for a socket.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let (one, listed) = match &self.0 {
            Address::Server(node) => match node.info.addr() {
                ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => (Some(host), &[][..]),
                _ => (None, &[][..]),
            },
            Address::Cluster { seeds, .. } => (None, &seeds[..]),
            Address::Sentinel(address) => (None, &address.hosts[..]),
        };
        one.into_iter().chain(listed.iter().map(|host| &host.name)).map(String::as_str)
    }

    /// Returns whether all connections use TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.0.has_tls()
    }

    /// Returns whether the URL contains a password, of the servers or of the Sentinels.
    #[must_use]
    pub fn has_password(&self) -> bool {
        let (node, sentinel) = match &self.0 {
            Address::Server(node) | Address::Cluster { node, .. } => (node, None),
            Address::Sentinel(address) => (&address.node, Some(&address.sentinel)),
        };
        let has_password = |template: &Template| template.info.redis_settings().password().is_some();
        has_password(node) || sentinel.is_some_and(has_password)
    }
}

/// Where a store finds its servers.
#[derive(Debug)]
pub(super) enum Address {
    Server(Template),
    Cluster { seeds: Vec<Host>, node: Template },
    Sentinel(Box<SentinelAddress>),
}

/// The Sentinels of a primary.
#[derive(Debug)]
pub(super) struct SentinelAddress {
    pub(super) hosts: Vec<Host>,
    /// How to connect to a Sentinel.
    pub(super) sentinel: Template,
    /// The name by which the Sentinels know the primary.
    pub(super) name: String,
    /// How to connect to the primary.
    pub(super) node: Template,
}

/// A host name or an IP address without brackets, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// How to connect to the servers of one kind: TLS, user, password and database.
#[derive(Clone)]
pub(super) struct Template {
    info: ConnectionInfo,
}

impl Address {
    /// Parses a URL. No error quotes it, because it may contain a password.
    pub(super) fn parse(url: &str) -> Result<Self, ConfigError> {
        let parts = Parts::split(url).ok_or_else(|| problem(FORM))?;
        match parts.kind {
            Some("cluster") => parts.cluster(),
            Some("sentinel") => Ok(Self::Sentinel(Box::new(parts.sentinels()?))),
            Some("unix") => server(url),
            _ if parts.hosts.contains(',') => Err(problem(SEVERAL)),
            _ => server(url),
        }
    }

    pub(super) fn has_tls(&self) -> bool {
        match self {
            Self::Server(node) | Self::Cluster { node, .. } => node.has_tls(),
            Self::Sentinel(address) => address.node.has_tls(),
        }
    }
}

impl Template {
    const fn new(info: ConnectionInfo) -> Self {
        Self { info }
    }

    /// Returns how to connect to `host`. With TLS, the certificate must be valid for its name.
    pub(super) fn at(&self, host: &Host) -> ConnectionInfo {
        let Host { name, port } = host.clone();
        self.info.clone().set_addr(if self.has_tls() {
            ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(name, port)
        })
    }

    /// Returns how to connect to the host in the URL, or to the first one.
    pub(super) const fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    pub(super) fn has_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// Prints no user and no password.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("address", self.info.addr())
            .field("database", &self.info.redis_settings().db())
            .finish_non_exhaustive()
    }
}

/// The parts of a URL that may list several hosts, which the client's parser does not support.
struct Parts<'a> {
    /// The scheme up to its `+`.
    base: &'a str,
    /// The scheme after its `+`.
    kind: Option<&'a str>,
    /// User and password with the `@` after them, or nothing.
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Parts<'a> {
    fn split(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let (base, kind) = scheme.split_once('+').map_or((scheme, None), |(base, kind)| (base, Some(kind)));
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at.saturating_add(1)));
        Some(Self { base, kind, user, hosts, path, query, fragment })
    }

    fn cluster(&self) -> Result<Address, ConfigError> {
        if !matches!(self.path, "" | "0") {
            return Err(problem("must name no database: a cluster has only database 0"));
        }
        if !self.query.is_empty() {
            return Err(problem("must have no parameters: a cluster has none"));
        }
        let (seeds, node) = self.hosts(6379, 0)?;
        Ok(Address::Cluster { seeds, node })
    }

    fn sentinels(&self) -> Result<SentinelAddress, ConfigError> {
        let (name, database) = self.path.split_once('/').unwrap_or((self.path, ""));
        if name.is_empty() || name.contains(|other: char| !other.is_ascii_alphanumeric() && !"._-".contains(other)) {
            return Err(problem(
                "must name the primary as the Sentinels do, after the hosts: redis+sentinel://host:26379/NAME",
            ));
        }
        let database = if database.is_empty() { Ok(0) } else { database.parse() };
        let database = database.map_err(|_| problem("must have a number as the database, after the primary's name"))?;
        let (hosts, node) = self.hosts(26379, database)?;

        let (mut user, mut password) = (None, None);
        for parameter in self.query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let target = match key {
                "sentinel_user" => &mut user,
                "sentinel_password" => &mut password,
                _ => return Err(problem("must have no parameters except sentinel_user and sentinel_password")),
            };
            let decoded = percent_decode_str(value).decode_utf8();
            *target = Some(decoded.map_err(|_| problem("must have parameters that are UTF-8 when decoded"))?);
        }
        let settings = match (user, password) {
            (None, None) => RedisConnectionInfo::default(),
            (None, Some(password)) => RedisConnectionInfo::default().set_password(password),
            (Some(user), Some(password)) => RedisConnectionInfo::default().set_username(user).set_password(password),
            (Some(_), None) => return Err(problem("must have sentinel_password next to sentinel_user")),
        };
        let sentinel = Template::new(node.info.clone().set_redis_settings(settings));
        Ok(SentinelAddress { hosts, sentinel, name: name.to_owned(), node })
    }

    /// Parses each host as a separate URL, so that names, addresses and passwords mean the same in all URLs.
    fn hosts(&self, default_port: u16, database: u32) -> Result<(Vec<Host>, Template), ConfigError> {
        match self.fragment {
            "" => {}
            "insecure" => return Err(problem(INSECURE)),
            _ => return Err(problem("must have no fragment: write `#` in a password as %23")),
        }
        let Self { base, user, .. } = self;
        let mut hosts = Vec::new();
        let mut node = None;
        for host in self.hosts.split(',') {
            let url = parse_redis_url(&format!("{base}://{user}{host}/{database}")).ok_or_else(|| problem(LIST))?;
            let port = url.port().unwrap_or(default_port);
            let info = url.into_connection_info().map_err(|_| problem(LIST))?;
            let (ConnectionAddr::Tcp(name, _) | ConnectionAddr::TcpTls { host: name, .. }) = info.addr() else {
                return Err(problem(FORM));
            };
            let host = Host { name: name.clone(), port };
            if hosts.contains(&host) {
                return Err(problem("must list each host once"));
            }
            hosts.push(host);
            node.get_or_insert(Template::new(info));
        }
        Ok((hosts, node.ok_or_else(|| problem(LIST))?))
    }
}

/// Parses the URL of one server.
fn server(url: &str) -> Result<Address, ConfigError> {
    // Do not quote the client's error: it may contain parts of the URL.
    let info = url.into_connection_info().map_err(|_| problem(FORM))?;
    // Another crate may have enabled the client's feature for insecure TLS.
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(problem(INSECURE));
    }
    Ok(Address::Server(Template::new(info)))
}

const fn problem(problem: &'static str) -> ConfigError {
    ConfigError::fixed("redis.url", problem)
}

const FORM: &str = "must be redis://, redis+cluster:// or redis+sentinel:// with a host (rediss for TLS), or redis+unix:// \
                    with a path, and a numbered database";
const SEVERAL: &str = "must have one host: redis+cluster:// and redis+sentinel:// list several";
const LIST: &str = "must list its hosts as host:port, separated by commas, after an optional user:password@ \
                    (percent-encoded)";
const INSECURE: &str = "must not turn off the verification of certificates: remove `#insecure`";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parse(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    fn hosts(list: &[(&str, u16)]) -> Vec<Host> {
        list.iter().map(|&(name, port)| Host { name: name.into(), port }).collect()
    }

    /// User, password and database.
    fn settings(node: &Template) -> (Option<&str>, Option<&str>, i64) {
        let settings = node.info.redis_settings();
        (settings.username(), settings.password(), settings.db())
    }

    #[test]
    fn url_of_one_server_parses_as_before() {
        for (url, address, tls) in [
            ("redis://redis.example", "redis.example:6379", false),
            ("rediss://:pass@redis.example:7000/3", "redis.example:7000", true),
            ("valkey://[::1]:7000", "::1:7000", false),
            ("redis+unix:///run/redis,1.sock", "/run/redis,1.sock", false),
        ] {
            let parsed = parse(url);
            let Address::Server(node) = &parsed else { panic!("{url}: {parsed:?}") };
            assert_eq!((node.info().addr().to_string(), parsed.has_tls()), (address.to_owned(), tls), "{url}");
        }
    }

    #[test]
    fn cluster_url_lists_its_seeds() {
        let three: &[_] = &[("a.example", 7001), ("10.0.0.2", 6379), ("::1", 7003)];
        for (url, seeds, user, tls) in [
            ("redis+cluster://a.example:7001,10.0.0.2,[::1]:7003", three, (None, None, 0), false),
            ("rediss+cluster://u:p%40%2c%23@a.example/0", &[("a.example", 6379)], (Some("u"), Some("p@,#"), 0), true),
            ("valkeys+cluster://:a,b@c.example:1/", &[("c.example", 1)], (None, Some("a,b"), 0), true),
            (" redis+cluster://a@b:c@d.example:1\n", &[("d.example", 1)], (Some("a@b"), Some("c"), 0), false),
        ] {
            let parsed = parse(url);
            let Address::Cluster { seeds: found, node } = &parsed else { panic!("{url}: {parsed:?}") };
            assert_eq!(found, &hosts(seeds), "{url}");
            assert_eq!((settings(node), parsed.has_tls()), (user, tls), "{url}");
        }
    }

    #[test]
    fn sentinel_url_has_name_and_both_passwords() {
        let two: &[_] = &[("s1", 26379), ("s2", 5000)];
        for (url, listed, name, node_user, sentinel_user, tls) in [
            ("redis+sentinel://s1,s2:5000/main-1.a", two, "main-1.a", (None, None, 0), (None, None, 0), false),
            (
                "rediss+sentinel://u:p@s1,s2:5000/main/2?sentinel_user=su&sentinel_password=a+b%26",
                two,
                "main",
                (Some("u"), Some("p"), 2),
                (Some("su"), Some("a+b&"), 0),
                true,
            ),
            (
                "redis+sentinel://:p@[::1]/main/?sentinel_password=s",
                &[("::1", 26379)],
                "main",
                (None, Some("p"), 0),
                (None, Some("s"), 0),
                false,
            ),
        ] {
            let parsed = parse(url);
            let tls_found = parsed.has_tls();
            let Address::Sentinel(found) = parsed else { panic!("{url}: {parsed:?}") };
            assert_eq!((&*found.name, found.hosts), (name, hosts(listed)), "{url}");
            assert_eq!((settings(&found.node), settings(&found.sentinel)), (node_user, sentinel_user), "{url}");
            assert_eq!((tls_found, found.sentinel.has_tls()), (tls, tls), "{url}");
        }
    }

    #[test]
    fn public_url_lists_hosts_tls_and_passwords() {
        for (url, hosts, tls, password) in [
            ("redis://a:1", &["a"][..], false, false),
            ("rediss://u:p@[::1]", &["::1"], true, true),
            ("redis+unix:///run/redis.sock?pass=p", &[], false, true),
            ("redis+cluster://a,b:2", &["a", "b"], false, false),
            ("rediss+cluster://:p@a", &["a"], true, true),
            ("redis+sentinel://:p@a,b/main", &["a", "b"], false, true),
            ("rediss+sentinel://a/main?sentinel_password=p", &["a"], true, true),
            ("redis+sentinel://a/main", &["a"], false, false),
        ] {
            let parsed = RedisUrl::parse(url).unwrap();
            assert_eq!(parsed.hosts().collect::<Vec<_>>(), hosts, "{url}");
            assert_eq!((parsed.has_tls(), parsed.has_password()), (tls, password), "{url}");
        }
    }

    #[test]
    fn template_keeps_tls_user_and_database() {
        let Address::Sentinel(found) = parse("rediss+sentinel://u:p@s1/main/2") else { panic!("not Sentinels") };
        let info = found.node.at(&Host { name: "10.0.0.9".into(), port: 7 });
        assert_eq!(info.addr().to_string(), "10.0.0.9:7");
        assert!(matches!(info.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
        assert_eq!(settings(&Template::new(info)), (Some("u"), Some("p"), 2));
    }

    #[test]
    fn invalid_url_error_names_its_mistake() {
        for (url, mistake) in [
            ("", "must be redis://"),
            ("http://canary", "must be redis://"),
            ("redis+clusters://canary", "must be redis://"),
            ("unix+cluster://canary/0", "must list its hosts"),
            ("http+cluster://canary", "must list its hosts"),
            ("redis://:canary@a:1,b:2", "must have one host"),
            ("rediss://canary#insecure", "must not turn off"),
            ("rediss+cluster://canary#insecure", "must not turn off"),
            ("redis+cluster://:pass#canary@a", "must have no fragment"),
            ("redis+cluster://", "must list its hosts"),
            ("redis+cluster://a,,canary", "must list its hosts"),
            ("redis+cluster://a,canary:port", "must list its hosts"),
            ("redis+cluster://a,0.0.0.0", "must list its hosts"),
            ("redis+cluster://:%ff@canary", "must list its hosts"),
            ("redis+cluster://canary:1,b,canary:1", "must list each host once"),
            ("redis+cluster://canary/1", "must name no database"),
            ("redis+cluster://canary?protocol=3", "must have no parameters"),
            ("redis+sentinel://canary", "must name the primary"),
            ("redis+sentinel://canary/a%20b", "must name the primary"),
            ("redis+sentinel://canary/main/x", "must have a number"),
            ("redis+sentinel://canary/main?sentinel_pass=canary", "must have no parameters except"),
            ("redis+sentinel://canary/main?sentinel_user=canary", "must have sentinel_password"),
            ("redis+sentinel://canary/main?sentinel_password=%ff", "must have parameters that are UTF-8"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.starts_with(&format!("redis.url: {mistake}")), "{url}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn debug_prints_no_user_and_no_password() {
        for url in [
            "redis://canary:canary@a",
            "redis+cluster://canary:canary@a",
            "redis+sentinel://canary:canary@a/main?sentinel_user=canary&sentinel_password=canary",
        ] {
            let shown = format!("{:?}", parse(url));
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
