//! `hookwarden rotate`: adds a new key to a keys file, and reports the keys that can be removed.

mod change;
mod events;
mod new_key;
mod replace;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwarden::{Scheme, Timestamp};
use serde_json::{Value, json};

use crate::audit::finding::Format;
use crate::failure::Failure;
use crate::input::SchemeArgument;
use crate::keys_file;
use crate::output::Output;
use crate::private_file;
use crate::secret::kind::Kind;
use crate::when;

pub(crate) use report::findings;

use change::{Change, NewKey};
use new_key::{Material, Source};
use replace::KeysFile;

/// The arguments of `hookwarden rotate`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Add a key to this keys file, or report on its keys
    #[arg(value_name = "KEYS.toml")]
    file: PathBuf,
    /// Add a key for this webhook id; without it, only print a report
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Print a report without changing the file
    #[arg(long)]
    report: bool,
    #[command(flatten)]
    scheme: SchemeArgument,
    #[command(flatten)]
    rotation: Rotation,
    #[command(flatten)]
    reporting: Reporting,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rotating")]
struct Rotation {
    /// Keep the old keys valid for this time after the new one starts, such as 90s, 30m, 24h or 7d
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = when::parse_span)]
    overlap: Duration,
    /// Make the new key valid from this RFC 3339 time [default: now]
    #[arg(long, value_name = "TIME", value_parser = when::parse_time)]
    start: Option<Timestamp>,
    /// Use this id for the new key [default: the date of its start]
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// Generate this kind of secret [default: one that the scheme accepts]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Read the new secret, or the new public key, from this environment variable
    #[arg(long, value_name = "NAME", conflicts_with_all = ["kind", "secret_file"])]
    secret_env: Option<String>,
    /// Read the new secret, or the new public key, from this file, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    secret_file: Option<PathBuf>,
    /// Print the new secret, which the sender needs
    #[arg(long)]
    show_secret: bool,
    /// Write the new secret to a new file that only its owner can read
    #[arg(long, value_name = "FILE")]
    secret_output: Option<PathBuf>,
    /// Remove the expired keys of the webhook id
    #[arg(long)]
    prune: bool,
    /// Print the changes without making them
    #[arg(long)]
    dry_run: bool,
    /// Permit a directory that other users can write to, although they can replace the file at any time
    #[arg(long)]
    danger_writable_directory: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Reporting")]
struct Reporting {
    /// Read log lines of TracingObserver, as text or JSON, and report keys that no accepted request used
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Report keys that are older than this
    #[arg(long, value_name = "SPAN", default_value = "365d", value_parser = when::parse_span)]
    max_age: Duration,
    /// Print the report in this format; --json is short for --format json
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Rotates a key, or prints a report.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let scheme = arguments.scheme.scheme()?;
    match &arguments.id {
        Some(id) if !arguments.report => arguments.rotation.run(&arguments.file, id, &scheme, output),
        id => {
            let events = arguments.reporting.events.as_deref().map(events::read).transpose()?;
            let file = KeysFile::read(&arguments.file, &scheme)?;
            let settings = report::Settings { max_age: arguments.reporting.max_age, events };
            let report = report::report(&arguments.file, file.text(), id.as_deref(), &settings)?;
            Ok(report.print(arguments.reporting.format, output))
        }
    }
}

