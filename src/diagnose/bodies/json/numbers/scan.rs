//! Finds the numbers in a JSON text.

use std::collections::HashMap;
use std::ops::Range;

use crate::diagnose::bodies::json::tree;

/// The numbers of a JSON text, each with its group: the numbers that follow one key.
pub(super) struct Numbers<'t> {
    text: &'t str,
    found: Vec<(Range<usize>, usize)>,
    groups: usize,
}

impl<'t> Numbers<'t> {
    /// Finds the numbers of `text`, which must be JSON.
    pub(super) fn of(text: &'t str) -> Self {
        let mut numbers = Self { text, found: Vec::new(), groups: 0 };
        let mut groups: HashMap<&str, usize> = HashMap::new();
        let mut key = "";
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let start = text.len().saturating_sub(rest.len());
            match first {
                '"' => {
                    let Some(string) = tree::string(&mut rest) else { break };
                    if rest.trim_ascii_start().starts_with(':') {
                        key = string;
                    }
                }
                '-' | '0'..='9' => {
                    let is_number = |c: char| matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9');
                    rest = rest.trim_start_matches(is_number);
                    let next = groups.len();
                    let group = *groups.entry(key).or_insert(next);
                    numbers.found.push((start..text.len().saturating_sub(rest.len()), group));
                }
                _ => rest = rest.get(first.len_utf8()..).unwrap_or_default(),
            }
        }
        numbers.groups = groups.len();
        numbers
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    pub(super) const fn groups(&self) -> usize {
        self.groups
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &'t str> {
        self.found.iter().filter_map(|(range, _)| self.text.get(range.clone()))
    }

    /// Returns the text with the numbers replaced for which `other` returns a form, or `None` if it returns none.
    pub(super) fn respelt(&self, other: impl Fn(&str, usize) -> Option<String>) -> Option<String> {
        let mut out = String::new();
        let mut end = 0;
        for (range, group) in &self.found {
            if let Some(number) = other(self.text.get(range.clone())?, *group) {
                out.push_str(self.text.get(end..range.start)?);
                out.push_str(&number);
                end = range.end;
            }
        }
        out.push_str(self.text.get(end..).filter(|_| end > 0)?);
        Some(out)
    }
}
