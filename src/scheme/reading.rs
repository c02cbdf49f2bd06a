//! Reading a head by a scheme: every value that the scheme needs, exactly once and within its size limit, with the
//! signature candidates decoded. It needs no key and allocates nothing.

use alloc::string::String;

use smallvec::SmallVec;

use super::check::MAX_PARTS;
use super::layout::Entry;
use super::{ListedHeaderForm, ListedHeaders, NamesIn, Scheme, SignedPart, TimestampSource};
use crate::crypto::mac::Message;
use crate::encoding::Tag;
use crate::error::{Fault, Reason, Slot};
use crate::headers::{FieldName, Head, Occurrence};
use crate::time::Timestamp;

/// The signature candidates of a request.
pub(crate) type Candidates = SmallVec<[Tag; MAX_CANDIDATES]>;

/// The values that a scheme read from a head. It is filled in place, because it has room for many values and is usually
/// almost empty: returning it by value would cost more than reading.
#[derive(Debug, Default)]
pub(crate) struct Reading<'h> {
    pub(crate) timestamp: Option<Timestamp>,
    timestamp_text: &'h [u8],
    /// The values of the parts that come from the head, in the order of the template.
    values: SmallVec<[&'h [u8]; MAX_PARTS]>,
}

impl Scheme {
    pub(crate) fn read<'h, H: Head + ?Sized>(
        &self,
        head: &'h H,
        reading: &mut Reading<'h>,
        candidates: &mut Candidates,
    ) -> Result<(), Fault> {
        let field_text = self.read_signatures(head, candidates)?;
        if let Some(place) = &self.timestamp {
            let text = match &place.source {
                TimestampSource::Header(name) => once(head.header(name), Slot::Timestamp)?,
                TimestampSource::Field(_) => field_text.ok_or(Fault::at(Reason::MissingHeader, Slot::Timestamp))?,
            };
            let stamp = if text.len() <= MAX_TIMESTAMP_BYTES { place.format.parse(text) } else { None };
            reading.timestamp = Some(stamp.ok_or(Fault::at(Reason::MalformedTimestamp, Slot::Timestamp))?);
            reading.timestamp_text = text;
        }
        self.read_content(head, reading)
    }

    /// Reads the values that are signed.
    fn read_content<'h, H: Head + ?Sized>(&self, head: &'h H, reading: &mut Reading<'h>) -> Result<(), Fault> {
        for (index, part) in (0_u8..).zip(&self.signed) {
            if let Some(value) = self.read_part(part, head, Slot::Part(index))? {
                if self.is_ambiguous(usize::from(index), value) {
                    return Err(Fault::at(Reason::MalformedHeader, Slot::Part(index)));
                }
                reading.values.push(value);
            }
        }
        Ok(())
    }

    /// Reads the signed values of a message whose timestamp is already formatted but not yet in the head.
    pub(crate) fn read_unsigned<'h, H: Head + ?Sized>(
        &self,
        head: &'h H,
        timestamp_text: &'h [u8],
    ) -> Result<Reading<'h>, Fault> {
        let mut reading = Reading { timestamp_text, ..Reading::default() };
        self.read_content(head, &mut reading)?;
        Ok(reading)
    }

    /// Whether the literal that separates a signed header from other signed content also occurs at another offset, so
    /// that one MAC would fit two messages. For a header before the body this is the literal after it, and for a header
    /// after the body the literal before it. Standard Webhooks forbids `.` in ids for this reason.
    fn is_ambiguous(&self, index: usize, value: &[u8]) -> bool {
        let literal = |index: Option<usize>| match self.signed.get(index?)? {
            SignedPart::Literal(literal) if !literal.is_empty() => Some(literal.as_bytes()),
            _ => None,
        };
        let is_before = self.signed.iter().skip(index).any(|part| *part == SignedPart::Body);
        match self.signed.get(index) {
            Some(SignedPart::Header(_)) if is_before => literal(index.checked_add(1)).is_some_and(|literal| {
                // It may begin within the value and end within itself.
                let at = |start: usize| value.iter().skip(start).chain(literal).take(literal.len()).eq(literal);
                (0..value.len()).any(at)
            }),
            // A timestamp is of one form, and no part of it is of the same.
            Some(SignedPart::Header(name)) if self.is_timestamp_header(name) => false,
            Some(SignedPart::Header(_)) => literal(index.checked_sub(1)).is_some_and(|literal| {
                let at = |start: usize| literal.iter().chain(value).skip(start).take(literal.len()).eq(literal);
                (1..=value.len()).any(at)
            }),
            _ => false,
        }
    }

    fn is_timestamp_header(&self, name: &FieldName) -> bool {
        self.timestamp
            .as_ref()
            .is_some_and(|place| matches!(&place.source, TimestampSource::Header(header) if header == name))
    }

    /// Decodes every candidate, and returns the text of the timestamp if it is a field of the signature header.
    fn read_signatures<'h, H: Head + ?Sized>(
        &self,
        head: &'h H,
        candidates: &mut Candidates,
    ) -> Result<Option<&'h [u8]>, Fault> {
        let timestamp_key = match self.timestamp.as_ref().map(|place| &place.source) {
            Some(TimestampSource::Field(key)) => Some(key.as_bytes()),
            Some(TimestampSource::Header(_)) | None => None,
        };
        let (mut present, mut seen, mut timestamp) = (None, 0_usize, None);
        for (index, name) in (0_u8..).zip(&self.signature_headers) {
            let slot = Slot::Signature(index);
            let value = match head.header(name) {
                Occurrence::Absent => continue,
                occurrence => once(occurrence, slot)?,
            };
            present.get_or_insert(slot);
            if value.len() > MAX_VALUE_BYTES {
                return Err(Fault::at(Reason::MalformedSignature, slot));
            }
            self.layout.visit(value, |entry| match entry {
                Entry::Signature(text) => {
                    seen = seen.saturating_add(1);
                    if seen > MAX_CANDIDATES {
                        return Err(Fault::at(Reason::TooManyCandidates, slot));
                    }
                    if let Some(tag) = self.encoding.decode_tag(text, self.algorithm.tag_size()) {
                        candidates.push(tag);
                    }
                    Ok(())
                }
                Entry::Field(key, text) if Some(key) == timestamp_key => match timestamp.replace(text) {
                    None => Ok(()),
                    Some(_) => Err(Fault::at(Reason::DuplicateHeader, Slot::Timestamp)),
                },
                Entry::Field(..) => Ok(()),
            })?;
        }
        let first = present.ok_or(Fault::at(Reason::MissingHeader, Slot::Signature(0)))?;
        if candidates.is_empty() {
            return Err(Fault::at(Reason::MalformedSignature, first));
        }
        Ok(timestamp)
    }

    fn read_part<'h, H: Head + ?Sized>(
        &self,
        part: &SignedPart,
        head: &'h H,
        slot: Slot,
    ) -> Result<Option<&'h [u8]>, Fault> {
        let value = match part {
            SignedPart::Literal(_) | SignedPart::Timestamp | SignedPart::Body => return Ok(None),
            SignedPart::Method => head.method().map(str::as_bytes).ok_or(Fault::new(Reason::NoRequestLine))?,
            SignedPart::Path | SignedPart::Url { .. } => {
                head.path().map(str::as_bytes).ok_or(Fault::new(Reason::NoRequestLine))?
            }
            SignedPart::Header(name) => once(head.header(name), slot)?,
            SignedPart::Field(key) => self.read_field(head, key, slot)?,
            SignedPart::ListedHeaders(listed) => {
                let names = match &listed.names_in {
                    NamesIn::Header(name) => once(head.header(name), slot)?,
                    NamesIn::Field(key) => self.read_field(head, key, slot)?,
                };
                listed.check(names, head, slot)?;
                names
            }
        };
        if value.len() > MAX_VALUE_BYTES { Err(Fault::at(Reason::MalformedHeader, slot)) } else { Ok(Some(value)) }
    }

    fn read_field<'h, H: Head + ?Sized>(&self, head: &'h H, wanted: &str, slot: Slot) -> Result<&'h [u8], Fault> {
        let mut found = None;
        for name in &self.signature_headers {
            if let Occurrence::Once(value) = head.header(name) {
                self.layout.visit(value, |entry| match entry {
                    Entry::Field(key, text) if key == wanted.as_bytes() && found.replace(text).is_some() => {
                        Err(Fault::at(Reason::DuplicateHeader, slot))
                    }
                    _ => Ok(()),
                })?;
            }
        }
        found.ok_or(Fault::at(Reason::MissingHeader, slot))
    }

    /// The text of the timestamp, valid or not.
    #[cfg(feature = "diagnose")]
    pub(crate) fn timestamp_text<'h, H: Head + ?Sized>(&self, head: &'h H) -> Option<&'h [u8]> {
        match &self.timestamp.as_ref()?.source {
            TimestampSource::Header(name) => once(head.header(name), Slot::Timestamp).ok(),
            TimestampSource::Field(key) => self.read_field(head, key, Slot::Timestamp).ok(),
        }
    }

    /// The signed bytes of one part other than the body, or `None` if the head does not hold them exactly once.
    #[cfg(feature = "diagnose")]
    pub(crate) fn part_content<H: Head + ?Sized>(&self, part: &SignedPart, head: &H) -> Option<alloc::vec::Vec<u8>> {
        let timestamp_text = match part {
            SignedPart::Timestamp => self.timestamp_text(head)?,
            _ => b"",
        };
        let value = self.read_part(part, head, Slot::Part(0)).ok()?;
        let reading = Reading { timestamp: None, timestamp_text, values: SmallVec::new() };
        let mut content = alloc::vec::Vec::new();
        let sink = &mut |bytes: &[u8]| content.extend_from_slice(bytes);
        feed(core::slice::from_ref(part), &reading, &mut value.iter(), head, sink);
        Some(content)
    }

    /// Passes the signed content before the body to `sink`, and returns the parts after it.
    pub(crate) fn feed_before<'r, H: Head + ?Sized>(
        &'r self,
        reading: &'r Reading<'_>,
        head: &'r H,
        sink: &mut impl FnMut(&[u8]),
    ) -> Rest<'r> {
        let body = self.signed.iter().position(|part| *part == SignedPart::Body).unwrap_or_default();
        let (before, rest) = self.signed.split_at_checked(body).unwrap_or_default();
        let mut values = reading.values.iter();
        feed(before, reading, &mut values, head, sink);
        Rest { parts: rest.get(1..).unwrap_or_default(), values }
    }
}

