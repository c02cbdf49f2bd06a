//! Whether a shared store and its shards are up.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use metrics::{Gauge, gauge};

use super::family::{Family, OTHER};
use super::names::STORE_UP;
use crate::event::StoreKind;

/// A gauge for each shard of one store.
#[derive(Debug)]
pub(super) struct ShardMetrics {
    store: StoreKind,
    gauges: Family<ShardGauge>,
    /// The shards without their own gauge that are down.
    others_down: Mutex<BTreeSet<Box<str>>>,
}

#[derive(Debug, Clone)]
struct ShardGauge {
    gauge: Gauge,
    is_shared: bool,
}

impl ShardMetrics {
    /// A store counts as up until it fails.
    pub(super) fn new(store: StoreKind) -> Self {
        let metrics = Self { store, gauges: Family::new(MAX_SHARDS), others_down: Mutex::default() };
        metrics.set(None, true);
        metrics
    }

    pub(super) fn set(&self, shard: Option<&str>, is_up: bool) {
        let shard = shard.unwrap_or(WHOLE_STORE);
        self.gauges.with(
            shard,
            |label| ShardGauge {
                gauge: gauge!(STORE_UP, "store" => self.store.as_str(), "shard" => String::from(label)),
                is_shared: label == OTHER,
            },
            |member| {
                if !member.is_shared {
                    member.gauge.set(u8::from(is_up));
                    return;
                }
                // The lock is kept until the gauge has the value.
                let mut down = self.others_down.lock().unwrap_or_else(PoisonError::into_inner);
                if is_up {
                    down.remove(shard);
                } else if down.len() < MAX_SHARDS {
                    down.insert(shard.into());
                }
                member.gauge.set(u8::from(is_up && down.is_empty()));
            },
        );
    }
}

/// The label of a store that is on one server, or whose error names none.
const WHOLE_STORE: &str = "";

const MAX_SHARDS: usize = 65; // with the empty label
