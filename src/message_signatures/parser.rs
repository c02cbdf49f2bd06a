//! Parses structured fields (RFC 9651). This file and `structured.rs` are the only ones that name the crate `sfv`.
//!
//! A key that occurs twice in a dictionary or among parameters is refused. The RFC ignores all but the last one, so that
//! two implementations could read different values.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::fmt;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, ListVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

use super::structured::{Dictionary, InnerList, Item, List, Member, Parameters, Value};

impl Item {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut item = Self::empty();
        Parser::new(text).parse_item_with_visitor(ItemTarget(&mut item)).ok()?;
        Some(item)
    }
}

impl Dictionary {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        Parser::new(text).parse_dictionary_with_visitor(Self::default()).ok()
    }
}

impl List {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        Parser::new(text).parse_list_with_visitor(Self::default()).ok()
    }
}

/// A field has a key twice, or too many members.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key twice, or too many members")
    }
}

impl core::error::Error for Refused {}

/// Adds `value` if there is room, and returns it to be filled.
fn added<T>(values: &mut Vec<T>, value: T) -> Result<&mut T, Refused> {
    if values.len() >= MAX_MEMBERS {
        return Err(Refused);
    }
    values.push(value);
    values.last_mut().ok_or(Refused)
}

impl<'de> DictionaryVisitor<'de> for Dictionary {
    type Out = Self;
    type Error = Refused;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Refused> {
        if self.get(key.as_str()).is_some() {
            return Err(Refused);
        }
        let (_, member) = added(&mut self.0, (key.as_str().to_string(), Member::Item(Item::empty())))?;
        Ok(MemberTarget(member))
    }

    fn finish(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl<'de> ListVisitor<'de> for List {
    type Out = Self;
    type Error = Refused;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Refused> {
        Ok(MemberTarget(added(&mut self.0, Member::Item(Item::empty()))?))
    }

    fn finish(self) -> Result<Self, Refused> {
        Ok(self)
    }
}

struct MemberTarget<'m>(&'m mut Member);

impl<'de> EntryVisitor<'de> for MemberTarget<'_> {
    type Error = Refused;

    fn item(self) -> Result<impl ItemVisitor<'de>, Refused> {
        *self.0 = Member::Item(Item::empty());
        match self.0 {
            Member::Item(item) => Ok(ItemTarget(item)),
            Member::InnerList(_) => Err(Refused),
        }
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Refused> {
        *self.0 = Member::InnerList(InnerList::default());
        match self.0 {
            Member::InnerList(list) => Ok(InnerListTarget(list)),
            Member::Item(_) => Err(Refused),
        }
    }
}

struct InnerListTarget<'m>(&'m mut InnerList);

impl<'de> InnerListVisitor<'de> for InnerListTarget<'_> {
    type Error = Refused;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Refused> {
        Ok(ItemTarget(added(&mut self.0.items, Item::empty())?))
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Refused> {
        Ok(ParametersTarget(&mut self.0.parameters))
    }
}

struct ItemTarget<'m>(&'m mut Item);

impl<'de> ItemVisitor<'de> for ItemTarget<'_> {
    type Out = ();
    type Error = Refused;

    fn bare_item(self, value: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Refused> {
        self.0.value = Value::from(value);
        Ok(ParametersTarget(&mut self.0.parameters))
    }
}

struct ParametersTarget<'m>(&'m mut Parameters);

impl<'de> ParameterVisitor<'de> for ParametersTarget<'_> {
    type Out = ();
    type Error = Refused;

    fn parameter(&mut self, key: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Refused> {
        if self.0.iter().any(|(name, _)| name == key.as_str()) {
            return Err(Refused);
        }
        added(self.0, (key.as_str().to_string(), Value::from(value))).map(drop)
    }

    fn finish(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// The maximum number of members of a dictionary or a list, of items of an inner list, and of parameters. It bounds the
/// comparisons of keys.
const MAX_MEMBERS: usize = 64;
