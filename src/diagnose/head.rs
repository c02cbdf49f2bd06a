//! Finds what is wrong with a head, and corrects it: similarly named headers replace missing ones, and a doubled header
//! is reduced to one.

mod doubled;
mod listed;
mod suspicions;

use super::Capture;
use super::cause::{Cause, CauseKind};
use super::names::{self, Role};
use crate::error::{Fault, Reason, Slot};
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{Layout, MAX_VALUE_BYTES, NamesIn, Scheme, SignedPart, TimestampSource};
pub(super) use suspicions::suspicions;

pub(super) use doubled::{doubled_value, undoubled};

/// A head with some headers replaced.
pub(super) struct Overlay<'c, H: ?Sized> {
    head: &'c H,
    renamed: Vec<(FieldName, FieldName)>,
    /// Headers with the value that they had before they were doubled.
    single: Vec<(FieldName, Vec<u8>)>,
}

impl<H: Head + ?Sized> Head for Overlay<'_, H> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        if let Some((_, value)) = self.single.iter().find(|(doubled, _)| doubled == name) {
            return Occurrence::Once(value);
        }
        match self.renamed.iter().find(|(wanted, _)| wanted == name) {
            Some((_, found)) => self.head.header(found),
            None => self.head.header(name),
        }
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        match self.header(name) {
            Occurrence::Once(value) => Some(value).filter(|_| index == 0),
            _ => {
                let found = self.renamed.iter().find(|(wanted, _)| wanted == name).map_or(name, |(_, found)| found);
                self.head.nth_value(found, index)
            }
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

/// Returns a head for each group of fields in the signature header, or the head itself in a layout without groups.
pub(super) fn groups<'c, H: Head + ?Sized>(scheme: &Scheme, overlay: &Overlay<'c, H>) -> Vec<Overlay<'c, H>> {
    let with_group = |name: &FieldName, group: &[u8]| {
        let single = std::iter::once((name.clone(), group.to_vec())).chain(overlay.single.iter().cloned());
        Overlay { head: overlay.head, renamed: overlay.renamed.clone(), single: single.collect() }
    };
    let name = scheme.signature_headers().first().filter(|_| matches!(scheme.layout(), Layout::FieldGroups { .. }));
    let value = name.and_then(|name| match overlay.header(name) {
        Occurrence::Once(value) => Some((name, value)),
        Occurrence::Absent | Occurrence::Repeated => None,
    });
    let heads = value.map(|(name, value)| {
        scheme.layout().groups(value).take(MAX_GROUPS).map(|group| with_group(name, group)).collect::<Vec<_>>()
    });
    heads.filter(|heads| !heads.is_empty()).unwrap_or_else(|| {
        vec![Overlay { head: overlay.head, renamed: overlay.renamed.clone(), single: overlay.single.clone() }]
    })
}

/// Returns the head with the correctable mistakes corrected, and a cause for each mistake.
pub(super) fn examine<'c, H: Head + ?Sized>(capture: &Capture<'c, H>) -> (Overlay<'c, H>, Vec<Cause>) {
    let (scheme, head) = (capture.scheme, capture.head);
    let mut overlay = Overlay { head, renamed: Vec::new(), single: Vec::new() };
    let mut causes = Vec::new();
    let present = |name: &FieldName| head.header(name) != Occurrence::Absent;
    let mut wanted: Vec<(FieldName, Role)> = Vec::new();
    if !scheme.signature_headers().iter().any(present) {
        wanted.extend(scheme.signature_headers().first().map(|name| (name.clone(), Role::Signature)));
    }
    if let Some(TimestampSource::Header(name)) = scheme.timestamp().map(|place| &place.source) {
        wanted.push((name.clone(), Role::Timestamp));
    }
    for part in scheme.signed() {
        match part {
            SignedPart::Header(name) => wanted.push((name.clone(), Role::Other)),
            SignedPart::ListedHeaders(listed) => {
                if let NamesIn::Header(name) = &listed.names_in {
                    wanted.push((name.clone(), Role::Other));
                }
                wanted.extend(listed.require.iter().map(|name| (name.clone(), Role::Other)));
            }
            _ => {}
        }
    }
    let needed: Vec<FieldName> = wanted.iter().map(|(name, _)| name.clone()).collect();
    for (name, role) in wanted {
        if present(&name) || overlay.renamed.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let taken = |found: &FieldName| needed.contains(found);
        match names::similar(head, name.as_str(), role, &capture.headers, taken) {
            Some(found) => {
                causes.push(renamed(&name, &found));
                overlay.renamed.push((name, found));
            }
            None => causes.push(missing(&name)),
        }
    }
    causes.extend(listed::missing(scheme, &overlay).filter(|name| !needed.contains(name)).map(|name| missing(&name)));
    causes.extend(doubled::correct(capture, &mut overlay, &needed));
    (overlay, causes)
}

fn renamed(wanted: &FieldName, found: &FieldName) -> Cause {
    let (wanted, found) = (wanted.as_str(), found.as_str());
    Cause::new(
        CauseKind::HeaderRenamed,
        format!("the header {wanted} is missing, but {found} is present"),
        format!(
            "on the receiver, set {found} in the scheme if the sender documents it; or have the sender send {wanted}"
        ),
    )
    .at_header(wanted)
}

