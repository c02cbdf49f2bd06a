//! Requests as bytes on a connection, in any framing of HTTP/1.1.

use arbitrary::Arbitrary;
use hookwarden::Scheme;

use crate::clock::NOW;
use crate::draft::Draft;
use crate::keys::PlainKey;
use crate::mutation::Mutation;
use crate::oracle;
use crate::request::Request;
use crate::server::BODY_LIMIT;

/// The messages of a client.
#[derive(Debug, Arbitrary)]
pub struct DrawnStream {
    messages: Vec<DrawnMessage>,
    /// Single bytes that are changed in transit.
    changes: Vec<(u16, u8)>,
    /// The position at which the stream is truncated.
    cut: Option<u16>,
}

#[derive(Debug, Arbitrary)]
enum DrawnMessage {
    /// A request of an honest sender.
    Honest { body: Vec<u8>, skew: i8, framing: DrawnFraming, expects: bool, id: u8 },
    /// A signed request with another head, and changes to it.
    Signed { draft: Box<Draft>, mutations: Vec<Mutation>, framing: DrawnFraming },
    /// A repetition of the last honest request.
    Again(DrawnFraming),
    /// Any bytes.
    Raw(Vec<u8>),
}

#[derive(Debug, Clone, Arbitrary)]
enum DrawnFraming {
    Length,
    Chunked { sizes: Vec<u8>, extension: Option<u8>, has_trailer: bool },
    Both,
    Neither,
    WrongLength(i8),
}

impl DrawnFraming {
    const fn is_sound(&self) -> bool {
        matches!(self, Self::Length | Self::Chunked { .. })
    }
}

/// The bytes, and the deliveries that the handler must receive.
#[derive(Debug, Default)]
pub struct Stream {
    /// The bytes that are written.
    pub bytes: Vec<u8>,
    /// The body of each honest delivery, and what identifies it, if the connection has only honest requests.
    pub honest: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl DrawnStream {
    /// Returns the stream, at most `MAX_MESSAGES` messages.
    pub fn write(&self, scheme: &Scheme, keys: &[PlainKey]) -> Stream {
        let mut stream = Stream { bytes: Vec::new(), honest: Some(Vec::new()) };
        let mut last: Option<Request> = None;
        for message in self.messages.iter().take(MAX_MESSAGES) {
            match message {
                DrawnMessage::Honest { body, skew, framing, expects, id } => {
                    // Without a signed timestamp, only the id and the body distinguish deliveries.
                    let stamp = if scheme.is_timestamped() { NOW + i64::from(*skew) } else { NOW };
                    // Few ids, so that some messages are one delivery that the sender signed again.
                    let request = Draft::plain(body).with_value(&format!("id-{}", id % 4)).signed(scheme, keys, stamp);
                    stream.push(&request, framing, *expects);
                    let delivery = (body.clone(), oracle::identity(scheme, &request));
                    stream.expect(delivery, framing.is_sound() && body.len() <= BODY_LIMIT);
                    last = Some(request);
                }
                DrawnMessage::Again(framing) => {
                    if let Some(request) = &last {
                        stream.push(request, framing, false);
                        if !framing.is_sound() {
                            stream.honest = None;
                        }
                    }
                }
                DrawnMessage::Signed { draft, mutations, framing } => {
                    let mut request = draft.signed(scheme, keys, NOW);
                    mutations.iter().for_each(|mutation| mutation.apply(&mut request));
                    stream.push(&request, framing, false);
                    stream.honest = None;
                }
                DrawnMessage::Raw(bytes) => {
                    stream.bytes.extend_from_slice(bytes);
                    stream.honest = None;
                }
            }
        }
        for (at, byte) in &self.changes {
            if !stream.bytes.is_empty() {
                let at = usize::from(*at) % stream.bytes.len();
                stream.bytes[at] = *byte;
                stream.honest = None;
            }
        }
        if let Some(cut) = self.cut {
            stream.bytes.truncate(usize::from(cut) % (stream.bytes.len() + 1));
            stream.honest = None;
        }
        stream
    }
}

impl Stream {
    fn expect(&mut self, delivery: (Vec<u8>, Vec<u8>), is_sound: bool) {
        match &mut self.honest {
            Some(honest) if is_sound => {
                // The handler receives the first one of a delivery.
                if !honest.iter().any(|(_, identity)| *identity == delivery.1) {
                    honest.push(delivery);
                }
            }
            honest => *honest = None,
        }
    }

    fn push(&mut self, request: &Request, framing: &DrawnFraming, expects: bool) {
        let (method, path) = request.line.clone().unwrap_or_else(|| ("POST".to_owned(), "/hooks/acme".to_owned()));
        let mut line = |parts: &[&[u8]]| {
            self.bytes.extend(parts.concat());
            self.bytes.extend_from_slice(b"\r\n");
        };
        line(&[method.as_bytes(), b" ", path.as_bytes(), b" HTTP/1.1"]);
        line(&[b"host: hooks.example.com"]);
        for (name, value) in &request.headers {
            line(&[name.as_bytes(), b": ", value]);
        }
        if expects {
            line(&[b"expect: 100-continue"]);
        }
        let length = request.body.len();
        let declared = match framing {
            DrawnFraming::Length | DrawnFraming::Both => Some(length),
            DrawnFraming::WrongLength(by) => Some(length.saturating_add_signed((*by).into())),
            DrawnFraming::Chunked { .. } | DrawnFraming::Neither => None,
        };
        if let Some(declared) = declared {
            line(&[b"content-length: ", declared.to_string().as_bytes()]);
        }
        match framing {
            DrawnFraming::Chunked { sizes, extension, has_trailer } => {
                line(&[b"transfer-encoding: chunked"]);
                line(&[]);
                let extension = extension.map(|byte| format!(";a={}", byte)).unwrap_or_default();
                for chunk in crate::verdict::chunks(&request.body, sizes).into_iter().filter(|chunk| !chunk.is_empty())
                {
                    line(&[format!("{:x}{extension}", chunk.len()).as_bytes()]);
                    line(&[chunk]);
                }
                line(&[b"0"]);
                if *has_trailer {
                    line(&[b"x-trailer: 1"]);
                }
                line(&[]);
            }
            DrawnFraming::Both => {
                line(&[b"transfer-encoding: chunked"]);
                line(&[]);
                line(&[format!("{length:x}").as_bytes()]);
                line(&[&request.body]);
                line(&[b"0"]);
                line(&[]);
            }
            DrawnFraming::Length | DrawnFraming::Neither | DrawnFraming::WrongLength(_) => {
                line(&[]);
                self.bytes.extend_from_slice(&request.body);
            }
        }
    }
}

/// The maximum number of messages, well below the quota of accepted requests.
const MAX_MESSAGES: usize = 24;
