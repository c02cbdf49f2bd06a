//! Splits JSON into its values, and keeps the text of every number and string.

/// A JSON text.
#[derive(Clone)]
pub(super) struct Tree<'t> {
    pub(super) root: Node<'t>,
    pub(super) text: &'t str,
}

#[derive(Clone)]
pub(super) enum Node<'t> {
    /// A number, `true`, `false` or `null`.
    Atom(&'t str),
    /// A string with its quotes.
    Text(&'t str),
    Array(Vec<Self>),
    Object(Vec<(&'t str, Self)>),
}

impl<'t> Tree<'t> {
    /// Returns `None` if `text` is invalid JSON, is nested too deep, or is neither an object nor an array.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // `serde_json` checks the grammar; `node` relies on it.
        serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
        let mut rest = text;
        let root = node(&mut rest, MAX_DEPTH)?;
        matches!(root, Node::Array(_) | Node::Object(_)).then_some(Self { root, text })
    }

    /// Returns the tree with the keys of every object sorted.
    pub(super) fn sorted(&self) -> Self {
        let mut tree = self.clone();
        tree.root.sort();
        tree
    }
}

impl Node<'_> {
    fn sort(&mut self) {
        match self {
            Self::Atom(_) | Self::Text(_) => {}
            Self::Array(items) => items.iter_mut().for_each(Self::sort),
            Self::Object(members) => {
                members.sort_by_cached_key(|(key, _)| {
                    serde_json::from_str::<String>(key).unwrap_or_else(|_| (*key).to_owned())
                });
                members.iter_mut().for_each(|(_, value)| value.sort());
            }
        }
    }
}

fn node<'t>(rest: &mut &'t str, depth: usize) -> Option<Node<'t>> {
    let depth = depth.checked_sub(1)?;
    *rest = rest.trim_ascii_start();
    match rest.as_bytes().first()? {
        b'"' => string(rest).map(Node::Text),
        b'[' => {
            let mut items = Vec::new();
            step(rest);
            while !ends(rest, ']') {
                items.push(node(rest, depth)?);
            }
            Some(Node::Array(items))
        }
        b'{' => {
            let mut members = Vec::new();
            step(rest);
            while !ends(rest, '}') {
                let key = string(rest)?;
                *rest = rest.trim_ascii_start();
                step(rest);
                members.push((key, node(rest, depth)?));
            }
            Some(Node::Object(members))
        }
        _ => {
            let end =
                rest.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace()).unwrap_or(rest.len());
            let (atom, after) = rest.split_at_checked(end).filter(|(atom, _)| !atom.is_empty())?;
            *rest = after;
            Some(Node::Atom(atom))
        }
    }
}

/// Skips one character of punctuation.
fn step(rest: &mut &str) {
    *rest = rest.get(1..).unwrap_or_default();
}

/// Skips a comma or the `closing` bracket. Returns whether it was the bracket, or the text ended.
fn ends(rest: &mut &str, closing: char) -> bool {
    *rest = rest.trim_ascii_start();
    if let Some(after) = rest.strip_prefix(closing) {
        *rest = after;
        return true;
    }
    *rest = rest.strip_prefix(',').unwrap_or(rest).trim_ascii_start();
    rest.is_empty()
}

/// Removes a string from the start of `rest`, and returns it with its quotes.
pub(super) fn string<'t>(rest: &mut &'t str) -> Option<&'t str> {
    let mut escaped = false;
    let inner = rest.strip_prefix('"')?;
    let end = inner.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    let (text, after) = rest.split_at_checked(end.checked_add(2)?)?;
    *rest = after;
    Some(text)
}

/// The maximum nesting depth.
const MAX_DEPTH: usize = 96;
