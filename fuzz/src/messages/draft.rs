//! Requests from a fuzzer's bytes, signed by the crate's signer or by hand.

use std::time::Duration;

use arbitrary::Arbitrary;
use hookwarden::Timestamp;
use hookwarden::message_signatures::{Parameter, Profile, SignatureParameters};
use ring::digest::{SHA256, SHA512, digest};

use super::keys::{SENDER, name};
use super::profile::{DrawnComponents, Settings, TagRule};
use super::reader::{Signed, base, read};
use super::structured::{Bare, Item, Member, Parameters, is_excessive, list, write_bare};
use super::words::{HEADERS, LABELS, METHODS, PATHS, TEXTS, VALUES, pick};
use crate::clock::NOW;
use crate::oracle::text::base64url_unpadded;
use crate::request::Request;

/// A request before it is signed.
#[derive(Debug, Clone, Hash, Arbitrary)]
pub struct DrawnMessage {
    method: u8,
    path: DrawnText,
    /// Bits of headers that it lacks.
    lacks: (u8, u8, u8),
    headers: Vec<(u8, DrawnText)>,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Hash, Arbitrary)]
enum DrawnText {
    Usual(u8),
    Any(String),
}

/// How a request is signed.
#[derive(Debug, Clone, Arbitrary)]
pub enum DrawnSigning {
    /// By the crate's signer.
    Signer {
        /// The parameter `keyid`.
        keyid: Option<u8>,
        /// The parameter `nonce`.
        nonce: Option<u8>,
        /// The seconds from `created` to `expires`.
        lifetime: Option<u16>,
    },
    /// By hand, as the crate's signer may not do.
    Hand(DrawnHand),
}

/// A signature by hand.
#[derive(Debug, Clone, Arbitrary)]
pub struct DrawnHand {
    label: u8,
    /// Whether it has less than the profile requires.
    is_thin: bool,
    covers: DrawnComponents,
    parameters: Vec<DrawnParameter>,
    digest: u8,
    second: Option<DrawnSecond>,
}

#[derive(Debug, Clone, Arbitrary)]
enum DrawnParameter {
    Created(i16),
    Expires(i16),
    Text(u8, u8),
    Any(String),
}

/// Another member of `Signature-Input` and `Signature`.
#[derive(Debug, Clone, Arbitrary)]
struct DrawnSecond {
    label: u8,
    is_before: bool,
    /// Whether it is the first one with another label.
    is_copy: bool,
    parameters: Vec<DrawnParameter>,
}

/// A signed request.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The request.
    pub request: Request,
    /// The signature, if it is one.
    pub signed: Option<Signed>,
    /// Whether the crate's signer made it, and the request target has no host.
    pub is_by_signer: bool,
}

impl DrawnText {
    fn text(&self, words: &[&'static str]) -> String {
        match self {
            Self::Usual(index) => pick(words, *index).to_owned(),
            Self::Any(text) => text.clone(),
        }
    }
}

impl DrawnParameter {
    fn text(&self) -> String {
        match self {
            Self::Created(offset) => format!(";created={}", NOW + i64::from(*offset)),
            Self::Expires(offset) => format!(";expires={}", NOW + i64::from(*offset)),
            Self::Text(name, value) => {
                let value = write_bare(&Bare::String(pick(TEXTS, *value).to_owned()));
                format!(";{}={value}", pick(&["nonce", "alg", "keyid", "tag", "x"], *name))
            }
            Self::Any(text) => text.clone(),
        }
    }
}

impl DrawnMessage {
    /// Returns the request without a signature.
    pub fn unsigned(&self, settings: &Settings) -> Request {
        let path = match &self.path {
            DrawnText::Any(text) => format!("/{text}"),
            path => path.text(PATHS),
        };
        let line = Some((pick(METHODS, self.method).to_owned(), path));
        let mut request = Request { line, ..Request::default() };
        request.set("Host", settings.host);
        for (at, (name, value)) in FILLED.into_iter().enumerate() {
            if (self.lacks.0 & self.lacks.1 & self.lacks.2) >> at & 1 == 0 {
                request.set(name, value);
            }
        }
        let drawn = self.headers.iter().take(16).map(|(name, value)| (pick(HEADERS, *name), value.text(VALUES)));
        // A request has one host. Mutations add others.
        for (name, value) in drawn.filter(|(name, _)| *name != "Host") {
            request.headers.push((name.to_owned(), value.into_bytes()));
        }
        request.body.clone_from(&self.body);
        request
    }

