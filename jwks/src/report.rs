//! What is logged. Texts from a document are short and quoted. Nothing is logged while the state of a sender is locked,
//! because a log can be slow.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::sender::Sender;
use crate::set::Skipped;
use crate::source::Location;

/// Logs the skipped keys that were not logged before.
pub(crate) fn skipped(sender: &Sender, skipped: &[Skipped], before: &BTreeSet<String>) {
    for skipped in skipped.iter().filter(|skipped| !before.contains(&skipped.to_string())) {
        let (source, key, problem) = (&sender.name, &skipped.key, &skipped.problem.why);
        if skipped.problem.is_secret {
            error!(sender = %source, key = %key, problem = %problem, "a key set publishes a secret; the key is refused");
        } else {
            warn!(sender = %source, key = %key, problem = %problem, "a key of a key set is not used");
        }
    }
}

/// Logs a success after a number of failures.
pub(crate) fn loaded(sender: &Sender, keys: usize, failures: u32) {
    let (source, url) = (&sender.name, &sender.fetcher.location);
    if failures > 0 {
        info!(sender = %source, keys, failures, "the key set is available again");
    } else if keys == 0 {
        warn!(sender = %source, url = %url, "the key set has no key that can be used: all requests are refused");
    } else {
        debug!(sender = %source, keys, "the key set was fetched");
    }
}

/// Logs that a list of revoked keys was accepted although its sender has not replaced it in time.
pub(crate) fn overdue(sender: &Sender, url: &Location, stale_after: Duration) {
    let (source, stale_in) = (&sender.name, stale_after.as_secs());
    warn!(sender = %source, url = %url, stale_in, "the list of revoked keys was not replaced at its next_update: all requests are answered 503 when it is stale");
}

/// Logs a failure, as a warning if it is news. `age` is that of the keys that are still used.
pub(crate) fn failed(sender: &Sender, problem: &str, in_a_row: u32, age: Option<Duration>, is_news: bool) {
    let (source, url) = (&sender.name, &sender.fetcher.location);
    let keys_age = age.map(|age| age.as_secs());
    if is_news {
        let what = if age.is_some() { "old keys are used" } else { "requests are answered 503" };
        warn!(sender = %source, url = %url, problem = %problem, failures = in_a_row, keys_age, "the key set cannot be fetched: {what}");
    } else {
        debug!(sender = %source, url = %url, problem = %problem, failures = in_a_row, keys_age, "the key set cannot be fetched");
    }
}
