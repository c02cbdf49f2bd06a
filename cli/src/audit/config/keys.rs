//! Finds unsafe keys in the keys file of the settings.

use std::path::Path;
use std::time::Duration;

use hookwarden::keys::{FileKeys, KeyFileError};
use hookwarden::{Scheme, Timestamp};
use zeroize::Zeroizing;

use super::settings::{Document, is_on};
use crate::audit::finding::{Finding, Severity};
use crate::failure::Failure;
use crate::input;
use crate::keys_file;
use crate::rotate;
use crate::secret::{Entry, loader, weaknesses};
use crate::when::DAY;

/// The details name the keys file. The line is that of the setting, because a report is about one file.
pub(super) fn findings(
    document: &Document,
    base: &Path,
    scheme: &Scheme,
    now: Timestamp,
) -> Result<Vec<Finding>, Failure> {
    let setting = &document.settings.keys;
    let Some(keys) = setting else { return Ok(Vec::new()) };
    let path = base.join(keys.get_ref());
    let fault = |failure: Failure| document.fault(setting, failure);
    let text = Zeroizing::new(input::text_of(&path).map_err(fault)?);
    let keys = keys_file::keys(&path, &text).map_err(fault)?;
    let mut found = rotate::findings(&keys, MAX_AGE, now);
    let entries: Vec<Entry> = keys.into_iter().map(Entry::from).collect();
    let shared_is_known = is_on(&document.settings.danger_allow_shared_secrets);
    let weak = weaknesses(&entries).into_iter();
    found.extend(weak.filter(|finding| !(shared_is_known && finding.id == "secret-shared")));
    for finding in &mut found {
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        finding.detail = format!("{}{line}: {}", path.display(), finding.detail);
        finding.line = document.line(setting);
    }
    found.extend(refused(document, &path, scheme));
    Ok(found)
}

/// The library's errors and warnings about the file.
fn refused(document: &Document, path: &Path, scheme: &Scheme) -> Vec<Finding> {
    let line = document.line(&document.settings.keys);
    let builder = FileKeys::builder(path);
    let shared = is_on(&document.settings.danger_allow_shared_secrets);
    let builder = if shared { builder.danger_allow_shared_secrets() } else { builder };
    let opened = loader::open(builder, scheme);
    let fix = "chmod 600, and make the receiver its owner";
    let open = |warning| Finding::new("keys-file-open", Severity::High, "open keys file", warning, fix);
    let fix =
        "correct it: a receiver refuses all requests for the webhook id, and does not start if no other id is left";
    let refused = |fault: &KeyFileError| {
        Finding::new("keys-file-refused", Severity::High, "refused keys file", fault.to_string(), fix)
    };
    let found = opened.warnings.into_iter().map(open).chain(opened.faults.iter().map(refused));
    found.map(|finding| finding.at_line(line)).collect()
}

const MAX_AGE: Duration = Duration::from_secs(365 * DAY);
