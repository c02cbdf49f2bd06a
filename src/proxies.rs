//! Which address a request comes from, behind as many proxies as the operator says there are.

use std::net::{IpAddr, SocketAddr};

use arrayvec::ArrayVec;
use ipnet::IpNet;

use crate::error::ConfigError;

/// Proxies of one's own, each of which adds the address it was called from to a header.
///
/// The address that counts is the one that the first of them saw: the N-th from the right with N proxies. Everything to
/// the left of it is whatever the client wrote. Without this setting the address is the connection's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedHops {
    header: HopHeader,
    count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HopHeader {
    XForwardedFor,
    Forwarded,
}

impl TrustedHops {
    /// `count` proxies that add to `X-Forwarded-For`.
    ///
    /// # Errors
    /// `count` is not within 1..=16.
    pub fn x_forwarded_for(count: usize) -> Result<Self, ConfigError> {
        Self::new(HopHeader::XForwardedFor, count)
    }

    /// `count` proxies that add to `Forwarded` (RFC 7239).
    ///
    /// # Errors
    /// `count` is not within 1..=16.
    pub fn forwarded(count: usize) -> Result<Self, ConfigError> {
        Self::new(HopHeader::Forwarded, count)
    }

    fn new(header: HopHeader, count: usize) -> Result<Self, ConfigError> {
        if (1..=MAX_HOPS).contains(&count) {
            Ok(Self { header, count })
        } else {
            Err(ConfigError::new("trusted hops", format!("{count} is outside 1..={MAX_HOPS}")))
        }
    }

    /// The name of the header to read, in lower case.
    #[must_use]
    pub const fn header_name(&self) -> &'static str {
        match self.header {
            HopHeader::XForwardedFor => "x-forwarded-for",
            HopHeader::Forwarded => "forwarded",
        }
    }

    /// The client's address out of all `values` of the header, in their order. `None` if there are fewer entries than
    /// proxies, or the one that counts is no address.
    pub fn client<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> Option<IpAddr> {
        match self.header {
            HopHeader::XForwardedFor => {
                let last = self.last(listed(values));
                let entry = if last.len() == self.count { last.first()? } else { return None };
                address(std::str::from_utf8(entry).ok()?.trim())
            }
            HopHeader::Forwarded => address(&self.parameter(values, "for")?),
        }
    }

    /// A parameter of the element of `Forwarded` that the first proxy added.
    fn parameter<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>, name: &str) -> Option<String> {
        let last = self.last(values.into_iter().flat_map(|value| Split { rest: Some(value), separator: b',' }));
        // Each has to be whole: a quotation that does not end may have swallowed others.
        let last: ArrayVec<&[u8], MAX_HOPS> = last.into_iter().collect::<Option<_>>()?;
        if last.len() == self.count { parameter(last.first()?, name) } else { None }
    }

    /// The entries that the proxies can have added, from the left to the right.
    fn last<T>(&self, entries: impl Iterator<Item = T>) -> ArrayVec<T, MAX_HOPS> {
        let mut last = ArrayVec::new();
        for entry in entries {
            if last.len() == self.count {
                last.remove(0);
            }
            last.push(entry);
        }
        last
    }
}

/// What the proxies say of the client's connection.
#[cfg(feature = "harden")]
impl TrustedHops {
    /// The name of the header that tells whether the client used TLS, in lower case: `x-forwarded-proto` beside
    /// `X-Forwarded-For`, or `forwarded` itself.
    #[must_use]
    pub const fn protocol_header_name(&self) -> &'static str {
        match self.header {
            HopHeader::XForwardedFor => "x-forwarded-proto",
            HopHeader::Forwarded => "forwarded",
        }
    }

    /// Whether the client used TLS, out of all `values` of that header.
    ///
    /// Each proxy adds an element to `Forwarded`, and the `proto` of the N-th from the right decides. To
    /// `X-Forwarded-Proto` some proxies add, and others put their word in the place of what is there. So the last
    /// entries, as many as there are proxies and at least one, all have to say `https`; of several proxies only the
    /// outermost one may put its word in the place of others, for an inner one would tell of its own connection.
    pub fn is_https<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> bool {
        match self.header {
            HopHeader::XForwardedFor => {
                let last = self.last(listed(values));
                !last.is_empty() && last.iter().all(|entry| entry.trim_ascii().eq_ignore_ascii_case(b"https"))
            }
            HopHeader::Forwarded => {
                self.parameter(values, "proto").is_some_and(|value| value.eq_ignore_ascii_case("https"))
            }
        }
    }
}

