//! The client's address behind reverse proxies.
//!
//! A reverse proxy connects to the server on behalf of the client and adds the client's address to a header. Clients
//! can send the same header, so it is read only on a connection from a declared proxy. [`Proxies`] declares the proxies
//! once, for the [`Warden`](crate::Warden) and for `Harden`.

mod hops;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::ConfigError;

use hops::Hops;

/// The reverse proxies in front of a server: how many there are, and which addresses the last one connects from.
///
/// Each proxy appends the address of its peer to `X-Forwarded-For` or `Forwarded`. With N proxies the client is the
/// N-th entry from the right; the client itself wrote the entries to the left of it. On a connection from any other
/// address the headers are not read, and the client is the connection's address.
///
/// By default there are no proxies: the client is the connection's address, and no header is read.
///
/// ```
/// # #[cfg(feature = "harden")]
/// use hookwarden::harden::Harden;
/// use hookwarden::proxies::Proxies;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// // One proxy, which terminates TLS and connects from 10.0.0.0/8.
/// let proxies = Proxies::x_forwarded_for(1, ["10.0.0.0/8"])?;
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// # #[cfg(feature = "harden")]
/// let harden = Harden::builder().proxies(proxies.clone()).build()?;
/// let warden = Warden::builder(scheme).sender("acme", keys).proxies(proxies).build()?;
///
/// // Without a framework: the client's address from the connection's address and the headers.
/// let connection = Some([10, 0, 0, 7].into());
/// let client = warden.proxies().client(connection, |_name| [b"192.0.2.1, 203.0.113.9".as_slice()]);
/// assert_eq!(client, Some([203, 0, 113, 9].into()));
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    declared: Option<Declared>,
}

#[derive(Debug, Clone)]
struct Declared {
    hops: Hops,
    /// Empty means any address. Only a `danger` constructor creates that.
    networks: Vec<IpNet>,
}

impl Proxies {
    /// Declares `hops` proxies that append to `X-Forwarded-For`. The last proxy connects from one of `networks`, each
    /// an address or a network: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
    ///
    /// # Errors
    /// Returns an error if `hops` is not within 1..=16, if `networks` is empty, or if a network is malformed or matches
    /// every address.
    pub fn x_forwarded_for<'n>(hops: usize, networks: impl IntoIterator<Item = &'n str>) -> Result<Self, ConfigError> {
        Ok(Self::declare(Hops::x_forwarded_for(hops)?, parse_networks(networks)?))
    }

    /// Declares `hops` proxies that append to `Forwarded` (RFC 7239). The last proxy connects from one of `networks`,
    /// each an address or a network.
    ///
    /// # Errors
    /// As for [`x_forwarded_for`](Self::x_forwarded_for).
    pub fn forwarded<'n>(hops: usize, networks: impl IntoIterator<Item = &'n str>) -> Result<Self, ConfigError> {
        Ok(Self::declare(Hops::forwarded(hops)?, parse_networks(networks)?))
    }

    /// Declares `hops` proxies that append to `X-Forwarded-For` and connect from unknown addresses.
    ///
    /// The header is read on every connection. A client that can reach the server directly chooses its own address, so
    /// use this only where the network lets only the proxy connect. `Harden` refuses it.
    ///
    /// # Errors
    /// Returns an error if `hops` is not within 1..=16.
    pub fn danger_x_forwarded_for_from_anywhere(hops: usize) -> Result<Self, ConfigError> {
        Ok(Self::declare(Hops::x_forwarded_for(hops)?, Vec::new()))
    }

    /// Declares `hops` proxies that append to `Forwarded` (RFC 7239) and connect from unknown addresses, like
    /// [`danger_x_forwarded_for_from_anywhere`](Self::danger_x_forwarded_for_from_anywhere).
    ///
    /// # Errors
    /// Returns an error if `hops` is not within 1..=16.
    pub fn danger_forwarded_from_anywhere(hops: usize) -> Result<Self, ConfigError> {
        Ok(Self::declare(Hops::forwarded(hops)?, Vec::new()))
    }

    const fn declare(hops: Hops, networks: Vec<IpNet>) -> Self {
        Self { declared: Some(Declared { hops, networks }) }
    }

    /// Returns the client's address: the address that the first proxy appended. Returns `connection` if no proxy is
    /// declared, if the connection is not a proxy's, if the header has fewer entries than proxies, or if the client's
    /// entry is not an address.
    ///
    /// `connection` is the address of the peer of the TCP connection. `values_of` returns all values of the header with
    /// this lower-case name, in their order; it is called at most once, and not for a connection that is not a proxy's.
    pub fn client<'v, I>(&self, connection: Option<IpAddr>, values_of: impl FnOnce(&'static str) -> I) -> Option<IpAddr>
    where
        I: IntoIterator<Item = &'v [u8]>,
    {
        let hops = self.behind(connection);
        hops.and_then(|hops| hops.client(values_of(hops.header_name()))).or(connection)
    }

    /// Returns whether the client used TLS, as the proxies report it. `None` if the connection is not a declared
    /// proxy's.
    #[cfg(feature = "harden")]
    pub(crate) fn is_https<'v, I>(
        &self,
        connection: Option<IpAddr>,
        values_of: impl FnOnce(&'static str) -> I,
    ) -> Option<bool>
    where
        I: IntoIterator<Item = &'v [u8]>,
    {
        self.behind(connection).map(|hops| hops.is_https(values_of(hops.protocol_header_name())))
    }

    #[cfg(feature = "harden")]
    pub(crate) const fn are_declared(&self) -> bool {
        self.declared.is_some()
    }

    /// Returns whether the header is read on every connection.
    pub(crate) fn trust_every_connection(&self) -> bool {
        self.declared.as_ref().is_some_and(|declared| declared.networks.is_empty())
    }

    /// Returns the proxies behind a connection from this address. `None` if the address is not the last proxy's: the
    /// client then wrote the headers itself.
    fn behind(&self, connection: Option<IpAddr>) -> Option<Hops> {
        let Declared { hops, networks } = self.declared.as_ref()?;
        let is_proxy = |address: IpAddr| networks.iter().any(|network| network.contains(&address.to_canonical()));
        (networks.is_empty() || connection.is_some_and(is_proxy)).then_some(*hops)
    }
}

