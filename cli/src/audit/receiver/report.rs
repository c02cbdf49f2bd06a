//! What a receiver's audit prints: every check with its verdict, then what is wrong and what to do.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::finding::{Finding, Format, Report, visible};
use super::checks::Check;
use super::session::Session;
use super::verdict::{Outcome, Verdict};
use crate::failure::FOUND;
use crate::output::Output;
use crate::table::{self, Cell};

/// A check that was made.
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
            Err(_) => "not judged",
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

/// Prints the report, and says with what the command ends.
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
            anstream::println!("{document:#}");
        }
        Format::Markdown => {
            anstream::print!("{}", report.markdown());
            anstream::println!("\n## Checks\n");
            for line in lines {
                // What is quoted from the receiver stands in the table above, where it can do no harm.
                let detail =
                    if line.verdict.is_err() { format!(": {}", visible(line.detail())) } else { String::new() };
                anstream::println!("- {}: {}, {}{detail}", line.result(), line.check.id(), line.check.title());
            }
        }
        Format::Sarif => {
            let mut document = report.sarif();
            let warnings = unjudged().map(|line| {
                let text = format!("{} was not judged: {}", line.check.id(), line.detail());
                json!({ "level": "note", "message": { "text": text } })
            });
            let invocation = json!({
                "executionSuccessful": true,
                "toolExecutionNotifications": warnings.collect::<Vec<_>>(),
            });
            if let Some(run) = document.pointer_mut("/runs/0").and_then(Value::as_object_mut) {
                run.insert("invocations".into(), json!([invocation]));
            }
            anstream::println!("{document:#}");
        }
    }
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
}

fn print_table(session: &Session, lines: &[Line]) {
    let rows: Vec<_> = lines.iter().map(Line::row).collect();
    table::print(["RESULT", "SEVERITY", "CHECK", "WHAT SHOULD HOLD"], &rows);
    for (heading, result) in [("found", "found"), ("notes", "note"), ("not judged", "not judged")] {
        let chosen: Vec<_> = lines.iter().filter(|line| line.result() == result).collect();
        if chosen.is_empty() {
            continue;
        }
        anstream::println!("\n{heading}:");
        for line in chosen {
            anstream::println!("  {}: {}", line.check.id(), visible(line.detail()));
            if result == "found" {
                anstream::println!("    fix: {}", line.check.fix());
            }
        }
    }
    let count = |result| lines.iter().filter(|line| line.result() == result).count();
    anstream::println!(
        "\n{} of {} checks hold, {} found, {} not judged; {} requests in {:.1} s",
        count("holds").saturating_add(count("note")),
        lines.len(),
        count("found"),
        count("not judged"),
        session.sent(),
        session.elapsed().as_secs_f32(),
    );
}
