//! A cluster whose nodes are all behind one name, at different ports.
//!
//! Some services do this. Their nodes announce the IP address of the name, but the certificate has only the name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::address::Host;

/// The IP address that all nodes announce, and the name to use instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    address: String,
    name: String,
}

impl Endpoint {
    /// Returns the name of the only seed if all nodes can be behind it. If they announce several addresses, there are
    /// several machines, and the name may lead to any of them.
    pub(super) fn of(seeds: &[Host], nodes: &BTreeSet<Host>) -> Option<Self> {
        let [seed] = seeds else { return None };
        let address = &nodes.first()?.name;
        let is_shared = is_address(address) && nodes.iter().all(|node| node.name == *address);
        let has_other_port = nodes.iter().any(|node| node.port != seed.port);
        (!is_address(&seed.name) && is_shared && has_other_port)
            .then(|| Self { address: address.clone(), name: seed.name.clone() })
    }

    /// Returns where to connect to a node.
    pub(super) fn reach(endpoint: Option<&Self>, node: &Host) -> Host {
        match endpoint {
            Some(Self { address, name }) if *address == node.name => Host { name: name.clone(), port: node.port },
            _ => node.clone(),
        }
    }
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host((name, port): (&str, u16)) -> Host {
        Host { name: name.into(), port }
    }

    #[test]
    fn name_is_used_if_nodes_share_an_address() {
        let (one, other) = ("10.0.0.1", "10.0.0.2");
        let seed = &[("a.example", 10_000)][..];
        for (seeds, nodes, used) in [
            (seed, &[(one, 8_501), (one, 8_502)][..], true),
            (seed, &[(one, 8_501)], true),
            (seed, &[("2001:db8::1", 8_501), ("2001:db8::1", 10_000)], true),
            // Several machines, each with several nodes.
            (seed, &[(one, 8_501), (one, 8_502), (other, 8_501), (other, 8_502)], false),
            // One machine with one node: the others may have no slots yet.
            (seed, &[(one, 10_000)], false),
            // The nodes announce names that are in their certificates.
            (seed, &[("n.example", 8_501), ("n.example", 8_502)], false),
            (seed, &[("n.example", 8_501), (one, 8_502)], false),
            (seed, &[], false),
            (&[("a.example", 10_000), ("b.example", 10_000)], &[(one, 8_501), (one, 8_502)], false),
            (&[(other, 10_000)], &[(one, 8_501), (one, 8_502)], false),
        ] {
            let seeds: Vec<_> = seeds.iter().copied().map(host).collect();
            let nodes: BTreeSet<_> = nodes.iter().copied().map(host).collect();
            let endpoint = Endpoint::of(&seeds, &nodes);
            for node in &nodes {
                let expected = if used { host(("a.example", node.port)) } else { node.clone() };
                assert_eq!(Endpoint::reach(endpoint.as_ref(), node), expected, "{seeds:?} {nodes:?}");
            }
            // A redirection to another machine.
            let elsewhere = host(("10.0.0.9", 8_501));
            assert_eq!(Endpoint::reach(endpoint.as_ref(), &elsewhere), elsewhere);
        }
    }
}
