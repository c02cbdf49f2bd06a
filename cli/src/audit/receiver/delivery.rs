//! A signed request, and changes to it.

/// A request. It has no `Debug`, because it contains a valid signature.
#[derive(Clone, Default)]
pub(super) struct Delivery {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// The text of the signature, without the rest of its header.
    pub(super) tag: String,
}

impl Delivery {
    pub(super) fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Adds a header before all others.
    pub(super) fn with_first(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.insert(0, (name.to_owned(), value.into()));
        self
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces the value of a header.
    pub(super) fn replacing(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.without(name).with(name, value)
    }

    pub(super) fn value(&self, name: &str) -> Vec<u8> {
        let header = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Replaces the signature.
    pub(super) fn with_tag(mut self, tag: &str) -> Self {
        let old = std::mem::replace(&mut self.tag, tag.to_owned());
        for (_, value) in &mut self.headers {
            if let Ok(text) = std::str::from_utf8(value)
                && text.ends_with(&old)
                && !old.is_empty()
            {
                *value = text.replace(&old, tag).into_bytes();
            }
        }
        self
    }

    /// Replaces one character of the signature by another one of its alphabet.
    pub(super) fn with_tag_flipped_at(self, place: usize) -> Self {
        let flipped = self.tag.char_indices().map(|(index, c)| match c {
            _ if index != place => c,
            'A' => 'B',
            'a' => 'b',
            _ if c.is_ascii_lowercase() => 'a',
            _ if c.is_ascii_uppercase() => 'A',
            '0' => '1',
            _ => '0',
        });
        let tag: String = flipped.collect();
        self.with_tag(&tag)
    }

    pub(super) fn carrying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes of the head, with `framing` as its last header lines.
    pub(super) fn head(&self, host: &str, framing: &str) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path).into_bytes();
        let common = [("User-Agent", USER_AGENT), ("Content-Type", "application/json")];
        let is_own = |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let common = common.into_iter().filter(|(name, _)| !is_own(name)).map(|(name, value)| (name, value.as_bytes()));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        for (name, value) in common.chain(own) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(framing.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// The bytes of the request, with `Content-Length`.
    pub(super) fn sized(&self, host: &str) -> Vec<u8> {
        let mut bytes = self.head(host, &format!("Content-Length: {}\r\n", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The bytes of the request in chunks, with `trailers` as lines.
    pub(super) fn chunked(&self, host: &str, trailers: &str) -> Vec<u8> {
        let mut bytes = self.head(host, "Transfer-Encoding: chunked\r\n");
        for chunk in self.body.chunks(CHUNK) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        bytes
    }
}

const USER_AGENT: &str = concat!("hookwarden-audit/", env!("CARGO_PKG_VERSION"));

/// The size of a chunk in bytes.
const CHUNK: usize = 16 * 1024;
