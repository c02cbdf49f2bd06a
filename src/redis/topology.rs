//! The topology of a cluster: which primary owns which slots, as its nodes report it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use ::redis::Value;

use super::address::Host;
use super::slot::LAST_SLOT;

/// The view of one node, or what several nodes agree on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Topology {
    /// In ascending order. Slots without an owner are missing.
    shards: Vec<Shard>,
    /// Primaries and replicas.
    nodes: BTreeSet<Host>,
    /// The node whose view this is.
    asked: Option<Host>,
}

/// A range of slots and the primary that owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shard {
    first: u16,
    last: u16,
    primary: Host,
}

impl Topology {
    /// Reads the reply to `CLUSTER SLOTS` of the node that was asked. Returns `None` if it is malformed.
    pub(super) fn parse(reply: &Value, asked: &Host) -> Option<Self> {
        let Value::Array(rows) = reply else { return None };
        if rows.len() > SLOTS {
            return None;
        }
        let mut topology = Self { asked: Some(asked.clone()), ..Self::default() };
        for row in rows {
            let Value::Array(row) = row else { return None };
            let [Value::Int(first), Value::Int(last), primary, replicas @ ..] = row.as_slice() else { return None };
            let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
            if first > last || last > LAST_SLOT {
                return None;
            }
            topology.nodes.extend(replicas.iter().filter_map(|replica| parse_node(replica, asked)));
            if let Some(primary) = parse_node(primary, asked) {
                topology.nodes.insert(primary.clone());
                topology.shards.push(Shard { first, last, primary });
            }
        }
        topology.shards.sort_unstable_by_key(|shard| shard.first);
        let disjoint = topology.shards.windows(2).all(|pair| matches!(pair, [one, two] if one.last < two.first));
        (disjoint && topology.nodes.len() <= MOST_NODES).then(|| topology.merged())
    }

    /// Returns what most of the views say, slot by slot. If as many views say one thing as another, views of nodes that
    /// do not name themselves count more, then a primary that `is_up`, and then the earlier view.
    pub(super) fn agree(views: &[Self], is_up: impl Fn(&Host) -> bool) -> Self {
        let ranges = || views.iter().flat_map(|view| &view.shards);
        let starts: BTreeSet<u16> = ranges().flat_map(|shard| [shard.first, shard.last.saturating_add(1)]).collect();
        let ends = starts.iter().skip(1).map(|next| next.saturating_sub(1));
        let nodes = views.iter().flat_map(|view| view.nodes.clone()).collect();
        let mut agreed = Self { shards: Vec::new(), nodes, asked: None };
        for (first, last) in starts.iter().copied().zip(ends) {
            let owners = || views.iter().filter_map(|view| view.owner(first));
            let weight = |owner: &&Host| {
                let votes = || views.iter().filter(|view| view.owner(first) == Some(*owner));
                let others = votes().filter(|view| view.asked.as_ref() != Some(*owner));
                (votes().count(), others.count(), is_up(owner))
            };
            // `max_by_key` returns the last of equals.
            if let Some(primary) = owners().collect::<Vec<_>>().into_iter().rev().max_by_key(weight) {
                agreed.shards.push(Shard { first, last, primary: primary.clone() });
            }
        }
        agreed.merged()
    }

    /// Returns whether two views have the same owners.
    pub(super) fn same_owners(&self, other: &Self) -> bool {
        self.shards == other.shards
    }

    /// Returns whether no slot has an owner.
    pub(super) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// Returns the primaries and their slots.
    pub(super) fn by_primary(&self) -> BTreeMap<&Host, Vec<RangeInclusive<u16>>> {
        let mut primaries = BTreeMap::<_, Vec<_>>::new();
        for shard in &self.shards {
            primaries.entry(&shard.primary).or_default().push(shard.first..=shard.last);
        }
        primaries
    }

    pub(super) const fn nodes(&self) -> &BTreeSet<Host> {
        &self.nodes
    }

    fn owner(&self, slot: u16) -> Option<&Host> {
        let index = self.shards.partition_point(|shard| shard.last < slot);
        self.shards.get(index).filter(|shard| shard.first <= slot).map(|shard| &shard.primary)
    }