/// The proxies in front of a server: how many they are, and where the last of them connects from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    hops: Option<TrustedHops>,
    /// None are named: every connection is the last proxy's.
    networks: Vec<IpNet>,
}

impl Proxies {
    pub(crate) const fn count_by(&mut self, hops: TrustedHops) {
        self.hops = Some(hops);
    }

    /// Adds addresses and networks, in text.
    pub(crate) fn name<'n>(&mut self, networks: impl IntoIterator<Item = &'n str>) -> Result<(), ConfigError> {
        let fault = |problem: String| ConfigError::new("trusted proxies", problem);
        for text in networks {
            let network = text.parse::<IpAddr>().map(|address| address.to_canonical().into()).or_else(|_| text.parse());
            let network: IpNet = network.map_err(|_| fault(format!("{text:?} is neither an address nor a network")))?;
            // Addresses are compared in their shortest form.
            if network.addr().to_canonical() != network.addr() {
                return Err(fault(format!("{text:?} is a network of IPv4 in the form of IPv6")));
            }
            if network.prefix_len() == 0 {
                return Err(fault(format!("{text:?} is everybody")));
            }
            self.networks.push(network);
        }
        // A list that came out empty must not mean everybody.
        if self.networks.is_empty() { Err(fault("there is none".to_owned())) } else { Ok(()) }
    }

    /// Addresses without the header that those who connect from them write say nothing.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.hops.is_none() && !self.networks.is_empty() {
            return Err(ConfigError::new("trusted proxies", "the number of trusted hops is not said"));
        }
        Ok(())
    }

    /// The same, where nothing less than the addresses will do.
    #[cfg(feature = "harden")]
    pub(crate) fn check_named(&self) -> Result<(), ConfigError> {
        if self.hops.is_some() && self.networks.is_empty() {
            return Err(ConfigError::new("trusted proxies", "where the trusted hops connect from is not said"));
        }
        self.check()
    }

    /// Whether every connection is taken for the last proxy's.
    pub(crate) const fn are_everybody(&self) -> bool {
        self.hops.is_some() && self.networks.is_empty()
    }

    #[cfg(feature = "harden")]
    pub(crate) const fn are_declared(&self) -> bool {
        self.hops.is_some()
    }

    /// The proxies that a request came by on a connection from this address: none if it is not the last proxy's, for
    /// the headers are then the client's own.
    pub(crate) fn behind(&self, connection: Option<IpAddr>) -> Option<TrustedHops> {
        let is_named = |address: IpAddr| self.networks.iter().any(|network| network.contains(&address.to_canonical()));
        self.hops.filter(|_| self.networks.is_empty() || connection.is_some_and(is_named))
    }
}

/// The entries of `X-Forwarded-…`, which knows no quotations.
fn listed<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> impl Iterator<Item = &'v [u8]> {
    values.into_iter().flat_map(|value| value.split(|byte| *byte == b','))
}

/// The value of a parameter of one element of `Forwarded`, if it is there once.
fn parameter(element: &[u8], wanted: &str) -> Option<String> {
    let mut found = None;
    for pair in (Split { rest: Some(element), separator: b';' }) {
        let Some((name, value)) = std::str::from_utf8(pair?).ok()?.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case(wanted) && found.replace(unquoted(value.trim())?).is_some() {
            return None;
        }
    }
    found
}