impl Rotation {
    fn run(&self, path: &Path, sender: &str, scheme: &Scheme, output: Output) -> Result<ExitCode, Failure> {
        let now = Timestamp::now();
        let start = self.start.unwrap_or(now);
        // Slow steps and checks run before taking the lock.
        let keys = if scheme.algorithm().uses_public_keys() {
            keys_file::keys(path, KeysFile::read(path, scheme)?.text())?
        } else {
            Vec::new()
        };
        let new = self.source().material(sender, &keys, scheme)?;
        if let Some(path) = &self.secret_output {
            private_file::refuse_existing(path)?;
        }
        let file = KeysFile::lock(path, scheme)?;
        if !self.danger_writable_directory {
            file.refuse_other_writers()?;
        }
        let key = NewKey {
            id: self.key_id.as_deref(),
            secret: &new.text,
            is_public: new.is_public,
            max_keys: if scheme.algorithm().uses_public_keys() { MAX_KEY_PAIRS } else { MAX_SECRETS },
            start,
            overlap: self.overlap,
        };
        let change = change::apply(path, file.text(), sender, &key, now, self.prune)?;
        if self.dry_run {
            file.check(&change.text)?;
        } else {
            let secret_file = match &self.secret_output {
                Some(path) => Some(private_file::create(path, format!("{}\n", *new.text).as_bytes())?),
                None => None,
            };
            let replaced = file.replace(&change.text);
            if let (Err(_), Some(created)) = (&replaced, secret_file) {
                // The secret is unused. Ignore errors: an unused secret that remains does no harm.
                let _ = created.remove();
            }
            for warning in replaced? {
                anstream::eprintln!("{warning}");
            }
        }
        output.result(&self.json(sender, &change, &new), || self.print(sender, &change, &new));
        Ok(ExitCode::SUCCESS)
    }

    fn source(&self) -> Source<'_> {
        Source {
            kind: self.kind,
            variable: self.secret_env.as_deref(),
            file: self.secret_file.as_deref(),
            shows_secret: self.show_secret || self.secret_output.is_some(),
        }
    }

    fn json(&self, sender: &str, change: &Change, new: &Material) -> Value {
        json!({
            "sender": sender,
            "key_id": change.key_id,
            "not_before": when::text(change.start),
            "ended": change.ended.iter()
                .map(|(id, end)| json!({ "key_id": id, "not_after": when::text(*end) })).collect::<Vec<_>>(),
            "pruned": change.pruned,
            "expired": change.expired,
            "dry_run": self.dry_run,
            "secret": (self.show_secret && !self.dry_run).then_some(&*new.text),
            "public_key": new.public_key,
        })
    }

    fn print(&self, sender: &str, change: &Change, new: &Material) {
        let would = if self.dry_run { "would be " } else { "" };
        anstream::eprintln!("{sender}: key {} {would}added, valid from {}", change.key_id, when::text(change.start));
        for (id, end) in &change.ended {
            anstream::eprintln!("{sender}: key {id} {would}valid until {}", when::text(*end));
        }
        for id in &change.pruned {
            anstream::eprintln!("{sender}: expired key {id} {would}removed");
        }
        for id in &change.expired {
            anstream::eprintln!("{sender}: key {id} has expired; --prune removes it");
        }
        if self.dry_run {
            return;
        }
        if new.is_public {
            return;
        }
        if let Some(key) = &new.public_key {
            anstream::eprintln!("the receivers need the new public key: {key}");
        }
        if self.show_secret {
            anstream::println!("{}", *new.text);
        } else if let Some(path) = &self.secret_output {
            anstream::eprintln!("the new secret for the sender is in {}", path.display());
        } else {
            anstream::eprintln!("the new secret is only in the keys file; the sender needs it too");
        }
    }
}

pub(crate) const EXAMPLE: &str = "\
The new key is valid from its start, and the old keys stay valid until the overlap ends. Receivers that use FileKeys reload
the file within a second or two. Give the new secret to the sender before the old keys expire. The file is locked and
replaced atomically, and keeps its comments.

If the sender's keys are public keys, give the new one in the form that the provider shows, with --secret-file or
--secret-env.

Example:
  hookwarden rotate keys.toml --id acme --report --events events.log
  hookwarden rotate keys.toml --id acme --overlap 7d --secret-output acme-secret.txt
  hookwarden rotate keys.toml --id globex --prune --dry-run";

/// The limits of a keyring, and of the public keys of a scheme.
const MAX_SECRETS: usize = 8;
const MAX_KEY_PAIRS: usize = 4;
