//! What an audit finds, and the forms in which it is reported.

mod markdown;
mod sarif;

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::failure::FOUND;
use crate::output::Output;
use crate::table::{self, Cell};

/// One thing that is wrong, with what to do about it. No text of it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name, the same in every report: `body-limit-large`.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// The rule in a few words, the same in every report.
    pub(crate) title: &'static str,
    /// What was seen here.
    pub(crate) detail: String,
    /// What to do.
    pub(crate) fix: String,
    /// Where in a file, counted from 1.
    pub(crate) line: Option<usize>,
}

impl Finding {
    pub(crate) fn new(
        id: &'static str,
        severity: Severity,
        title: &'static str,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { id, severity, title, detail: detail.into(), fix: fix.into(), line: None }
    }

    pub(crate) fn at_line(self, line: Option<usize>) -> Self {
        Self { line, ..self }
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "severity": self.severity.as_str(),
            "title": self.title,
            "detail": self.detail,
            "fix": self.fix,
            "line": self.line,
        })
    }
}

/// How bad it is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// A stranger gets in, or a secret gets out.
    High,
    /// One protection is missing.
    Medium,
    /// A protection is weaker than it need be.
    Low,
    /// Nothing to repair, but something to know. A report of nothing but notes is a good one.
    Note,
}

impl Severity {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Note => "note",
        }
    }
}

/// Everything that was found about one subject.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    subject: String,
    findings: Vec<Finding>,
}

impl Report {
    /// A report on `subject`, a file's path or a URL; the worst findings come first, then in the order of their lines.
    pub(crate) fn new(subject: impl Into<String>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.severity, finding.line));
        Self { subject: subject.into(), findings }
    }

    /// Prints it, as JSON with `--json` whatever the format, and says with what the command ends.
    pub(crate) fn print(&self, format: Format, output: Output) -> ExitCode {
        match if output.is_json() { Format::Json } else { format } {
            Format::Table => self.print_table(),
            Format::Json => anstream::println!("{:#}", self.json()),
            Format::Markdown => anstream::print!("{}", markdown::render(self)),
            Format::Sarif => anstream::println!("{:#}", sarif::render(self)),
        }
        if self.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
    }

    pub(super) fn markdown(&self) -> String {
        markdown::render(self)
    }

    pub(super) fn sarif(&self) -> Value {
        sarif::render(self)
    }

    /// Whether nothing is to be repaired.
    pub(super) fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }

    fn print_table(&self) {
        if self.findings.is_empty() {
            anstream::println!("{}: nothing found", visible(&self.subject));
            return;
        }
        let rows: Vec<_> = self.findings.iter().map(row).collect();
        table::print(["severity", "line", "rule", "what", "fix"], &rows);
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "subject": self.subject,
            "good": self.is_good(),
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a terminal.
    Table,
    /// For programs.
    Json,
    /// For a ticket or a pull request.
    Markdown,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

fn row(finding: &Finding) -> [Cell; 5] {
    let severity = finding.severity.as_str();
    [
        if finding.severity == Severity::High { Cell::bad(severity) } else { Cell::plain(severity) },
        Cell::plain(finding.line.map(|line| line.to_string()).unwrap_or_default()),
        Cell::plain(finding.id),
        Cell::plain(visible(&finding.detail)),
        Cell::plain(visible(&finding.fix)),
    ]
}

/// A detail may quote what a stranger's server or file says, which must neither steer a terminal nor break a line.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