/// A value out of its quotation, if it is in one: RFC 9110 section 5.6.4.
fn unquoted(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut is_escaped = false;
    let is_text = |character: &char| {
        is_escaped = *character == '\\' && !is_escaped;
        !is_escaped
    };
    Some(quoted.strip_suffix('"')?.chars().filter(is_text).collect())
}

/// The parts of a text between separators that stand in no quotation. `None` is one whose quotation does not end.
struct Split<'t> {
    rest: Option<&'t [u8]>,
    separator: u8,
}

impl<'t> Iterator for Split<'t> {
    type Item = Option<&'t [u8]>;

    fn next(&mut self) -> Option<Option<&'t [u8]>> {
        let rest = self.rest.take()?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            let is_text = std::mem::take(&mut is_escaped);
            match byte {
                _ if is_text => {}
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                byte => return *byte == self.separator && !is_quoted,
            }
            false
        });
        let (part, more) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        self.rest = more.get(1..);
        Some((!is_quoted).then_some(part))
    }
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

const MAX_HOPS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_client(hops: Result<TrustedHops, ConfigError>, values: &[&str], client: Option<&str>) {
        let found = hops.unwrap().client(values.iter().map(|value| value.as_bytes()));
        assert_eq!(found, client.map(|text| text.parse().unwrap()), "{values:?}");
    }

    #[test]
    fn client_is_the_nth_from_the_right() {
        let values = ["1.1.1.1, 2.2.2.2", "3.3.3.3,4.4.4.4"];
        for (count, client) in [(1, Some("4.4.4.4")), (2, Some("3.3.3.3")), (4, Some("1.1.1.1")), (5, None)] {
            assert_client(TrustedHops::x_forwarded_for(count), &values, client);
        }
        assert_client(TrustedHops::x_forwarded_for(1), &[], None);
    }

    #[test]
    fn what_the_client_wrote_is_not_believed() {
        assert_client(TrustedHops::x_forwarded_for(1), &["127.0.0.1, 203.0.113.9"], Some("203.0.113.9"));
        assert_client(TrustedHops::x_forwarded_for(1), &["127.0.0.1, unknown"], None);
        assert_client(TrustedHops::x_forwarded_for(1), &["127.0.0.1,"], None);
    }

    #[test]
    fn addresses_are_read_in_every_form_that_proxies_write() {
        for (text, client) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
        ] {
            assert_client(TrustedHops::x_forwarded_for(1), &[text], Some(client));
            let forwarded = format!("for=10.0.0.1, proto=https;For=\"{text}\";by=10.0.0.2");
            assert_client(TrustedHops::forwarded(1), &[&forwarded], Some(client));
        }
        assert_client(TrustedHops::forwarded(1), &["for=_hidden"], None);
        assert_client(TrustedHops::forwarded(1), &["proto=https"], None);
    }

    #[cfg(feature = "harden")]
    #[test]
    fn protocol_is_believed_only_where_every_proxy_can_have_said_it() {
        let by_two = ["https", "http, https", "https, http", "https, https, http", "http, https, https", "", "HTTPS"];
        for (count, expected) in
            [(1, [true, true, false, false, true, false, true]), (2, [true, false, false, false, true, false, true])]
        {
            let hops = TrustedHops::x_forwarded_for(count).unwrap();
            let found = by_two.map(|value| hops.is_https([value.as_bytes()]));
            assert_eq!(found, expected, "{count} proxies");
            assert!(!hops.is_https([]), "{count} proxies");
            assert!(!hops.is_https([b"https".as_slice(), b"http"]), "{count} proxies");
        }
        for (count, value, is_https) in [
            (1, "for=1.1.1.1;proto=https", true),
            (1, "proto=https, for=1.1.1.1;Proto=\"HTTPS\"", true),
            (1, "for=1.1.1.1;proto=https, for=2.2.2.2;proto=http", false),
            (1, "for=1.1.1.1;proto=https, for=2.2.2.2", false),
            (2, "for=1.1.1.1;proto=https, for=2.2.2.2;proto=http", true),
            (2, "for=1.1.1.1;proto=https", false),
            (1, "for=1.1.1.1;host=\"a, proto=https\";proto=http", false),
            (2, "host=\"a, proto=https, b\";proto=http", false),
            (2, "host=\"a, proto=https, b\";proto=http, for=2.2.2.2;proto=https", false),
            (1, "https", false),
            (1, "for=1.1.1.1;host=\"a;proto=https;b\";proto=http", false),
            (1, "host=\"a\\\", proto=https;b=\\\"\";proto=http", false),
            (1, "host=\"a\\\\\";proto=https", true),
            (1, "proto=https;host=\"a, for=1.1.1.1;proto=http", false),
            (1, "for=1.1.1.1;host=a;proto=https;proto=http", false),
            (1, "proto=\"https", false),
            (1, "proto=\"ht\\tps\"", true),
        ] {
            let hops = TrustedHops::forwarded(count).unwrap();
            assert_eq!(hops.is_https([value.as_bytes()]), is_https, "{count} proxies, {value}");
        }
    }

    #[test]
    fn connection_of_no_named_proxy_is_behind_none() {
        let hops = TrustedHops::x_forwarded_for(1).unwrap();
        let mut proxies = Proxies::default();
        let behind = |proxies: &Proxies, address: &str| proxies.behind(Some(address.parse().unwrap()));
        assert_eq!(behind(&proxies, "10.0.0.7"), None);
        proxies.count_by(hops);
        assert_eq!((behind(&proxies, "192.0.2.1"), proxies.behind(None)), (Some(hops), Some(hops)));
        proxies.name(["10.0.0.0/8", "192.0.2.1"]).unwrap();
        proxies.name(["fd00::/8", "::ffff:198.51.100.7"]).unwrap();
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
            assert_eq!(behind(&proxies, address).is_some(), is_proxy, "{address}");
        }
        assert_eq!(proxies.behind(None), None);
    }

    #[test]
    fn proxy_that_is_no_network_or_is_not_counted_is_a_config_error() {
        let mut proxies = Proxies::default();
        for text in
            ["", "10.0.0.0/33", "10.0.0.1:80", "proxy.example", "10.0.0", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104"]
        {
            assert_eq!(proxies.name([text]).unwrap_err().field(), "trusted proxies", "{text:?}");
        }
        // A list that came out empty must not mean everybody.
        assert_eq!(proxies.name([]).unwrap_err().field(), "trusted proxies");
        proxies.name(["10.0.0.0/8"]).unwrap();
        assert_eq!(proxies.check().unwrap_err().field(), "trusted proxies");
        proxies.count_by(TrustedHops::forwarded(1).unwrap());
        proxies.check().unwrap();
    }

    #[test]
    fn quotation_in_forwarded_holds_no_other_element_or_parameter() {
        for (value, client) in [
            ("proto=https;host=\"a;for=6.6.6.6;b\";for=1.2.3.4", Some("1.2.3.4")),
            ("for=1.2.3.4;host=\"a,for=6.6.6.6\"", Some("1.2.3.4")),
            ("for=6.6.6.6;host=\"a\\\", for=1.2.3.4", None),
            ("for=6.6.6.6;host=\"a, for=1.2.3.4;proto=http", None),
            ("for=6.6.6.6;for=1.2.3.4", None),
            ("host=a;for=\"[2001:db8::7]:4711\"", Some("2001:db8::7")),
        ] {
            assert_client(TrustedHops::forwarded(1), &[value], client);
        }
        // What does not end in a line of its own swallows nothing of the next.
        assert_client(TrustedHops::forwarded(1), &["host=\"a", "for=1.2.3.4"], Some("1.2.3.4"));
    }

    #[test]
    fn number_of_hops_outside_its_range_is_a_config_error() {
        for count in [0, 17] {
            assert_eq!(TrustedHops::forwarded(count).unwrap_err().field(), "trusted hops");
        }
    }
}
