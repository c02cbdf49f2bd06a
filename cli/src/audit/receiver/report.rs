//! The report of a receiver's audit: each check with its result, then the findings with their fixes.

use std::process::ExitCode;

use hookwarden::escape::Escaped;
use serde_json::{Value, json};

use super::super::finding::{Finding, Format, Report};
use super::checks::Check;
use super::session::Session;
use super::verdict::{Outcome, Verdict};
use crate::failure::FOUND;
use crate::output::{self, Output};
use crate::table::{self, Cell};

/// A finished check.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) check: Check,
    pub(super) verdict: Verdict,
}

impl Line {
    fn finding(&self) -> Option<Finding> {
        match &self.verdict {
            Ok(Outcome::Found(severity, detail)) => {
                let severity = severity.unwrap_or(self.check.severity());
                Some(Finding::new(self.check.id(), severity, self.check.title(), detail, self.check.fix()))
            }
            _ => None,
        }
    }

    fn result(&self) -> &'static str {
        match self.verdict {
            Ok(Outcome::Holds) => "holds",
            Ok(Outcome::Note(_)) => "note",
            Ok(Outcome::Found(..)) => "found",
            Err(_) => "inconclusive",
        }
    }

    fn detail(&self) -> &str {
        match &self.verdict {
            Ok(Outcome::Holds) => "",
            Ok(Outcome::Note(detail) | Outcome::Found(_, detail)) => detail,
            Err(unjudged) => unjudged.reason(),
        }
    }

    fn json(&self) -> Value {
        json!({ "id": self.check.id(), "title": self.check.title(), "result": self.result(), "detail": self.detail() })
    }

    fn row(&self) -> [Cell; 4] {
        let severity = self.finding().map(|finding| finding.severity.as_str());
        let result = match self.verdict {
            Ok(Outcome::Holds) => Cell::good(self.result()),
            Ok(Outcome::Found(..)) => Cell::bad(self.result()),
            _ => Cell::plain(self.result()),
        };
        [
            result,
            Cell::plain(severity.unwrap_or_default()),
            Cell::plain(self.check.id()),
            Cell::plain(self.check.title()),
        ]
    }
}

/// Prints the report, and returns the exit code.
pub(super) fn print(session: &Session, lines: &[Line], format: Format, output: Output) -> ExitCode {
    let report = Report::new(session.target.to_string(), lines.iter().filter_map(Line::finding).collect());
    let unjudged = || lines.iter().filter(|line| line.verdict.is_err());
    match if output.is_json() { Format::Json } else { format } {
        Format::Table => print_table(session, lines),
        Format::Json => {
            let mut document = report.json();
            if let Some(document) = document.as_object_mut() {
                document.insert("checks".into(), lines.iter().map(Line::json).collect());
                document.insert("requests".into(), session.sent().into());
                document.insert("seconds".into(), session.elapsed().as_secs_f64().into());
            }
            output::document(&document);
        }
        Format::Markdown => {
            anstream::print!("{}", report.markdown());
            anstream::println!("\n## Checks\n");
            for line in lines {
                // Only the table above quotes the receiver, and it escapes the text.
                let detail =
                    if line.verdict.is_err() { format!(": {}", Escaped::line(line.detail())) } else { String::new() };
                anstream::println!("- {}: {}, {}{detail}", line.result(), line.check.id(), line.check.title());
            }
        }
        Format::Sarif => {
            let mut document = report.sarif();
            let warnings = unjudged().map(|line| {
                let text = format!("{} was inconclusive: {}", line.check.id(), line.detail());
                json!({ "level": "note", "message": { "text": text } })
            });
            let invocation = json!({
                "executionSuccessful": true,
                "toolExecutionNotifications": warnings.collect::<Vec<_>>(),
            });
            if let Some(run) = document.pointer_mut("/runs/0").and_then(Value::as_object_mut) {
                run.insert("invocations".into(), json!([invocation]));
            }
            output::document(&document);
        }
    }
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
}

fn print_table(session: &Session, lines: &[Line]) {
    let rows: Vec<_> = lines.iter().map(Line::row).collect();
    table::print(["RESULT", "SEVERITY", "CHECK", "WHAT SHOULD HOLD"], &rows);
    for (heading, result) in [("found", "found"), ("notes", "note"), ("inconclusive", "inconclusive")] {
        let chosen: Vec<_> = lines.iter().filter(|line| line.result() == result).collect();
        if chosen.is_empty() {
            continue;
        }
        anstream::println!("\n{heading}:");
        for line in chosen {
            anstream::println!("  {}: {}", line.check.id(), Escaped::line(line.detail()));
            if result == "found" {
                anstream::println!("    fix: {}", line.check.fix());
            }
        }
    }
    let count = |result| lines.iter().filter(|line| line.result() == result).count();
    anstream::println!(
        "\n{} of {} checks hold, {} found, {} inconclusive; {} requests in {:.1} s",
        count("holds").saturating_add(count("note")),
        lines.len(),
        count("found"),
        count("inconclusive"),
        session.sent(),
        session.elapsed().as_secs_f32(),
    );
}
