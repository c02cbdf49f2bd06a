//! Changes to a request in transit, accidental or intended.

use arbitrary::Arbitrary;

use crate::parts::DrawnName;
use crate::request::Request;

/// One change.
#[derive(Debug, Clone, Arbitrary)]
#[expect(missing_docs, reason = "the names explain themselves")]
pub enum Mutation {
    FlipInHeader { header: u8, at: u16, bit: u8 },
    InsertInHeader { header: u8, at: u16, byte: u8 },
    CutHeader { header: u8, at: u16 },
    CutHeaderFront { header: u8, at: u16 },
    RemoveHeader(u8),
    DuplicateHeader { header: u8, to: u8 },
    Rename { header: u8, name: DrawnName },
    ChangeCase { header: u8 },
    Replace { header: u8, value: Vec<u8> },
    CopyValue { from: u8, to: u8 },
    Lengthen { header: u8, byte: u8, count: u16 },
    RepeatValue { header: u8, between: u8, count: u8 },
    AddHeader(DrawnName, Vec<u8>),
    FlipInBody { at: u16, bit: u8 },
    CutBody(u16),
    AppendToBody(Vec<u8>),
    MoveFromHeaderToBody { header: u8, count: u8 },
    MoveFromBodyToHeader { header: u8, count: u8 },
    Method(String),
    Path(String),
    NoLine,
}

impl Mutation {
    /// Applies the change to `request`.
    pub fn apply(&self, request: &mut Request) {
        let count = request.headers.len();
        let place = |header: &u8| if count == 0 { usize::MAX } else { usize::from(*header) % count };
        match self {
            Self::FlipInHeader { header, at, bit } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    flip(value, *at, *bit);
                }
            }
            Self::InsertInHeader { header, at, byte } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    value.insert(usize::from(*at) % (value.len() + 1), *byte);
                }
            }
            Self::CutHeader { header, at } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    value.truncate(usize::from(*at) % (value.len() + 1));
                }
            }
            Self::CutHeaderFront { header, at } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    value.drain(..usize::from(*at) % (value.len() + 1));
                }
            }
            Self::RemoveHeader(header) => {
                if place(header) < count {
                    request.headers.remove(place(header));
                }
            }
            Self::DuplicateHeader { header, to } => {
                if let Some(twin) = request.headers.get(place(header)).cloned() {
                    request.headers.insert(place(to), twin);
                }
            }
            Self::Rename { header, name } => {
                if let Some((old, _)) = request.headers.get_mut(place(header)) {
                    *old = name.text();
                }
            }
            Self::ChangeCase { header } => {
                if let Some((name, _)) = request.headers.get_mut(place(header)) {
                    let is_lower = name.bytes().any(|byte| byte.is_ascii_lowercase());
                    *name = if is_lower { name.to_ascii_uppercase() } else { name.to_ascii_lowercase() };
                }
            }
            Self::Replace { header, value } => {
                if let Some((_, old)) = request.headers.get_mut(place(header)) {
                    old.clone_from(value);
                }
            }
            Self::CopyValue { from, to } => {
                if let Some((_, value)) = request.headers.get(place(from)).cloned() {
                    request.headers[place(to)].1 = value;
                }
            }
            Self::Lengthen { header, byte, count } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    value.extend(vec![*byte; usize::from(*count) % 9_000]);
                }
            }
            Self::RepeatValue { header, between, count } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    let more = [&[*between], value.as_slice()].concat().repeat(usize::from(*count % 40));
                    if more.len() < 20_000 {
                        value.extend(more);
                    }
                }
            }
            Self::AddHeader(name, value) => request.headers.push((name.text(), value.clone())),
            Self::FlipInBody { at, bit } => flip(&mut request.body, *at, *bit),
            Self::CutBody(at) => request.body.truncate(usize::from(*at) % (request.body.len() + 1)),
            Self::AppendToBody(more) => request.body.extend_from_slice(more),
            Self::MoveFromHeaderToBody { header, count } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    let moved = value.split_off(value.len() - usize::from(*count).min(value.len()));
                    request.body.splice(..0, moved);
                }
            }
            Self::MoveFromBodyToHeader { header, count } => {
                if let Some((_, value)) = request.headers.get_mut(place(header)) {
                    value.extend(request.body.drain(..usize::from(*count).min(request.body.len())));
                }
            }
            Self::Method(method) => {
                if let Some((old, _)) = &mut request.line {
                    old.clone_from(method);
                }
            }
            Self::Path(path) => {
                if let Some((_, old)) = &mut request.line {
                    old.clone_from(path);
                }
            }
            Self::NoLine => request.line = None,
        }
    }
}

fn flip(bytes: &mut [u8], at: u16, bit: u8) {
    if !bytes.is_empty() {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= 1 << (bit % 8);
    }
}
