//! How signatures are written inside their header, and how they are extracted.

use alloc::borrow::Cow;
use alloc::string::String;

/// How signatures are written inside their header.
///
/// White space around the entries of [`List`](Self::List) and [`Fields`](Self::Fields) is ignored. Entries that are not
/// signatures are ignored too, so that a provider can add another version of its signature. A request with more than 32
/// signatures is refused.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::scheme::Layout;
///
/// // X-Hub-Signature-256: sha256=757107ea…
/// assert_eq!(*Scheme::github().layout(), Layout::plain("sha256="));
/// // webhook-signature: v1,g0hM9SsE… v1,K5oZfzN9…
/// assert_eq!(*Scheme::standard_webhooks().layout(), Layout::list(' ', "v1,"));
/// // Stripe-Signature: t=1800000000,v1=5257a869…
/// assert_eq!(*Scheme::stripe().layout(), Layout::fields(',', "v1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Layout {
    /// One signature after a fixed prefix: `sha256=…`. The prefix may be empty.
    Plain {
        /// The text before the signature: visible ASCII, or empty.
        #[cfg_attr(feature = "serde", serde(default))]
        prefix: Cow<'static, str>,
    },
    /// Several signatures, each after a prefix that names its version: `v1,… v1,… v1a,…`. Entries with another prefix
    /// are ignored.
    List {
        /// The character between two entries: a space, or visible ASCII that cannot be part of a signature.
        separator: char,
        /// The text before each signature that counts. It must not contain the separator.
        prefix: Cow<'static, str>,
    },
    /// Several `key=value` fields: `t=…,v1=…,v1=…,v0=…`. Fields that the scheme does not name are ignored.
    Fields {
        /// The character between two fields: a space, or visible ASCII that cannot be part of a signature.
        separator: char,
        /// The key of each signature that counts.
        signature: Cow<'static, str>,
    },
}

impl Layout {
    /// One signature after `prefix`, which may be empty.
    #[must_use]
    pub fn plain(prefix: impl Into<Cow<'static, str>>) -> Self {
        Self::Plain { prefix: prefix.into() }
    }

    /// Signatures after `prefix`, with `separator` between entries.
    #[must_use]
    pub fn list(separator: char, prefix: impl Into<Cow<'static, str>>) -> Self {
        Self::List { separator, prefix: prefix.into() }
    }

    /// `key=value` fields with `separator` between them. `signature` is the key of a signature.
    #[must_use]
    pub fn fields(separator: char, signature: impl Into<Cow<'static, str>>) -> Self {
        Self::Fields { separator, signature: signature.into() }
    }

    /// Calls `visit` with each signature's text and, in the layout `Fields`, with each other field's key and value.
    pub(crate) fn visit<'h, E>(
        &self,
        value: &'h [u8],
        mut visit: impl FnMut(Entry<'h>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            // Skip `strip_prefix` for an empty prefix; measured slower.
            Self::Plain { prefix } if prefix.is_empty() => visit(Entry::Signature(value)),
            Self::Plain { prefix } => match value.strip_prefix(prefix.as_bytes()) {
                Some(text) => visit(Entry::Signature(text)),
                None => Ok(()),
            },
            Self::List { separator, prefix } => entries(value, *separator)
                .filter_map(|entry| entry.strip_prefix(prefix.as_bytes()))
                .try_for_each(|text| visit(Entry::Signature(text))),
            Self::Fields { separator, signature } => {
                entries(value, *separator).filter_map(key_and_value).try_for_each(|(key, text)| {
                    visit(if key == signature.as_bytes() { Entry::Signature(text) } else { Entry::Field(key, text) })
                })
            }
        }
    }

    /// The header's value for `signatures`, with `fields` before them in the layout `Fields`.
    pub(crate) fn write<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        signatures: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let mut text = String::new();
        let mut entry = |separator: Option<char>, before: &str, between: &str, value: &str| {
            if let Some(separator) = separator.filter(|_| !text.is_empty()) {
                text.push(separator);
            }
            text.push_str(before);
            text.push_str(between);
            text.push_str(value);
        };
        match self {
            Self::Plain { prefix } => signatures.into_iter().take(1).for_each(|tag| entry(None, prefix, "", tag)),
            Self::List { separator, prefix } => {
                signatures.into_iter().for_each(|tag| entry(Some(*separator), prefix, "", tag));
            }
            Self::Fields { separator, signature } => {
                fields.into_iter().for_each(|(key, value)| entry(Some(*separator), key, "=", value));
                signatures.into_iter().for_each(|tag| entry(Some(*separator), signature, "=", tag));
            }
        }
        text
    }
}

/// A piece of a signature header.
pub(crate) enum Entry<'h> {
    Signature(&'h [u8]),
    Field(&'h [u8], &'h [u8]),
}

fn entries(value: &[u8], separator: char) -> impl Iterator<Item = &[u8]> {
    value.split(move |byte| char::from(*byte) == separator).map(<[u8]>::trim_ascii)
}

fn key_and_value(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let middle = entry.iter().position(|byte| *byte == b'=')?;
    let (key, rest) = entry.split_at_checked(middle)?;
    Some((key, rest.get(1..)?))
}
