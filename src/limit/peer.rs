//! The unit by which refused requests are counted.

use std::net::{IpAddr, Ipv4Addr};

/// The unit by which refused requests are counted: an IPv4 address, or the /64 network of an IPv6 address, which is
/// usually assigned to a single host. A v4-mapped address counts as the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Peer {
    /// Returns a different number for each peer, and zero for an unknown peer.
    pub(super) fn number(peer: Option<Self>) -> u128 {
        match peer {
            None => 0,
            Some(Self::V4(address)) => (1 << 64) | u128::from(address.to_bits()),
            Some(Self::V6([a, b, c, d])) => {
                (2 << 64) | [a, b, c, d].into_iter().fold(0, |number, part| (number << 16) | u128::from(part))
            }
        }
    }

    /// Returns the address, or the first address of the network.
    pub(crate) fn address(self) -> IpAddr {
        match self {
            Self::V4(address) => address.into(),
            Self::V6([a, b, c, d]) => [a, b, c, d, 0, 0, 0, 0].into(),
        }
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_of_one_host_are_one_peer() {
        for (one, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
            ("::1", "::192.0.2.1"),
        ] {
            assert_eq!(peer(one), peer(other), "{one} {other}");
        }
    }

    #[test]
    fn addresses_of_two_hosts_are_two_peers() {
        for (one, other) in [
            ("192.0.2.1", "192.0.2.2"),
            ("2001:db8:1:2::1", "2001:db8:1:3::1"),
            ("192.0.2.1", "::192.0.2.1"),
            ("192.0.2.1", "::ffff:0:192.0.2.1"),
            ("192.0.2.1", "0:0:c000:201::"),
            ("192.0.2.1", "c000:201::"),
            ("0.0.0.0", "::"),
        ] {
            assert_ne!(peer(one), peer(other), "{one} {other}");
        }
    }
}
