//! The signed content of a request, part by part.

use super::reading::Reading;
use super::{Coverage, Scheme, SignedPart};
use crate::crypto::body_hash::BodyHash;
use crate::crypto::mac::Message;
#[cfg(feature = "diagnose")]
use crate::error::Slot;
use crate::headers::{FieldName, Head};

/// The whole signed content of a request.
pub(crate) struct Content<'r, 'h, H: ?Sized> {
    pub(crate) scheme: &'r Scheme,
    pub(crate) reading: &'r Reading<'h>,
    /// The text of the timestamp: one of the reading's.
    pub(crate) timestamp_text: &'r [u8],
    pub(crate) head: &'r H,
    /// The bytes that are signed for the body: the body itself, or the text of its digest.
    pub(crate) body: &'r [u8],
}

impl<H: Head + ?Sized> Message for Content<'_, '_, H> {
    fn feed(&self, sink: &mut impl FnMut(&[u8])) {
        let rest = self.scheme.feed_before(self.reading, self.timestamp_text, self.head, sink);
        sink(self.body);
        rest.feed(self.timestamp_text, self.head, sink);
    }
}

impl Scheme {
    /// What a valid signature proves about a request.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        if let Some(custom) = &self.custom {
            return custom.coverage;
        }
        let mut coverage = Coverage { timestamp: self.timestamp.is_some(), ..Coverage::NOTHING };
        for part in &self.signed {
            match part {
                SignedPart::Body | SignedPart::BodyDigest { .. } => coverage.body = true,
                SignedPart::Method => coverage.method = true,
                SignedPart::Path | SignedPart::Url { .. } => coverage.url = true,
                SignedPart::Header(name) => coverage.id |= is_id(name),
                // Only these are signed in every request.
                SignedPart::ListedHeaders(listed) => coverage.id |= listed.require.iter().any(is_id),
                SignedPart::Literal(_) | SignedPart::Timestamp | SignedPart::Field(_) => {}
            }
        }
        coverage
    }

    /// Returns the hash to sign the digest of a body, or `None` if the scheme signs the body itself.
    pub(crate) fn body_hash(&self) -> Option<BodyHash> {
        self.signed.iter().find_map(|part| match part {
            SignedPart::BodyDigest { hash, encoding } => Some(BodyHash::new(*hash, *encoding)),
            _ => None,
        })
    }

    /// Calls `sign` with the bytes that are signed for `body`: the body itself, or the text of its digest. Returns
    /// `None` if `sign` does.
    pub(crate) fn with_signed_body<T>(&self, body: &[u8], sign: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match self.body_hash() {
            None => Some(sign(body)),
            Some(mut hash) => {
                hash.update(body);
                Some(sign(hash.text()?.as_bytes()))
            }
        }
    }

    /// Passes the signed content before the body to `sink`, and returns the parts after it.
    pub(crate) fn feed_before<'r, H: Head + ?Sized>(
        &'r self,
        reading: &'r Reading<'_>,
        timestamp_text: &[u8],
        head: &'r H,
        sink: &mut impl FnMut(&[u8]),
    ) -> Rest<'r> {
        let body = self.signed.iter().position(SignedPart::is_body).unwrap_or_default();
        let (before, rest) = self.signed.split_at_checked(body).unwrap_or_default();
        let mut values = reading.values.iter();
        feed(before, timestamp_text, &mut values, head, sink);
        Rest { parts: rest.get(1..).unwrap_or_default(), values }
    }

    /// Returns the signed bytes of one part other than the body, or `None` if the head does not have them exactly once.
    #[cfg(feature = "diagnose")]
    pub(crate) fn part_content<H: Head + ?Sized>(&self, part: &SignedPart, head: &H) -> Option<alloc::vec::Vec<u8>> {
        let timestamp_text = match part {
            SignedPart::Timestamp => self.timestamp_text(head)?,
            _ => b"",
        };
        let value = self.read_part(part, head, Slot::Part(0)).ok()?;
        let mut content = alloc::vec::Vec::new();
        let sink = &mut |bytes: &[u8]| content.extend_from_slice(bytes);
        feed(core::slice::from_ref(part), timestamp_text, &mut value.iter(), head, sink);
        Some(content)
    }
}

fn is_id(name: &FieldName) -> bool {
    name.as_str().as_bytes().last_chunk::<3>().is_some_and(|end| end.eq_ignore_ascii_case(b"-id"))
}

/// The parts of a template after the body.
pub(crate) struct Rest<'r> {
    parts: &'r [SignedPart],
    values: core::slice::Iter<'r, &'r [u8]>,
}

impl Rest<'_> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn feed<H: Head + ?Sized>(mut self, timestamp_text: &[u8], head: &H, sink: &mut impl FnMut(&[u8])) {
        feed(self.parts, timestamp_text, &mut self.values, head, sink);
    }
}

fn feed<'r, H: Head + ?Sized>(
    parts: &[SignedPart],
    timestamp_text: &[u8],
    values: &mut impl Iterator<Item = &'r &'r [u8]>,
    head: &H,
    sink: &mut impl FnMut(&[u8]),
) {
    for part in parts {
        match part {
            SignedPart::Literal(text) => sink(text.as_bytes()),
            SignedPart::Timestamp => sink(timestamp_text),
            SignedPart::Body | SignedPart::BodyDigest { .. } => {}
            SignedPart::Method | SignedPart::Path | SignedPart::Header(_) | SignedPart::Field(_) => {
                sink(values.next().copied().unwrap_or_default())
            }
            SignedPart::Url { base, decode } => {
                sink(base.as_bytes());
                decode_some(values.next().copied().unwrap_or_default(), decode.as_bytes(), sink);
            }
            SignedPart::ListedHeaders(listed) => listed.feed(values.next().copied().unwrap_or_default(), head, sink),
        }
    }
}

/// Decodes only the percent-encoded forms of the characters in `decode`, and passes the result to `sink`.
fn decode_some(mut text: &[u8], decode: &[u8], sink: &mut impl FnMut(&[u8])) {
    while let Some(percent) = text.iter().position(|byte| *byte == b'%').filter(|_| !decode.is_empty()) {
        let (before, rest) = text.split_at_checked(percent).unwrap_or((text, b""));
        sink(before);
        let mut byte = [0];
        let encoded = rest.get(1..3).filter(|digits| const_hex::decode_to_slice(digits, &mut byte).is_ok());
        let consumed = if encoded.is_some() && decode.contains(&byte[0]) {
            sink(&byte);
            3
        } else {
            sink(b"%");
            1
        };
        text = rest.get(consumed..).unwrap_or_default();
    }
    sink(text);
}
