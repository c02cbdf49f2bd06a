//! Writes JSON as common libraries do.

use std::fmt::Write as _;

use super::tree::{Node, Tree, string as take_string};

/// The white space between the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    /// Unchanged.
    Kept,
    /// None, as in JavaScript, Go, PHP and most others.
    Compact,
    /// A space after commas and colons, as in Python.
    Spaced,
    /// A line for each member, indented by this many spaces.
    Indented(&'static str),
}

impl Spacing {
    pub(super) const ALL: [Self; 5] =
        [Self::Compact, Self::Spaced, Self::Indented("  "), Self::Indented("    "), Self::Indented("\t")];

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Kept => "",
            Self::Compact => "compact",
            Self::Spaced => "with a space after commas and colons (Python's json.dumps)",
            Self::Indented("\t") => "indented by tabs",
            Self::Indented("  ") => "indented by two spaces",
            Self::Indented(_) => "indented by four spaces",
        }
    }
}

/// Which characters of a string are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// The characters that are escaped already.
    Kept,
    /// Only the characters that must be escaped.
    Least,
    /// Non-ASCII characters and DEL (Python).
    Ascii,
    /// Non-ASCII characters, in upper-case hex (Jackson).
    AsciiUpper,
    /// `<`, `>`, `&` and two line separators (Go, Rails).
    Html,
    /// Non-ASCII characters and the slash (PHP).
    AsciiSlash,
    /// Non-ASCII characters, in upper-case hex, and the slash (Apache Commons).
    AsciiSlashUpper,
    /// The slash (PHP with unescaped Unicode).
    Slash,
    /// The slash, non-ASCII characters, and in upper-case hex the special characters of HTML (PHP's `JSON_HEX_*`, which
    /// Symfony and Laravel set).
    PhpHex,
    /// Non-ASCII characters and the special characters of HTML, in upper-case hex (.NET).
    DotNet,
    /// The special characters of HTML, `=` and two line separators (Gson).
    Gson,
    /// The slash, non-ASCII characters, `<`, `%` and `@` (Meta).
    Meta,
}

impl Escapes {
    pub(super) const ALL: [Self; 12] = [
        Self::Kept,
        Self::Least,
        Self::Ascii,
        Self::Html,
        Self::AsciiSlash,
        Self::Slash,
        Self::DotNet,
        Self::AsciiUpper,
        Self::AsciiSlashUpper,
        Self::PhpHex,
        Self::Gson,
        Self::Meta,
    ];

    pub(super) const fn describe(self) -> Option<&'static str> {
        match self {
            Self::Kept => None,
            Self::Least => Some("with as few escapes as possible"),
            Self::Ascii => Some(r"with non-ASCII characters as \uXXXX"),
            Self::AsciiUpper => Some(r"with non-ASCII characters as \uXXXX in upper-case hex (Jackson)"),
            Self::Html => Some(r"with < > & as \u003c (Go, Rails)"),
            Self::AsciiSlash => Some(r"with non-ASCII characters as \uXXXX and slashes as \/ (PHP)"),
            Self::AsciiSlashUpper => {
                Some(r"with slashes as \/, and non-ASCII characters as \uXXXX in upper-case hex (Apache Commons)")
            }
            Self::Slash => Some(r"with slashes as \/ (PHP)"),
            Self::PhpHex => Some(r#"with < > & ' " as \u003C and slashes as \/ (Symfony, Laravel)"#),
            Self::DotNet => Some(r"with non-ASCII characters and those of HTML as upper-case \uXXXX (.NET)"),
            Self::Gson => Some(r"with < > & ' = as \u003c (Gson)"),
            Self::Meta => Some(r"with non-ASCII characters, < % and @ as \uXXXX and slashes as \/ (Meta)"),
        }
    }

    /// Whether to try this escaping for `text`: it may change a string, or it is `Kept`.
    fn may_change(self, text: &str) -> bool {
        self == Self::Kept || text.contains(|c| c == '\\' || (c != '"' && self.takes(c)))
    }

    const fn takes(self, c: char) -> bool {
        let is_separator = matches!(c, '\u{2028}' | '\u{2029}');
        match self {
            Self::Kept | Self::Least => false,
            Self::Ascii => !c.is_ascii() || c == '\x7f',
            Self::AsciiUpper => !c.is_ascii(),
            Self::Html => matches!(c, '<' | '>' | '&') || is_separator,
            Self::AsciiSlash | Self::AsciiSlashUpper => !c.is_ascii() || c == '/',
            Self::Slash => c == '/',
            Self::PhpHex => !c.is_ascii() || matches!(c, '/' | '<' | '>' | '&' | '\'' | '"'),
            Self::DotNet => !c.is_ascii() || matches!(c, '<' | '>' | '&' | '\'' | '+' | '`' | '"' | '\x7f'),
            Self::Gson => matches!(c, '<' | '>' | '&' | '\'' | '=') || is_separator,
            Self::Meta => !c.is_ascii() || matches!(c, '/' | '<' | '%' | '@'),
        }
    }

