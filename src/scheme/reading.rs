//! Reading a head by a scheme: every value that the scheme needs, exactly once and within its size limit, with the
//! signature candidates decoded. It needs no key and allocates nothing.

use smallvec::SmallVec;

use super::layout::Entry;
use super::limits::{MAX_CANDIDATES, MAX_PARTS, MAX_TIMESTAMP_BYTES, MAX_VALUE_BYTES};
use super::{NamesIn, Scheme, SignedPart, TimestampSource};
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
    pub(super) timestamp_text: &'h [u8],
    /// The values of the parts that come from the head, in the order of the template.
    pub(super) values: SmallVec<[&'h [u8]; MAX_PARTS]>,
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
                TimestampSource::Header(name) => head.header(name).once(Slot::Timestamp)?,
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
                occurrence => occurrence.once(slot)?,
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

    pub(super) fn read_part<'h, H: Head + ?Sized>(
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
            SignedPart::Header(name) => head.header(name).once(slot)?,
            SignedPart::Field(key) => self.read_field(head, key, slot)?,
            SignedPart::ListedHeaders(listed) => {
                let names = match &listed.names_in {
                    NamesIn::Header(name) => head.header(name).once(slot)?,
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
            TimestampSource::Header(name) => head.header(name).once(Slot::Timestamp).ok(),
            TimestampSource::Field(key) => self.read_field(head, key, Slot::Timestamp).ok(),
        }
    }
}
