//! `hookwarden secret check`: checks existing secrets.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hookwarden::Scheme;
use zeroize::Zeroizing;

use super::entries::{Entry, Reading};
use super::{loader, strength};
use crate::audit::finding::{Finding, Format, Report, Severity};
use crate::failure::Failure;
use crate::input::{SchemeArgument, SecretText, is_standard_input};
use crate::output::Output;

/// The arguments of `hookwarden secret check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Check this file of secrets, .env file, keys file or directory of files; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "secret_env", conflicts_with = "secret_env")]
    file: Option<PathBuf>,
    /// Check the secret in this environment variable
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// Read the file in this format
    #[arg(long = "as", value_name = "HOW", default_value = "auto")]
    reading: Reading,
    #[command(flatten)]
    scheme: SchemeArgument,
    /// Print the report in this format; --json is short for --format json
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Checks the secrets and prints a report.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let scheme = arguments.scheme.scheme()?;
    let (subject, loaded) = match (&arguments.file, &arguments.secret_env) {
        (Some(path), _) => {
            let subject = if is_standard_input(path) { "standard input".into() } else { path.display().to_string() };
            (subject, loader::load(path, arguments.reading, &scheme)?)
        }
        (None, Some(name)) => {
            (name.clone(), loader::Loaded { entries: vec![from_environment(name)?], faults: Vec::new() })
        }
        (None, None) => return Err(Failure::input("FILE", "must be set, or --secret-env")),
    };
    let loader::Loaded { entries, faults } = loaded;
    let mut findings: Vec<Finding> = faults
        .iter()
        .map(|fault| {
            refused(fault.to_string(), "correct it, because hookwarden does not load it").at_line(fault.line())
        })
        .collect();
    for entry in entries.iter().filter(|_| faults.is_empty()) {
        findings.extend(unusable(entry, &scheme));
    }
    // The characters of a key pair do not show its strength.
    if !scheme.algorithm().uses_public_keys() {
        findings.extend(weaknesses(&entries));
        findings.extend(entries.iter().map(measure));
    }
    Ok(Report::new(subject, findings).print(arguments.format, output))
}

/// The library's error for a secret that was not read from a file, such as one with a byte order mark.
fn unusable(entry: &Entry, scheme: &Scheme) -> Option<Finding> {
    let error = match scheme.algorithm().uses_public_keys() {
        true => scheme.public_key(&entry.text).err().filter(|_| scheme.secret(&entry.text).is_err())?,
        false => scheme.secret(&entry.text).err().filter(|_| strength::weaknesses(&entry.text).is_empty())?,
    };
    Some(refused(format!("{}: {error}", entry.name), "correct it, because hookwarden refuses it").at_line(entry.line))
}

fn refused(detail: String, fix: &'static str) -> Finding {
    Finding::new("secret-refused", Severity::High, "refused secret", detail, fix)
}

/// The findings on each of `entries`, and on secrets that several of them share.
pub(crate) fn weaknesses(entries: &[Entry]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in entries {
        for weakness in strength::weaknesses(&entry.text) {
            let detail = format!("{} {}", entry.name, weakness.detail);
            let finding = Finding::new(weakness.id, weakness.severity, weakness.title, detail, weakness.fix);
            findings.push(finding.at_line(entry.line));
        }
    }
    findings.extend(shared(entries));
    findings
}

fn shared(entries: &[Entry]) -> Vec<Finding> {
    // Compares keyed hashes, so that no copies of the secrets are kept.
    let hasher = RandomState::new();
    let mut owners: HashMap<u64, &Entry> = HashMap::new();
    let mut findings = Vec::new();
    for entry in entries {
        let readings = strength::key_bytes(entry.text.trim());
        // An empty secret has another finding.
        let readings: Vec<_> =
            readings.iter().filter(|reading| !reading.is_empty()).map(|reading| hasher.hash_one(&**reading)).collect();
        let first = readings.iter().find_map(|reading| owners.get(reading).copied());
        for reading in readings {
            owners.entry(reading).or_insert(entry);
        }
        if let Some(owner) = first {
            let place = owner.line.map(|line| format!(" in line {line}")).unwrap_or_default();
            let detail = format!("{} is the same secret as {}{place}", entry.name, owner.name);
            let fix = "give each its own secret: whoever knows one can sign for the other";
            let finding = Finding::new("secret-shared", Severity::High, "one secret under two names", detail, fix);
            findings.push(finding.at_line(entry.line));
        }
    }
    findings
}

fn measure(entry: &Entry) -> Finding {
    let (length, bits) = (entry.text.chars().count(), strength::bits(&entry.text));
    let detail = format!("{} has {length} characters, about {bits} bits", entry.name);
    Finding::new("secret-measured", Severity::Note, "size of a secret", detail, "nothing").at_line(entry.line)
}

fn from_environment(name: &str) -> Result<Entry, Failure> {
    let text = SecretText::of_variable(name)?;
    Ok(Entry { name: name.into(), line: None, text: Zeroizing::new(text.as_str().to_owned()) })
}

pub(super) const EXAMPLE: &str = "\
Example:
  hookwarden secret | hookwarden secret check -
  hookwarden secret check .env
  hookwarden secret check keys.toml --json";
