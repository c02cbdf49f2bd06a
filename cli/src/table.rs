//! Prints tables, in colour on a terminal.

use anstyle::{AnsiColor, Style};
use hookwarden::escape::Escaped;

/// Text with a style. The style does not count for the width.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::styled(&text.into(), Style::new())
    }

    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self::styled(&text.into(), AnsiColor::Green.on_default())
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::styled(&text.into(), AnsiColor::Red.on_default())
    }

    fn heading(text: &str) -> Self {
        Self::styled(text, Style::new().bold())
    }

    /// Escapes the text, which may come from a server or a file.
    fn styled(text: &str, style: Style) -> Self {
        Self { text: Escaped::line(text).to_string(), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.text, self.style)
    }
}

/// Prints `rows` under `headings`, each column as wide as its widest cell.
pub(crate) fn print<const N: usize>(headings: [&str; N], rows: &[[Cell; N]]) {
    let headings = headings.map(Cell::heading);
    let mut widths = headings.each_ref().map(Cell::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            line.push_str(&format!("{cell}{padding}  "));
        }
        anstream::println!("{}", line.trim_end());
    }
}