    /// Whether the hex digits of an escaped `c` are in upper case.
    const fn is_upper(self, c: char) -> bool {
        match self {
            Self::DotNet | Self::AsciiUpper | Self::AsciiSlashUpper => true,
            Self::PhpHex | Self::Meta => c.is_ascii(),
            _ => false,
        }
    }
}

impl Tree<'_> {
    /// Returns the escapings to try for this text.
    pub(super) fn escapes(&self) -> impl Iterator<Item = Escapes> {
        let text = self.text;
        Escapes::ALL.into_iter().filter(move |escapes| escapes.may_change(text))
    }

    /// Returns `None` if the output would be more than `MAX_GROWTH` times as large as the text and one more byte.
    pub(super) fn write(&self, spacing: Spacing, escapes: Escapes) -> Option<String> {
        let most = self.text.len().saturating_mul(MAX_GROWTH).saturating_add(MAX_GROWTH);
        let mut writer = Writer::new(spacing, escapes, most);
        match spacing {
            Spacing::Kept => writer.text_with_strings(self.text),
            _ => writer.node(&self.root, 0),
        }?;
        Some(writer.finish())
    }
}

/// Writes one form of a tree.
struct Writer {
    out: String,
    spacing: Spacing,
    escapes: Escapes,
    most: usize,
}

impl Writer {
    const fn new(spacing: Spacing, escapes: Escapes, most: usize) -> Self {
        Self { out: String::new(), spacing, escapes, most }
    }

    fn finish(self) -> String {
        self.out
    }

    /// Writes a node. Returns `None` once the output is too large.
    fn node(&mut self, node: &Node<'_>, depth: usize) -> Option<()> {
        match node {
            Node::Atom(text) => self.push(text),
            Node::Text(text) => self.string(text),
            Node::Array(items) => self.nested('[', ']', items, depth, |writer, item, depth| writer.node(item, depth)),
            Node::Object(members) => self.nested('{', '}', members, depth, |writer, (key, value), depth| {
                writer.string(key)?;
                writer.push(if writer.spacing == Spacing::Compact { ":" } else { ": " })?;
                writer.node(value, depth)
            }),
        }
    }

    /// Copies a text, and writes only its strings again.
    fn text_with_strings(&mut self, mut rest: &str) -> Option<()> {
        while let Some(quote) = rest.find('"') {
            let (before, after) = rest.split_at_checked(quote)?;
            self.push(before)?;
            rest = after;
            let text = take_string(&mut rest)?;
            self.string(text)?;
        }
        self.push(rest)
    }

    fn nested<T>(
        &mut self,
        opening: char,
        closing: char,
        items: &[T],
        depth: usize,
        write: impl Fn(&mut Self, &T, usize) -> Option<()>,
    ) -> Option<()> {
        let inner = depth.checked_add(1)?;
        self.out.push(opening);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(if self.spacing == Spacing::Spaced { ", " } else { "," })?;
            }
            self.line(inner)?;
            write(self, item, inner)?;
        }
        if !items.is_empty() {
            self.line(depth)?;
        }
        self.out.push(closing);
        Some(())
    }

    fn line(&mut self, depth: usize) -> Option<()> {
        if let Spacing::Indented(step) = self.spacing {
            self.push("\n")?;
            for _ in 0..depth {
                self.push(step)?;
            }
        }
        Some(())
    }

    /// Writes a string, given with its quotes. A string with half a surrogate pair is copied unchanged.
    fn string(&mut self, text: &str) -> Option<()> {
        match serde_json::from_str::<String>(text) {
            Ok(plain) if self.escapes != Escapes::Kept => self.push(&string(&plain, self.escapes)),
            _ => self.push(text),
        }
    }

    fn push(&mut self, text: &str) -> Option<()> {
        self.out.push_str(text);
        (self.out.len() <= self.most).then_some(())
    }
}

/// Returns `text` as a JSON string.
pub(super) fn string(text: &str, escapes: Escapes) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars() {
        if escapes.takes(c) {
            escape(&mut out, c, escapes);
            continue;
        }
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => escape(&mut out, c, escapes),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn escape(out: &mut String, c: char, escapes: Escapes) {
    if c == '/' {
        out.push_str("\\/");
        return;
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = if escapes.is_upper(c) { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
    }
}

/// The maximum size of the output, as a multiple of the body's size.
const MAX_GROWTH: usize = 8;
