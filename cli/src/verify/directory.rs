//! `hookwarden verify DIR`: verifies all captures of a directory, and groups the refused ones by cause.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hookwarden::diagnose::{Cause, CauseKind, Verdict};
use hookwarden::escape::Escaped;
use hookwarden::{Scheme, Timestamp};
use serde_json::{Value, json};

use super::verdict::Verification;
use super::{Verify, raw, verification};
use crate::causes;
use crate::failure::{FOUND, Failure};
use crate::input::SecretText;
use crate::output::Output;
use crate::table::Cell;

/// The results for all files of a directory.
#[derive(Debug, Default)]
struct Report {
    verified: Vec<String>,
    /// The refused captures with the same causes, by their kinds and headers.
    groups: BTreeMap<Vec<String>, Group>,
    /// The files that are not requests, with the problem of each.
    unreadable: Vec<(String, String)>,
    /// The number of captures that were verified at their own timestamp, because they are stale now.
    stale: usize,
}

/// Captures that are refused for the same causes.
#[derive(Debug)]
struct Group {
    /// The causes of the first one.
    causes: Vec<Cause>,
    /// Whether what is wrong has other facts in another one, such as another number of seconds.
    differs: bool,
    files: Vec<String>,
}

/// Verifies the captures and prints the report.
pub(super) fn run(
    directory: &Path,
    arguments: &Verify,
    scheme: &Scheme,
    secret: &SecretText,
    output: Output,
) -> Result<ExitCode, Failure> {
    let now = Timestamp::now();
    let mut report = Report::default();
    for path in files(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let verified = read(&path).and_then(|message| raw::parse(&message)).and_then(|captured| {
            verification(arguments, scheme, secret, captured, now).map_err(|failure| failure.to_string())
        });
        match verified {
            Ok(verification) => report.add(name, &verification),
            Err(problem) => report.unreadable.push((name, problem)),
        }
    }
    if report.verified.is_empty() && report.groups.is_empty() {
        let first = report.unreadable.first();
        let example = first.map(|(name, problem)| format!(": {name} {problem}")).unwrap_or_default();
        return Err(Failure::file(directory, format!("must contain a captured request{example}")));
    }
    output.result(&report.json(), || report.print());
    Ok(if report.groups.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// The files of the directory, in the order of their names, without hidden ones and directories.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::file(directory, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("must be a regular file".into());
    }
    if metadata.len() > MAX_BYTES {
        return Err(format!("must have at most {MAX_BYTES} bytes"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

impl Report {
    fn add(&mut self, name: String, verification: &Verification) {
        self.stale = self.stale.saturating_add(usize::from(verification.stale.is_some()));
        if let Verdict::Holds { .. } = verification.diagnosis.verdict() {
            self.verified.push(name);
            return;
        }
        let causes = verification.diagnosis.causes();
        // All proven causes must be corrected. Of the others, the first is the most likely.
        let mut deciding: Vec<_> = causes.iter().filter(|cause| cause.is_proven()).cloned().collect();
        if deciding.is_empty() {
            deciding.extend(causes.first().cloned());
        }
        let group = self.groups.entry(deciding.iter().map(key).collect());
        let group = group.or_insert_with(|| Group { causes: deciding.clone(), differs: false, files: Vec::new() });
        group.differs |= !group.causes.iter().map(Cause::what).eq(deciding.iter().map(Cause::what));
        group.files.push(name);
    }

    /// The groups, largest first.
    fn by_size(&self) -> Vec<&Group> {
        let mut groups: Vec<_> = self.groups.values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.files.len()));
        groups
    }

    fn refused(&self) -> usize {
        self.groups.values().map(|group| group.files.len()).sum()
    }

    fn print(&self) {
        let (verified, refused, unreadable) = (self.verified.len(), self.refused(), self.unreadable.len());
        let line = format!("{verified} verify, {refused} refused, {unreadable} not a request");
        anstream::println!("{}", if refused == 0 { Cell::good(line) } else { Cell::bad(line) });
        if self.stale > 0 {
            anstream::println!(
                "{} verified at their own timestamp, because they are stale now; to verify them at the current time, add --at now",
                self.stale
            );
        }
        for group in self.by_size() {
            anstream::println!("\n{} refused: {}", group.files.len(), shown(&group.files));
            anstream::print!("{}", group.text());
        }
        if !self.unreadable.is_empty() {
            anstream::println!("\nnot a request:");
        }
        for (name, problem) in &self.unreadable {
            anstream::println!("  {}: {}", Escaped::line(name), Escaped::line(problem));
        }
    }

    fn json(&self) -> Value {
        let unreadable = |(name, problem): &(String, String)| json!({ "file": name, "problem": problem });
        json!({
            "verified": self.verified,
            "refused": self.refused(),
            "groups": self.by_size().into_iter().map(Group::json).collect::<Vec<_>>(),
            "not_requests": self.unreadable.iter().map(unreadable).collect::<Vec<_>>(),
            "stale_by_now": self.stale,
        })
    }
}

impl Group {
    /// The lines of the causes. Facts of one request are shown only with its name.
    fn text(&self) -> String {
        if self.files.len() == 1 {
            return causes::text(&self.causes);
        }
        let first = self.files.first().filter(|_| self.differs);
        let first = first.map(|name| format!("in {}, ", Escaped::line(name))).unwrap_or_default();
        self.causes.iter().map(|cause| causes::lines(cause, &format!("{first}{}", cause.what()))).collect()
    }

    fn json(&self) -> Value {
        let cause = |cause: &Cause| {
            let mut cause = causes::json(cause);
            if let Some(facts) = cause.as_object_mut().filter(|_| self.files.len() > 1) {
                facts.extend(["seconds", "offset"].map(|fact| (fact.to_owned(), Value::Null)));
            }
            cause
        };
        let causes: Vec<_> = self.causes.iter().map(cause).collect();
        json!({ "count": self.files.len(), "causes": causes, "files": self.files })
    }
}

/// What a cause is grouped by: its kind and its header, and for another scheme its name.
fn key(cause: &Cause) -> String {
    let scheme = if cause.kind() == CauseKind::OtherScheme { cause.what() } else { "" };
    format!("{} {} {scheme}", cause.kind(), cause.header().unwrap_or_default())
}

/// The first names, escaped.
fn shown(files: &[String]) -> String {
    let names: Vec<_> = files.iter().take(SHOWN).map(|name| Escaped::line(name).to_string()).collect();
    let more = files.len().saturating_sub(names.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", names.join(", "))
}

/// The maximum size of a file in bytes: the largest body that `hookwarden listen` saves, and a head.
const MAX_BYTES: u64 = 68_157_440;

/// The maximum number of names of a group to show.
const SHOWN: usize = 5;
