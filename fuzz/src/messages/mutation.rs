//! Changes to a signed request.

use arbitrary::Arbitrary;

use super::words::{HEADERS, OTHER_PATHS, PATHS, VALUES, WORDS, pick};
use crate::mutation::Mutation;
use crate::request::Request;

/// One change.
#[derive(Debug, Clone, Arbitrary)]
#[expect(missing_docs, reason = "the names explain themselves")]
pub enum DrawnMutation {
    Plain(Mutation),
    /// Replaces a word in a header.
    Word {
        header: u8,
        from: u8,
        nth: u8,
        to: u8,
    },
    /// Inserts a word into a header.
    Insert {
        header: u8,
        at: u8,
        word: u8,
    },
    /// Makes two lines of a header, at a comma.
    Split {
        header: u8,
        comma: u8,
    },
    AddHeader {
        name: u8,
        value: u8,
        is_first: bool,
    },
    Reverse,
    Target {
        index: u8,
        is_usual: bool,
    },
}

impl DrawnMutation {
    /// Applies the change to `request`.
    pub fn apply(&self, request: &mut Request) {
        let count = request.headers.len();
        let place = |header: &u8| usize::from(*header).checked_rem(count);
        match self {
            Self::Plain(mutation) => mutation.apply(request),
            Self::Word { header, from, nth, to } => {
                let Some((text, header)) = place(header).and_then(|at| text(request, at)) else { return };
                let from = pick(WORDS, *from);
                let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
                if let Some(at) = usize::from(*nth).checked_rem(places.len()).map(|index| places[index]) {
                    let changed = [&text[..at], pick(WORDS, *to), &text[at + from.len()..]].concat();
                    request.headers[header].1 = changed.into_bytes();
                }
            }
            Self::Insert { header, at, word } => {
                let Some((text, header)) = place(header).and_then(|at| text(request, at)) else { return };
                if let Some((before, after)) = text.split_at_checked(usize::from(*at) % (text.len() + 1)) {
                    request.headers[header].1 = [before, pick(WORDS, *word), after].concat().into_bytes();
                }
            }
            Self::Split { header, comma } => {
                let Some((text, header)) = place(header).and_then(|at| text(request, at)) else { return };
                let commas: Vec<usize> = text.match_indices(',').map(|(at, _)| at).collect();
                if let Some(at) = usize::from(*comma).checked_rem(commas.len()).map(|index| commas[index]) {
                    let name = request.headers[header].0.clone();
                    request.headers[header].1 = text[..at].into();
                    request.headers.insert(header + 1, (name, text[at + 1..].into()));
                }
            }
            Self::AddHeader { name, value, is_first } => {
                let at = if *is_first { 0 } else { count };
                request.headers.insert(at, (pick(HEADERS, *name).to_owned(), pick(VALUES, *value).into()));
            }
            Self::Reverse => request.headers.reverse(),
            Self::Target { index, is_usual } => {
                if let Some((_, target)) = &mut request.line {
                    *target = pick(if *is_usual { PATHS } else { OTHER_PATHS }, *index).to_owned();
                }
            }
        }
    }
}

fn text(request: &Request, header: usize) -> Option<(String, usize)> {
    let (_, value) = request.headers.get(header)?;
    Some((String::from_utf8(value.clone()).ok()?, header))
}