    /// Joins neighboring ranges of one primary, so that equal topologies compare equal.
    fn merged(mut self) -> Self {
        self.shards.dedup_by(|next, shard| {
            let joins = next.primary == shard.primary && shard.last.saturating_add(1) == next.first;
            if joins {
                shard.last = next.last;
            }
            joins
        });
        self
    }
}

impl Host {
    /// Checks the name and the port that a server announces for a node.
    pub(super) fn announced(name: &str, port: u16) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
        let is_valid = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed) && port != 0;
        is_valid.then(|| Self { name: name.to_owned(), port })
    }
}

/// Reads the node of a redirection, `host:port`. Without a host it is that of the node that was asked.
pub(super) fn parse_redirect(text: &str, asked: &Host) -> Option<Host> {
    let (name, port) = text.rsplit_once(':')?;
    let name = match name {
        "" => &asked.name,
        "?" => return None,
        name => name,
    };
    Host::announced(name, port.parse().ok()?)
}

/// Reads a node: its preferred name, its port, its id, and since Redis 7.0 its other names.
fn parse_node(node: &Value, asked: &Host) -> Option<Host> {
    let Value::Array(fields) = node else { return None };
    let [name, Value::Int(port), other @ ..] = fields.as_slice() else { return None };
    let name = match text(name) {
        // The node does not know its address, or the cluster is configured to hide it.
        None | Some("") => &asked.name,
        // The cluster prefers host names, and this node has none.
        Some("?") => address(other.get(1)?)?,
        Some(name) => name,
    };
    Host::announced(name, u16::try_from(*port).ok()?)
}

