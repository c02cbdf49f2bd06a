//! Headers that another header or a field lists by name.

use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{NamesIn, Scheme, SignedPart};

/// Returns the listed headers that `head` lacks.
pub(super) fn missing<H: Head + ?Sized>(scheme: &Scheme, head: &H) -> impl Iterator<Item = FieldName> {
    let listed = scheme.signed().iter().filter_map(|part| match part {
        SignedPart::ListedHeaders(listed) => Some(listed),
        _ => None,
    });
    let mut names = Vec::new();
    for listed in listed {
        let list = match &listed.names_in {
            NamesIn::Header(name) => match head.header(name) {
                Occurrence::Once(list) => Some(list),
                Occurrence::Absent | Occurrence::Repeated => None,
            },
            NamesIn::Field(key) => scheme.field_text(head, key),
        };
        for name in listed.names(list.unwrap_or_default()).flatten().take(MAX_LISTED) {
            if head.header(&name) == Occurrence::Absent && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.into_iter()
}

/// The maximum number of listed headers.
const MAX_LISTED: usize = 32;
