//! The head of a message while it is signed.

use alloc::string::String;
use alloc::vec::Vec;

use crate::headers::{FieldName, Head, Occurrence};

/// A message while it is signed: the sender's head and the added headers, which take precedence.
pub(crate) struct UnsignedMessage<'m, H: ?Sized> {
    pub(crate) head: &'m H,
    pub(crate) added: Vec<(FieldName, String)>,
}

impl<H: Head + ?Sized> Head for UnsignedMessage<'_, H> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        match self.added.iter().find(|(added, _)| added == name) {
            Some((_, value)) => Occurrence::Once(value.as_bytes()),
            None => self.head.header(name),
        }
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        match self.header(name) {
            Occurrence::Once(value) => Some(value).filter(|_| index == 0),
            _ => self.head.nth_value(name, index),
        }
    }

    fn method(&self) -> Option<&str> {
        self.head.method()
    }

    fn path(&self) -> Option<&str> {
        self.head.path()
    }

    fn authority(&self) -> Option<&str> {
        self.head.authority()
    }
}
