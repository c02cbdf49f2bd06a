//! Structured fields (RFC 9651).

use alloc::string::String;
use alloc::vec::Vec;

use sfv::{BareItem, BareItemFromInput, ItemSerializer, KeyRef};

/// The value of an item or a parameter.
#[derive(Debug, Clone)]
pub(super) struct Value(BareItem);

impl Value {
    pub(super) fn as_str(&self) -> Option<&str> {
        self.0.as_string().map(|text| text.as_str())
    }

    pub(super) fn as_integer(&self) -> Option<i64> {
        self.0.as_integer().map(i64::from)
    }

    pub(super) fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_byte_sequence()
    }

    pub(super) fn is_true(&self) -> bool {
        self.0.as_boolean() == Some(true)
    }

    fn write(&self, text: &mut String) {
        let _ = ItemSerializer::with_buffer(text).bare_item(&self.0).finish();
    }
}

impl From<BareItemFromInput<'_>> for Value {
    fn from(value: BareItemFromInput<'_>) -> Self {
        Self(value.into())
    }
}

/// Parameters, in the order in which they were sent.
pub(super) type Parameters = Vec<(String, Value)>;

/// An item with its parameters.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) parameters: Parameters,
}

impl Item {
    /// An item that a parser fills.
    pub(super) const fn empty() -> Self {
        Self { value: Value(BareItem::Boolean(true)), parameters: Vec::new() }
    }

    pub(super) fn write(&self, text: &mut String) {
        self.value.write(text);
        write_parameters(&self.parameters, text);
    }
}

/// A member of a list or a dictionary.
#[derive(Debug, Clone)]
pub(super) enum Member {
    Item(Item),
    InnerList(InnerList),
}

/// An inner list with its parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct InnerList {
    pub(super) items: Vec<Item>,
    pub(super) parameters: Parameters,
}

impl InnerList {
    pub(super) fn write(&self, text: &mut String) {
        text.push('(');
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            item.write(text);
        }
        text.push(')');
        write_parameters(&self.parameters, text);
    }
}

impl Member {
    pub(super) fn write(&self, text: &mut String) {
        match self {
            Self::Item(item) => item.write(text),
            Self::InnerList(list) => list.write(text),
        }
    }
}

/// A dictionary, in the order in which it was sent.
#[derive(Debug, Default)]
pub(super) struct Dictionary(pub(super) Vec<(String, Member)>);

impl Dictionary {
    pub(super) fn get(&self, key: &str) -> Option<&Member> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, member)| member)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Member)> {
        self.0.iter().map(|(name, member)| (name.as_str(), member))
    }

    pub(super) fn write(&self, text: &mut String) {
        for (index, (key, member)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            text.push_str(key);
            match member {
                Member::Item(item) if item.value.is_true() => write_parameters(&item.parameters, text),
                _ => {
                    text.push('=');
                    member.write(text);
                }
            }
        }
    }
}

/// A list.
#[derive(Debug, Default)]
pub(super) struct List(pub(super) Vec<Member>);

impl List {
    pub(super) fn write(&self, text: &mut String) {
        for (index, member) in self.0.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            member.write(text);
        }
    }
}

/// Whether the text is a key of a dictionary.
pub(super) fn is_key(text: &str) -> bool {
    KeyRef::from_str(text).is_ok()
}

/// Writes `text` as a string, or returns `None` if a string cannot contain it.
pub(super) fn string(text: &str) -> Option<String> {
    let text = sfv::StringRef::from_str(text).ok()?;
    Some(ItemSerializer::new().bare_item(text).finish())
}

/// Writes `bytes` as a byte sequence.
pub(super) fn byte_sequence(bytes: &[u8]) -> String {
    ItemSerializer::new().bare_item(bytes).finish()
}

fn write_parameters(parameters: &Parameters, text: &mut String) {
    for (key, value) in parameters {
        text.push(';');
        text.push_str(key);
        if !value.is_true() {
            text.push('=');
            value.write(text);
        }
    }
}