/// Parses at least one address or network.
fn parse_networks<'n>(networks: impl IntoIterator<Item = &'n str>) -> Result<Vec<IpNet>, ConfigError> {
    let networks = networks.into_iter().map(parse_network).collect::<Result<Vec<_>, _>>()?;
    // A configured list that is empty by mistake must not mean every address.
    if networks.is_empty() {
        return Err(ConfigError::new("proxies.networks", "must name at least one address or network"));
    }
    Ok(networks)
}

fn parse_network(text: &str) -> Result<IpNet, ConfigError> {
    let fault = |problem: &str| Err(ConfigError::new("proxies.networks", format!("{text:?} {problem}")));
    let network = text.parse::<IpAddr>().map(|address| address.to_canonical().into()).or_else(|_| text.parse());
    let Ok::<IpNet, _>(network) = network else {
        return fault("must be an address such as 10.0.0.7 or a network such as 10.0.0.0/8");
    };
    // Connections are compared in canonical form, which has no IPv4-mapped addresses.
    if network.addr().to_canonical() != network.addr() {
        return fault("must be written as an IPv4 network: it is IPv4-mapped");
    }
    if network.prefix_len() == 0 {
        return fault("must be a network that the last proxy connects from, but it matches every address");
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_from_undeclared_address_is_not_a_proxy() {
        let is_behind = |proxies: &Proxies, address: &str| proxies.behind(Some(address.parse().unwrap())).is_some();
        assert!(!is_behind(&Proxies::default(), "10.0.0.7"));
        let anywhere = Proxies::danger_x_forwarded_for_from_anywhere(1).unwrap();
        assert!(is_behind(&anywhere, "192.0.2.1") && anywhere.behind(None).is_some());
        let networks = ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "::ffff:198.51.100.7"];
        let declared = Proxies::x_forwarded_for(1, networks).unwrap();
        for (address, is_proxy) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.7", true),
            ("192.0.2.1", true),
            ("fd12::7", true),
            ("198.51.100.7", true),
            ("11.0.0.1", false),
            ("192.0.2.2", false),
            ("::ffff:192.0.2.2", false),
            ("fe80::7", false),
            ("::1", false),
        ] {
            assert_eq!(is_behind(&declared, address), is_proxy, "{address}");
        }
        assert!(declared.behind(None).is_none());
    }

    #[test]
    fn malformed_network_is_a_config_error() {
        for text in
            ["", "10.0.0.0/33", "10.0.0.1:80", "proxy.example", "10.0.0", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104"]
        {
            let error = Proxies::x_forwarded_for(1, ["10.0.0.0/8", text]).unwrap_err();
            assert_eq!(error.field(), "proxies.networks", "{text:?}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
        assert_eq!(Proxies::forwarded(1, []).unwrap_err().field(), "proxies.networks");
    }

    #[test]
    fn hops_outside_their_range_are_a_config_error() {
        for hops in [0, 17] {
            for proxies in [
                Proxies::x_forwarded_for(hops, ["10.0.0.0/8"]),
                Proxies::forwarded(hops, ["10.0.0.0/8"]),
                Proxies::danger_x_forwarded_for_from_anywhere(hops),
                Proxies::danger_forwarded_from_anywhere(hops),
            ] {
                assert_eq!(proxies.unwrap_err().field(), "proxies.hops", "{hops}");
            }
        }
        assert!(Proxies::forwarded(16, ["10.0.0.0/8"]).is_ok());
    }

    #[test]
    fn client_falls_back_to_the_connection() {
        let connection = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let proxies = Proxies::x_forwarded_for(2, ["10.0.0.0/8"]).unwrap();
        let client = |from, value: &'static str| proxies.client(connection(from), |_| [value.as_bytes()]);
        assert_eq!(client("10.0.0.7", "1.1.1.1, 2.2.2.2, 3.3.3.3"), connection("2.2.2.2"));
        assert_eq!(client("10.0.0.7", "3.3.3.3"), connection("10.0.0.7"), "fewer entries than proxies");
        assert_eq!(
            client("10.0.0.7", "unknown, 3.3.3.3"),
            connection("10.0.0.7"),
            "the client's entry is not an address"
        );
        let unread = |_| -> [&[u8]; 0] { panic!("a header of an undeclared peer must not be read") };
        assert_eq!(proxies.client(connection("192.0.2.1"), unread), connection("192.0.2.1"));
        assert_eq!(proxies.client(None, unread), None);
        assert_eq!(Proxies::default().client(connection("10.0.0.7"), unread), connection("10.0.0.7"));
    }

    #[test]
    fn each_constructor_reads_its_own_header() {
        for (proxies, header) in [
            (Proxies::x_forwarded_for(1, ["10.0.0.7"]), "x-forwarded-for"),
            (Proxies::danger_x_forwarded_for_from_anywhere(1), "x-forwarded-for"),
            (Proxies::forwarded(1, ["10.0.0.7"]), "forwarded"),
            (Proxies::danger_forwarded_from_anywhere(1), "forwarded"),
        ] {
            let mut asked = None;
            proxies.unwrap().client(Some([10, 0, 0, 7].into()), |name| {
                asked = Some(name);
                [b"".as_slice()]
            });
            assert_eq!(asked, Some(header));
        }
    }
}
