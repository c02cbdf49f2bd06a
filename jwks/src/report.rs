//! What is logged. Texts from a document are short and quoted.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::sender::Sender;
use crate::set::KeySet;

/// Logs the skipped keys that were not logged before, and returns all of them.
pub(crate) fn skipped(sender: &Sender, set: &KeySet, before: &BTreeSet<String>) -> BTreeSet<String> {
    let mut now = BTreeSet::new();
    for skipped in &set.skipped {
        let (source, key, problem) = (&sender.name, &skipped.key, &skipped.problem.why);
        let text = format!("{key}: {problem}");
        if before.contains(&text) {
            // Logged when the key was first skipped.
        } else if skipped.problem.is_secret {
            error!(sender = %source, key = %key, problem = %problem, "a key set publishes a secret; the key is refused");
        } else {
            warn!(sender = %source, key = %key, problem = %problem, "a key of a key set is not used");
        }
        now.insert(text);
    }
    now
}

pub(crate) fn loaded(sender: &Sender, set: &KeySet, failures: u32) {
    let (source, keys) = (&sender.name, set.keys.len());
    if failures > 0 {
        info!(sender = %source, keys, failures, "the key set is available again");
    } else if keys == 0 {
        warn!(sender = %source, url = %sender.url, "the key set has no key that can be used: all requests are refused");
    } else {
        debug!(sender = %source, keys, "the key set was fetched");
    }
}

/// Logs a failure. `age` is that of the keys that are still used.
pub(crate) fn failed(sender: &Sender, problem: &str, in_a_row: u32, age: Option<Duration>) {
    let (source, url) = (&sender.name, &sender.url);
    let keys_age = age.map(|age| age.as_secs());
    // A source that fails for a day fails more than a thousand times.
    if in_a_row.is_power_of_two() {
        let what = if age.is_some() { "old keys are used" } else { "requests are answered 503" };
        warn!(sender = %source, url = %url, problem = %problem, failures = in_a_row, keys_age, "the key set cannot be fetched: {what}");
    } else {
        debug!(sender = %source, url = %url, problem = %problem, failures = in_a_row, keys_age, "the key set cannot be fetched");
    }
}
