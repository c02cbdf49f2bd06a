//! What stands in the signature headers.

use hookwarden::Scheme;
use hookwarden::scheme::Layout;

use crate::request::Request;

/// The texts of all signatures and the other fields.
#[derive(Debug, Default)]
pub struct Signatures {
    /// The signatures, as they are written.
    pub texts: Vec<Vec<u8>>,
    /// The fields beside them.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Signatures {
    /// The field `key`, if there is exactly one.
    pub fn field(&self, key: &str) -> Option<Vec<u8>> {
        let found: Vec<_> = self.fields.iter().filter(|(other, _)| other == key.as_bytes()).collect();
        match found[..] {
            [(_, value)] => Some(value.clone()),
            _ => None,
        }
    }
}

/// Reads them: at least one header, none twice, none of more than 8,192 bytes.
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
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// The entries of a list, without the white space around each.
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
