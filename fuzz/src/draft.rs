//! Requests from a fuzzer's bytes, signed like a sender's: by the oracle, with any key of the ring.

use arbitrary::Arbitrary;
use hookwarden::Scheme;
use hookwarden::headers::FieldName;
use hookwarden::scheme::{Layout, NamesIn, SignedPart, TimestampSource};

use crate::keys::PlainKey;
use crate::oracle::{content, encode, tag, write_stamp};
use crate::parts::DrawnName;
use crate::request::Request;

/// The content of a request, and how its sender writes it.
#[derive(Debug, Clone, Arbitrary)]
pub struct Draft {
    line: Option<(String, String)>,
    own: Vec<(DrawnName, Vec<u8>)>,
    /// Values for the headers and fields that the scheme signs, in turn.
    values: Vec<DrawnValue>,
    skew: i16,
    millis: Option<u16>,
    offset: Option<i16>,
    body: Vec<u8>,
    key: u8,
    header: u8,
    is_upper_case: bool,
    is_spaced: bool,
    before: u8,
    after: u8,
}

#[derive(Debug, Clone, Arbitrary)]
enum DrawnValue {
    Usual,
    Any(Vec<u8>),
}

impl Draft {
    /// Creates a draft with only a body.
    pub fn plain(body: &[u8]) -> Self {
        Self {
            line: None,
            own: Vec::new(),
            values: Vec::new(),
            skew: 0,
            millis: None,
            offset: None,
            body: body.to_vec(),
            key: 0,
            header: 0,
            is_upper_case: false,
            is_spaced: false,
            before: 0,
            after: 0,
        }
    }

    /// Returns the draft with another value of the headers and fields that the scheme signs.
    #[must_use]
    pub fn with_value(self, value: &str) -> Self {
        Self { values: vec![DrawnValue::Any(value.into())], ..self }
    }

    /// Returns the draft with another body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Returns the request without the headers that the scheme needs.
    pub fn unsigned(&self) -> Request {
        let headers = self.own.iter().map(|(name, value)| (name.text(), value.clone())).collect();
        Request { line: self.line.clone(), headers, body: self.body.clone() }
    }

    /// Returns the request with every header that the scheme signs, except the timestamp and the signature, which the
    /// signer adds.
    pub fn prepared(&self, scheme: &Scheme) -> Request {
        let mut request = self.unsigned();
        if request.line.is_none() && scheme.signed().iter().any(needs_line) {
            request.line = Some(("POST".to_owned(), "/hooks/acme?a=b%3Fc".to_owned()));
        }
        let mut values = self.values();
        for part in scheme.signed() {
            match part {
                SignedPart::Header(name) if !self.is_stamp(scheme, name) => request.set(name.as_str(), values()),
                SignedPart::ListedHeaders(listed) => {
                    for name in &listed.require {
                        if !self.is_stamp(scheme, name) {
                            request.set(name.as_str(), values());
                        }
                    }
                }
                _ => {}
            }
        }
        request
    }

    /// Returns the request with a signature, made at `now` plus the draft's skew. If the scheme cannot sign it, the
    /// signature is noise.
    pub fn signed(&self, scheme: &Scheme, keys: &[PlainKey], now: i64) -> Request {
        let mut request = self.prepared(scheme);
        let mut values = self.values();
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        let tolerance = i64::try_from(scheme.tolerance().as_duration().as_secs()).expect("a day at most");
        // Keep the skew within a second of the tolerance, so that every value is useful.
        let skew = i64::from(self.skew) % (tolerance + 2);
        let mut stamp_text = Vec::new();
        if let (Some(source), Some(format)) = (scheme.timestamp_source(), scheme.timestamp_format()) {
            let text = write_stamp(format, now.saturating_add(skew), self.millis, self.offset);
            stamp_text = text.unwrap_or_default().into_bytes();
            match source {
                TimestampSource::Header(name) => request.set(name.as_str(), stamp_text.clone()),
                TimestampSource::Field(key) => fields.push((key.to_string(), stamp_text.clone())),
                _ => {}
            }
        }
        for part in scheme.signed() {
            match part {
                SignedPart::ListedHeaders(listed) => {
                    let names: Vec<&str> = listed.require.iter().map(FieldName::as_str).collect();
                    let list = names.join(&listed.separator.to_string()).into_bytes();
                    match &listed.names_in {
                        NamesIn::Header(name) => request.set(name.as_str(), list),
                        NamesIn::Field(key) => add(&mut fields, key, list),
                        _ => {}
                    }
                }
                SignedPart::Field(key) if !fields.iter().any(|(other, _)| other == key) => {
                    fields.push((key.to_string(), values()));
                }
                _ => {}
            }
        }
        let names = scheme.signature_headers();
        let name = names[usize::from(self.header) % names.len()].as_str();
        request.set(name, self.write(scheme, &fields, &[]));
        let key = &keys[usize::from(self.key) % keys.len()];
        let right = content(scheme, &request, &stamp_text).map(|content| tag(scheme, &key.secret, &content));
        let mut right = right.unwrap_or_else(|| encode(scheme, &[0xa5; 32]));
        if self.is_upper_case {
            right = right.to_ascii_uppercase();
        }
        let noise = encode(scheme, &[0x5a; 32]);
        let mut tags = vec![noise.clone(); usize::from(self.before % 34)];
        tags.push(right);
        tags.extend(vec![noise; usize::from(self.after % 34)]);
        if self.before > 200 || self.before == 0 {
            tags.drain(..usize::from(self.before % 34));
        }
        if scheme.repeats_signature_headers() && self.is_spaced {
            request.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
            for tag in &tags {
                let value = self.write(scheme, &fields, std::slice::from_ref(tag));
                request.headers.push((name.to_owned(), value));
            }
        } else {
            request.set(name, self.write(scheme, &fields, &tags));
        }
        request
    }

