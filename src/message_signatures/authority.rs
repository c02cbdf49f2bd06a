//! Authorities: a host, with or without a port (RFC 3986 section 3.2).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// A host with its port. Authorities are equal if they name the same: case, the default port, a dot at the end of a name
/// and the form of an IPv6 address do not matter (RFC 9110 section 4.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    host: Host,
    /// `None` is the default port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// In lower case, without a dot at the end.
    Name(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// The hosts whose requests a profile accepts.
#[derive(Debug, Clone)]
pub(super) enum Hosts {
    /// The authority of the origin, and these.
    OriginOr(Vec<Authority>),
    Any,
}

impl Authority {
    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// Says what the text must be.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("must have a host of at most 253 bytes");
        }
        if !text.is_ascii() {
            return Err("must be ASCII: write an international name with A-labels, such as xn--bcher-kva.example");
        }
        if text.contains('@') {
            return Err("must not have a user name or a password");
        }
        if text.contains(['/', '?', '#', '\\']) {
            return Err("must end after the host and the port, without a slash, a path, a query or a fragment");
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(BAD_V6)?;
                (Host::V6(address.parse().map_err(|_| BAD_V6)?), port)
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                (Host::named(name)?, port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err(BAD_V6),
            Some(digits) => Some(port_of(digits)?),
        };
        Ok(Self { host, port: port.filter(|port| *port != default_port) })
    }
}

impl Host {
    /// Reads a domain name or an IPv4 address.
    fn named(name: &str) -> Result<Self, &'static str> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(BAD_NAME);
        }
        // URL parsers read a name with a number at its end as an address, some of them in octal or hexadecimal digits.
        if name.rsplit('.').next().is_some_and(is_number) {
            return name.parse().map(Self::V4).map_err(|_| BAD_V4);
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || label.bytes().all(|byte| byte.is_ascii_digit())
}

fn port_of(digits: &str) -> Result<u16, &'static str> {
    // `parse` accepts a sign and leading zeros.
    let is_canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_canonical).ok_or("must have a port from 1 to 65535, or none and no colon")
}

const BAD_NAME: &str = "must have a domain name: labels of a-z 0-9 - _, separated by dots, with at most 63 bytes each and \
                        253 together";
const BAD_V4: &str = "must have an IPv4 address of four decimal numbers, such as 192.0.2.1, or a name that does not end in \
                      a number";
const BAD_V6: &str = "must have an IPv6 address in brackets, such as [2001:db8::1] or [2001:db8::1]:8443";

/// A name, the dot at its end, and a port.
const MAX_BYTES: usize = 253 + ".:65535".len();

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Authority, &'static str> {
        Authority::parse(text, 443)
    }

    #[test]
    fn forms_of_an_authority_are_equal() {
        let long = [&*"a".repeat(63), &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join(".");
        for (one, other) in [
            ("hooks.example.com", "HOOKS.Example.com"),
            ("hooks.example.com", "hooks.example.com:443"),
            ("hooks.example.com", "hooks.example.com."),
            ("hooks.example.com", "hooks.example.com.:443"),
            ("hooks.example.com:8443", "hooks.example.com.:8443"),
            ("my_service:80", "MY_service:80"),
            ("192.0.2.1", "192.0.2.1.:443"),
            ("[2001:db8::1]", "[2001:0DB8:0:0:0:0:0:1]:443"),
            ("[::ffff:192.0.2.1]", "[::ffff:c000:201]"),
            (&long, &(long.clone() + ".:443")),
        ] {
            assert!(parse(one).is_ok(), "{one}");
            assert_eq!(parse(one), parse(other), "{one} {other}");
        }
        for (one, other) in [
            ("hooks.example.com", "hooks.example.com:80"),
            ("hooks.example.com", "example.com"),
            ("hooks.example.com", "hooks.example.org"),
            ("hooks.example.com:1", "hooks.example.com:2"),
            ("192.0.2.1", "[::ffff:192.0.2.1]"),
        ] {
            assert!(parse(one).is_ok() && parse(other).is_ok(), "{one} {other}");
            assert_ne!(parse(one), parse(other), "{one} {other}");
        }
    }

    #[test]
    fn malformed_authority_is_refused() {
        let label = "a".repeat(64);
        let long = "a.".repeat(127) + "b";
        let longer = "a".repeat(1_000);
        let port = "must have a port from 1 to 65535, or none and no colon";
        let end = "must end after the host and the port, without a slash, a path, a query or a fragment";
        for (text, problem) in [
            ("", BAD_NAME),
            (".", BAD_NAME),
            ("a..", BAD_NAME),
            ("a..b", BAD_NAME),
            (".a", BAD_NAME),
            ("-a", BAD_NAME),
            ("a-.b", BAD_NAME),
            ("a b", BAD_NAME),
            ("a,b", BAD_NAME),
            ("a%2eb", BAD_NAME),
            ("a\tb", BAD_NAME),
            (":443", BAD_NAME),
            (&label, BAD_NAME),
            (&long, BAD_NAME),
            (&longer, "must have a host of at most 253 bytes"),
            ("a:", port),
            ("a:0", port),
            ("a:0443", port),
            ("a:+443", port),
            ("a:65536", port),
            ("a:99999999999", port),
            ("a:x", port),
            ("a:1:2", port),
            ("::1", BAD_NAME),
            ("[::1", BAD_V6),
            ("[]", BAD_V6),
            ("[::1]443", BAD_V6),
            ("[::1%25eth0]", BAD_V6),
            ("[v1.x]", BAD_V6),
            ("[192.0.2.1]", BAD_V6),
            ("256.0.0.1", BAD_V4),
            ("192.0.2.01", BAD_V4),
            ("127.1", BAD_V4),
            ("2130706433", BAD_V4),
            ("a.0x7f", BAD_V4),
            ("u@a", "must not have a user name or a password"),
            ("u:p@a", "must not have a user name or a password"),
            ("a/", end),
            ("a?b", end),
            ("a#b", end),
            ("a\\b", end),
            (
                "bücher.example",
                "must be ASCII: write an international name with A-labels, such as xn--bcher-kva.example",
            ),
        ] {
            assert_eq!(parse(text), Err(problem), "{text}");
        }
    }
}
