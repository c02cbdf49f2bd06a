//! Names, keys and texts from small pools, so that requests often have what schemes read.

use arbitrary::Arbitrary;

/// A header's name.
#[derive(Debug, Clone, Arbitrary)]
pub enum DrawnName {
    /// One of [`NAMES`].
    Known(u8),
    /// Any text.
    Any(String),
}

impl DrawnName {
    /// Returns the name.
    pub fn text(&self) -> String {
        match self {
            Self::Known(index) => known(*index).to_owned(),
            Self::Any(text) => text.clone(),
        }
    }
}

/// Returns one of [`NAMES`].
pub fn known(index: u8) -> &'static str {
    NAMES[usize::from(index) % NAMES.len()]
}

/// The key of a field in a signature header.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum DrawnKey {
    /// `t`
    T,
    /// `v1`
    V1,
    /// `h`
    H,
    /// `nonce`
    Nonce,
    /// One printable character.
    One(u8),
}

impl DrawnKey {
    /// Returns the key.
    pub fn text(self) -> String {
        match self {
            Self::T => "t".to_owned(),
            Self::V1 => "v1".to_owned(),
            Self::H => "h".to_owned(),
            Self::Nonce => "nonce".to_owned(),
            Self::One(byte) => char::from(b'!' + byte % 94).to_string(),
        }
    }
}

/// A text between two parts.
#[derive(Debug, Clone, Arbitrary)]
pub enum DrawnText {
    /// Nothing.
    Empty,
    /// `.`
    Dot,
    /// `:`
    Colon,
    /// A line break.
    Line,
    /// A text that overlaps with itself.
    Overlapping,
    /// Any text.
    Any(String),
}

impl DrawnText {
    /// Returns the text.
    pub fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Dot => ".".to_owned(),
            Self::Colon => ":".to_owned(),
            Self::Line => "\n".to_owned(),
            Self::Overlapping => "aba".to_owned(),
            Self::Any(text) => text.clone(),
        }
    }
}

/// A separator: most of those in use, or any character.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum DrawnSeparator {
    /// `,`
    Comma,
    /// A space.
    Space,
    /// `;`
    Semicolon,
    /// Any character.
    Any(char),
}

impl DrawnSeparator {
    /// Returns the character.
    pub fn char(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Space => ' ',
            Self::Semicolon => ';',
            Self::Any(character) => character,
        }
    }
}

/// The names that schemes and requests share.
const NAMES: [&str; 18] = [
    "X-Webhook-Signature",
    "X-Webhook-Timestamp",
    "webhook-signature",
    "webhook-timestamp",
    "webhook-id",
    "Stripe-Signature",
    "X-Hub-Signature-256",
    "X-Slack-Signature",
    "X-Slack-Request-Timestamp",
    "X-Sig",
    "X-Sig-2",
    "X-Time",
    "X-Id",
    "X-Signed",
    "X-A",
    "Content-Type",
    "Content-Length",
    "Host",
];
