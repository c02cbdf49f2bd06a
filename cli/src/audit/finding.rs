//! The findings of an audit, and the formats of its report.

mod markdown;
mod sarif;

use std::process::ExitCode;

use clap::ValueEnum;
use hookwarden::escape::Escaped;
use serde_json::{Value, json};

use crate::failure::FOUND;
use crate::output::{self, Output};
use crate::table::{self, Cell};

/// A finding with its fix. No text contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's id, such as `body-limit-large`, the same in every report.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// The rule's title, the same in every report.
    pub(crate) title: &'static str,
    /// The details of this finding.
    pub(crate) detail: String,
    /// The recommended change.
    pub(crate) fix: String,
    /// The line in a file, from 1.
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

/// The severity, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// An attacker can have requests accepted, or a secret leaks.
    High,
    /// A protection is missing.
    Medium,
    /// A protection is weaker than necessary.
    Low,
    /// Information that needs no change. A report with notes only is good.
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

/// The findings on one subject.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    subject: String,
    findings: Vec<Finding>,
}

impl Report {
    /// A report on `subject`, a path or a URL. Findings are sorted by severity, then by line.
    pub(crate) fn new(subject: impl Into<String>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.severity, finding.line));
        Self { subject: subject.into(), findings }
    }

    /// Prints the report, as JSON with `--json`, and returns the exit code.
    pub(crate) fn print(&self, format: Format, output: Output) -> ExitCode {
        match if output.is_json() { Format::Json } else { format } {
            Format::Table => self.print_table(),
            Format::Json => output::document(&self.json()),
            Format::Markdown => anstream::print!("{}", markdown::render(self)),
            Format::Sarif => output::document(&sarif::render(self)),
        }
        if self.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
    }

    pub(super) fn markdown(&self) -> String {
        markdown::render(self)
    }

    pub(super) fn sarif(&self) -> Value {
        sarif::render(self)
    }

    /// Whether there are only notes.
    pub(super) fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }

    fn print_table(&self) {
        if self.findings.is_empty() {
            anstream::println!("{}: nothing found", Escaped::line(&self.subject));
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

/// The formats of a report.
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
        Cell::plain(finding.detail.as_str()),
        Cell::plain(finding.fix.as_str()),
    ]
}