    fn write(&self, scheme: &Scheme, fields: &[(String, Vec<u8>)], tags: &[String]) -> Vec<u8> {
        let (prefix, separator) = match scheme.layout() {
            Layout::Plain { prefix } => {
                let tag = tags.iter().max_by_key(|tag| tag.as_str() != encode(scheme, &[0x5a; 32]));
                return [prefix.as_bytes(), tag.map(String::as_bytes).unwrap_or_default()].concat();
            }
            Layout::List { separator, prefix } => (prefix.to_string(), *separator),
            Layout::Fields { separator, signature } => (format!("{signature}="), *separator),
            Layout::FieldGroups { group_separator, separator, signature } => {
                return self.write_groups(fields, tags, [*group_separator, *separator], signature);
            }
            Layout::Positional { separator, fields: names } => {
                let value = |name| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
                let placed = names.iter().map(|name| value(name.as_ref()).unwrap_or_default());
                let entries: Vec<Vec<u8>> = placed.chain(tags.iter().map(|tag| tag.clone().into_bytes())).collect();
                return entries.join(separator.to_string().as_bytes());
            }
            other => panic!("unknown layout {other:?}"),
        };
        let fields = fields.iter().map(|(key, value)| [key.as_bytes(), b"=", value].concat());
        let tags = tags.iter().map(|tag| [prefix.as_bytes(), tag.as_bytes()].concat());
        let entries: Vec<Vec<u8>> = fields.chain(tags).collect();
        let space = if self.is_spaced { " " } else { "" };
        entries.join(format!("{space}{separator}{space}").as_bytes())
    }

    /// Writes a group for each signature. The group before the last one can have another timestamp.
    fn write_groups(&self, fields: &[(String, Vec<u8>)], tags: &[String], separators: [char; 2], key: &str) -> Vec<u8> {
        let [group_separator, separator] = separators.map(|separator| separator.to_string().into_bytes());
        let group = |(place, tag): (usize, &String)| {
            let mut entries: Vec<Vec<u8>> = Vec::new();
            for (name, value) in fields {
                let mut value = value.clone();
                if place + 2 == tags.len()
                    && self.is_spaced
                    && let Some(last) = value.last_mut()
                {
                    *last = if *last == b'0' { b'1' } else { b'0' };
                }
                entries.push([name.as_bytes(), b"=", &value].concat());
            }
            entries.push([key.as_bytes(), b"=", tag.as_bytes()].concat());
            entries.join(&separator[..])
        };
        tags.iter().enumerate().map(group).collect::<Vec<_>>().join(&group_separator[..])
    }

    fn values(&self) -> impl FnMut() -> Vec<u8> {
        let mut turn = 0;
        move || {
            turn += 1;
            match self.values.get(turn - 1) {
                Some(DrawnValue::Any(value)) => value.clone(),
                Some(DrawnValue::Usual) | None => format!("value-{turn}").into_bytes(),
            }
        }
    }

    fn is_stamp(&self, scheme: &Scheme, name: &FieldName) -> bool {
        matches!(scheme.timestamp_source(), Some(TimestampSource::Header(stamp)) if stamp == name)
    }
}

const fn needs_line(part: &SignedPart) -> bool {
    matches!(part, SignedPart::Method | SignedPart::Path | SignedPart::Url { .. })
}

fn add(fields: &mut Vec<(String, Vec<u8>)>, key: &str, value: Vec<u8>) {
    if !fields.iter().any(|(other, _)| other == key) {
        fields.push((key.to_owned(), value));
    }
}
