//! Signed headers that a message lists by name.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::limits::{MAX_LISTED, MAX_VALUE_BYTES};
use crate::error::{Fault, Reason, Slot};
use crate::headers::{FieldName, Head, Occurrence};

/// Signed headers that the sender chooses and lists by name in another header or field.
///
/// Each listed header must occur exactly once, and a list has at most 32 names.
///
/// As for every [`SignedPart`](super::SignedPart#separators), it must be possible to split the signed content in only
/// one way:
///
/// * In the form [`NameAndValue`](ListedHeaderForm::NameAndValue), the list itself must be signed: `require` names its
///   header, or another part signs it. The `join` must not be empty or contain `:` or a character of a name.
/// * In the form [`Value`](ListedHeaderForm::Value), another part must sign the list. The `join` must contain a control
///   character.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::headers::FieldName;
/// use hookwarden::scheme::{ListedHeaderForm, ListedHeaders, NamesIn, SignedPart};
/// use hookwarden::time::TimestampFormat;
///
/// // Acme-Signed-Headers: acme-signed-headers,acme-sent-at,acme-topic
/// let names = FieldName::new("Acme-Signed-Headers")?;
/// let listed = ListedHeaders {
///     names_in: NamesIn::Header(names.clone()),
///     separator: ',',
///     pair: ListedHeaderForm::NameAndValue,
///     join: ";".into(),
///     require: vec![names, FieldName::new("Acme-Sent-At")?],
/// };
/// // Signs `acme-signed-headers:…;acme-sent-at:…;acme-topic:…`, a line break and the body.
/// let scheme = Scheme::builder("acme")
///     .signature_header("Acme-Signature")
///     .timestamp_header("Acme-Sent-At", TimestampFormat::Milliseconds)
///     .signed([SignedPart::ListedHeaders(listed), SignedPart::literal("\n"), SignedPart::Body])
///     .build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct ListedHeaders {
    /// Where the list of names is.
    pub names_in: NamesIn,
    /// The character between two names: ASCII, but not a letter, a digit or `-`. White space around a name is ignored.
    pub separator: char,
    /// The form in which each header is signed.
    pub pair: ListedHeaderForm,
    /// The text between two headers in the signed content.
    pub join: Cow<'static, str>,
    /// Headers that must be in the list. A signer lists them in this order, unless the sender sets the list itself.
    #[cfg_attr(feature = "serde", serde(default))]
    pub require: Vec<FieldName>,
}

impl ListedHeaders {
    pub(super) fn check<H: Head + ?Sized>(&self, names: &[u8], head: &H, slot: Slot) -> Result<(), Fault> {
        let malformed = Fault::at(Reason::MalformedHeader, slot);
        let mut count = 0_usize;
        for name in self.names(names) {
            count = count.saturating_add(1);
            let value = head.header(&name.filter(|_| count <= MAX_LISTED).ok_or(malformed)?).once(slot)?;
            if value.len() > MAX_VALUE_BYTES || self.embeds_header(value) {
                return Err(malformed);
            }
        }
        let listed = |name: &FieldName| self.names(names).any(|other| other.as_ref() == Some(name));
        if self.require.iter().all(listed) { Ok(()) } else { Err(Fault::at(Reason::MissingHeader, slot)) }
    }

    pub(super) fn feed<H: Head + ?Sized>(&self, names: &[u8], head: &H, sink: &mut impl FnMut(&[u8])) {
        let mut join = "";
        for name in self.names(names).flatten() {
            sink(join.as_bytes());
            join = &self.join;
            if self.pair == ListedHeaderForm::NameAndValue {
                sink(name.as_str().to_ascii_lowercase().as_bytes());
                sink(b":");
            }
            if let Occurrence::Once(value) = head.header(&name) {
                sink(value);
            }
        }
    }

    /// Returns the list that a signer writes.
    pub(crate) fn list(&self) -> String {
        let mut list = String::new();
        for name in &self.require {
            if !list.is_empty() {
                list.push(self.separator);
            }
            list.push_str(name.as_str());
        }
        list
    }

    /// Returns the listed names, with `None` for an invalid name. An empty list has no names.
    pub(crate) fn names<'n>(&self, list: &'n [u8]) -> impl Iterator<Item = Option<FieldName>> + use<'n> {
        let separator = self.separator;
        let parse = |name: &[u8]| FieldName::new(core::str::from_utf8(name.trim_ascii()).ok()?).ok();
        list.split(move |byte| char::from(*byte) == separator).filter(move |_| !list.is_empty()).map(parse)
    }
}

/// Where a list of header names is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NamesIn {
    /// In a header.
    Header(FieldName),
    /// In a field of the signature header, in the layout [`Layout::Fields`](super::Layout::Fields).
    Field(Cow<'static, str>),
}

/// The form in which a listed header is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[non_exhaustive]
pub enum ListedHeaderForm {
    /// The name in lower case, a colon and the value. A request is refused if a value contains
    /// [`join`](ListedHeaders::join), a name and a colon, which would be read as another header.
    #[cfg_attr(feature = "serde", serde(rename = "name:value"))]
    NameAndValue,
    /// Only the value. Another part must then sign the list of names. Values cannot contain control characters, so
    /// [`join`](ListedHeaders::join) should contain one. Otherwise the list can be split into values in more than one
    /// way, and needs [`danger_ambiguous_content`](super::SchemeBuilder::danger_ambiguous_content).
    #[cfg_attr(feature = "serde", serde(rename = "value"))]
    Value,
}