/// The whole signed content of a request.
pub(crate) struct Content<'r, 'h, H: ?Sized> {
    pub(crate) scheme: &'r Scheme,
    pub(crate) reading: &'r Reading<'h>,
    pub(crate) head: &'r H,
    pub(crate) body: &'r [u8],
}

impl<H: Head + ?Sized> Message for Content<'_, '_, H> {
    fn feed(&self, sink: &mut impl FnMut(&[u8])) {
        let rest = self.scheme.feed_before(self.reading, self.head, sink);
        sink(self.body);
        rest.feed(self.reading, self.head, sink);
    }
}

/// The parts of a template after the body.
pub(crate) struct Rest<'r> {
    parts: &'r [SignedPart],
    values: core::slice::Iter<'r, &'r [u8]>,
}

impl Rest<'_> {
    pub(crate) fn feed<H: Head + ?Sized>(mut self, reading: &Reading<'_>, head: &H, sink: &mut impl FnMut(&[u8])) {
        feed(self.parts, reading, &mut self.values, head, sink);
    }
}

fn feed<'r, H: Head + ?Sized>(
    parts: &[SignedPart],
    reading: &Reading<'_>,
    values: &mut impl Iterator<Item = &'r &'r [u8]>,
    head: &H,
    sink: &mut impl FnMut(&[u8]),
) {
    for part in parts {
        match part {
            SignedPart::Literal(text) => sink(text.as_bytes()),
            SignedPart::Timestamp => sink(reading.timestamp_text),
            SignedPart::Body => {}
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

impl ListedHeaders {
    fn check<H: Head + ?Sized>(&self, names: &[u8], head: &H, slot: Slot) -> Result<(), Fault> {
        let malformed = Fault::at(Reason::MalformedHeader, slot);
        let mut count = 0_usize;
        for name in self.names(names) {
            count = count.saturating_add(1);
            let value = once(head.header(&name.filter(|_| count <= MAX_LISTED).ok_or(malformed)?), slot)?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(malformed);
            }
        }
        let listed = |name: &FieldName| self.names(names).any(|other| other.as_ref() == Some(name));
        if self.require.iter().all(listed) { Ok(()) } else { Err(Fault::at(Reason::MissingHeader, slot)) }
    }

    fn feed<H: Head + ?Sized>(&self, names: &[u8], head: &H, sink: &mut impl FnMut(&[u8])) {
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

    /// The list that a signer writes.
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

    /// The listed names, with `None` for one that is not a valid name. An empty list has no names.
    fn names<'n>(&self, list: &'n [u8]) -> impl Iterator<Item = Option<FieldName>> + use<'n> {
        let separator = self.separator;
        let parse = |name: &[u8]| FieldName::new(core::str::from_utf8(name.trim_ascii()).ok()?).ok();
        list.split(move |byte| char::from(*byte) == separator).filter(move |_| !list.is_empty()).map(parse)
    }
}

fn once(occurrence: Occurrence<'_>, slot: Slot) -> Result<&[u8], Fault> {
    match occurrence {
        Occurrence::Once(value) => Ok(value),
        Occurrence::Absent => Err(Fault::at(Reason::MissingHeader, slot)),
        Occurrence::Repeated => Err(Fault::at(Reason::DuplicateHeader, slot)),
    }
}

/// Passes on `text` with the percent-encoded forms of the characters in `decode` decoded, and no others.
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

/// The maximum number of signature candidates in a request.
pub(crate) const MAX_CANDIDATES: usize = 32;

/// The maximum length, in bytes, of a header value that a scheme reads.
pub(crate) const MAX_VALUE_BYTES: usize = 8_192;

/// The maximum length of a timestamp's text in bytes: enough for RFC 3339 with an offset and a fraction finer than any
/// clock's.
const MAX_TIMESTAMP_BYTES: usize = 64;

/// The maximum number of names in a list of headers.
const MAX_LISTED: usize = 32;