pub(super) fn missing(name: &FieldName) -> Cause {
    let name = name.as_str();
    Cause::new(
        CauseKind::HeaderMissing,
        format!("the header {name} is missing"),
        format!("on the sender, send {name}; if it is sent, look for a proxy, gateway or framework that drops it"),
    )
    .at_header(name)
}

/// Returns the cause for a verifier's refusal that is about the form of the head.
pub(super) fn refused(fault: Fault, scheme: &Scheme) -> Option<Cause> {
    let header = fault.slot.and_then(|slot| scheme.header_in(slot)).unwrap_or("a header").to_owned();
    let most = scheme.max_signatures();
    let cause = match fault.reason {
        Reason::DuplicateHeader => Cause::new(
            CauseKind::HeaderDuplicated,
            format!("{header}, or a field in it, occurs more than once"),
            match (fault.slot, scheme.layout()) {
                (Some(Slot::Signature(_)), Layout::Plain { .. } | Layout::List { .. }) => {
                    "send it once: look for a proxy that adds it again, or a client that sets it in two places; for a \
                     sender that signs with two keys, set repeated_signature_headers in the receiver's scheme"
                }
                _ => "send it once: look for a proxy that adds it again, or a client that sets it in two places",
            },
        ),
        Reason::MissingHeader => Cause::new(
            CauseKind::FieldMissing,
            format!("{header} lacks {}", missing_field(fault.slot, scheme)),
            format!("on the sender, write every field of {header}; or correct the receiver's layout"),
        ),
        Reason::MalformedHeader => Cause::new(
            CauseKind::HeaderMalformed,
            format!("{header} is too long, or contains the separator between the signed parts"),
            format!("on the sender, write a {header} without separators such as a dot"),
        ),
        Reason::TooManyCandidates => Cause::new(
            CauseKind::SignatureCount,
            match scheme.layout() {
                Layout::FieldGroups { .. } => {
                    format!("{header} contains more than {most} signatures or more than two different timestamps")
                }
                _ => format!("{header} contains more than {most} signatures"),
            },
            "on the sender, sign only with the keys in use",
        ),
        Reason::NoRequestLine => {
            return Some(Cause::new(
                CauseKind::RequestLineMissing,
                "the scheme signs the method, path or URL, and the capture has none",
                "on the receiver, pass a head with its request line, for example by RequestHead::new",
            ));
        }
        Reason::MalformedSignature => Cause::new(
            CauseKind::SignatureMalformed,
            format!("{header} contains no signature of the scheme's form and length"),
            format!("compare the value of {header} with the provider's documentation: prefix, encoding and length"),
        ),
        _ => return None,
    };
    Some(cause.at_header(header))
}

/// Describes what a header lacks.
fn missing_field(slot: Option<Slot>, scheme: &Scheme) -> String {
    let part = |index: u8| scheme.signed().get(usize::from(index));
    let source = scheme.timestamp().map(|place| &place.source);
    match (slot, source) {
        (Some(Slot::Timestamp), Some(TimestampSource::Field(key))) => format!("the field {key}, the timestamp"),
        (Some(Slot::Part(index)), _) => match part(index) {
            Some(SignedPart::Field(key)) => format!("the field {key}, which the scheme signs"),
            Some(SignedPart::ListedHeaders(listed)) => match &listed.names_in {
                NamesIn::Field(key) => format!("the field {key}, or a name in it that the scheme requires"),
                NamesIn::Header(_) => "the name of a header that the scheme requires".to_owned(),
            },
            _ => "a field that the scheme needs".to_owned(),
        },
        _ => "a field that the scheme needs".to_owned(),
    }
}

/// Returns the cause for a valid signature in a header that is too long to be read.
pub(super) fn unread(scheme: &Scheme, head: &impl Head) -> Option<Cause> {
    let is_long = |name: &&FieldName| match head.header(name) {
        Occurrence::Once(value) => value.len() > MAX_VALUE_BYTES,
        Occurrence::Absent | Occurrence::Repeated => false,
    };
    let header = scheme.signature_headers().iter().find(is_long)?.as_str();
    let cause = Cause::new(
        CauseKind::SignatureMalformed,
        format!("{header} is too long: a value of more than {MAX_VALUE_BYTES} bytes is not read"),
        "on the sender, send only the signatures and fields that are needed",
    );
    Some(cause.at_header(header).proven())
}

/// The maximum number of groups of fields that are searched.
const MAX_GROUPS: usize = 8;

pub(super) fn declared_length<H: Head + ?Sized>(head: &H) -> Option<usize> {
    core::str::from_utf8(once(head, "Content-Length")?).ok()?.trim().parse().ok()
}

pub(super) fn once<'h, H: Head + ?Sized>(head: &'h H, name: &'static str) -> Option<&'h [u8]> {
    match head.header(&FieldName::preset(name)) {
        Occurrence::Once(value) => Some(value),
        Occurrence::Absent | Occurrence::Repeated => None,
    }
}