/// Returns the address in a node's list of names and their kinds.
fn address(names: &Value) -> Option<&str> {
    let Value::Array(names) = names else { return None };
    let address = names.chunks_exact(2).find_map(|pair| match pair {
        [kind, name] if text(kind) == Some("ip") => text(name),
        _ => None,
    });
    address.filter(|address| !address.is_empty())
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// More nodes than a cluster can have: each one sends messages to all others, so 1,000 are the practical limit.
pub(super) const MOST_NODES: usize = 4_096;

const SLOTS: usize = 16_384;

/// The longest host name in DNS.
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.into(), port }
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn node(name: Value, port: i64, other: Value) -> Value {
        Value::Array(vec![name, Value::Int(port), bulk("id"), other])
    }

    fn row(first: i64, last: i64, nodes: &[Value]) -> Value {
        Value::Array([&[Value::Int(first), Value::Int(last)], nodes].concat())
    }

    /// The view `first-last:port`, with ports as the names of primaries.
    fn view(shards: &[(i64, i64, i64)]) -> Topology {
        let row = |&(first, last, port)| row(first, last, &[node(bulk("h"), port, Value::Nil)]);
        Topology::parse(&Value::Array(shards.iter().map(row).collect()), &host("h", 9)).unwrap()
    }

    fn list(topology: &Topology) -> Vec<(u16, u16, u16)> {
        topology.shards.iter().map(|shard| (shard.first, shard.last, shard.primary.port)).collect()
    }

    #[test]
    fn nodes_are_read_in_every_form() {
        let none = || Value::Array(vec![]);
        let names = Value::Array(vec![bulk("hostname"), bulk(""), bulk("ip"), bulk("10.0.0.3")]);
        for (node, expected) in [
            (node(bulk("10.0.0.1"), 7000, none()), Some(host("10.0.0.1", 7000))),
            (node(Value::SimpleString("a.example".into()), 7000, none()), Some(host("a.example", 7000))),
            (node(bulk("::1"), 7000, none()), Some(host("::1", 7000))),
            (node(Value::Nil, 7000, none()), Some(host("seed", 7000))),
            (node(bulk(""), 7000, none()), Some(host("seed", 7000))),
            (node(bulk("?"), 7000, names), Some(host("10.0.0.3", 7000))),
            (node(bulk("?"), 7000, none()), None),
            (node(bulk("10.0.0.1"), 0, none()), None),
            (node(bulk("a.example\r\nquit"), 7000, none()), None),
            (node(bulk("a@b.example"), 7000, none()), None),
            (node(bulk(&"a".repeat(254)), 7000, none()), None),
            (Value::Array(vec![bulk("10.0.0.1"), Value::Int(7000)]), Some(host("10.0.0.1", 7000))),
            (Value::Nil, None),
        ] {
            assert_eq!(parse_node(&node, &host("seed", 6379)), expected, "{node:?}");
        }
    }

    #[test]
    fn slots_and_replicas_are_read() {
        let node = |port| node(bulk("h"), port, Value::Nil);
        let reply = Value::Array(vec![
            row(10_000, 16_383, &[node(2), node(4)]),
            row(0, 4_999, &[node(1), node(3)]),
            row(5_000, 9_000, &[node(1), node(3)]),
        ]);
        let topology = Topology::parse(&reply, &host("h", 1)).unwrap();
        assert_eq!(list(&topology), [(0, 9_000, 1), (10_000, 16_383, 2)]);
        assert_eq!(topology.nodes.iter().map(|node| node.port).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let owners = [0, 9_000, 9_001, 10_000].map(|slot| topology.owner(slot).map(|owner| owner.port));
        assert_eq!(owners, [Some(1), Some(1), None, Some(2)]);
    }

    #[test]
    fn malformed_replies_are_refused() {
        let nodes: Vec<_> = (1..5_000).map(|port| node(bulk("h"), port, Value::Nil)).collect();
        let node = || node(bulk("h"), 1, Value::Nil);
        for reply in [
            Value::Nil,
            Value::Array(vec![Value::Int(0)]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1)])]),
            Value::Array(vec![row(1, 0, &[node()])]),
            Value::Array(vec![row(0, 16_384, &[node()])]),
            Value::Array(vec![row(-1, 5, &[node()])]),
            Value::Array(vec![row(0, 5, &[node()]), row(5, 9, &[node()])]),
            // More rows than slots, and more nodes than a cluster can have.
            Value::Array(vec![row(0, 5, &[Value::Nil]); 16_385]),
            Value::Array(vec![row(0, 5, &nodes)]),
        ] {
            assert_eq!(Topology::parse(&reply, &host("h", 1)), None, "{reply:?}");
        }
    }

    #[test]
    fn redirections_name_a_node() {
        for (text, expected) in [
            ("10.0.0.1:7000", Some(host("10.0.0.1", 7000))),
            ("a.example:7000", Some(host("a.example", 7000))),
            ("::1:7000", Some(host("::1", 7000))),
            (":7000", Some(host("seed", 7000))),
            ("?:7000", None),
            ("10.0.0.1", None),
            ("10.0.0.1:0", None),
        ] {
            assert_eq!(parse_redirect(text, &host("seed", 6379)), expected, "{text}");
        }
    }

    #[test]
    fn most_views_decide_each_slot() {
        let up = |_: &Host| true;
        let before = view(&[(0, 99, 1), (100, 16_383, 2)]);
        let after = view(&[(0, 99, 3), (100, 16_383, 2)]);
        let moved = view(&[(0, 99, 3), (100, 100, 1), (101, 16_383, 2)]);
        for (views, expected) in [
            (&[before.clone()][..], &before),
            (&[before.clone(), after.clone(), moved], &after),
            (&[before.clone(), after.clone()], &before),
            (&[after.clone(), before.clone()], &after),
            (&[], &Topology::default()),
        ] {
            let agreed = Topology::agree(views, up);
            assert!(agreed.same_owners(expected), "{views:?}: {agreed:?}");
        }
        // The old primary does not answer.
        let agreed = Topology::agree(&[before, after], |host| host.port != 1);
        assert_eq!(list(&agreed), [(0, 99, 3), (100, 16_383, 2)]);
    }

    #[test]
    fn node_that_names_itself_breaks_no_tie() {
        let before = Topology { asked: Some(host("h", 1)), ..view(&[(0, 99, 1)]) };
        let after = Topology { asked: Some(host("h", 2)), ..view(&[(0, 99, 3)]) };
        for views in [[before.clone(), after.clone()], [after, before]] {
            // The new primary is not connected yet.
            let agreed = Topology::agree(&views, |host| host.port != 3);
            assert_eq!(list(&agreed), [(0, 99, 3)]);
        }
    }

    #[test]
    fn slots_without_owner_stay_without() {
        let agreed = Topology::agree(&[view(&[(0, 9, 1), (20, 29, 1)])], |_| true);
        assert_eq!(list(&agreed), [(0, 9, 1), (20, 29, 1)]);
    }
}
