//! Reads the values that a scheme needs from a head, each exactly once and within its size limit, and decodes the
//! signature candidates. It needs no key. It does not allocate, except for signatures with public keys.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::custom::RunningCheck;
use super::layout::Entry;
use super::limits::{MAX_TIMESTAMP_BYTES, MAX_VALUE_BYTES};
use super::{Layout, NamesIn, Scheme, SignedPart, TimestampSource};
use crate::crypto::mac::{Candidate, MAX_STAMPS};
use crate::crypto::public_key::Signature;
use crate::error::{Fault, Reason, Slot};
use crate::headers::{Head, Occurrence};
use crate::secret::MAX_KEYS;
use crate::time::Timestamp;

/// The signature candidates of a request. More than the usual maximum are rare, and are allocated.
pub(crate) type Candidates = SmallVec<[Candidate; 32]>;

/// The times of a request: one for a scheme with a timestamp, and up to two for a layout with groups.
pub(crate) type Times = SmallVec<[Timestamp; MAX_STAMPS]>;

/// The texts of timestamps.
type Texts<'h> = SmallVec<[&'h [u8]; MAX_STAMPS]>;

/// The values that a scheme read from a head. It is filled in place: it is large and usually almost empty, so returning
/// it by value would take longer than reading.
#[derive(Debug, Default)]
pub(crate) struct Reading<'h> {
    pub(crate) times: Times,
    /// The texts of the times, in the same order.
    texts: Texts<'h>,
    /// The values of the parts that come from the head, in the order of the signed parts. No preset has more than two.
    pub(super) values: SmallVec<[&'h [u8]; 4]>,
    /// The signatures of a scheme with public keys. They are larger than candidates for a MAC.
    pub(crate) signatures: Vec<Signature>,
    /// The check of a custom scheme.
    pub(crate) custom: Option<RunningCheck>,
}

/// Returns the index of `text`, which is added if it is new. Returns `None` if there are too many texts.
fn index_of<'h>(text: &'h [u8], texts: &mut Texts<'h>) -> Option<u8> {
    let index = texts.iter().position(|known| *known == text).unwrap_or(texts.len());
    if index == MAX_STAMPS {
        return None;
    }
    if index == texts.len() {
        texts.push(text);
    }
    u8::try_from(index).ok()
}

impl<'h> Reading<'h> {
    /// Creates a reading with a single timestamp that is not read yet.
    pub(super) fn with_text(text: &'h [u8]) -> Self {
        Self { texts: core::iter::once(text).collect(), ..Self::default() }
    }

    /// Returns the text of each timestamp, with its index. The signed content differs only in this text. A scheme without
    /// a timestamp has one content with an empty text.
    pub(crate) fn timestamp_texts(&self) -> impl Iterator<Item = (u8, &'h [u8])> {
        let none = self.texts.is_empty().then_some(&b""[..]);
        (0_u8..).zip(self.texts.iter().copied().chain(none))
    }

    /// Returns how many of `keys` valid keys are used, so that a request has at most [`MAX_KEYS`] MACs.
    pub(crate) fn usable_keys(&self) -> usize {
        MAX_KEYS.checked_div(self.texts.len()).unwrap_or(MAX_KEYS)
    }
}

