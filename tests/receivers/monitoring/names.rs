//! The metrics of a receiver, and checks of the names in rules and panels.

use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, BTreeSet<String>>;

/// The metrics of scrapes with their labels and values.
#[derive(Debug, Default)]
pub(crate) struct Exports(BTreeMap<String, Labels>);

/// One condition on a label within braces.
struct Matcher<'t> {
    label: &'t str,
    operator: &'t str,
    value: &'t str,
}

impl Exports {
    /// Adds the metrics of a scrape in Prometheus' text format.
    pub(crate) fn add(&mut self, scrape: &str) {
        for line in scrape.lines().filter(|line| line.starts_with(PREFIX)) {
            let (name, rest) = word(line);
            let labels = self.0.entry(name.to_owned()).or_default();
            for matcher in selector(rest).unwrap_or_default() {
                labels.entry(matcher.label.to_owned()).or_default().insert(matcher.value.to_owned());
            }
        }
    }

    /// Returns the registered names of the metrics.
    pub(crate) fn families(&self) -> BTreeSet<&str> {
        let family =
            |name: &'_ str| SUFFIXES.iter().find_map(|suffix| self.0.get_key_value(name.strip_suffix(suffix)?));
        self.0.keys().map(|name| family(name).map_or(name.as_str(), |(family, _)| family)).collect()
    }

    /// Returns the metrics and labels in `text` that no receiver exports.
    pub(crate) fn faults(&self, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut known: BTreeSet<&str> = TARGET.into_iter().chain(OF_ALERTS).collect();
        for (metric, rest) in metrics(text) {
            let Some(labels) = self.0.get(metric) else {
                faults.push(format!("no metric {metric}"));
                continue;
            };
            known.extend(labels.keys().map(String::as_str));
            for matcher in selector(rest).unwrap_or_default() {
                faults.extend(fault(metric, labels, &matcher));
            }
        }
        // After a grouping, only its labels remain.
        let groups: Vec<&str> = CLAUSES.iter().flat_map(|clause| lists_after(text, clause)).collect();
        faults.extend(groups.iter().filter(|label| !known.contains(*label)).map(|label| format!("no label {label}")));
        let left = if groups.is_empty() { known } else { groups.into_iter().collect() };
        let shown = ["$labels.", "{{"].iter().flat_map(|mark| names_after(text, mark));
        faults.extend(shown.filter(|label| !left.contains(label)).map(|label| format!("no label {label} is left")));
        for matcher in text.split("labels: '").skip(1).filter_map(selector).flatten() {
            if !left.contains(matcher.label) && !OF_ALERTS.contains(&matcher.label) {
                faults.push(format!("no label {}", matcher.label));
            }
        }
        faults
    }

    /// Returns the faults of the series in `text`, a test of rules: each must have exactly the exported labels.
    pub(crate) fn made_up(&self, text: &str) -> Vec<String> {
        let series = text.split("series: '").skip(1).map(word);
        let wrong = series.filter(|(metric, rest)| {
            let own = selector(rest).unwrap_or_default();
            let own: BTreeSet<_> =
                own.iter().map(|matcher| matcher.label).filter(|label| !TARGET.contains(label)).collect();
            let theirs = self.0.get(*metric).map(|labels| labels.keys().map(String::as_str).collect());
            theirs != Some(own)
        });
        wrong
            .map(|(metric, rest)| format!("{metric}{} is not of its labels", rest.lines().next().unwrap_or_default()))
            .collect()
    }
}

/// Returns the label that the metric does not have, or the value that no receiver exports.
fn fault(metric: &str, labels: &Labels, matcher: &Matcher<'_>) -> Option<String> {
    let Matcher { label, operator, value } = matcher;
    if TARGET.contains(label) {
        return None;
    }
    let Some(values) = labels.get(*label) else { return Some(format!("{metric} has no label {label}")) };
    if !ENUMERATED.contains(label) {
        return None;
    }
    let mut alternatives = value.split(|char| operator.ends_with('~') && char == '|');
    let unknown = alternatives.find(|value| !values.contains(*value))?;
    Some(format!("{metric} has no {label}=\"{unknown}\""))
}

/// Returns each metric's name with the text after it.
fn metrics(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let starts = text.match_indices(PREFIX).filter(|(at, _)| !text[..*at].ends_with(is_word));
    starts.map(|(at, _)| word(&text[at..]))
}

/// Returns the matchers within the braces at the start of `text`.
fn selector(text: &str) -> Option<Vec<Matcher<'_>>> {
    let mut rest = text.strip_prefix('{')?;
    let mut matchers = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if rest.starts_with('}') {
            return Some(matchers);
        }
        let (label, behind) = word(rest);
        let (operator, behind) = behind.split_once('"')?;
        let (value, behind) = behind.split_once('"')?;
        matchers.push(Matcher { label, operator, value });
        rest = behind;
    }
}

/// Returns the words of each parenthesized list after `clause`.
fn lists_after<'t>(text: &'t str, clause: &'t str) -> impl Iterator<Item = &'t str> {
    let places = text.match_indices(clause).filter(|(at, _)| !text[..*at].ends_with(is_word));
    let lists = places.filter_map(move |(at, _)| text[at..].strip_prefix(clause)?.trim_start().strip_prefix('('));
    lists.filter_map(|list| list.split_once(')')).flat_map(|(list, _)| list.split(',').map(str::trim))
}

/// Returns the word after each `mark`.
fn names_after<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = &'t str> {
    let words = text.split(mark).skip(1).map(|rest| word(rest.trim_start()));
    // `printf` is a function of the template, not a label.
    words.map(|(word, _)| word).filter(|word| !word.is_empty() && *word != "printf")
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|char| !is_word(char)).unwrap_or(text.len()))
}

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

const PREFIX: &str = "hookwarden_";
/// The suffixes of summaries and histograms.
const SUFFIXES: [&str; 3] = ["_sum", "_count", "_bucket"];
/// The labels that Prometheus adds to scraped series.
const TARGET: [&str; 2] = ["instance", "job"];
/// The labels of alerts.
const OF_ALERTS: [&str; 3] = ["alertname", "alertstate", "severity"];
/// The labels of which a scrape has every value.
const ENUMERATED: [&str; 5] = ["outcome", "reason", "kind", "store", "quantile"];
const CLAUSES: [&str; 5] = ["by", "on", "ignoring", "without", "group_left"];
