//! Changes that frameworks and editors make to a body between its sender and the receiver.

use arbitrary::Arbitrary;

/// One of the changes that a diagnosis knows.
#[derive(Debug, Clone, Copy, Arbitrary)]
#[expect(missing_docs, reason = "the names explain themselves")]
pub enum DrawnFault {
    None,
    NewlineAdded,
    NewlineLost,
    CrlfAdded,
    CrlfLost,
    BomAdded,
    SpacedJson,
    Lossy,
    Latin1,
    Cut,
    Quoted,
}

impl DrawnFault {
    /// Applies the change to `body`.
    pub fn apply(self, body: &mut Vec<u8>) {
        let text = || String::from_utf8_lossy(body).into_owned();
        let spoiled = match self {
            Self::None => return,
            Self::NewlineAdded => [body.as_slice(), b"\n"].concat(),
            Self::NewlineLost => text().trim_end_matches(['\r', '\n']).as_bytes().to_vec(),
            Self::CrlfAdded => text().replace('\n', "\r\n").into_bytes(),
            Self::CrlfLost => text().replace("\r\n", "\n").into_bytes(),
            Self::BomAdded => [b"\xef\xbb\xbf", body.as_slice()].concat(),
            Self::SpacedJson => text().replace(':', ": ").replace(',', ", ").into_bytes(),
            Self::Lossy => text().into_bytes(),
            Self::Latin1 => body.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes(),
            Self::Cut => body[..body.len() / 2].to_vec(),
            Self::Quoted => format!("{:?}", text()).into_bytes(),
        };
        *body = spoiled;
    }
}