    /// Returns the signed request. `None` if the signer refuses it.
    pub fn sign(&self, signing: &DrawnSigning, profile: &Profile, settings: &Settings) -> Option<Sent> {
        let mut request = self.unsigned(settings);
        match signing {
            DrawnSigning::Signer { keyid, nonce, lifetime } => {
                let mut parameters = SignatureParameters::new();
                if let Some(index) = keyid {
                    parameters = parameters.keyid(pick(TEXTS, *index));
                }
                if let Some(index) = nonce {
                    parameters = parameters.nonce(pick(TEXTS, *index));
                }
                if let Some(seconds) = lifetime {
                    parameters = parameters.expires_after(Duration::from_secs((*seconds).into()));
                }
                let signer = profile.signer(SENDER.private(settings.algorithms)).expect("a key for each algorithm");
                let now = Timestamp::from_unix(NOW);
                let signed = request.with_head(|head| signer.sign_at(head, &request.body, &parameters, now)).ok()?;
                signed.iter().for_each(|(name, value)| request.set(name, value));
                let is_by_signer = request.line.as_ref().is_some_and(|(_, target)| !target.contains("://"));
                Some(Sent { signed: read(settings, &request), request, is_by_signer })
            }
            DrawnSigning::Hand(hand) => Some(hand.sign(request, settings)),
        }
    }
}

impl Sent {
    /// Returns the request with another signature, which the profile ignores. `None` if it does not ignore it.
    pub fn beside_another(&self, settings: &Settings) -> Option<Request> {
        let is_ignored =
            settings.label.is_some() || settings.preferred_label.is_some() || settings.ignores_insufficient;
        let covers_signatures = self.signed.as_ref()?.components.iter().any(|(name, _)| match name {
            Bare::String(name) => name.starts_with("signature"),
            _ => false,
        });
        if !is_ignored || covers_signatures {
            return None;
        }
        let mut request = self.request.clone();
        for (name, member) in [("Signature-Input", "another=(\"@status\")"), ("Signature", "another=:AAAA:")] {
            let value = [request.single(name)?, b", ", member.as_bytes()].concat();
            request.set(name, value);
        }
        Some(request)
    }
}

impl DrawnHand {
    fn sign(&self, mut request: Request, settings: &Settings) -> Sent {
        if let Some(digests) = content_digest(settings, &request.body, self.digest) {
            request.set("Content-Digest", digests);
        }
        let required = if self.is_thin { &[][..] } else { &settings.covered };
        let components = required.iter().cloned().chain(self.covers.texts());
        let components: Vec<String> = components.map(|text| identifier(&text)).collect();
        let given: String = if self.is_thin { String::new() } else { required_parameters(settings) };
        let parameters: String = self.parameters.iter().take(8).map(DrawnParameter::text).collect();
        let input = format!("({}){given}{parameters}", components.join(" "));
        let label = settings.label.unwrap_or(pick(LABELS, self.label));

        let sign = |base: &str| SENDER.sign(settings.algorithms[0], base);
        let signed = inner_list(&input).and_then(|(components, parameters)| {
            let base = base(settings, &request, &components, &parameters)?;
            Some(Signed { label: label.to_owned(), components, parameters, signature: sign(&base), base })
        });
        let signature = signed.as_ref().map_or(vec![0; 32], |signed| signed.signature.clone());
        let mut inputs = vec![format!("{label}={input}")];
        let signature = sequence(settings.is_base64url, signature);
        let mut signatures = vec![format!("{label}={signature}")];
        if let Some(second) = &self.second {
            let label = pick(LABELS, second.label);
            let parameters: String = second.parameters.iter().take(8).map(DrawnParameter::text).collect();
            let at = usize::from(!second.is_before);
            let (other_input, signature) = match second.is_copy {
                true => (&input, signature.as_str()),
                false => (&format!("(\"@method\"){parameters}"), ":AAAA:"),
            };
            inputs.insert(at, format!("{label}={other_input}"));
            signatures.insert(at, format!("{label}={signature}"));
        }
        request.set("Signature-Input", inputs.join(", "));
        request.set("Signature", signatures.join(", "));
        Sent { request, signed, is_by_signer: false }
    }
}

/// Writes the parameters that the profile requires.
fn required_parameters(settings: &Settings) -> String {
    let mut text = format!(";created={NOW}");
    let wanted = match settings.tag {
        TagRule::Exactly(wanted) | TagRule::Optional(wanted) => Some(wanted),
        TagRule::Untagged | TagRule::Any => None,
    };
    let tag = wanted.map(|_| Parameter::Tag).filter(|tag| !settings.required.contains(tag));
    for parameter in settings.required.iter().copied().chain(tag) {
        text += &match parameter {
            Parameter::Created => continue,
            Parameter::Expires => format!(";expires={}", NOW + 60),
            Parameter::Alg => format!(";alg=\"{}\"", name(settings.algorithms[0])),
            Parameter::Tag => format!(";tag={}", write_bare(&Bare::String(wanted.unwrap_or("acme").to_owned()))),
            other => format!(";{other}=\"2027-01\""),
        };
    }
    text
}

/// Returns the identifier of a component that is written as in a profile.
pub(super) fn identifier(text: &str) -> String {
    let (name, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
    if name.starts_with('"') { text.to_owned() } else { format!("\"{name}\"{parameters}") }
}

/// Parses the covered components and the parameters of a signature.
fn inner_list(text: &str) -> Option<(Vec<Item>, Parameters)> {
    let members = list(text)?;
    if members.len() != 1 || is_excessive(&[], &members) {
        return None;
    }
    match members.into_iter().next() {
        Some(Member::InnerList(components, parameters)) => Some((components, parameters)),
        _ => None,
    }
}

/// Writes a byte sequence.
fn sequence(is_base64url: bool, bytes: Vec<u8>) -> String {
    if is_base64url { format!(":{}:", base64url_unpadded(&bytes)) } else { write_bare(&Bare::Bytes(bytes)) }
}

fn content_digest(settings: &Settings, body: &[u8], form: u8) -> Option<String> {
    let is_base64url = settings.is_base64url && form >= 128;
    let sha256 = |body: &[u8]| sequence(is_base64url, digest(&SHA256, body).as_ref().to_vec());
    let sha512 = |body: &[u8]| sequence(is_base64url, digest(&SHA512, body).as_ref().to_vec());
    match form % 16 {
        0..=6 => Some(format!("sha-256={}", sha256(body))),
        7 | 8 => Some(format!("sha-512={}", sha512(body))),
        9 => Some(format!("sha-512={},\tmd5=:AAAA:, sha-256={};x=1", sha512(body), sha256(body))),
        10 => Some(format!("sha-256={}, sha-512={}", sha256(body), sha512(b"another body"))),
        11 => Some(format!("sha-256={}, sha-512={}", sha256(b"another body"), sha512(body))),
        12 => Some(format!("sha-256={}", sha256(b"another body"))),
        13 => Some(format!("sha-256={0}, sha-512={0}", sha512(body))),
        14 => Some("md5=:AAAA:".to_owned()),
        _ => None,
    }
}

/// Headers that the components cover, with valid values.
const FILLED: [(&str, &str); 6] = [
    ("Content-Type", "application/json"),
    ("X-List", "a, b"),
    ("X-Dict", "a=1, b;x=2"),
    ("X-Item", "1.50"),
    ("X-Text", "a, b"),
    ("Date", "Fri, 15 Jan 2027 08:00:00 GMT"),
];
