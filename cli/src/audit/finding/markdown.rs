//! Renders a report in Markdown.

use hookwarden::escape::Escaped;

use super::Report;

/// A heading and a table, or one sentence.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("# Audit of {}\n\n", escaped(&report.subject));
    if report.findings.is_empty() {
        text.push_str("Nothing was found.\n");
        return text;
    }
    text.push_str("| severity | line | rule | what | fix |\n| --- | --- | --- | --- | --- |\n");
    for finding in &report.findings {
        let line = finding.line.map(|line| line.to_string()).unwrap_or_default();
        let [detail, fix] = [&finding.detail, &finding.fix].map(|text| escaped(text));
        text.push_str(&format!("| {} | {line} | {} | {detail} | {fix} |\n", finding.severity.as_str(), finding.id));
    }
    text
}

/// Escapes text, so that quoted input cannot become a link, an image or a cell.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in Escaped::line(text).to_string().chars() {
        if SPECIAL.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

const SPECIAL: &str = r"\`*_[]<>|!~&#";
