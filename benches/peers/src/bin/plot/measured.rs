//! Reads criterion's results.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use hookwarden_peers::{PEERS, Peer, SIZES};

pub(crate) struct Measured {
    medians: HashMap<(&'static str, usize), f64>,
}

impl Measured {
    /// Reads the medians of every peer at every size.
    pub(crate) fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let mut medians = HashMap::new();
        for peer in &PEERS {
            for size in SIZES {
                let file = directory().join(format!("peers/{}/{size}/new/estimates.json", peer.name));
                let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                let estimates: serde_json::Value = serde_json::from_str(&text)?;
                let median = estimates["median"]["point_estimate"].as_f64().ok_or("an estimate without a median")?;
                medians.insert((peer.name, size), median);
            }
        }
        Ok(Self { medians })
    }

    /// Returns the median in nanoseconds.
    pub(crate) fn median(&self, peer: &Peer, size: usize) -> f64 {
        self.medians[&(peer.name, size)]
    }
}

/// Formats a size: `0 B`, `256 B`, `16 KiB`.
pub(crate) fn bytes(size: usize) -> String {
    match size {
        0 => "0 B".to_owned(),
        size if size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        size if size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    }
}

/// Returns the directory of criterion's results.
fn directory() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    env::var_os("CRITERION_HOME").map_or_else(|| target.join("criterion"), PathBuf::from)
}
