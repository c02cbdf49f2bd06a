//! `hookwarden secret check`: what is wrong with secrets that exist.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use super::entries::{self, Entry, Reading};
use super::strength;
use crate::audit::finding::{Finding, Format, Report, Severity};
use crate::failure::Failure;
use crate::input::{self, SecretText};
use crate::output::Output;

/// The arguments of `hookwarden secret check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A file with a secret, a .env file or a keys file; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "secret_env", conflicts_with = "secret_env")]
    file: Option<PathBuf>,
    /// The environment variable that holds a secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// How the file is read
    #[arg(long = "as", value_name = "HOW", default_value = "auto")]
    reading: Reading,
    /// The form of the report; --json is short for json
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Judges, and reports.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let (subject, entries) = match (&arguments.file, &arguments.secret_env) {
        (Some(path), _) => {
            let text = Zeroizing::new(input::text_of(path)?);
            let subject =
                if input::is_standard_input(path) { "standard input".into() } else { path.display().to_string() };
            (subject, entries::read(path, &text, arguments.reading)?)
        }
        (None, Some(name)) => (name.clone(), vec![from_environment(name)?]),
        (None, None) => return Err(Failure::input("secret check", "takes a FILE or a --secret-env")),
    };
    let mut findings = weaknesses(&entries);
    findings.extend(entries.iter().map(measure));
    Ok(Report::new(subject, findings).print(arguments.format, output))
}

/// Everything that is wrong with `entries`, each alone and all together.
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
    // Hashes under a key of this process tell that two are the same without keeping copies of them.
    let hasher = RandomState::new();
    let mut owners: HashMap<u64, &Entry> = HashMap::new();
    let mut findings = Vec::new();
    for entry in entries {
        let readings = strength::key_bytes(entry.text.trim());
        // An empty secret has a finding of its own.
        let readings: Vec<_> =
            readings.iter().filter(|reading| !reading.is_empty()).map(|reading| hasher.hash_one(&**reading)).collect();
        let first = readings.iter().find_map(|reading| owners.get(reading).copied());
        for reading in readings {
            owners.entry(reading).or_insert(entry);
        }
        if let Some(owner) = first {
            let place = owner.line.map(|line| format!(" in line {line}")).unwrap_or_default();
            let detail = format!("{} is the same secret as {}{place}", entry.name, owner.name);
            let fix = "give each a secret of its own: who knows one of them could sign for the other";
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
