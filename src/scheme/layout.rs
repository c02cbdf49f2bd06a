//! How signatures are written inside their header.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// How signatures are written inside their header.
///
/// White space around entries is ignored, except in the layout [`Plain`](Self::Plain). Entries that are not signatures
/// are ignored too, so that a provider can add another version of its signature. A request with more than 32 signatures,
/// or more than the scheme's [`max_signatures`](super::SchemeBuilder::max_signatures), is refused.
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
/// // Persona-Signature: t=1800000000,v1=5257a869… t=1800000000,v1=6ffbb59b…
/// let persona = Layout::field_groups(' ', ',', "v1");
/// // recurly-signature: 1674767088123,5257a869…,6ffbb59b…
/// let recurly = Layout::positional(',', ["timestamp"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Layout {
    /// One signature after a fixed prefix: `sha256=…`, or `HMAC …` in `Authorization`. The prefix may be empty.
    Plain {
        /// The text before the signature: visible ASCII and spaces, without a space at its start. A header must have
        /// exactly this text, in the same case.
        #[cfg_attr(feature = "serde", serde(default))]
        prefix: Cow<'static, str>,
    },
    /// Several signatures, each after a prefix that names its version: `v1,… v1,… v1a,…`. Entries with another prefix
    /// are ignored.
    List {
        /// The character between two entries: a space, or visible ASCII that cannot be part of a signature.
        separator: char,
        /// The text before each signature, in the same form. It must not contain the separator.
        prefix: Cow<'static, str>,
    },
    /// Several `key=value` fields: `t=…,v1=…,v1=…,v0=…`. Fields that the scheme does not name are ignored.
    Fields {
        /// The character between two fields: a space, or visible ASCII that cannot be part of a signature.
        separator: char,
        /// The key of each signature.
        signature: Cow<'static, str>,
    },
    /// Groups of `key=value` fields, each with its own timestamp: `t=…,v1=… t=…,v1=…`. A signature covers only the
    /// timestamp of its group. Every group must have exactly one timestamp, which must be fresh. A request has at most
    /// two different timestamps. With two, only the four newest valid keys are used. Other fields are ignored.
    FieldGroups {
        /// The character between two groups: a space, or visible ASCII that cannot be part of a signature.
        group_separator: char,
        /// The character between two fields of a group, in the same form. It must not be the group separator.
        separator: char,
        /// The key of each signature.
        signature: Cow<'static, str>,
    },
    /// Values without keys, distinguished by their position: `1674767088123,5257a869…,6ffbb59b…`. The first values are
    /// fields, and all further values are signatures.
    Positional {
        /// The character between two values: a space, or visible ASCII that cannot be part of a signature.
        separator: char,
        /// The names by which the scheme refers to the fields, in order: 1 to 8 different ones, such as `timestamp`.
        /// They are not in the header.
        fields: Vec<Cow<'static, str>>,
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

    /// Groups of `key=value` fields with `group_separator` between groups and `separator` between fields. `signature` is
    /// the key of a signature.
    ///
    /// ```
    /// use hookwarden::Scheme;
    /// use hookwarden::scheme::{Layout, SignedPart};
    /// use hookwarden::time::TimestampFormat;
    ///
    /// // Acme-Signature: t=1800000000,v1=d17d66b6… t=1800000000,v1=5257a869…
    /// let scheme = Scheme::builder("acme")
    ///     .signature_header("Acme-Signature")
    ///     .layout(Layout::field_groups(' ', ',', "v1"))
    ///     .timestamp_field("t", TimestampFormat::Seconds)
    ///     .signed([SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
    ///     .build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    #[must_use]
    pub fn field_groups(group_separator: char, separator: char, signature: impl Into<Cow<'static, str>>) -> Self {
        Self::FieldGroups { group_separator, separator, signature: signature.into() }
    }

    /// Values with `separator` between them: first the `fields`, and then the signatures. The scheme refers to the
    /// fields by these names.
    ///
    /// ```
    /// use hookwarden::Scheme;
    /// use hookwarden::scheme::{Layout, SignedPart};
    /// use hookwarden::time::TimestampFormat;
    ///
    /// // Acme-Signature: 1800000000.d17d66b6…
    /// let scheme = Scheme::builder("acme")
    ///     .signature_header("Acme-Signature")
    ///     .layout(Layout::positional('.', ["timestamp"]))
    ///     .timestamp_field("timestamp", TimestampFormat::Seconds)
    ///     .signed([SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
    ///     .build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    #[must_use]
    pub fn positional<F: Into<Cow<'static, str>>>(separator: char, fields: impl IntoIterator<Item = F>) -> Self {
        Self::Positional { separator, fields: fields.into_iter().map(Into::into).collect() }
    }

    /// Returns the groups of fields, or the whole value in a layout without groups.
    pub(crate) fn groups<'h>(&self, value: &'h [u8]) -> impl Iterator<Item = &'h [u8]> + use<'h> {
        let separator = match self {
            Self::FieldGroups { group_separator, .. } => Some(*group_separator),
            _ => None,
        };
        let is_cut = move |byte: &u8| separator == Some(char::from(*byte));
        value.split(is_cut).filter(move |group| separator.is_none() || !group.trim_ascii().is_empty())
    }

    /// Calls `visit` with each signature's text and, in the layouts with fields, with each other field's key and value.
    pub(crate) fn visit<'h, E>(
        &self,
        value: &'h [u8],
        mut visit: impl FnMut(Entry<'_, 'h>) -> Result<(), E>,
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
            Self::FieldGroups { separator, signature, .. } | Self::Fields { separator, signature } => {
                entries(value, *separator).filter_map(key_and_value).try_for_each(|(key, text)| {
                    visit(if key == signature.as_bytes() { Entry::Signature(text) } else { Entry::Field(key, text) })
                })
            }
            Self::Positional { separator, fields } => {
                let mut names = fields.iter();
                entries(value, *separator).try_for_each(|text| {
                    visit(names.next().map_or(Entry::Signature(text), |name| Entry::Field(name.as_bytes(), text)))
                })
            }
        }
    }

    /// Returns the header's value for `signatures`. In layouts with fields, `fields` come before the signatures.
    pub(crate) fn write<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        signatures: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let (mut text, mut is_first) = (String::new(), true);
        let mut entry = |separator: Option<char>, before: &str, between: &str, value: &str| {
            if let Some(separator) = separator.filter(|_| !is_first) {
                text.push(separator);
            }
            is_first = false;
            text.push_str(before);
            text.push_str(between);
            text.push_str(value);
        };
        match self {
            Self::Positional { separator, fields: names } => {
                let given: Vec<_> = fields.into_iter().collect();
                let placed = names.iter().filter_map(|name| given.iter().find(|(key, _)| key == name));
                placed.for_each(|(_, value)| entry(Some(*separator), "", "", value));
                signatures.into_iter().for_each(|tag| entry(Some(*separator), "", "", tag));
            }
            Self::Plain { prefix } => signatures.into_iter().take(1).for_each(|tag| entry(None, prefix, "", tag)),
            Self::List { separator, prefix } => {
                signatures.into_iter().for_each(|tag| entry(Some(*separator), prefix, "", tag));
            }
            Self::FieldGroups { group_separator, separator, signature } => {
                let given: Vec<_> = fields.into_iter().collect();
                for tag in signatures {
                    let pairs = given.iter().copied().chain([(&**signature, tag)]);
                    pairs
                        .zip([*group_separator].into_iter().chain(core::iter::repeat(*separator)))
                        .for_each(|((key, value), before)| entry(Some(before), key, "=", value));
                }
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
pub(crate) enum Entry<'k, 'h> {
    Signature(&'h [u8]),
    Field(&'k [u8], &'h [u8]),
}

fn entries(value: &[u8], separator: char) -> impl Iterator<Item = &[u8]> {
    value.split(move |byte| char::from(*byte) == separator).map(<[u8]>::trim_ascii)
}

fn key_and_value(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let middle = entry.iter().position(|byte| *byte == b'=')?;
    let (key, rest) = entry.split_at_checked(middle)?;
    Some((key, rest.get(1..)?))
}
