//! Reports keys that can or should be removed.

use std::path::Path;
use std::time::Duration;

use hookwarden::Timestamp;

use super::events::Uses;
use crate::audit::finding::{Finding, Report, Severity};
use crate::failure::Failure;
use crate::keys_file::{self, FileKey};
use crate::when::{self, DAY};

/// The criteria for old and unused keys.
pub(crate) struct Settings {
    pub(crate) max_age: Duration,
    pub(super) events: Option<Uses>,
}

/// The report on the keys of `sender`, or of all senders.
pub(super) fn report(path: &Path, text: &str, sender: Option<&str>, settings: &Settings) -> Result<Report, Failure> {
    let mut keys = keys_file::keys(path, text)?;
    if let Some(sender) = sender {
        keys.retain(|key| key.sender == sender);
        if keys.is_empty() {
            return Err(Failure::file(path, format!("must contain the sender {sender:?}")));
        }
    }
    let found = keys_findings(&keys, settings, Timestamp::now());
    Ok(Report::new(path.display().to_string(), found))
}

/// The findings on `keys` at `now`, without events.
pub(crate) fn findings(keys: &[FileKey], max_age: Duration, now: Timestamp) -> Vec<Finding> {
    keys_findings(keys, &Settings { max_age, events: None }, now)
}

fn keys_findings(keys: &[FileKey], settings: &Settings, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in keys {
        let successor =
            |other: &FileKey| other.sender == key.sender && other.is_live(now) && other.not_before > key.not_before;
        // A newer key replaces it already.
        let is_rotated = key.not_after.is_some() && keys.iter().any(successor);
        findings.extend(finding(key, is_rotated, settings, now).map(|finding| finding.at_line(Some(key.line))));
    }
    for (index, key) in keys.iter().enumerate() {
        let first = !keys.iter().take(index).any(|other| other.sender == key.sender);
        if first && !keys.iter().any(|other| other.sender == key.sender && other.is_live(now)) {
            let detail = format!("sender {} has no valid key, so its requests are refused", key.sender);
            let fix = "add one with `hookwarden rotate FILE --id ID`, or remove the sender";
            let finding = Finding::new("sender-without-key", Severity::High, "sender without a valid key", detail, fix);
            findings.push(finding.at_line(Some(key.line)));
        }
    }
    findings
}

/// The first finding on a key. An expired key is not also reported as old or unused.
fn finding(key: &FileKey, is_rotated: bool, settings: &Settings, now: Timestamp) -> Option<Finding> {
    if let Some(end) = key.not_after.filter(|_| key.is_expired(now)) {
        let detail = format!("{} expired at {}", key.name(), when::text(end));
        return Some(Finding::new(
            "key-expired",
            Severity::Low,
            "expired key",
            detail,
            "remove it, or rotate with --prune",
        ));
    }
    if let Some(events) = &settings.events
        && key.has_begun(now)
        && events.of(&key.sender, &key.id) == 0
    {
        let detail = format!("no accepted request in the events used {}", key.name());
        let fix =
            "if the events cover requests of the sender, remove the key, unless the sender has yet to switch to it";
        return Some(Finding::new("key-unused", Severity::Low, "unused key", detail, fix));
    }
    let Some(begin) = key.not_before else {
        let detail = format!("{} has no not_before, so its age is unknown", key.name());
        return Some(Finding::new(
            "key-age-unknown",
            Severity::Note,
            "key of unknown age",
            detail,
            "set its not_before",
        ));
    };
    let age = now.as_unix().saturating_sub(begin.as_unix());
    (!is_rotated && age > when::seconds(settings.max_age)).then(|| {
        let days = u64::try_from(age).unwrap_or_default() / DAY;
        let detail = format!("{} is {days} days old", key.name());
        Finding::new("key-old", Severity::Medium, "old key", detail, "rotate it with `hookwarden rotate FILE --id ID`")
    })
}