impl Scheme {
    pub(crate) fn read<'h, H: Head + ?Sized>(
        &self,
        head: &'h H,
        reading: &mut Reading<'h>,
        candidates: &mut Candidates,
    ) -> Result<(), Fault> {
        if let Some(custom) = &self.custom {
            let (timestamp, check) = custom.begin(&head)?;
            reading.times.extend(timestamp);
            reading.custom = Some(check);
            return Ok(());
        }
        self.read_signatures(head, &mut reading.texts, candidates, &mut reading.signatures)?;
        if let Some(place) = &self.timestamp {
            match &place.source {
                TimestampSource::Header(name) => reading.texts.push(head.header(name).once(Slot::Timestamp)?),
                TimestampSource::Field(_) if reading.texts.is_empty() => {
                    return Err(Fault::at(Reason::MissingHeader, Slot::Timestamp));
                }
                TimestampSource::Field(_) => {}
            }
            for text in &reading.texts {
                let stamp = if text.len() <= MAX_TIMESTAMP_BYTES { place.format.parse(text) } else { None };
                reading.times.push(stamp.ok_or(Fault::at(Reason::MalformedTimestamp, Slot::Timestamp))?);
            }
        }
        self.read_content(head, reading)
    }

    /// Reads the signed values.
    fn read_content<'h, H: Head + ?Sized>(&self, head: &'h H, reading: &mut Reading<'h>) -> Result<(), Fault> {
        for (index, part) in (0_u8..).zip(&self.signed) {
            if let Some(value) = self.read_part(part, head, Slot::Part(index))? {
                if self.contains_separator(usize::from(index), value) {
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
        let mut reading = Reading::with_text(timestamp_text);
        self.read_content(head, &mut reading)?;
        Ok(reading)
    }

    /// Decodes all candidates. Adds the text of the timestamp to `texts` if it is a field of the signature header, and
    /// in a layout with groups the text of each different timestamp.
    fn read_signatures<'h, H: Head + ?Sized>(
        &self,
        head: &'h H,
        texts: &mut Texts<'h>,
        candidates: &mut Candidates,
        signatures: &mut Vec<Signature>,
    ) -> Result<(), Fault> {
        let (mut present, mut seen) = (None, 0);
        for (index, name) in (0_u8..).zip(&self.signature_headers) {
            let slot = Slot::Signature(index);
            let occurrence = head.header(name);
            if occurrence == Occurrence::Absent {
                continue;
            }
            present.get_or_insert(slot);
            // A head that does not list the values of a repeated header is refused.
            let is_listed = self.repeated_signature_headers
                && occurrence == Occurrence::Repeated
                && head.nth_value(name, 0).is_some();
            if is_listed {
                for (count, value) in (0..).map_while(|index| head.nth_value(name, index)).enumerate() {
                    if count == usize::from(self.max_signatures()) {
                        return Err(Fault::at(Reason::TooManyCandidates, slot));
                    }
                    self.read_value(value, slot, &mut seen, texts, (candidates, signatures))?;
                }
            } else {
                self.read_value(occurrence.once(slot)?, slot, &mut seen, texts, (candidates, signatures))?;
            }
        }
        let first = present.ok_or(Fault::at(Reason::MissingHeader, Slot::Signature(0)))?;
        if candidates.is_empty() && signatures.is_empty() {
            return Err(Fault::at(Reason::MalformedSignature, first));
        }
        Ok(())
    }

    /// Decodes the candidates of one signature header. `seen` counts those of the request, valid or not.
    fn read_value<'h>(
        &self,
        value: &'h [u8],
        slot: Slot,
        seen: &mut usize,
        texts: &mut Texts<'h>,
        (candidates, signatures): (&mut Candidates, &mut Vec<Signature>),
    ) -> Result<(), Fault> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(Fault::at(Reason::MalformedSignature, slot));
        }
        let timestamp_key = match self.timestamp.as_ref().map(|place| &place.source) {
            Some(TimestampSource::Field(key)) => Some(key.as_bytes()),
            Some(TimestampSource::Header(_)) | None => None,
        };
        for group in self.layout.groups(value) {
            let (first, mut timestamp) = ((candidates.len(), signatures.len()), None);
            self.layout.visit(group, |entry| match entry {
                Entry::Signature(text) => {
                    *seen = seen.saturating_add(1);
                    if *seen > usize::from(self.max_signatures()) {
                        return Err(Fault::at(Reason::TooManyCandidates, slot));
                    }
                    match self.algorithm.mac_size() {
                        Some(size) => {
                            if let Some(tag) = self.encoding.decode_tag(text, size) {
                                candidates.push(Candidate { tag, stamp: 0 });
                            }
                        }
                        None => {
                            let bytes = self.encoding.decode_signature(text, &self.algorithm.signature_sizes());
                            signatures.extend(bytes.map(|bytes| Signature { bytes, stamp: 0 }));
                        }
                    }
                    Ok(())
                }
                Entry::Field(key, text) if Some(key) == timestamp_key => match timestamp.replace(text) {
                    None => Ok(()),
                    Some(_) => Err(Fault::at(Reason::DuplicateHeader, Slot::Timestamp)),
                },
                Entry::Field(..) => Ok(()),
            })?;
            if let Some(text) = timestamp {
                let stamp = index_of(text, texts).ok_or(Fault::at(Reason::TooManyCandidates, slot))?;
                candidates.iter_mut().skip(first.0).for_each(|candidate| candidate.stamp = stamp);
                signatures.iter_mut().skip(first.1).for_each(|signature| signature.stamp = stamp);
            } else if matches!(self.layout, Layout::FieldGroups { .. }) {
                return Err(Fault::at(Reason::MissingHeader, Slot::Timestamp));
            }
        }
        Ok(())
    }

    pub(super) fn read_part<'h, H: Head + ?Sized>(
        &self,
        part: &SignedPart,
        head: &'h H,
        slot: Slot,
    ) -> Result<Option<&'h [u8]>, Fault> {
        let value = match part {
            SignedPart::Literal(_) | SignedPart::Timestamp | SignedPart::Body | SignedPart::BodyDigest { .. } => {
                return Ok(None);
            }
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

    /// Returns the text of the timestamp, valid or not.
    #[cfg(feature = "diagnose")]
    pub(crate) fn timestamp_text<'h, H: Head + ?Sized>(&self, head: &'h H) -> Option<&'h [u8]> {
        match &self.timestamp.as_ref()?.source {
            TimestampSource::Header(name) => head.header(name).once(Slot::Timestamp).ok(),
            TimestampSource::Field(key) => self.field_text(head, key),
        }
    }

    /// Returns the text of a field of the signature header.
    #[cfg(feature = "diagnose")]
    pub(crate) fn field_text<'h, H: Head + ?Sized>(&self, head: &'h H, key: &str) -> Option<&'h [u8]> {
        self.read_field(head, key, Slot::Timestamp).ok()
    }
}
