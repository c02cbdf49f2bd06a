//! Reads the signature headers.

use hookwarden::Scheme;
use hookwarden::scheme::Layout;

use crate::request::Request;

/// The signatures and the other fields of a signature header.
#[derive(Debug, Default)]
pub struct Signatures {
    /// The signatures as text.
    pub texts: Vec<Vec<u8>>,
    /// The other fields.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The groups of a layout with groups, which then has neither texts nor fields.
    pub groups: Vec<Signatures>,
}

impl Signatures {
    /// Returns the field `key`, if there is exactly one.
    pub fn field(&self, key: &str) -> Option<Vec<u8>> {
        let found: Vec<_> = self.fields.iter().filter(|(other, _)| other == key.as_bytes()).collect();
        match found[..] {
            [(_, value)] => Some(value.clone()),
            _ => None,
        }
    }
}

/// Reads the signature headers. There must be at least one, each only once and of at most 8,192 bytes.
pub fn signatures(scheme: &Scheme, request: &Request) -> Option<Signatures> {
    let mut read = Signatures::default();
    let mut present = false;
    for name in scheme.signature_headers() {
        match request.values(name.as_str())[..] {
            [] => {}
            [value] if value.len() <= 8_192 => {
                present = true;
                take(scheme.layout(), value, &mut read);
            }
            ref values if scheme.repeats_signature_headers() => {
                if values.len() > usize::from(scheme.max_signatures()) || values.iter().any(|value| value.len() > 8_192)
                {
                    return None;
                }
                present = true;
                values.iter().for_each(|value| take(scheme.layout(), value, &mut read));
            }
            _ => return None,
        }
    }
    present.then_some(read)
}

fn take(layout: &Layout, value: &[u8], read: &mut Signatures) {
    match layout {
        Layout::Plain { prefix } => read.texts.extend(value.strip_prefix(prefix.as_bytes()).map(<[u8]>::to_vec)),
        Layout::List { separator, prefix } => {
            for entry in split(value, *separator) {
                read.texts.extend(entry.strip_prefix(prefix.as_bytes()).map(<[u8]>::to_vec));
            }
        }
        Layout::FieldGroups { group_separator, separator, signature } => {
            for text in split(value, *group_separator) {
                if !text.is_empty() {
                    let mut group = Signatures::default();
                    take(&Layout::fields(*separator, signature.clone()), &text, &mut group);
                    read.groups.push(group);
                }
            }
        }
        Layout::Fields { separator, signature } => {
            for entry in split(value, *separator) {
                let mut halves = entry.splitn(2, |byte| *byte == b'=');
                if let (Some(key), Some(text)) = (halves.next(), halves.next()) {
                    if key == signature.as_bytes() {
                        read.texts.push(text.to_vec());
                    } else {
                        read.fields.push((key.to_vec(), text.to_vec()));
                    }
                }
            }
        }
        Layout::Positional { separator, fields } => {
            for (index, entry) in split(value, *separator).into_iter().enumerate() {
                match fields.get(index) {
                    Some(name) => read.fields.push((name.as_bytes().to_vec(), entry)),
                    None => read.texts.push(entry),
                }
            }
        }
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// Splits a list into its entries, without the white space around each.
pub(super) fn split(list: &[u8], separator: char) -> Vec<Vec<u8>> {
    let mut entries = vec![Vec::new()];
    for byte in list {
        if u32::from(*byte) == u32::from(separator) {
            entries.push(Vec::new());
        } else {
            entries.last_mut().expect("there is one from the start").push(*byte);
        }
    }
    for entry in &mut entries {
        while entry.first().is_some_and(|byte| b" \t\r\n\x0c".contains(byte)) {
            entry.remove(0);
        }
        while entry.last().is_some_and(|byte| b" \t\r\n\x0c".contains(byte)) {
            entry.pop();
        }
    }
    entries
}
