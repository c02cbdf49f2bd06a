//! Renders a report in SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Finding, Report, Severity};

/// A log with one run, and the rules that its results use.
pub(super) fn render(report: &Report) -> Value {
    let mut rules: Vec<&Finding> = Vec::new();
    for finding in &report.findings {
        if rules.iter().all(|rule| rule.id != finding.id) {
            rules.push(finding);
        }
    }
    let index = |finding: &Finding| rules.iter().position(|rule| rule.id == finding.id);
    let results: Vec<_> =
        report.findings.iter().map(|finding| result(finding, index(finding), &report.subject)).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "hookwarden",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_iter().map(rule).collect::<Vec<_>>(),
            }},
            "results": results,
        }],
    })
}

fn rule(finding: &Finding) -> Value {
    json!({
        "id": finding.id,
        "shortDescription": { "text": finding.title },
        "help": { "text": finding.fix },
        "defaultConfiguration": { "level": level(finding.severity) },
        "properties": { "tags": ["security"], "security-severity": score(finding.severity) },
    })
}

fn result(finding: &Finding, rule: Option<usize>, subject: &str) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(subject) } });
    if let (Some(line), Some(place)) = (finding.line, place.as_object_mut()) {
        place.insert("region".into(), json!({ "startLine": line }));
    }
    json!({
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": { "text": format!("{}; {}", finding.detail, finding.fix) },
        "locations": [{ "physicalLocation": place }],
    })
}

/// The URI of a subject. A path becomes a reference relative to the working directory, or a `file:` URI.
fn uri(subject: &str) -> String {
    if subject.contains("://") {
        return subject.into();
    }
    let path = utf8_percent_encode(subject, OUTSIDE_PATHS).to_string();
    if path.starts_with('/') { format!("file://{path}") } else { path }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Note => "note",
    }
}

/// The score from 0 to 10 that code scanning sorts by.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Low => "3.0",
        Severity::Note => "0.0",
    }
}

const OUTSIDE_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
